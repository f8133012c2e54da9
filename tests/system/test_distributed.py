"""Several processes train as one, write once, and end together."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import fakes
import psutil
import pytest
import together
import torch
import torch.distributed as dist
from torch import nn

from cifar_lib import CourseError, data, models, runs, training
from cifar_lib.data import generated
from cifar_lib.models.sync_batch_norm import SyncBatchNorm
from cifar_lib.system import device, distributed
from cifar_lib.system.threads import available_cores

LIMIT = 300  # seconds for what takes ten on a free machine
LAUNCHER = 35  # seconds that torchrun gives processes to end before it kills them, and a few more
EXACT = {"rel": 1e-9, "abs": 1e-12}  # of float64, whose rounding is 1e-16

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="torchrun and signals as on Linux")


class Launch:
    """torchrun with some processes of `together`; nothing of it outlives the test."""

    def __init__(self, folder, processes, kind, *words, **environment):
        self.folder = folder
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={processes}", together.__file__, kind, folder, *words]
        here = [str(Path(data.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(here)}
        self.started = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | own | environment,
        )

    def ended(self, limit=LIMIT):
        """The launcher's exit code, and what was printed: stdout, our lines of stderr, all of stderr."""
        out, err = self.started.communicate(timeout=limit)
        said = [line for line in err.splitlines() if line.startswith("cifar_lib: ")]
        return self.started.returncode, out, said, err

    def found(self, rank):
        return json.loads((self.folder / f"{rank}.json").read_text())

    def processes(self):
        """The process ids of the launcher's children, by rank."""
        children = Path(f"/proc/{self.started.pid}/task").glob("*/children")
        found = [int(word) for path in children for word in path.read_text().split()]
        ranks = {}
        for process in found:
            with suppress(OSError):  # it has just ended
                variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
                ranks |= {int(v[5:]): process for v in variables if v.startswith(b"RANK=")}
        return ranks


@pytest.fixture
def launch(tmp_path):
    launched = []

    def start(processes, kind, *words, **environment):
        folder = tmp_path / f"found{len(launched)}"
        folder.mkdir()
        launched.append(Launch(folder, processes, kind, *words, **environment))
        return launched[-1]

    yield start
    for one in launched:
        children = one.processes().values() if one.started.poll() is None else []
        for process in (*children, one.started.pid):
            if one.started.poll() is None:
                os.kill(process, signal.SIGKILL)
        one.started.communicate()


@pytest.fixture
def few_images(monkeypatch):
    """As many as `together` takes."""
    monkeypatch.setitem(generated.GENERATORS, "toy", lambda: generated.toy(150, 100))
    return data.load("toy")


@pytest.fixture(scope="module")
def basics(tmp_path_factory):
    """Two processes record a run, then compute what one process computes in the tests below."""
    place = tmp_path_factory.mktemp("basics")
    words = ["record", "study-quick", "--device", "cpu", "--folder", place / "records"]
    one = Launch(place, 2, "basics", *words, CIFAR_CACHE=str(place / "cache"), ORDER=str(place / "order"))
    code, one.out, one.said, err = one.ended()
    assert code == 0, err
    return one


def test_two_processes_give_the_curve_of_one(basics, few_images):
    for recipe in together.RECIPES:
        alone = together.curve(recipe, few_images, torch.float64)
        for rank in (0, 1):
            for one, other in zip(basics.found(rank)[recipe.name]["curve"], alone["curve"], strict=True):
                assert one == pytest.approx(other, **EXACT), (recipe.name, rank)


def test_without_the_shared_batch_norm_it_would_be_another_curve(basics, few_images):
    """So the test above would see it."""
    alone = together.curve(together.TINY, few_images, torch.float64)["curve"]
    unshared = basics.found(0)["unshared"]["curve"]
    assert all(
        one[0] != pytest.approx(other[0], rel=1e-4) for one, other in zip(unshared, alone, strict=True)
    )


def test_all_processes_end_with_the_same_bits(basics):
    for recipe in together.RECIPES:
        assert basics.found(0)[recipe.name]["weights"] == basics.found(1)[recipe.name]["weights"]
    assert basics.found(0)["unshared"]["weights"] != basics.found(1)["unshared"]["weights"]


