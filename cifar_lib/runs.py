"""Run a recipe: train it, or replay what was recorded; save, load, compare.

A record is one JSON file a run, in `cifar_lib/recorded/`, written only when the run is complete.
"""

import hashlib
import json
import os
import platform
import statistics
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from scipy import stats

from . import CourseError, data, distributed, evaluate, models, recipes
from .files import explain, remove_left_behind, written_aside
from .train import train

SCHEMA = 1
RECORDED = Path(__file__).parent / "recorded"
PROFILES = ("quick", "recorded", "full")
NUMBER = (int, float)
PARTS = {
    "recipe": dict,
    "model": dict,
    "data": dict,
    "seed": int,
    "history": list,
    "result": dict,
    "environment": dict,
    "seconds": NUMBER,
}
# What the readers of a record rely on; more may stand beside it.
INNER = {
    "model": {"name": str, "parameters": int, "flops": int, "shape": list},
    "data": {"name": str, "fingerprint": str, "n_train": int, "n_val": int, "n_test": int},
    "result": {"test_accuracy": NUMBER, "test_top2": NUMBER, "test_loss": NUMBER},
    "environment": {"device": str, "torch": str, "python": str, "code": str},
}
WATCHED = {"val_accuracy": NUMBER, "val_top2": NUMBER}
ENTRY = {"epoch": int, "rate": NUMBER, "train_loss": NUMBER, "seconds": NUMBER}
WATCHED_ENTRY = {"val_loss": NUMBER, "val_accuracy": NUMBER}


@dataclass
class Run:
    """One training, live or replayed.

    `history` is a list of one dict an epoch and `result` a dict of shares and losses, both as in
    `record`; `seconds` is the time of training and validation.
    """

    recipe: recipes.Recipe
    model: dict
    data: dict
    seed: int
    history: list
    result: dict
    environment: dict
    seconds: float
    replayed: bool = False
    _network: torch.nn.Module | None = field(default=None, repr=False)
    _folder: Path | None = field(default=None, repr=False)

    def __str__(self):
        device = self.environment["device"]
        # A live run's time stays out of stored outputs: executing again must not change them.
        how = f"Replayed: {self.seconds:,.0f} s on {device}" if self.replayed else f"Trained on {device}"
        share, n = self.result["test_accuracy"], self.data["n_test"]
        return f"{self.recipe.name}, seed {self.seed}: test accuracy {share:.1%} of {n:,}. {how}."

    def column(self, name):
        """One quantity of the history over the epochs, as a list."""
        return [entry[name] for entry in self.history]

    def network(self):
        """The trained network, in evaluation mode on the CPU.

        Raises:
            CourseError: the run is replayed and its weights were not recorded.
        """
        if self._network is None:
            file = weights_file(self.recipe.name, self.seed, self._folder)
            if not file.exists():
                raise CourseError(
                    f"No weights were recorded for {self.recipe.name!r}, seed {self.seed}: train it "
                    f"with CIFAR_PROFILE=full."
                )
            shape = tuple(self.model["shape"])
            network = models.build(self.recipe, shape)
            try:
                load_model(network, file)
            except (SafetensorError, RuntimeError, OSError):
                raise CourseError(f"The weights in {file} are damaged: fetch that file again.") from None
            self._network = network
        return self._network.eval()


def profile():
    """How the book is executed: "quick", "recorded" (the default) or "full"; from `$CIFAR_PROFILE`."""
    name = os.environ.get("CIFAR_PROFILE", "recorded")
    if name not in PROFILES:
        raise CourseError(f"CIFAR_PROFILE is one of {', '.join(PROFILES)}, not {name!r}.")
    return name


def start():
    """Say in which profile a page runs, and whether there is a GPU: the first line of each chapter."""
    gpu = torch.cuda.is_available()
    name = profile()
    print(
        {
            "quick": "Profile quick: tiny trainings on generated images. Numbers here are not the book's.",
            "recorded": "Profile recorded: long trainings are replayed from their records.",
            "full": "Profile full: every training is done here and now.",
        }[name]
    )
    if name == "full" and not gpu:
        print(
            "There is no GPU here, so long trainings take up to an hour. In Colab: Runtime > "
            "Change runtime type > GPU. Or set CIFAR_PROFILE=recorded to replay them."
        )


