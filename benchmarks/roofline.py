"""How near a recipe's training comes to what this machine can do at most.

A step is taken once while every operation is counted: its FLOPs (a multiply-add is two) and the bytes of
the tensors that go in and come out. The machine's matrix rate and memory bandwidth are measured in the
precision of a training step. An operation takes at least the longer of its FLOPs at that rate and its
bytes at that bandwidth; the sum over all operations, forward, backward and optimizer, is the floor. A cache
may beat the bandwidth, a convolution the rate of one large product, and Winograd's computes fewer FLOPs
than are counted, so ratios above 100 % are possible. Layers are counted as PyTorch runs them: one that
fused several would move fewer bytes.

python benchmarks/roofline.py fast94 --steps 3
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from cifar_lib import data, recipes, training
from cifar_lib.models import kernels
from cifar_lib.system import device as devices

MATRIX = 4096
COPIED = 200_000_000  # bytes, far more than any cache holds
ON_A_GPU = 4  # times as large, so that starting the operation does not count


def seconds(function, device, repeat=5):
    """The median time of a call; a first call is not counted."""
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def matrix_rate(device):
    """FLOP/s of a product of two large square matrices, in the precision of a training step."""
    dtype = devices.training_dtype(device)
    side = MATRIX * (ON_A_GPU if device.type == "cuda" else 1)
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: one @ other, device)


def bandwidth(device):
    """Bytes a second, read and written, while one large tensor is copied into another."""
    times = ON_A_GPU if device.type == "cuda" else 1
    one = torch.zeros(times * COPIED // 4, device=device)
    other = torch.empty_like(one)
    return 2 * one.nbytes / seconds(lambda: other.copy_(one), device)


def launch_seconds(device, count=1000):
    """The seconds from one operation on a single number to the next: what starting one costs."""
    number = torch.zeros(1, device=device)

    def many():
        for _ in range(count):
            number.add_(1)

    return seconds(many, device) / count


def gpu_work(function):
    """What a GPU runs during a call: the numbers of kernels and of copies, and the seconds of both."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as watched:
            function()
            torch.cuda.synchronize()
        watched.export_chrome_trace(str(trace))
        return count_work(json.loads(trace.read_text(encoding="utf-8"))["traceEvents"])


def count_work(events):
    """The same from the events of a trace, whose durations are in microseconds."""
    kernels = [event for event in events if event.get("cat") == "kernel"]
    copies = [event for event in events if event.get("cat") in ("gpu_memcpy", "gpu_memset")]
    return {
        "kernels": len(kernels),
        "copies": len(copies),
        "seconds": sum(event["dur"] for event in (*kernels, *copies)) / 1e6,
    }


class Counted(TorchDispatchMode):
    """Adds up operations, FLOPs, bytes, and the floor of the seconds."""

    def __init__(self, rate, speed):
        super().__init__()
        self.rate, self.speed = rate, speed
        self.flops = self.bytes = self.floor = 0.0
        self.operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            count = flop_registry.get(function._overloadpacket)
            flops = count(*args, **(kwargs or {}), out_val=result) if count else 0
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, torch.Tensor)]
            moved = sum(tensor.nbytes for tensor in tensors)
            self.flops, self.bytes = self.flops + flops, self.bytes + moved
            self.operations += 1
            self.floor += max(flops / self.rate, moved / self.speed)
        return result


class Step:
    """A recipe's training, cut down to a few batches of images of one size."""

    def __init__(self, recipe, dataset, steps, device):
        self.recipe = recipe.replace(holdout=False)
        few = replace(dataset, train=dataset.train[: steps * recipe.batch_size])
        self.setup = training.set_up(self.recipe, few, device=device)
        self.steps = len(few.train) // recipe.batch_size

    def __len__(self):
        return len(self.setup.training)

    def __call__(self):
        setup = self.setup
        training.train_epoch(self.recipe, setup.model, setup.optimizer, setup.training, 0, 1)

    def usual(self):
        """The same with PyTorch's own convolutions alone."""
        with kernels.only("usual"):
            self()

    def counted(self, rate, speed):
        """FLOPs, bytes and the floor of the seconds of one image, and the operations of one step.

        Counted are the usual convolutions.
        """
        with Counted(rate, speed) as count:
            self.usual()
        of_an_image = {name: getattr(count, name) / len(self) for name in ("flops", "bytes", "floor")}
        return of_an_image | {"operations": count.operations / self.steps}


def measure(recipe, dataset, steps, device, rate, speed):
    """For each side of a recipe's images: what an image takes at least, and what it takes, in seconds."""
    own_side = dataset.train.pixels.shape[-1]
    sides = [recipe.side_at(epoch) or own_side for epoch in range(recipe.epochs)]
    for side in sorted(set(sides)):
        step = Step(recipe.replace(sides=[[0, side]]), dataset, steps, str(device))
        step()  # chooses its convolutions
        row = {"side": side, "epochs": sides.count(side)} | step.counted(rate, speed)
        row |= {"arithmetic": row["flops"] / rate, "traffic": row["bytes"] / speed}
        row |= {"usual": seconds(step.usual, device, repeat=3) / len(step)}
        row |= {"reached": seconds(step, device, repeat=3) / len(step)}
        if device.type == "cuda":
            row |= {name: value / step.steps for name, value in gpu_work(step).items()}
        yield row


def total(rows):
    """The seconds that one image takes in all epochs."""
    names = ("arithmetic", "floor", "usual", "reached")
    return {name: sum(row["epochs"] * row[name] for row in rows) for name in names}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="?", default="fast94")
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()

    device = devices.select_device(arguments.device)
    if device.type == "cpu":
        devices.keep_freed_memory()
    recipe = recipes.get(arguments.recipe)
    dataset = data.load(arguments.data)
    rate, speed = matrix_rate(device), bandwidth(device)
    print(devices.describe(device))
    print(f"matrix rate {rate / 1e9:,.0f} GFLOP/s, memory {speed / 1e9:.1f} GB/s")
    print(f"\n{recipe.name}, batch {recipe.batch_size}: milliseconds an image")
    print("images  epochs  MFLOP  kB moved  arithmetic  traffic  floor  usual  reached  floor / reached")
    rows = []
    for row in measure(recipe, dataset, arguments.steps, device, rate, speed):
        rows.append(row)
        shown = [1e3 * row[name] for name in ("arithmetic", "traffic", "floor", "usual", "reached")]
        print(
            f"{row['side']:3}×{row['side']:<3} {row['epochs']:6} {row['flops'] / 1e6:6.0f} "
            f"{row['bytes'] / 1e3:9,.0f} {shown[0]:11.3f} {shown[1]:8.3f} {shown[2]:6.3f} {shown[3]:6.3f} "
            f"{shown[4]:8.3f} {row['floor'] / row['reached']:16.0%}"
        )
    count, whole = len(dataset.train), total(rows)
    print(
        f"\nthe whole recipe on {count:,} images: floor {count * whole['floor']:,.0f} s, at this pace "
        f"{count * whole['reached']:,.0f} s: the floor is {whole['floor'] / whole['reached']:.0%} of it, "
        f"arithmetic alone {whole['arithmetic'] / whole['reached']:.0%}; "
        f"{whole['usual'] / whole['reached']:.2f} times as fast as with usual convolutions"
    )


if __name__ == "__main__":
    main()