@pytest.mark.parametrize(("kind", "error"), [(torch.float32, 2e-5), (torch.bfloat16, 0.05)])
def test_the_shared_batch_norm_is_torchs(kind, error, basics):
    """Outputs, gradients, both running averages; seven images, three of them with the first process."""
    expected = together.normalised(kind)
    assert expected["type"] == str(kind)
    for rank in (0, 1):
        found = basics.found(rank)["norm"][str(kind)]
        assert found.pop("type") == str(kind)
        for name, value in found.items():
            one, other = torch.tensor(value), torch.tensor(expected[name])
            torch.testing.assert_close(one, other, rtol=error, atol=error, msg=lambda m, n=name: f"{n}: {m}")


def test_all_skip_a_step_that_overflows_in_one(basics):
    assert basics.found(0)["skipped"] and basics.found(1)["skipped"]


def test_more_processes_than_images_in_a_batch_are_refused(basics):
    assert (
        basics.found(0)["refused"] == basics.found(1)["refused"] == "2 processes cannot share a batch of 1."
    )


def test_parts_cover_everything_once(basics):
    parts = [basics.found(rank)["parts"] for rank in (0, 1)]
    assert parts == [[[0, 15], [0, 1], [0, 0], [0, 0]], [[15, 31], [1, 2], [0, 1], [0, 0]]]


def exchanged(basics, name):
    """What one function gave in each of the two processes."""
    return [basics.found(rank)["exchanged"][name] for rank in (0, 1)]


def test_all_reduce_sums_tensors_of_any_shape_in_place(basics):
    assert exchanged(basics, "sums") == [[[3], [[2, 10], [0, 4]], "torch.int64"]] * 2


def test_map_shards_gives_all_rows_to_each_process_which_computes_its_own(basics):
    assert exchanged(basics, "doubled") == [[[0], [2], [4], [6], [8]]] * 2
    assert exchanged(basics, "rows") == [[2], [3]]


def test_on_first_gives_each_process_what_the_first_found_or_raised(basics):
    assert exchanged(basics, "first") == [[0, "an object"]] * 2
    assert exchanged(basics, "calls") == [[0], []]
    assert exchanged(basics, "failure") == ["Process 0 failed."] * 2


def test_assert_equal_names_the_process_that_differs(basics):
    assert exchanged(basics, "same") == [None, None]
    first, second = exchanged(basics, "different")
    assert first is None and second.startswith("Process 1 has other weights than process 0")


def test_one_by_one_the_second_begins_when_the_first_has_ended(basics):
    assert exchanged(basics, "turn") == ["", "0"]


def test_one_process_prints_what_all_would_print(basics):
    """On a line of its own, because the bar of another process may stand there."""
    said = {basics.found(rank)["said"] for rank in (0, 1)}
    assert said - {""} in ({"\nprocess 0\n"}, {"\nprocess 1\n"}) and len(said) == 2


def test_each_process_is_alone_after_the_group(basics):
    assert [basics.found(rank)["left"] for rank in (0, 1)] == [[1, 0, "process 0\n"]] * 2


def test_only_the_first_writes_and_prints(basics):
    first, second = basics.found(0), basics.found(1)
    # PyTorch's own parts may make folders for themselves elsewhere.
    made, none = (
        [change for change in one["changes"] if str(basics.folder) in change] for one in (first, second)
    )
    assert made and none == []
    assert first["epochs"][:4] == second["epochs"][:4] == [1, 2, 3, 4]
    written = {path.name for path in (basics.folder / "records").iterdir()}
    assert written == fakes.recorded_names("study-quick")
    assert list((basics.folder / "cache" / "checkpoints").iterdir()) == []
    lines = basics.out.splitlines()
    assert lines[:2] == [f"New records go to {basics.folder / 'records'}.", "study-quick, seed 0"]
    assert lines[2].startswith("study-quick, seed 0: test accuracy ") and len(lines) == 3
    assert basics.said == []


def test_a_record_says_how_many_processes_there_were(basics, monkeypatch):
    kept = runs.load_record(basics.folder / "records" / "study-quick-seed0.json")
    assert re.match(r"2 × CPU \(.*\), 1 thread,", kept.environment["device"])
    assert device.describe(torch.device("cpu")).startswith("CPU (")


