"""The report about a machine with a GPU: its parts are rehearsed on the CPU, and cannot harm one another."""

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import torch

from cifar_lib.system import device

FOLDER = Path(__file__).parent.parent / "benchmarks"
MODULES = ("gpu", "gpu_parts", "loop", "roofline")

# Stands in for a part's process: what it does follows from the part's name.
CHILD = """
import json, pathlib, subprocess, sys, time
word = lambda name: sys.argv[sys.argv.index(name) + 1]
name, folder = word("--part"), pathlib.Path(word("--folder"))
with open(folder / "order", "a") as order:
    print(name, file=order)
kept = {"part": name, "rehearsal": "--rehearse" in sys.argv, "device": "a card", "done": name == "good"}
kept |= {"seconds": 1, "found": {"lines": [f"{name} has measured"]}}
if name != "silent":
    (folder / f"{name}.json").write_text(json.dumps(kept))
if name == "hanging":
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "grandchild").write_text(str(grandchild.pid))
    time.sleep(60)
if name in ("failing", "silent"):
    raise MemoryError("no memory is left")
"""


@pytest.fixture
def gpu(monkeypatch):
    """The benchmark as a module; `gpu.gpu_parts` has its parts."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("gpu")
    for name in MODULES:
        sys.modules.pop(name, None)
    device.give_back_memory()


@pytest.fixture
def report(gpu, tmp_path, monkeypatch, capsys):
    """A function that calls the benchmark with fake parts; it returns the report."""
    child = tmp_path / "child.py"
    child.write_text(CHILD, encoding="utf-8")
    parts = {"good": (None, 60), "hanging": (None, 60), "failing": (None, 60), "silent": (None, 60)}
    monkeypatch.setattr(gpu.gpu_parts, "PARTS", parts)
    monkeypatch.setattr(gpu, "CHILD", [sys.executable, str(child)])
    monkeypatch.setattr(gpu, "GRACE", 0.5)
    folder = tmp_path / "found"

    def report(*words, rehearse=True):
        command = ["gpu.py", "--folder", str(folder), *words, *(["--rehearse"] if rehearse else [])]
        monkeypatch.setattr(sys, "argv", command)
        assert gpu.main() == 0
        capsys.readouterr()
        return (folder / "report.txt").read_text(encoding="utf-8")

    report.folder = folder
    report.order = lambda: (folder / "order").read_text().split()
    return report


def test_a_part_that_fails_or_hangs_leaves_the_others_alone(report, gpu):
    gpu.gpu_parts.PARTS["hanging"] = (None, 2)
    text = report()
    for name in ("good", "hanging", "failing"):
        assert f"  {name} has measured\n" in text
    assert "FAILED. It was ended because it took more than 2 s." in text
    assert text.count("FAILED. It ended with exit code 1 after") == 2
    assert text.count("| MemoryError: no memory is left\n") == 2
    grandchild = int((report.folder / "grandchild").read_text())
    end = time.monotonic() + 10
    while psutil.pid_exists(grandchild) and time.monotonic() < end:
        time.sleep(0.05)  # whoever adopted it has to notice
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie"


def test_what_has_ended_by_itself_is_not_ended_again(report, gpu, monkeypatch):
    monkeypatch.setattr(gpu, "end", lambda process: pytest.fail("the number may be another process's"))
    assert "good has measured" in report("--only", "good")


def test_what_is_done_is_not_done_again_and_what_failed_comes_last(report):
    report("--only", "failing", "good")
    text = report("--only", "failing", "good", "silent")
    assert report.order() == ["good", "failing", "silent", "failing"]
    assert "good has measured" in text
    report("--only", "good", "--renew", "good")
    assert report.order()[4:] == ["good"]


def test_what_an_earlier_call_measured_outlives_a_failure(report):
    report("--only", "failing")
    (report.folder / "failing.json").rename(report.folder / "silent.json")
    assert "failing has measured" in report("--only", "silent")


def test_a_rehearsal_is_never_taken_for_a_measurement(report, gpu, monkeypatch):
    assert all(line.startswith("rehearsal on the CPU") for line in report("--only", "good").splitlines())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu.data, "load", lambda name: None)
    assert "rehearsal" not in report("--only", "good", rehearse=False)
    assert report.order() == ["good", "good"]


def test_what_the_time_does_not_suffice_for_is_not_begun(report, gpu):
    gpu.gpu_parts.PARTS["failing"] = (None, 400)
    text = report("--minutes", "1", "--only", "good", "failing")
    assert "failing: not run, it needs 100 s, and 5" in text
    assert report.order() == ["good"]
    assert json.loads((report.folder / "report.json").read_text())["not run"].keys() == {"failing"}


def test_the_plan_is_left_out_unless_it_is_given_minutes(report, gpu):
    gpu.gpu_parts.PARTS["plan"] = (None, 0)
    assert "plan: not run, it needs --plan-minutes" in report("--only", "plan")
    assert "plan has measured" in report("--only", "plan", "--plan-minutes", "0.5")


def test_without_a_gpu_one_sentence_says_what_to_do(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert gpu.main() == 2
    assert capsys.readouterr() == (
        "",
        "PyTorch sees no GPU here: run this on a machine that has one, or add --rehearse to try every part "
        "on the CPU.\n",
    )


def test_a_part_keeps_what_it_found_before_it_failed(gpu, tmp_path, monkeypatch):
    def failing(job):
        yield {"lines": ["one"]}
        yield {"lines": ["one", "two"]}
        raise MemoryError

    def stopped(job):
        yield {"lines": ["half"], "goes_on": True}

    monkeypatch.setattr(gpu.gpu_parts, "PARTS", {"failing": (failing, 1), "stopped": (stopped, 1)})
    job = gpu.gpu_parts.Job(tmp_path, rehearsal=True)
    with pytest.raises(MemoryError):
        gpu.measure("failing", job)
    gpu.measure("stopped", job)
    kept = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("failing", "stopped")}
    assert kept["failing"]["found"]["lines"] == ["one", "two"]
    assert not kept["failing"]["done"] and not kept["stopped"]["done"]


def test_a_rehearsal_runs_a_part_in_a_process_of_its_own(gpu, tmp_path, monkeypatch, capsys):
    words = ["--rehearse", "--only", "environment", "--folder", str(tmp_path / "found")]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
    assert gpu.main() == 0
    printed = capsys.readouterr().out
    assert "FAILED" not in printed
    assert f"torch: {torch.__version__}" in printed


@pytest.fixture
def found(gpu, tmp_path):
    """A function: what a part finds at last, rehearsed in this process."""

    def found(name, **options):
        job = gpu.gpu_parts.Job(tmp_path, rehearsal=True, **options)
        *_, last = gpu.gpu_parts.PARTS[name][0](job)
        return last

    return found


def test_loop_compares_both_loops(found):
    rates = found("loop")["images_per_second"]
    assert rates.keys() == {"tutorial", "tutorial, tuned", "cifar_lib"} and min(rates.values()) > 0


@pytest.mark.parametrize(("seconds", "seeds"), [(600, 2), (0, 1)])
def test_fast_recipes_train_as_many_seeds_as_there_is_time_for(found, seconds, seeds):
    fast72 = found("fast72", seeds=2, seconds=seconds)
    assert len(fast72["runs"]) == seeds
    assert fast72["lines"][-1].endswith(f"seeds: {seeds}")


def test_memory_is_measured_in_training_and_in_the_test(found):
    for peaks in (found("memory")[name] for name in ("paper", "fast94")):
        assert 1e8 < peaks["training"] <= peaks["with the test"]


def test_roofline_measures_the_machine_and_three_recipes(found):
    rows = found("roofline")["recipes"]
    assert rows.keys() == {"paper", "study", "fast94"}
    assert all(row["operations"] > 50 and row["reached"] > 0 for several in rows.values() for row in several)


def test_a_resumed_training_is_compared_bit_by_bit(found, gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # and restored
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(gpu.gpu_parts, "RESUMED", ("fast94",))
    monkeypatch.delitem(gpu.gpu_parts.CUDNN, "free, quickest measured")
    resumed = found("resume")
    assert resumed["resumed"] == {"fast94": {"trained again": 0.0, "resumed": 0.0}}
    assert set(resumed["epoch"]) == {"paper", "fast94"}
    model = torch.nn.Linear(2, 1)
    other = torch.nn.Linear(2, 1)
    other.load_state_dict(model.state_dict())
    other.bias.data += 0.5
    one, two = (ModuleType("trained") for _ in range(2))
    one.model, two.model = model, other
    assert gpu.gpu_parts._gap(one, two) == pytest.approx(0.5)


def test_the_papers_training_goes_on_where_the_time_was_over(found, tmp_path):
    first = found("paper", seconds=0)
    assert first["goes_on"] and first["epochs"] == 1
    assert first["extrapolated"] == pytest.approx(2 * first["first_epoch"])
    second = found("paper")
    assert second["epochs"] == 2 and second["history"][0] == first["history"][0]
    assert 0 <= second["accuracy"] <= 1 and "goes_on" not in second


def test_without_the_public_program_the_report_says_how_to_install_it(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "airbench", None)
    assert found("airbench")["lines"] == ["not installed: pip install airbench"]


def test_the_public_program_finds_the_images_where_it_looks_for_them(gpu, tmp_path, monkeypatch):
    def train94():
        content = torch.load("cifar10/train.pt")
        assert content["images"].shape == (400, 32, 32, 3) and content["images"].dtype == torch.uint8
        assert len(content["labels"]) == 400 and len(content["classes"]) == 10
        print("| eval | 0.9312 | 3.2500 |")

    airbench = ModuleType("airbench")
    airbench.train94 = airbench.warmup94 = train94
    airbench.CifarLoader = lambda path, train, batch_size: torch.load(f"{path}/test.pt")["labels"]
    airbench.evaluate = lambda model, labels, tta_level: len(labels) / 100
    monkeypatch.setitem(sys.modules, "airbench", airbench)
    monkeypatch.setattr(gpu.gpu_parts.Job, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.chdir(tmp_path)
    job = gpu.gpu_parts.Job(tmp_path, rehearsal=True, seeds=3)
    *_, last = gpu.gpu_parts.public_program(job)
    assert len(last["runs"]) == 3
    assert (last["seconds"], last["accuracy_views"]) == (3.25, 1.0)


def test_the_report_compares_with_the_public_program_on_the_same_card_alone(gpu):
    seconds = {"training": 2.0, "train": 2.5, "test": 0.5}
    ours = {"device": "a card", "found": {"seconds": seconds, "accuracy_views": 0.941}}
    theirs = {"device": "a card", "found": {"seconds": 4.0, "accuracy_views": 0.94}}
    (line,) = gpu.headlines({"fast94-all": ours, "airbench": theirs})
    assert line == (
        "fast94-all: 3.00 s for set-up, training and test, 0.75 of airbench94's time, with 94.10% of the "
        "test images against 94.00%"
    )
    assert gpu.headlines({"fast94-all": ours, "airbench": theirs | {"device": "another"}}) == []


def test_the_results_of_tests_are_counted(gpu, tmp_path):
    file = tmp_path / "tests.xml"
    file.write_text(
        '<testsuites><testsuite tests="4" failures="1" errors="1" skipped="1">'
        '<testcase classname="a" name="passes"/>'
        '<testcase classname="a" name="fails"><failure/></testcase>'
        '<testcase classname="b" name="breaks"><error/></testcase>'
        '<testcase classname="b" name="waits"><skipped/></testcase></testsuite></testsuites>'
    )
    lines = gpu.gpu_parts.results_of_tests(file)["lines"]
    assert lines == ["1 passed, 2 failed, 1 skipped", "failed: a.fails", "failed: b.breaks"]


def test_kernels_and_copies_are_counted_in_a_trace(gpu):
    events = [
        {"cat": "kernel", "dur": 5.0},
        {"cat": "kernel", "dur": 7.0},
        {"cat": "gpu_memcpy", "dur": 2.0},
        {"cat": "gpu_memset", "dur": 1.0},
        {"cat": "gpu_user_annotation", "dur": 99.0},
        {"cat": "cpu_op", "dur": 99.0},
        {"ph": "M"},
    ]
    work = sys.modules["roofline"].count_work(events)
    assert work == {"kernels": 2, "copies": 2, "seconds": pytest.approx(15e-6)}
