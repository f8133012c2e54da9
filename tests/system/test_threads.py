"""How many threads a training takes: seen from the seconds that others used the processor."""

from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch

from cifar_lib import data, training
from cifar_lib.system import threads


@pytest.fixture
def machine(monkeypatch):
    """Four cores, a clock that the test moves on, and a count of threads that nothing really uses."""
    state = SimpleNamespace(now=100.0, others=0.0, own=0.0, count=4, cores=4)

    def pass_time(seconds, others, own=4.0):
        state.now += seconds
        state.others += others * seconds
        state.own += own * seconds

    state.pass_time = pass_time
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: state.now)
    monkeypatch.setattr(threads.time, "process_time", lambda: state.own)
    allow(monkeypatch, lambda: list(range(state.cores)))
    monkeypatch.setattr(
        *(threads.psutil, "cpu_times"),
        lambda percpu: [Times(state.own / state.cores, state.others / state.cores, 50.0)] * state.cores,
    )
    monkeypatch.setattr(torch, "get_num_threads", lambda: state.count)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: setattr(state, "count", count))
    return state


def allow(monkeypatch, cores):
    """Let this process use no more than these cores of the machine."""
    monkeypatch.setattr(threads.psutil.Process, "cpu_affinity", lambda process: cores(), raising=False)


class Times(tuple):
    """As psutil gives them for a core: this program's seconds, those of others, those of nobody."""

    def __new__(cls, *times):
        return super().__new__(cls, times)

    idle = property(lambda self: self[2])


def step(machine, look, others, seconds=1.5):
    machine.pass_time(seconds, others)
    look()
    return machine.count


CPU = torch.device("cpu")


@pytest.mark.parametrize(("others", "left"), [(0.0, 4), (0.4, 4), (1.0, 3), (1.6, 2), (3.0, 1), (9.0, 1)])
def test_it_takes_the_cores_that_others_leave_and_at_least_one(machine, others, left):
    assert step(machine, threads.Threads(CPU), others) == left


def test_it_never_takes_more_than_at_the_start(machine):
    """PyTorch takes one thread for two logical processors of the same core."""
    machine.cores = 8
    look = threads.Threads(CPU)
    assert [step(machine, look, others) for others in (0, 0, 5, 0, 0)] == [4, 4, 3, 3, 4]


Linux = namedtuple("Linux", "user nice idle iowait guest guest_nice", defaults=[0.0] * 6)


@pytest.mark.parametrize(
    ("second", "left"),
    [
        (Linux(user=1.0, nice=1.0, idle=2.0), 2),
        (Linux(user=1.0, iowait=3.0), 3),  # a core that waits for a disk is free
        (Linux(user=2.0, guest=2.0), 2),  # Linux counts a virtual machine's seconds as the user's too
        (Linux(nice=2.0, guest_nice=2.0), 2),
    ],
)
def test_seconds_in_which_a_core_worked_count_once(second, left, machine, monkeypatch):
    times = iter([Linux(), second])
    monkeypatch.setattr(threads.psutil, "cpu_times", lambda percpu: [next(times), *[Linux()] * 3])
    look = threads.Threads(CPU)
    machine.now += 1
    look()
    assert machine.count == left


@pytest.mark.parametrize(("busy", "left"), [({4, 9}, 1), ({4}, 1), ({0, 1, 2, 3}, 2), (set(range(64)), 1)])
@pytest.mark.parametrize("number_of_first", [0, 100])
def test_only_the_cores_that_it_may_use_count(busy, left, number_of_first, machine, monkeypatch):
    """As in a container with a part of the machine's cores, of which some show those alone."""
    allow(monkeypatch, lambda: [number_of_first + 4, number_of_first + 9])
    monkeypatch.setattr(threads.psutil, "cpu_times", lambda percpu: worked)
    shown = (4, 9) if number_of_first else range(64)
    worked, machine.count = [Linux()] * len(shown), 2
    look = threads.Threads(CPU)
    machine.now += 1
    worked = [Linux(user=1.0) if core in busy else Linux(idle=1.0) for core in shown]
    look()
    assert machine.count == left


def test_where_the_system_names_no_cores_all_of_them_count(monkeypatch):
    """macOS cannot say which a process may use, and some systems do not say how many there are."""
    monkeypatch.delattr(threads.psutil.Process, "cpu_affinity", raising=False)
    for told, cores in ((3, [0, 1, 2]), (None, [0])):
        monkeypatch.setattr(threads.psutil, "cpu_count", lambda told=told: told)
        assert threads.available_cores() == cores


def test_it_takes_fewer_at_once_and_more_only_when_they_are_free_twice(machine):
    look = threads.Threads(CPU)
    assert [step(machine, look, others) for others in (2, 0, 2, 0, 0)] == [2, 2, 2, 2, 4]


def test_it_looks_about_once_a_second(machine):
    look = threads.Threads(CPU)
    assert step(machine, look, others=3, seconds=0.1) == 4
    assert step(machine, look, others=3, seconds=0.3) == 1
    assert [step(machine, look, others=0, seconds=0.4) for _ in range(6)] == [1, 1, 1, 1, 1, 4]


def test_who_sets_the_number_of_threads_has_chosen(machine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert step(machine, threads.Threads(CPU), others=3) == 4


def test_on_a_gpu_the_processor_is_not_looked_at(machine):
    assert step(machine, threads.Threads(torch.device("cuda")), others=3) == 4


def test_it_says_once_that_another_program_uses_the_processor_and_only_where_it_may(machine, capsys):
    for shown in (False, True):
        with threads.Threads(CPU, shown=shown) as look:
            for others in (1, 2, 0, 0, 2):
                step(machine, look, others)
        said = capsys.readouterr().err.splitlines()
        sentence = "Another program uses the processor: going on with 3 of 4 threads."
        assert said == [sentence] * shown


def test_the_record_tells_the_numbers_that_were_used_and_they_are_given_back(machine):
    look = threads.Threads(CPU)
    assert look.describe("CPU (its name), 4 threads, float32") == "CPU (its name), 4 threads, float32"
    with look:
        step(machine, look, others=2)
        assert machine.count == 2
    assert machine.count == 4
    assert look.describe("CPU (its name), 4 threads, float32") == "CPU (its name), 2 to 4 threads, float32"


def test_a_training_looks_before_each_step(toy_images, tiny, monkeypatch):
    looks = []
    monkeypatch.setattr(threads.Threads, "__call__", lambda self: looks.append(self))
    training.train(tiny, toy_images, device="cpu")
    kept, _ = data.split(toy_images.train)
    assert len(looks) == tiny.epochs * (len(kept) // tiny.batch_size) and len(set(looks)) == 1


def test_the_processors_seconds_grow_by_what_a_program_uses():
    look = threads.Threads(CPU)
    before = look._look()
    total = sum(i * i for i in range(2_000_000))
    after = look._look()
    assert total > 0 and after[1] - before[1] > 0.02
    assert after[0] - before[0] >= 0.5 * (after[1] - before[1])  # in steps of hundredths of a second


def test_the_number_is_given_back_after_an_error_too(toy_images, tiny, machine):
    def stopped(*arguments):
        torch.set_num_threads(1)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.loop, "train_epoch", stopped)
        training.train(tiny, toy_images, device="cpu")
    assert machine.count == 4
