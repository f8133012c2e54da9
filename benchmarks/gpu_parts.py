"""What `gpu.py` measures: a function for each part, which runs in a process of its own.

A part yields what it has found so far, a dict of numbers with "lines", a text to read. `gpu.py` keeps the
latest, so that a part that is ended too early has not measured in vain. One whose last has "goes_on" is not
done: it goes on from there the next time.
"""

import contextlib
import io
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import loop
import psutil
import roofline
import torch

from cifar_lib import data, evaluate, recipes, training
from cifar_lib.data import Images
from cifar_lib.system import device as devices

ROOT = Path(__file__).resolve().parents[1]
FEW = 10_000  # images, for what needs to train only a little


@dataclass
class Job:
    """How a part is to be measured.

    Args:
        folder: where its files go.
        rehearsal: on the CPU, with quick recipes and a few generated images.
        seconds: the time that it has.
        seeds: trainings of a fast recipe at most.
        processes: side by side, for the part `plan`.
    """

    folder: Path
    rehearsal: bool = False
    seconds: float = 600.0
    seeds: int = 20
    processes: int = 8
    start: float = field(default_factory=time.perf_counter)

    @property
    def device(self):
        return devices.select_device("cpu" if self.rehearsal else "cuda")

    @property
    def left(self):
        """The seconds that are left."""
        return self.seconds - (time.perf_counter() - self.start)

    def recipe(self, name):
        recipe = recipes.get(f"{name}-quick" if self.rehearsal else name)
        return recipe.replace(batch_size=min(recipe.batch_size, 100)) if self.rehearsal else recipe

    def dataset(self, images=None):
        """The images, or so many of those to train on."""
        dataset = data.load("toy" if self.rehearsal else "cifar10")
        if self.rehearsal:
            dataset = replace(dataset, test=dataset.test[:100])
            images = 400
        return replace(dataset, train=dataset.train[:images]) if images else dataset

    def train(self, recipe, dataset, seed=0, **options):
        return training.train(recipe, dataset, seed, device=str(self.device), **options)


