"""How many threads a training on a CPU uses: as many as the machine has cores free, looked at all the time.

Threads of one step wait for one another without letting go of their core. Where another program needs
that core too, the one waits for the time slices of the other, again and again: two trainings side by
side, with a thread a core each, took 28 times as long as one (measured, benchmarks/company.py). With as
many threads as there are free cores nobody waits.
"""

import os
import sys
import time

import psutil
import torch
from tqdm.auto import tqdm

FIRST_LOOK, NEXT_LOOK = 0.3, 1.0  # seconds


class Threads:
    """Keeps PyTorch's number of threads at the number of cores that other programs leave.

    Call it before each step: it looks about once a second. Who sets `OMP_NUM_THREADS` has chosen
    already, and it does nothing; nor on a GPU.

    Args:
        device: what trains.
        shown: say once, on stderr, that another program uses the processor.
    """

    def __init__(self, device, shown=False):
        self.most = torch.get_num_threads()
        self.adapts = device.type == "cpu" and self.most > 1 and "OMP_NUM_THREADS" not in os.environ
        self.least, self._shown, self._more_were_free = self.most, shown, False
        self._look(), self._wait(FIRST_LOOK)

    def __call__(self):
        if not self.adapts or time.perf_counter() < self._next:
            return
        before = self._seen
        busy, own, now = self._look()
        others = max(0.0, busy - before[0] - (own - before[1])) / (now - before[2])
        self._adapt(max(1, min(self.most, int(psutil.cpu_count() - others + 0.5))))
        self._wait(NEXT_LOOK)

    def end(self):
        """Give PyTorch the number of threads back that it had."""
        torch.set_num_threads(self.most)

    def describe(self, device):
        """The words for a device with the numbers of threads that were used."""
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
        """Seconds that all programs used the processor, and this one, until now."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice, too
        self._seen = sum(times) - idle - guest, time.process_time(), time.perf_counter()
        return self._seen

    def _wait(self, seconds):
        self._next = time.perf_counter() + seconds