def recipe_for_profile(recipe):
    """The recipe of that name, or its quick form in the quick profile."""
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    return recipe.quick() if profile() == "quick" and not recipe.name.endswith("-quick") else recipe


def load_data(name):
    """`data.load` for the profile at hand: the quick one puts generated images in CIFAR-10's place.

    Prints what was loaded, so that a page says on which images it speaks.
    """
    base, slash, variant = name.partition("/")
    if profile() == "quick":
        base = recipes.QUICK_DATA.get(base, base)
    dataset = data.load(base + slash + variant)
    print(f"{dataset}." + (f" It stands in for {name}." if base != name.partition("/")[0] else ""))
    return dataset


def run(recipe, dataset=None, seed=0, *, device=None):
    """Train a recipe, or replay its record; prints which.

    Replayed in the recorded profile, and only when recipe, seed and training images are those of
    the record; anything else is trained.

    Args:
        recipe: a `Recipe` or the name of one; the quick profile takes its quick form.
        dataset: the images, when they are at hand; loaded when training needs them.

    In the full profile a finished training is kept in the cache folder: the next chapter that asks
    for it has it at once, and one that was stopped goes on.

    Raises:
        CourseError: see `train.train`; or `dataset` is not the one that the recipe names.
    """
    one = _run(recipe, dataset, seed, device)
    print(one)
    return one


def runs(recipe, dataset=None, seeds=(0, 1, 2), *, device=None):
    """`run` for several seeds, as a list; prints one line for all. The quick profile takes two seeds."""
    several = [_run(recipe, dataset, seed, device) for seed in seeds[: 2 if profile() == "quick" else None]]
    first = several[0]
    seconds = statistics.fmean(one.seconds for one in several)
    where = first.environment["device"]
    replayed = all(one.replayed for one in several)
    how = f"Replayed: {seconds:,.0f} s each on {where}" if replayed else f"Trained on {where}"
    accuracy = summarize(several)
    print(f"{first.recipe.name}: test accuracy {accuracy} of {first.data['n_test']:,}. {how}.")
    return several


def _run(recipe, dataset, seed, device):
    recipe = recipe_for_profile(recipe)
    if dataset is not None and dataset.name != recipe.data:
        raise CourseError(f"{recipe.name!r} trains on {recipe.data!r}, but was given {dataset.name!r}.")
    if profile() == "recorded":
        kept = _matching_record(recipe, dataset, seed)
        if kept is not None:
            return kept
    dataset = dataset if dataset is not None else data.load(recipe.data)
    full = profile() == "full"
    checkpoint = _checkpoint_file(recipe, dataset.fingerprint, len(dataset.train), seed) if full else None
    # A bar only where somebody waits: in stored outputs it would differ each time.
    trained = train(recipe, dataset, seed, device=device, checkpoint=checkpoint, progress=full)
    return _as_run(recipe, dataset, seed, trained)


def record(recipe, seed, *, folder=None, device=None, keep_weights=False, progress=True, wait=True):
    """Train a recipe and write its JSON; return the path. What is recorded already is left alone.

    Killed, it goes on where it stopped: a checkpoint an epoch lies in the cache folder. A lock file
    beside the record keeps two processes from the same run.

    Args:
        folder: where the JSON goes; by default `cifar_lib/recorded`.
        keep_weights: write the trained weights beside it.
        wait: what to do while another process is at this run: wait for it, or return None at once.

    Raises:
        CourseError: see `train.train`; or the file cannot be written.
    """
    path = record_file(recipe.name, seed, folder)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        # Of several processes that train as one, the first holds the lock and tells what all do.
        ours = distributed.from_first(lambda: _claim(recipe, path, lock, wait))
        if ours:
            _train_and_write(recipe, seed, path, device, keep_weights, progress)
        if lock.is_locked:
            _finish(recipe, seed, path, lock)
    finally:
        lock.release()
    return None if ours is None else path


def as_record(done):
    """A run as the dict that is kept as JSON."""
    return {"schema": SCHEMA} | {
        name: done.recipe.as_dict() if name == "recipe" else getattr(done, name) for name in PARTS
    }


