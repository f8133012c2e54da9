"""Several processes that train as one: each takes its part of a batch, and they add up what they find.

`torchrun` starts them, see book/scaling.md. Where there is one process, every function here leaves
all as it is and nothing is exchanged. A function that exchanges something must be called by every
process, in the same order.
"""

import os
import re
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from datetime import timedelta

import torch
import torch.distributed as dist

from .. import CourseError

SILENCE = timedelta(minutes=5)  # a process that trains and is not heard of for longer is given up
CHORE = timedelta(days=1)  # the same while one works alone: a download, or a wait for a run of others

_store = _chores = None  # set by `process_group`: a table that all processes see, a group that is patient


@contextmanager
def process_group():
    """Join the processes that `torchrun` started with this one, for once; the first alone prints.

    Each takes an equal share of the machine's cores, or the GPU of its number on that machine.

    Raises:
        CourseError: the others cannot be reached, or it was not `torchrun` that spoke of them.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1" or dist.is_initialized():
        yield
        return
    global _store, _chores
    try:
        beside = int(os.environ["LOCAL_WORLD_SIZE"])
        _store, number, processes = exchange(next, dist.rendezvous("env://", timeout=SILENCE))
    except (KeyError, ValueError):
        raise CourseError(
            "WORLD_SIZE is set, but what else torchrun sets is not: start with torchrun, or unset WORLD_SIZE."
        ) from None
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    exchange(
        dist.init_process_group, backend, store=_store, rank=number, world_size=processes, timeout=SILENCE
    )
    _chores = exchange(dist.new_group, backend="gloo", timeout=CHORE)
    # torchrun gives each process one thread, however many cores there are.
    torch.set_num_threads(max(1, _available_cores() // beside))
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank() % torch.cuda.device_count())
    with redirect_stdout(None) if rank() else nullcontext():
        yield
    # After an error the end of the process closes the connections: done here, before its sentence is
    # printed, the others would say first that they had lost it.
    dist.destroy_process_group()


def world_size():
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """The number of this process, from 0. The one of number 0 alone writes and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def local_rank():
    """The number of this process among those of its machine, from 0."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_initialized() else 0


def shard(total):
    """The slice of `total` things that this process takes; sizes differ by one at most."""
    return slice(total * rank() // world_size(), total * (rank() + 1) // world_size())


def all_reduce(tensors):
    """Replace each tensor by its sum over the processes; all in one message, for each message waits.

    One process does not even look at them.
    """
    if world_size() == 1:
        return
    tensors = list(tensors)
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    exchange(dist.all_reduce, flat)
    sums = flat.split([tensor.numel() for tensor in tensors])
    for tensor, total in zip(tensors, sums, strict=True):
        tensor.copy_(total.view_as(tensor))


def map_shards(function, rows):
    """`function(rows)`, a tensor with a row for each of them, each process having done its part."""
    if world_size() == 1:
        return function(rows)
    mine = function(rows[shard(len(rows))])
    whole = mine.new_zeros(len(rows), *mine.shape[1:])
    whole[shard(len(rows))] = mine
    all_reduce([whole])
    return whole


def on_first(function):
    """What `function` gives in the first process, where alone it is called; its `CourseError` too."""
    if world_size() == 1:
        return function()
    answer = [None]
    if rank() == 0:
        try:
            answer = [function()]
        except CourseError as error:
            answer = [error]
    exchange(dist.broadcast_object_list, answer, 0, _chores, torch.device("cpu"))
    if isinstance(answer[0], CourseError):
        raise answer[0]
    return answer[0]


def assert_equal(name, value):
    """Make sure that all processes have the same `value` of what is called `name`.

    Raises:
        CourseError: this process has another one than the first.
    """
    if value != on_first(lambda: value):
        raise CourseError(
            f"Process {rank()} has other {name} than process 0: let CIFAR_DATA and CIFAR_CACHE be folders "
            "that all machines share."
        )


def one_by_one(function):
    """`function()` in every process: the first, then the first of each machine, then the others.

    So each file is made once, whether the machines share their disks or not.
    """
    if world_size() == 1:
        return function()
    turn = 0 if rank() == 0 else 1 if local_rank() == 0 else 2
    for now in range(3):
        if now == turn:
            result = function()
        exchange(dist.barrier, _chores)
    return result


def print_once(text):
    """Print a sentence to stderr, if no other process has done so; return when it is printed.

    When one fails all do, most of them with nothing to add, and `torchrun` ends the others as soon
    as one has ended.
    """
    first = True
    with suppress(RuntimeError):  # the table was lost with the machine of the first process
        first = _store is None or _store.add("course/said", 1) == 1
    if first:
        end_of_bar = "\n" if world_size() > 1 else ""  # another process's bar may stand there
        print(end_of_bar + text, file=sys.stderr, flush=True)
    if _store is not None:
        with suppress(RuntimeError):
            _store.set("course/printed", "") if first else _store.wait(
                ["course/printed"], timedelta(seconds=10)
            )


def exchange(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except RuntimeError as error:
        reason = re.sub(r"^\[\S*\] ", "", str(error).splitlines()[0]).partition(". ")[0]
        raise CourseError(
            "Another process of this training has ended, or does not answer: look for its message, then "
            f"start again; a recording goes on from its checkpoint ({reason})."
        ) from error


def _available_cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