@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_a_batch_are_the_batch(processes, few_images, monkeypatch):
    """Same images, same draws: in parts of one size, or of sizes that differ by one."""
    choices = {"seed": 1, "epoch": 2, "augmentation": data.Augmentation(flip=True, shift=3)}
    whole = list(data.batches(few_images.train, 31, **choices))
    parts = []
    monkeypatch.setattr(distributed, "world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(list(data.batches(few_images.train, 31, shard=distributed.shard(31), **choices)))
    for batch, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        for one, together_again in zip(batch, map(torch.cat, zip(*pieces, strict=True)), strict=True):
            assert torch.equal(one, together_again)
        sizes = [len(labels) for _, labels in pieces]
        assert max(sizes) - min(sizes) <= 1


INCOMPLETE = {
    "of rows": lambda: nn.BatchNorm1d(4),
    "of volumes": lambda: nn.BatchNorm3d(4),
    "without weights": lambda: nn.BatchNorm2d(4, affine=False),
    "without averages": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "without a momentum": lambda: nn.BatchNorm2d(4, momentum=None),
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_a_batch_norm_that_processes_cannot_share_is_named(kind, monkeypatch):
    """With the statistics of its own part, each process would train another network."""
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    model = nn.Sequential(nn.BatchNorm2d(4), INCOMPLETE[kind]())
    before = [type(layer) for layer in model]
    with pytest.raises(CourseError, match=r"cannot share the batch norm '1' .*: train in one process"):
        models.replicate(model)
    assert [type(layer) for layer in model] == before


def test_one_process_exchanges_nothing(monkeypatch, few_images):
    def exchange(*arguments, **options):
        raise AssertionError("something was exchanged")

    monkeypatch.setattr(distributed, "exchange", exchange)
    monkeypatch.setenv("WORLD_SIZE", "1")
    built = []
    build = models.build
    monkeypatch.setattr(models, "build", lambda *a: built.append(build(*a)) or built[-1])
    with distributed.process_group():
        training.train(together.TINY, few_images)
    norms = [layer for layer in built[0].modules() if isinstance(layer, nn.BatchNorm2d)]
    assert norms and not any(isinstance(layer, SyncBatchNorm) for layer in norms)


def test_map_shards_and_all_reduce_of_one_process_touch_nothing():
    rows = torch.ones(3, 2)
    assert distributed.map_shards(lambda given: given, rows) is rows
    distributed.all_reduce(pytest.fail(x) for x in ["it was iterated over"])
    assert distributed.shard(5) == slice(0, 5)
    assert (distributed.on_first(lambda: 3), distributed.one_by_one(lambda: 4)) == (3, 4)


@pytest.mark.parametrize(("rank", "local_rank", "turn"), [(0, 0, 0), (1, 1, 2), (2, 0, 1), (3, 1, 2)])
def test_one_by_one_goes_from_machine_to_machine_first(rank, local_rank, turn, monkeypatch):
    """Four processes on two machines: how many barriers this one passes before its turn, and in all."""
    barriers = []
    monkeypatch.setattr(distributed, "world_size", lambda: 4)
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(distributed, "local_rank", lambda: local_rank)
    monkeypatch.setattr(distributed.dist, "barrier", barriers.append)
    assert distributed.one_by_one(lambda: len(barriers)) == turn
    assert len(barriers) == 3


@pytest.fixture
def torchrun(monkeypatch):
    """As if torchrun had started two processes here; torch.distributed notes what it is told, no more."""
    found = SimpleNamespace(joined=False, rank=0, left=0, threads=None)

    def join(backend, *, store, rank, world_size, timeout):
        found.joined, found.backend, found.store = True, backend, store
        assert (rank, world_size, timeout) == (found.rank, 2, distributed.SILENCE)

    def leave():
        found.joined, found.left = False, found.left + 1

    for name, value in {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "LOCAL_RANK": 0}.items():
        monkeypatch.setenv(name, str(value))
    store = dist.HashStore()
    monkeypatch.setattr(dist, "rendezvous", lambda *_, **__: iter([(store, found.rank, 2)]))
    monkeypatch.setattr(dist, "init_process_group", join)
    monkeypatch.setattr(dist, "new_group", lambda backend, timeout: (backend, timeout))
    monkeypatch.setattr(dist, "destroy_process_group", leave)
    monkeypatch.setattr(dist, "is_initialized", lambda: found.joined)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "get_rank", lambda: found.rank)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(found, "threads", count))
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda process: list(range(7)), raising=False)
    for name in ("_store", "_chores"):
        monkeypatch.setattr(distributed, name, None)
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_only_the_first_prints_within_the_group(rank, torchrun, capsys):
    torchrun.rank = rank
    with distributed.process_group():
        print("within")
        with distributed.process_group():  # once is enough
            print("twice")
        assert torchrun.joined
    print("after")
    assert capsys.readouterr().out == ("after\n" if rank else "within\ntwice\nafter\n")
    assert torchrun.left == 1


