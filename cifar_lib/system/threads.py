"""How many threads a training on a CPU uses: as many as other programs leave free cores.

The threads of a step wait for one another without releasing their cores. When another program needs one of
those cores, they lose its time slices again and again: with a thread per core, a training took 3.8 times as
long beside a second one, and 9.8 times as long beside a busy program (benchmarks/company.txt). With one
thread per free core it took 1.6 times as long in both cases.
"""

import os
import sys
import time

import psutil
import torch
from tqdm.auto import tqdm

FIRST_LOOK, NEXT_LOOK = 0.3, 1.0  # seconds


class Threads:
    """Keeps PyTorch's number of threads at the number of cores that other programs leave free.

    A context that restores the number at its end. Within it, call the object before each step: about once
    a second it counts the cores in use. It does nothing on a GPU, or where `OMP_NUM_THREADS` is set.

    Args:
        device: the `torch.device` that trains.
        shown: whether to say, once and on stderr, that another program uses the processor.
    """

    def __init__(self, device, shown=False):
        self.most = torch.get_num_threads()
        self.adapts = device.type == "cpu" and self.most > 1 and "OMP_NUM_THREADS" not in os.environ
        self.least, self._shown, self._more_were_free = self.most, shown, False
        self._look()
        self._wait(FIRST_LOOK)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        torch.set_num_threads(self.most)

    def __call__(self):
        if not self.adapts or time.perf_counter() < self._next:
            return
        before = self._seen
        busy, own, now = self._look()
        others = max(0.0, busy - before[0] - (own - before[1])) / (now - before[2])
        self._adapt(max(1, min(self.most, int(psutil.cpu_count() - others + 0.5))))
        self._wait(NEXT_LOOK)

    def describe(self, device):
        """The description of a device (`device.describe`) with the numbers of threads that were used."""
        if self.least == self.most:
            return device
        return device.replace(f", {self.most} threads", f", {self.least} to {self.most} threads")

    def _adapt(self, free):
        more = free > torch.get_num_threads()
        if more and not self._more_were_free:  # once may be chance
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

    def _look(self):
        """Seconds of the processor used so far by all programs and by this one, and the time now."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guest = getattr(times, "guest", 0.0) + getattr(
            times, "guest_nice", 0.0
        )  # counted in user and nice too
        self._seen = sum(times) - idle - guest, time.process_time(), time.perf_counter()
        return self._seen

    def _wait(self, seconds):
        self._next = time.perf_counter() + seconds