def load_record(path):
    """Read one recorded run. Fields of the recipe that came later take their defaults.

    Raises:
        CourseError: the file is not a record, or of a schema this version does not know.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise CourseError(
                f"{path} has schema {content['schema']!r}, but this version reads {SCHEMA}: "
                f"fetch the version of the course that wrote it."
            )
        parts = {name: content[name] for name in PARTS}
        parts["recipe"] = _recipe_of(parts["recipe"], path)
        _check(parts)
        return Run(**parts, replayed=True, _folder=Path(path).parent)
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise CourseError(f"{path} is not a recorded run: restore it, or record it again.") from None


def _recipe_of(fields, path):
    try:
        return recipes.Recipe(**fields)
    except CourseError as error:
        raise CourseError(f"{path} is not a recorded run: restore it, or record it again. {error}") from None


def _check(parts):
    """Raises KeyError, TypeError or ValueError where a record lacks what its readers rely on."""
    recipe = parts["recipe"]
    _require(parts, {name: kind for name, kind in PARTS.items() if name != "recipe"})
    for name, kinds in INNER.items():
        _require(parts[name], kinds)
    _require(parts["result"], WATCHED if recipe.holdout else {})
    for number, entry in enumerate(parts["history"], 1):
        _require(entry, ENTRY | (WATCHED_ENTRY if recipe.holdout else {}))
        if entry["epoch"] != number:
            raise ValueError("epochs out of order")
    shape = parts["model"]["shape"]
    sizes = len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    if len(parts["history"]) != recipe.epochs or not sizes:
        raise ValueError("incomplete")


def _require(content, kinds):
    for name, kind in kinds.items():
        value = content[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(name)
        if kind in (int, NUMBER) and float(value) < 0:  # float() fails where a whole number is absurd
            raise ValueError(name)
        if name.endswith(("_accuracy", "_top2")) and not value <= 1:
            raise ValueError(name)


def recorded(name, folder=None):
    """All recorded runs of a recipe, by seed.

    Raises:
        CourseError: there is none.
    """
    near = Path(folder or RECORDED).glob(f"{name}-seed*.json")
    found = {path.stem.removeprefix(f"{name}-seed"): path for path in near}
    paths = [found[seed] for seed in sorted(filter(str.isdecimal, found), key=int)]  # copies have other names
    if not paths:
        raise CourseError(f"No run of {name!r} is recorded: python -m cifar_lib record {name}")
    return [load_record(path) for path in paths]


def seeds_of(*names):
    """The seeds of which each of these recipes is recorded; 0 alone where they are trained here and now."""
    if profile() != "recorded":
        return [0]
    return sorted(set.intersection(*({run.seed for run in recorded(name)} for name in names)))


def mean_and_spread(values):
    """Mean and sample standard deviation; the spread of a single value is nan."""
    values = list(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan")


def summarize(several, name="test_accuracy"):
    """One result over runs in words, as '71.9 ± 0.4 % (3 seeds)'."""
    return f"{percent(several, name)} ({len(several)} seed{'s' if len(several) > 1 else ''})"


def percent(several, name):
    """One result over runs, as '71.9 ± 0.4 %', or '71.9 %' where there is one run."""
    mean, spread = mean_and_spread(one.result[name] for one in several)
    return f"{100 * mean:.1f} %" if len(several) == 1 else f"{100 * mean:.1f} ± {100 * spread:.1f} %"


def difference(first, second, name="test_accuracy"):
    """How much better `first` is than `second`, with the 95 % interval of Welch's t-test over seeds.

    Returns:
        (difference of the means, low, high), in the result's own unit.
    """
    one, other = ([run.result[name] for run in several] for several in (first, second))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal values have no spread, one has none either
        interval = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    return statistics.fmean(one) - statistics.fmean(other), float(interval.low), float(interval.high)


def record_file(name, seed, folder=None):
    return Path(folder or RECORDED) / f"{name}-seed{seed}.json"


def weights_file(name, seed, folder=None):
    return Path(folder or RECORDED) / f"{name}-seed{seed}.safetensors"


def _claim(recipe, path, lock, wait):
    """Whether the run is ours to train (then the lock is held); None while another process is at it."""
    try:
        if path.exists() and not Path(lock.lock_file).exists():
            _load_record_of(recipe, path)
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=wait)
    except Timeout:
        return None
    except OSError as error:
        raise CourseError(explain(error, path)) from None
    except ValueError:  # a byte that no path may hold
        raise CourseError(f"{str(path)!r} cannot be the name of a file: choose another folder.") from None
    return not path.exists()  # another process may have been quicker


def _train_and_write(recipe, seed, path, device, keep_weights, progress):
    dataset = data.load(recipe.data)
    checkpoint = _checkpoint_file(recipe, dataset.fingerprint, len(dataset.train), seed)
    trained = train(recipe, dataset, seed, device=device, checkpoint=checkpoint, progress=progress)
    done = _as_run(recipe, dataset, seed, trained)
    if distributed.rank() > 0:
        return
    if keep_weights:
        with written_aside(path.with_suffix(".safetensors")) as aside:
            save_model(trained.model, str(aside))
    with written_aside(path) as aside:
        aside.write_text(json.dumps(as_record(done), indent=1) + "\n")


def _finish(recipe, seed, path, lock):
    """Remove what nobody needs once the record is there: checkpoint, leavings, the lock's file."""
    kept = _load_record_of(recipe, path)
    checkpoint = _checkpoint_file(recipe, kept.data["fingerprint"], _images_of(kept), seed)
    checkpoint.unlink(missing_ok=True)
    for written in (checkpoint, path.with_suffix(".safetensors"), path):
        remove_left_behind(written)
    # Who waits for a lock file that is gone may hold it beside the holder of a new one. Both find
    # the record, so the file goes only once that is there.
    Path(lock.lock_file).unlink(missing_ok=True)