@pytest.mark.parametrize(("cores", "threads"), [(7, 3), (8, 4), (1, 1)])
def test_a_process_takes_its_share_of_the_cores(cores, threads, torchrun, monkeypatch):
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda process: list(range(cores)), raising=False)
    with distributed.process_group():
        assert torchrun.threads == threads
    assert torchrun.backend == "gloo"


@pytest.mark.parametrize(("nccl", "backend"), [(True, "cpu:gloo,cuda:nccl"), (False, "gloo")])
def test_a_process_takes_the_gpu_of_its_number(nccl, backend, torchrun, monkeypatch):
    """PyTorch for Windows has no NCCL."""
    chosen = []
    monkeypatch.setattr(dist, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with distributed.process_group():
        assert chosen == [1]
    assert torchrun.backend == backend


def test_the_others_wait_a_day_for_what_one_does_for_all(torchrun, monkeypatch):
    """A download may take longer than the silence after which a training process is given up."""
    groups = []
    monkeypatch.setattr(dist, "barrier", groups.append)
    monkeypatch.setattr(dist, "broadcast_object_list", lambda answer, source, group, _: groups.append(group))
    with distributed.process_group():
        assert distributed.on_first(lambda: 1) == 1
        assert distributed.one_by_one(lambda: 2) == 2
    assert groups == [("gloo", timedelta(days=1))] * 4


def test_after_an_error_the_processes_still_agree_on_who_prints_it(torchrun, capsys):
    """So the group is left at the end of the process: before, the others would print that it was lost."""
    with pytest.raises(CourseError), distributed.process_group():
        raise CourseError("This process found something wrong.")
    assert torchrun.joined and not torchrun.left
    distributed.print_once("the sentence")
    distributed.print_once("of another process")
    assert capsys.readouterr().err == "\nthe sentence\n"


def test_a_process_that_cannot_join_prints_it_once_too(torchrun, monkeypatch, capsys):
    def lost(*_, **__):
        raise RuntimeError("Connection refused.")

    monkeypatch.setattr(dist, "init_process_group", lost)
    with pytest.raises(CourseError, match="Another process"), distributed.process_group():
        pytest.fail("it has not joined")
    distributed.print_once("the sentence")
    distributed.print_once("of another process")
    assert capsys.readouterr().err == "the sentence\n"


def test_an_error_is_printed_where_the_store_was_lost(torchrun, monkeypatch, capsys):
    with suppress(CourseError), distributed.process_group():
        raise CourseError

    def lost(*_):
        raise RuntimeError("Connection reset by peer.")

    monkeypatch.setattr(distributed, "_store", SimpleNamespace(add=lost, set=lost, wait=lost))
    distributed.print_once("the sentence")
    assert capsys.readouterr().err == "\nthe sentence\n"


@pytest.mark.parametrize("missing", ["LOCAL_WORLD_SIZE", "LOCAL_RANK", "RANK", "MASTER_ADDR"])
def test_processes_that_torchrun_did_not_start(missing, monkeypatch):
    for name in {"WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "RANK", "MASTER_ADDR", "MASTER_PORT"} - {
        missing
    }:
        monkeypatch.setenv(name, "2")
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(CourseError, match="start with torchrun"), distributed.process_group():
        pytest.fail("it has joined")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "[/some/pair.cc:561] Connection closed by peer. Good luck.\nAnd much more.",
            "Connection closed by peer",
        ),
        ("", "RuntimeError"),
        ("\nTimed out", "Timed out"),
    ],
)
def test_a_lost_process_is_a_sentence(said, reason, monkeypatch):
    def lost(*arguments):
        raise RuntimeError(said)

    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lost)
    with pytest.raises(CourseError, match=rf"^Another process .*\({reason}\)\.$"):
        distributed.all_reduce([torch.ones(2)])