def environment(job):
    """The card, the versions, the machine."""
    device = job.device
    found = {
        "device": devices.describe(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": devices.cpu_name(),
        "cores": os.cpu_count(),
        "memory in GB": round(psutil.virtual_memory().total / 1e9),
        "code": training.CODE_VERSION,
        "commit": _printed("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "images": str(job.dataset()),
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "memory of the card in GB": round(card.total_memory / 1e9, 1),
            "CUDA": torch.version.cuda,
            "cuDNN": torch.backends.cudnn.version(),
            "driver": _printed("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
        }
    yield found | {"lines": [f"{name}: {value}" for name, value in found.items()]}


def tests(job):
    """The tests that need a GPU."""
    file = job.folder / "tests.xml"
    file.unlink(missing_ok=True)
    # Tests of pages need packages that a machine for trainings may lack; they use no GPU.
    left_out = [f"--ignore={ROOT / 'tests' / name}" for name in ("book", "site")]
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests"), "-m", "cuda", "-q", *left_out]
    command += ["--continue-on-collection-errors", f"--junitxml={file}"]
    subprocess.run(command, cwd=ROOT, check=False)
    if not file.exists():
        raise RuntimeError("pytest did not run, see the log above")
    yield results_of_tests(file)


def results_of_tests(file):
    """How many tests passed, failed and were skipped, by pytest's XML, and the names of those that failed."""
    (suite,) = ElementTree.parse(file).getroot().iter("testsuite")
    tests, failed, errors, skipped = (
        int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")
    )
    names = [
        f"{case.get('classname')}.{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    found = {"passed": tests - failed - errors - skipped, "failed": failed + errors, "skipped": skipped}
    line = ", ".join(f"{count} {name}" for name, count in found.items())
    return found | {"names": names, "lines": [line, *(f"failed: {name}" for name in names)]}


def against_tutorial(job):
    """The library's loop and the usual tutorial loop: the paper's network, the same images."""
    images, rounds = (200, 1) if job.rehearsal else (45_000, 3)
    dataset, device = job.dataset(), job.device
    turns = loop.compare(dataset, device, images, 1, rounds)
    rates = {name: statistics.median(rate for rate, _ in kept) for name, kept in turns.items()}
    found = {"images_per_second": rates, "turns": turns}
    yield found | {"lines": _rates(rates)}
    if device.type == "cuda":  # on a CPU the parts below compile
        recipe = job.recipe("paper").replace(epochs=5, holdout=False)
        history = job.train(recipe, dataset, compiled=True).history
        seconds = statistics.median(entry["training_seconds"] for entry in history[1:])
        rates["cifar_lib, compiled"] = len(dataset.train) / seconds
        yield found | {"lines": _rates(rates)}


def _rates(rates):
    usual = rates["tutorial"]
    return [f"{name}: {rate:,.0f} images/s, {rate / usual:.2f} times" for name, rate in rates.items()]


def fast(job, name, compiled=False):
    """A fast recipe with several seeds: seconds of the training, of the test, and accuracy."""
    recipe, dataset = job.recipe(name), job.dataset()
    if job.rehearsal and compiled:
        recipe = recipe.replace(sides=[])  # one size of the images, because each is compiled anew
    right, runs = [], []
    for seed in range(job.seeds):
        start = time.perf_counter()
        trained = job.train(recipe, dataset, seed, compiled=compiled)
        done = time.perf_counter()
        plain, views = evaluate.predict_plain_and_mean(trained.model, dataset.test.pixels, recipe.views)
        end = time.perf_counter()
        right.append(views.argmax(1) == dataset.test.labels)
        run = {"training": sum(entry["training_seconds"] for entry in trained.history)}
        run |= {"train": done - start, "test": end - done, "history": trained.history}
        run |= {"accuracy": evaluate.accuracy(plain, dataset.test.labels)}
        runs.append(run | {"accuracy_views": evaluate.accuracy(views, dataset.test.labels)})
        yield {"recipe": recipe.as_dict(), "compiled": compiled, "runs": runs} | _summary(recipe, runs, right)
        # The second run compiles nothing, and takes a fraction of the first.
        if job.left < (end - start) * (0.5 if compiled and not seed else 1.5):
            break


def _summary(recipe, runs, right):
    """Medians of the seconds and means of the accuracies; the first run, which loads and compiles, apart."""
    first, later = runs[0], runs[1:] or runs
    seconds = {name: statistics.median(run[name] for run in later) for name in ("training", "train", "test")}
    names = ("accuracy", "accuracy_views")
    plain, views = (statistics.fmean(run[name] for run in runs) for name in names)
    accuracy = f"{views:.2%} of {right[0].numel():,} test images by the mean of {recipe.views} views"
    if len(runs) > 1:
        estimate = evaluate.accuracy_interval(torch.stack(right))
        accuracy += f" (95 % interval {estimate.low:.2%} to {estimate.high:.2%})"
    lines = [
        f"first run, with all that is loaded and compiled once: {first['training']:.2f} s of training",
        f"{len(runs) - 1} later, median: {seconds['training']:.2f} s of training, {seconds['train']:.2f} s "
        f"with set-up and validation, and {seconds['test']:.2f} s for the test",
        f"{accuracy}, {plain:.2%} by the image alone; seeds: {len(runs)}",
    ]
    if len(runs) == 1:
        lines.pop(1)
    return {"seconds": seconds, "accuracy": plain, "accuracy_views": views, "lines": lines}


def public_program(job):
    """The best public program for 94 %, where its package is installed, on the same card."""
    try:
        import airbench
    except ImportError:
        yield {"lines": ["not installed: pip install airbench"]}
        return
    if job.device.type != "cuda":
        yield {"lines": ["airbench needs a GPU"]}
        return
    # It reads these two files from the working folder, and would download them if they were not there.
    place = job.folder / "airbench"
    (place / "cifar10").mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    dataset = job.dataset()
    for name, images in (("train", dataset.train), ("test", dataset.test)):
        content = {"images": images.pixels.permute(0, 2, 3, 1).contiguous(), "labels": images.labels}
        torch.save(content | {"classes": list(dataset.classes)}, Path("cifar10", f"{name}.pt"))
    test = airbench.CifarLoader("cifar10", train=False, batch_size=2_000)
    with contextlib.redirect_stdout(io.StringIO()):
        airbench.warmup94()
    runs, longest = [], 0.0
    for seed in range(job.seeds):
        torch.manual_seed(seed)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()) as table:
            model = airbench.train94()
            torch.cuda.synchronize()
        whole = time.perf_counter() - start
        accuracy = airbench.evaluate(model, test, tta_level=2)
        runs.append({"own": last_number(table.getvalue()), "whole": whole, "accuracy_views": accuracy})
        own = statistics.median(run["own"] for run in runs)
        mean = statistics.fmean(run["accuracy_views"] for run in runs)
        line = f"airbench94: {own:.2f} s by its own count (whitening, training, test with 6 views), "
        line += f"{mean:.2%} of {len(dataset.test):,} test images, {len(runs)} seeds"
        yield {"runs": runs, "seconds": own, "accuracy_views": mean, "lines": [line]}
        longest = max(longest, whole)
        if job.left < 1.5 * longest:
            break


def last_number(table):
    """The last number of a printed table: airbench's, of the seconds that it counted."""
    return float(re.findall(r"\d+\.\d+", table)[-1])


def limits(job):
    """The machine's rates, and how near a step comes to what they allow."""
    if job.rehearsal:
        roofline.MATRIX, roofline.COPIED = 256, 1_000_000
    device = job.device
    rate, speed = roofline.matrix_rate(device), roofline.bandwidth(device)
    launch = roofline.launch_seconds(device)
    found = {"matrix_rate": rate, "bandwidth": speed, "launch": launch, "recipes": {}}
    lines = [
        f"matrix products {rate / 1e12:.2f} TFLOP/s ({devices.training_dtype(device)}), memory "
        f"{speed / 1e9:,.1f} GB/s, {1e6 * launch:.1f} us from one small operation to the next"
    ]
    for name, steps in (("paper", 200), ("study", 100), ("fast94", 20)):
        recipe = job.recipe(name)
        rows = found["recipes"][name] = []
        for row in roofline.measure(
            recipe, job.dataset(), 2 if job.rehearsal else steps, device, rate, speed
        ):
            rows.append(row)
            lines.append(_step_line(recipe, row))
            yield found | {"lines": lines}


def _step_line(recipe, row):
    step = 1e3 * recipe.batch_size * row["reached"]
    line = (
        f"{recipe.name}, side {row['side']}: a step of {recipe.batch_size} images takes {step:.2f} ms, its "
        f"floor is {row['floor'] / row['reached']:.0%} of that; {row['operations']:.0f} operations"
    )
    if "kernels" in row:
        line += (
            f", {row['kernels']:.0f} kernels, {row['copies']:.1f} copies, the card at work for "
            f"{1e3 * row['seconds'] / step:.0%} of the time"
        )
    return line


class Stopped(Exception):
    """The training was stopped on purpose."""


class Stop(training.Callback):
    """Stops a training after an epoch, once its checkpoint is written, when `when` says so.

    Attributes:
        history: of all epochs so far.
    """

    def __init__(self, when):
        self.when, self.history = when, []

    def on_start(self, key, history, steps):
        self.history = [*history]

    def on_epoch(self, entry):
        self.history.append(entry)
        if self.when(self.history):
            raise Stopped


def resume(job):
    """Whether a resumed training ends with the very same weights, and what determinism costs."""
    dataset, found, lines = job.dataset(FEW), {"resumed": {}, "epoch": {}}, []
    file = job.folder / "resume.safetensors"
    for name in RESUMED:
        recipe = job.recipe(name).replace(epochs=2)
        straight, again = job.train(recipe, dataset), job.train(recipe, dataset)
        file.unlink(missing_ok=True)
        with contextlib.suppress(Stopped):
            job.train(recipe, dataset, checkpoint=file, progress=[Stop(lambda history: True)])
        resumed = job.train(recipe, dataset, checkpoint=file)
        file.unlink()
        gaps = {"trained again": _gap(straight, again), "resumed": _gap(straight, resumed)}
        found["resumed"][name] = gaps
        words = [
            f"{how} {f'off by {gap:.1e}' if gap else 'bit for bit the same'}" for how, gap in gaps.items()
        ]
        lines.append(f"{name}: {', '.join(words)}")
        yield found | {"lines": lines}
    for name in ("paper", "fast94"):
        recipe = job.recipe(name).replace(epochs=2 if job.rehearsal else 6, sides=[], holdout=False)
        times = found["epoch"][name] = {}
        for how, (deterministic, chosen) in CUDNN.items():
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, chosen
            history = job.train(recipe, dataset).history
            times[how] = statistics.median(entry["training_seconds"] for entry in history[1:])
        shares = [f"{how} {seconds / times['deterministic']:.3f}" for how, seconds in times.items()]
        lines.append(f"{name}, time of an epoch: {', '.join(shares)}")
        yield found | {"lines": lines}


# The last two pool with overlapping windows, whose gradients a GPU adds up in any order.
RESUMED = ("paper", "fast94", "family-alexnet", "family-googlenet")
CUDNN = {"deterministic": (True, False), "free": (False, False), "free, quickest measured": (False, True)}


def _gap(one, other):
    """The largest difference of two networks' weights, 0 where all bits are the same."""
    others = other.model.state_dict()
    pairs = [(value, others[name]) for name, value in one.model.state_dict().items()]
    return max(0.0 if torch.equal(a, b) else (a - b).abs().max().item() or 1e-45 for a, b in pairs)


def memory(job):
    """The most memory that trainings and tests of two recipes hold."""
    found, lines = {}, []
    for name in ("paper", "fast94"):
        dataset = job.dataset(FEW)
        recipe = job.recipe(name).replace(epochs=1, sides=[])
        if job.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        model = job.train(recipe, dataset).model
        peaks = {"training": loop.peak_memory(job.device)}
        evaluate.predict(model, dataset.test.pixels, recipe.views)
        found[name] = peaks | {"with the test": loop.peak_memory(job.device)}
        shown = ", ".join(f"{what} {peak / 1e9:.2f} GB" for what, peak in found[name].items())
        lines.append(f"{name}, batch {recipe.batch_size}, {len(dataset.train):,} images: {shown}")
        yield found | {"lines": lines}


def paper(job, compiled=False):
    """The paper's recipe, one seed; extrapolated where the time does not suffice."""
    recipe, dataset = job.recipe("paper"), job.dataset()
    file = job.folder / f"paper{'-compiled' * compiled}.safetensors"
    stop = Stop(lambda history: job.left < 5 + 3 * history[-1]["seconds"] and len(history) < recipe.epochs)
    trained = None
    with contextlib.suppress(Stopped):
        trained = job.train(recipe, dataset, compiled=compiled, checkpoint=file, progress=[stop])
    seconds = [entry["seconds"] for entry in stop.history]
    later = statistics.median(seconds[1:] or seconds)
    found = {"seconds": sum(seconds), "epochs": len(seconds), "history": stop.history}
    found |= {"first_epoch": seconds[0], "later_epoch": later}
    lines = [f"first epoch {seconds[0]:.2f} s, later epochs {later:.3f} s (with validation)"]
    if trained is None:
        found["goes_on"] = True
        found["extrapolated"] = sum(seconds) + (recipe.epochs - len(seconds)) * later
        lines.append(
            f"stopped after {len(seconds)} of {recipe.epochs} epochs, because the time was over; "
            f"extrapolated, they all take {found['extrapolated']:.1f} s"
        )
    else:
        file.unlink()
        found["accuracy"] = _accuracy(trained.model, dataset.test)
        lines.append(
            f"{recipe.epochs} epochs: {sum(seconds):.1f} s, {found['accuracy']:.2%} of "
            f"{len(dataset.test):,} test images, 1 seed"
        )
    yield found | {"lines": lines}


def _accuracy(model, images: Images):
    return evaluate.accuracy(evaluate.predict(model, images.pixels), images.labels)


def plan(job):
    """The recording plan, by several processes that share a folder, for as long as was asked."""
    folder = job.folder / "records"
    wanted = ["--plan", str(ROOT / "book/computing-plan.csv")]
    if job.rehearsal:
        wanted = ["mlp-quick", "study-quick"]
    command = [sys.executable, "-m", "cifar_lib", "record", *wanted]
    command += ["--folder", str(folder), "--device", str(job.device)]
    before = len(list(folder.glob("*.json")))
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(job.processes)
    ]
    while job.left > 5 and any(process.poll() is None for process in started):
        time.sleep(0.5)
    for process in started:
        process.terminate()  # each finished epoch is kept in a checkpoint
    codes = [process.wait() for process in started]
    recorded = len(list(folder.glob("*.json"))) - before
    minutes = (time.perf_counter() - job.start) / 60
    line = f"{job.processes} processes recorded {recorded} runs in {minutes:.1f} minutes"
    yield {"runs": recorded, "minutes": minutes, "exit_codes": codes, "lines": [f"{line}, in {folder}"]}


def _printed(*command):
    """What a program prints; None where it is not there or fails."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


# In order of worth: what measures a part, and the seconds after which it is ended. It is not begun with less
# than a quarter of them left.
PARTS = {
    "environment": (environment, 120),
    "tests": (tests, 240),
    "loop": (against_tutorial, 240),
    "fast72": (partial(fast, name="fast72"), 60),
    "fast94-all": (partial(fast, name="fast94-all"), 150),
    "airbench": (public_program, 120),
    "fast94-all-compiled": (partial(fast, name="fast94-all", compiled=True), 300),
    "roofline": (limits, 150),
    "resume": (resume, 120),
    "paper": (paper, 120),
    "memory": (memory, 60),
    "fast72-compiled": (partial(fast, name="fast72", compiled=True), 180),
    "fast94": (partial(fast, name="fast94"), 100),
    "fast94-compiled": (partial(fast, name="fast94", compiled=True), 240),
    "paper-compiled": (partial(paper, compiled=True), 180),
    # The same in a new process that finds what an earlier one compiled.
    "fast72-again": (partial(fast, name="fast72", compiled=True), 60),
    "fast94-all-again": (partial(fast, name="fast94-all", compiled=True), 90),
    "plan": (plan, 0),
}
COMPILED_IN = {"fast72-again": "fast72-compiled", "fast94-all-again": "fast94-all-compiled"}
