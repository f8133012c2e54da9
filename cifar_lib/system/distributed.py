"""Several processes that train as one: each computes a part of every batch, and their results are summed.

`torchrun` starts the processes, see book/scaling.md. A single process exchanges nothing. Among several, every
process must call the functions that exchange something, in the same order.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from .. import CourseError
from .errors import first_line
from .threads import available_cores

T = TypeVar("T")

SILENCE = timedelta(minutes=5)  # a training process that sends nothing for longer is given up
CHORE = timedelta(days=1)  # the same while one works for all: a download, or a wait for another program's run

# Set by `process_group`: a key-value store that all processes see, and a group whose timeout is `CHORE`.
_store: dist.Store | None = None
_chores: Any = None  # new_group also promises a number, for a process that is not in the group


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` started with this one; within the context only rank 0 prints.

    Each process takes an equal share of the cores that it may use, or the GPU of its local rank. It leaves
    the group at the end of the context. After an error it stays joined until it ends, because `print_once`
    still needs the other processes to decide which of them prints the error.

    Raises:
        CourseError: the others cannot be reached, or WORLD_SIZE was set by something other than `torchrun`.
    """
    global _store, _chores
    if os.environ.get("WORLD_SIZE", "1") == "1" or dist.is_initialized():
        yield
        return
    try:
        local_world_size, _ = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
        _store, number, processes = exchange(next, dist.rendezvous("env://", timeout=SILENCE))
    except (KeyError, ValueError):
        raise CourseError(
            "WORLD_SIZE is set, but what else torchrun sets is not: start with torchrun, or unset WORLD_SIZE."
        ) from None
    # PyTorch for Windows has no NCCL; gloo carries the numbers of GPUs, too, only slower.
    nccl = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if nccl else "gloo"
    exchange(
        dist.init_process_group, backend, store=_store, rank=number, world_size=processes, timeout=SILENCE
    )
    _chores = exchange(dist.new_group, backend="gloo", timeout=CHORE)
    # torchrun gives each process one thread, however many cores there are.
    torch.set_num_threads(max(1, len(available_cores()) // local_world_size))
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank() % torch.cuda.device_count())
    with redirect_stdout(None) if rank() else nullcontext():
        yield
    # Not in a `finally`: if the connections closed before the error was printed, the other processes would
    # first print that they had lost this one. The end of the process closes them.
    dist.destroy_process_group()
    _store = _chores = None


def world_size() -> int:
    """The number of processes that train together; 1 outside `process_group`."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0. Only rank 0 writes files and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_rank() -> int:
    """The number of this process among those of its machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_initialized() else 0


def local_world_size() -> int:
    """The number of processes of this machine that train together."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if dist.is_initialized() else 1


def shard(total: int) -> slice:
    """The slice of `total` items that belongs to this process; the sizes differ by at most one."""
    return slice(total * rank() // world_size(), total * (rank() + 1) // world_size())


def all_reduce(tensors: Iterable[torch.Tensor]) -> None:
    """Replace each tensor by its sum over the processes.

    All of them travel in one message, because each message costs a wait for the slowest process. A single
    process does not iterate over them.

    Args:
        tensors: of any shapes, on one device; they are summed in the dtype to which all can be promoted.

    Raises:
        CourseError: another process has ended or does not answer. So do the functions below.
    """
    if world_size() == 1:
        return
    tensors = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    exchange(dist.all_reduce, flat)
    sums = flat.split([tensor.numel() for tensor in tensors])
    for tensor, total in zip(tensors, sums, strict=True):
        tensor.copy_(total.view_as(tensor))


def map_shards(function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """`function(rows)`, of which each process computes its shard.

    Args:
        function: [N, ...] -> [N, ...], where a row of the output depends on the same row of the input only.
        rows: [N, ...], the same in every process.

    Returns:
        The whole output, in every process.
    """
    if world_size() == 1:
        return function(rows)
    mine = function(rows[shard(len(rows))])
    whole = mine.new_zeros(len(rows), *mine.shape[1:])
    whole[shard(len(rows))] = mine
    all_reduce([whole])
    return whole


def on_first(function: Callable[[], T]) -> T:
    """Call `function` in the process of rank 0 only; every process returns its result.

    Args:
        function: its result must be picklable.

    Raises:
        CourseError: `function` raised it; every process does.
    """
    if world_size() == 1:
        return function()
    answer: list[Any] = [None]
    if rank() == 0:
        try:
            answer = [function()]
        except CourseError as error:
            answer = [error]
    exchange(dist.broadcast_object_list, answer, 0, _chores, torch.device("cpu"))
    if isinstance(answer[0], CourseError):
        raise answer[0]
    return answer[0]


def assert_equal(name: str, value: object) -> None:
    """Make sure that `value`, called `name` in the message, is the same in every process.

    Raises:
        CourseError: the value of this process differs from that of rank 0.
    """
    if value != on_first(lambda: value):
        raise CourseError(
            f"Process {rank()} has other {name} than process 0: let CIFAR_DATA and CIFAR_CACHE be folders "
            "that all machines share."
        )


def one_by_one(function: Callable[[], T]) -> T:
    """Call `function` in every process: first in rank 0, then in the first of each machine, then in the rest.

    So a file that it makes if missing is made once per disk, whether the machines share a disk or not.
    """
    if world_size() == 1:
        return function()
    if rank() == 0:
        turn = 0
    elif local_rank() == 0:
        turn = 1
    else:
        turn = 2
    for now in range(3):
        if now == turn:
            result = function()
        exchange(dist.barrier, _chores)
    return result


def print_once(text: str) -> None:
    """Print the sentence of an error to stderr, unless another process has printed one already.

    When one process fails all do, although most of them have nothing to add. The others return when the
    sentence has been printed (or after 10 s), because `torchrun` ends all processes as soon as one has ended.
    """
    first = True
    with suppress(RuntimeError):  # the store was lost with the machine that held it: rather twice than never
        first = _store is None or _store.add("course/said", 1) == 1
    if first:
        end_of_bar = "\n" if world_size() > 1 else ""  # another process's progress bar may stand there
        print(end_of_bar + text, file=sys.stderr, flush=True)
    if _store is None:
        return
    with suppress(RuntimeError):
        if first:
            _store.set("course/printed", "")
        else:
            _store.wait(["course/printed"], timedelta(seconds=10))


def exchange(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call a function of `torch.distributed`, whose errors mean that another process was lost.

    The exception is PyTorch's error that a GPU's memory does not suffice, which is passed on.

    Raises:
        CourseError: in the place of each `RuntimeError`, with the first sentence of its reason.
    """
    try:
        return function(*arguments, **options)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = re.sub(r"^\[\S*\] ", "", first_line(error)).partition(". ")[0]
        raise CourseError(
            "Another process of this training has ended, or does not answer: look for its message, then "
            f"start again; a recording goes on from its checkpoint ({reason})."
        ) from error