def test_too_little_memory_of_a_gpu_is_not_a_lost_process(monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", full)
    with pytest.raises(CourseError, match="GPU has too little free memory"), device.gpu_memory_in_words():
        distributed.all_reduce([torch.ones(2)])


# What follows takes minutes: more processes, and faults.


@pytest.fixture(scope="module")
def rounding():
    """By precision: the training losses of one process, and how far they go when the first weights are
    rounded otherwise. Several processes round otherwise too: their curves may part as far."""
    dataset = generated.toy(400, 100)
    found = {}
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        curves = [together.curve(together.TINY, dataset, kind, n)["curve"] for n in range(5)]
        losses = [[entry[0] for entry in one] for one in curves]
        reach = [max(abs(loss - epoch[0]) for loss in epoch) for epoch in zip(*losses, strict=True)]
        found[str(kind)] = (losses[0], reach)
    return found


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_any_number_of_processes_gives_the_curve_of_one(processes, launch, toy_images, rounding):
    one = launch(processes, "more")
    code, *_, err = one.ended()
    assert code == 0, err
    first = one.found(0)
    for recipe in (*together.RECIPES, *together.OTHERS):
        alone = together.curve(recipe, toy_images, torch.float64)["curve"]
        for found, expected in zip(first[recipe.name]["curve"], alone, strict=True):
            present = [value for value in expected if value is not None]
            assert [value for value in found if value is not None] == pytest.approx(present, **EXACT), (
                recipe.name
            )
    draws = set()
    for rank in range(processes):
        found = one.found(rank)
        draws.add(found.pop("next draw"))
        assert {name: value["weights"] for name, value in found.items()} == {
            name: value["weights"] for name, value in first.items() if name != "next draw"
        }
    assert len(draws) == processes  # dropout is not the same in each
    for kind, (usual, reach) in rounding.items():
        for (found, *_), expected, far in zip(first[kind]["curve"], usual, reach, strict=True):
            assert abs(found - expected) <= 3 * far, kind


def history(path):
    return [[entry[name] for name in together.NUMBERS] for entry in runs.load_record(path).history]


def assert_none_is_left(processes):
    """None of these runs; one that torchrun has killed and not yet buried counts as gone."""
    for process in processes:
        status = Path(f"/proc/{process}/status")
        assert not status.exists() or "State:\tZ" in status.read_text()


def wait_until(condition, one):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end and one.started.poll() is None, "it takes too long or has ended"
        time.sleep(0.05)


RECORD = ("record", "study-quick", "--device", "cpu", "--folder")
LOST = "cifar_lib: Another process of this training has ended, or does not answer: look for its message"


@pytest.mark.long
@pytest.mark.parametrize(("before", "victim", "after"), [(2, 1, 4), (2, 0, 1), (4, 3, 2), (1, 0, 2)])
def test_one_is_killed_all_end_and_another_number_goes_on(before, victim, after, launch, tmp_path, cache):
    """SIGKILL in the third epoch; the survivors say so; started anew, it trains epochs 3 and 4 alone."""
    whole = launch(1, "command", *RECORD, tmp_path / "whole", CIFAR_CACHE=str(tmp_path / "other"), WIDE="1")
    assert whole.ended()[0] == 0

    start = time.monotonic()
    one = launch(before, f"dies,{victim},3", *RECORD, tmp_path / "records", WIDE="1")
    wait_until(lambda: len(one.processes()) == before, one)
    processes = one.processes().values()
    code, _, said, err = one.ended()
    assert time.monotonic() - start < LIMIT
    assert code != 0 and "SIGKILL" in err
    if before > 1:
        assert len(said) == 1 and said[0].startswith(LOST), err
    assert_none_is_left(processes)
    assert not list((tmp_path / "records").glob("*.json"))
    assert len(list((cache / "checkpoints").glob("*.safetensors"))) == 1

    again = launch(after, "command", *RECORD, tmp_path / "records", WIDE="1")
    code, *_, err = again.ended()
    assert code == 0, err
    for rank in range(after):
        assert again.found(rank)["epochs"] == [3, 4]
    for one, other in zip(
        history(tmp_path / "records" / "study-quick-seed0.json"),
        history(tmp_path / "whole" / "study-quick-seed0.json"),
        strict=True,
    ):
        assert one == pytest.approx(other, **EXACT)


@pytest.mark.long
def test_one_that_hangs_is_given_up_after_the_time_of_silence(launch, tmp_path):
    start = time.monotonic()
    one = launch(2, "stops,1,2", *RECORD, tmp_path / "records", SILENCE="15")
    wait_until(lambda: len(one.processes()) == 2, one)
    processes = one.processes().values()
    code, _, said, err = one.ended()
    assert code != 0 and len(said) == 1 and said[0].startswith(LOST), err
    assert time.monotonic() - start < 15 + LAUNCHER + 60  # the last for starting Python on a busy machine
    assert_none_is_left(processes)


@pytest.mark.long
@pytest.mark.parametrize("rank", [0, 1])
def test_what_one_finds_wrong_is_said_once_and_ends_all(rank, launch, tmp_path):
    one = launch(2, f"complains,{rank},2", *RECORD, tmp_path / "records")
    code, _, said, err = one.ended()
    assert code != 0 and said == ["cifar_lib: This process found something wrong."], err
    assert re.search(r"exitcode\s*: 2 ", err)
    assert "cifar_lib/" not in err  # no traceback of ours


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "fly"], "There is no recipe 'fly': python -m cifar_lib list recipes shows all."),
        (["train", "study-quick", "--set", "batch_size=1"], "2 processes cannot share a batch of 1."),
        (["train", "study-quick", "--compile"], "A compiled step is for one process: leave out --compile."),
        (["train", "study-quick", "--device", "cuda"], "CUDA was asked for, but PyTorch sees no GPU here"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, launch):
    if "cuda" in words and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    code, _, said, err = launch(2, "command", *words).ended()
    assert code != 0 and len(said) == 1 and said[0].startswith(f"cifar_lib: {sentence}"), err
    assert re.search(r"exitcode\s*: 2 ", err)


