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
import statistics
import time
from dataclasses import replace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from cifar_lib import data, recipes, training
from cifar_lib.models import kernels
from cifar_lib.system import device as devices

MATRIX = 4096
COPIED = 200_000_000  # numbers, far more than any cache holds


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
    one, other = (torch.randn(MATRIX, MATRIX, device=device, dtype=dtype) for _ in range(2))
    return 2 * MATRIX**3 / seconds(lambda: one @ other, device)


def bandwidth(device):
    """Bytes a second, read and written, while one large tensor is copied into another."""
    one = torch.zeros(COPIED // 4, device=device)
    other = torch.empty_like(one)
    return 2 * one.nbytes / seconds(lambda: other.copy_(one), device)


class Counted(TorchDispatchMode):
    """Adds up FLOPs, bytes, and the floor of the seconds, operation by operation."""

    def __init__(self, rate, speed):
        super().__init__()
        self.rate, self.speed = rate, speed
        self.flops = self.bytes = self.floor = 0.0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            count = flop_registry.get(function._overloadpacket)
            flops = count(*args, **(kwargs or {}), out_val=result) if count else 0
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, torch.Tensor)]
            moved = sum(tensor.nbytes for tensor in tensors)
            self.flops, self.bytes = self.flops + flops, self.bytes + moved
            self.floor += max(flops / self.rate, moved / self.speed)
        return result


class Step:
    """A recipe's training, cut down to a few batches of images of one size."""

    def __init__(self, recipe, dataset, steps, device):
        self.recipe = recipe.replace(holdout=False)
        few = replace(dataset, train=dataset.train[: steps * recipe.batch_size])
        self.setup = training.set_up(self.recipe, few, device=device)

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
        """FLOPs, bytes and the floor of the seconds for one image; FLOPs are those of usual convolutions."""
        with Counted(rate, speed) as count:
            self.usual()
        return (each / len(self) for each in (count.flops, count.bytes, count.floor))


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
    floors = usuals = reacheds = arithmetics = 0.0
    own_side = dataset.train.pixels.shape[-1]
    sides = [recipe.side_at(epoch) or own_side for epoch in range(recipe.epochs)]
    for side in sorted(set(sides)):
        step = Step(recipe.replace(sides=[[0, side]]), dataset, arguments.steps, arguments.device)
        step()  # chooses its convolutions
        flops, moved, floor = step.counted(rate, speed)
        usual, reached = (seconds(way, device, repeat=3) / len(step) for way in (step.usual, step))
        epochs = sides.count(side)
        floors, usuals = floors + epochs * floor, usuals + epochs * usual
        reacheds, arithmetics = reacheds + epochs * reached, arithmetics + epochs * flops / rate
        shown = [1e3 * each for each in (flops / rate, moved / speed, floor, usual, reached)]
        print(
            f"{side:3}×{side:<3} {epochs:6} {flops / 1e6:6.0f} {moved / 1e3:9,.0f} {shown[0]:11.3f} "
            f"{shown[1]:8.3f} {shown[2]:6.3f} {shown[3]:6.3f} {shown[4]:8.3f} {floor / reached:16.0%}"
        )
    count = len(dataset.train)
    total, floor = count * reacheds, count * floors
    print(
        f"\nthe whole recipe on {count:,} images: floor {floor:,.0f} s, at this pace {total:,.0f} s: "
        f"the floor is {floor / total:.0%} of it, arithmetic alone {arithmetics / reacheds:.0%}; "
        f"{usuals / reacheds:.2f} times as fast as with usual convolutions"
    )


if __name__ == "__main__":
    main()
