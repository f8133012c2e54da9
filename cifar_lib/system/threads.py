"""How many threads a training on a CPU uses: one per core that it may use and other programs leave free.

The threads of a step wait for one another without releasing their cores. So when another program needs one of
the cores, all threads wait whenever it runs: with a thread per core, a training took 3.8 times as long beside
a second training, and 9.8 times as long beside a busy program (benchmarks/company.txt). With a thread per
free core it took 1.6 times as long in both cases.
"""

import os
import sys
import time
from typing import Any

import psutil
import torch
from tqdm.auto import tqdm

FIRST_LOOK, NEXT_LOOK = 0.3, 1.0  # seconds


def available_cores() -> list[int]:
    """The numbers of the logical processors that this process may use, as psutil counts them.

    On Linux and Windows a container, a cluster's queue or the user may allow it a part of the machine's.
    Elsewhere it may use all of them.
    """
    process = psutil.Process()
    allowed = process.cpu_affinity() if hasattr(process, "cpu_affinity") else []
    # Windows names none for a process that spans more than 64 of them.
    return allowed or list(range(psutil.cpu_count() or 1))


class Threads:
    """Keeps PyTorch's number of threads at the number of cores that other programs leave free.

    It is a context that restores the number at its end. Within it, call the object before each step: about
    once a second it measures how many cores are in use. It does nothing for a GPU, with a single thread, or
    where `OMP_NUM_THREADS` is set, which is a choice of the user's.

    Args:
        device: where the training runs.
        shown: whether to print to stderr, once, that another program uses the processor.
    """

    def __init__(self, device: torch.device, shown: bool = False) -> None:
        self.most = torch.get_num_threads()
        self.adapts = device.type == "cpu" and self.most > 1 and "OMP_NUM_THREADS" not in os.environ
        self.least, self._shown, self._more_were_free = self.most, shown, False
        self._cores = available_cores()
        self._look()
        self._wait(FIRST_LOOK)

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.most)

    def __call__(self) -> None:
        if not self.adapts or time.perf_counter() < self._next:
            return
        before = self._seen
        busy, own, now = self._look()
        others = max(0.0, busy - before[0] - (own - before[1])) / (now - before[2])
        self._adapt(max(1, min(self.most, int(len(self._cores) - others + 0.5))))
        self._wait(NEXT_LOOK)

    def describe(self, device: str) -> str:
        """The description of a device (`device.describe`), with the numbers of threads that were used."""
        if self.least == self.most:
            return device
        return device.replace(f", {self.most} threads", f", {self.least} to {self.most} threads")

    def _adapt(self, free: int) -> None:
        """Use as many threads as cores are free: fewer at once, more when that was measured twice running."""
        more = free > torch.get_num_threads()
        if more and not self._more_were_free:  # the other program may only have paused
            self._more_were_free = True
            return
        self._more_were_free = False
        torch.set_num_threads(free)
        if free < self.least:
            if self._shown and self.least == self.most:
                tqdm.write(
                    f"Another program uses the processor: going on with {free} of {self.most} threads.",
                    file=sys.stderr,
                )
            self.least = free

    def _look(self) -> tuple[float, float, float]:
        """Seconds used so far of the available cores by all programs and by this one, and the time now."""
        cores = psutil.cpu_times(percpu=True)
        if max(self._cores) < len(cores):  # some containers show their own cores alone, under other numbers
            cores = [cores[number] for number in self._cores]
        busy = sum(map(_busy, cores))
        self._seen = busy, time.process_time(), time.perf_counter()
        return self._seen

    def _wait(self, seconds: float) -> None:
        self._next = time.perf_counter() + seconds


def _busy(times: Any) -> float:
    """The seconds that a core has worked, of its seconds by kind."""
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts the time of virtual machines twice: as guest, and within user or nice.
    guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return sum(times) - idle - guest