@pytest.mark.long
def test_ctrl_c_ends_all_with_a_word(launch, tmp_path, cache):
    one = launch(2, "waits,1,3", *RECORD, tmp_path / "records")
    wait_until(lambda: list((cache / "checkpoints").glob("*.safetensors")), one)
    processes = one.processes().values()
    time.sleep(2)
    one.started.send_signal(signal.SIGINT)
    code, _, said, err = one.ended(LAUNCHER + 30)
    assert code != 0 and len(said) == 1 and "stopped; a recording goes on where it stopped" in said[0], err
    assert_none_is_left(processes)


@pytest.mark.long
def test_the_checkpoint_must_be_seen_by_all(launch, tmp_path):
    """As on two machines that share no disk: the second process has a folder of its own."""
    one = launch(2, "dies,1,3", *RECORD, tmp_path / "records")
    assert one.ended()[0] != 0
    again = launch(2, "command", *RECORD, tmp_path / "records", ELSEWHERE=str(tmp_path / "elsewhere"))
    code, _, said, err = again.ended()
    assert code != 0 and said == [
        "cifar_lib: Process 1 has other images and checkpoint than process 0: let CIFAR_DATA and "
        "CIFAR_CACHE be folders that all machines share."
    ], err


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 2])
def test_threads_are_a_fair_share_of_the_cores(processes, launch):
    one = launch(processes, "command", "train", "mlp-quick", "--device", "cpu", "--set", "epochs=1")
    code, out, _, err = one.ended()
    assert code == 0, err
    cores = 1 if processes == 1 else max(1, len(available_cores()) // 2)  # alone, OMP_NUM_THREADS holds
    assert f"), {cores} thread" in out