def _load_record_of(recipe, path):
    kept = load_record(path)
    if kept.recipe != recipe:
        raise CourseError(f"{path} holds another recipe of that name: move it away first.")
    return kept


def _checkpoint_file(recipe, fingerprint, images, seed):
    """One file a run, for all folders it is recorded into; a changed recipe has its own, other images too."""
    identity = json.dumps([recipe.as_dict(), fingerprint, images], sort_keys=True)
    name = f"{recipe.name}-seed{seed}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}.safetensors"
    return data.cache_folder() / "checkpoints" / name


def _images_of(kept):
    """How many training images there were, the held-out ones included."""
    return kept.data["n_train"] + kept.data["n_val"]


def _matching_record(recipe, dataset, seed):
    path = record_file(recipe.name, seed)
    if not path.exists():
        return None
    kept = load_record(path)
    # A part of a data set still has the fingerprint of the whole.
    images = (kept.data["fingerprint"], _images_of(kept))
    same_images = dataset is None or (dataset.fingerprint, len(dataset.train)) == images
    return kept if kept.recipe == recipe and kept.seed == seed and same_images else None


def _as_run(recipe, dataset, seed, trained):
    shape = tuple(dataset.train.pixels.shape[1:])
    # The other part of the split, a copy of nine tenths of the images, must not stay for the evaluation.
    validation = data.split(dataset.train)[1] if recipe.holdout else dataset.train[:0]
    held = {"val": validation} if recipe.holdout else {}
    return Run(
        recipe=recipe,
        model={
            "name": recipe.model,
            "parameters": models.parameters(trained.model),
            "flops": models.flops(trained.model, shape),
            "shape": list(shape),
        },
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "n_train": len(dataset.train) - len(validation),
            "n_val": len(validation),
            "n_test": len(dataset.test),
        },
        seed=seed,
        history=trained.history,
        result=_results(trained.model, held | {"test": dataset.test}, recipe.views),
        environment={
            "device": trained.device,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "code": trained.code,
        },
        seconds=round(trained.seconds, 1),
        _network=trained.model.cpu(),
    )


def _results(model, parts, views):
    """The figures of a finished training, as they are kept; with more views, those too."""
    result = {}
    for part, images in parts.items():
        outputs, mean = evaluate.plain_and_mean(model, images.pixels, views)
        result[f"{part}_accuracy"] = evaluate.accuracy(outputs, images.labels)
        result[f"{part}_top2"] = evaluate.top_k(outputs, images.labels, 2)
        if views > 1:
            result[f"{part}_accuracy_views"] = evaluate.accuracy(mean, images.labels)
    result["test_loss"] = evaluate.loss(outputs, images.labels)  # the last part
    return result
