"""How near a recipe's training comes to what this machine can do at most.

The FLOPs of a training step are counted (forward, backward, optimizer; a multiply-add is two). The
machine's matrix rate and memory bandwidth are measured in the precision of a training step. FLOPs by
rate is the floor of the time: what these products take at the speed of one large product. A convolution
may be a few per cent quicker than that (measured on an AMD EPYC), and Winograd's compute fewer, so ratios
above 100 % are possible; the FLOPs that are really computed are shown too. Everything else a step does,
batch norm, activations, pooling, moves memory: its bytes by the bandwidth are shown beside, as if nothing
stayed in a cache.

python benchmarks/roofline.py fast94 --steps 3
"""

import argparse
import statistics
import time
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from cifar_lib import data, fast, models, products, recipes, train
from cifar_lib import device as devices

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


class MemoryTraffic(TorchDispatchMode):
    """Adds up the bytes that go in and out of every operation that is not a product of matrices."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function._overloadpacket not in flop_registry and not function.is_view:
            tensors = [leaf for leaf in tree_leaves((args, result)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return result


class Step:
    """A recipe's training, cut down to a few batches of images of one size."""

    def __init__(self, recipe, images, steps):
        self.recipe = recipe
        self.images = images[: steps * recipe.batch_size]
        model = models.build(recipe, tuple(images.pixels.shape[1:]))
        if hasattr(model, "prepare"):
            model.prepare(data.normalize(images.pixels[: train.PREPARE_IMAGES].cpu()))
        self.model = model.to(device=images.pixels.device, memory_format=torch.channels_last)
        self.optimizer = train.make_optimizer(recipe, self.model)

    def __call__(self):
        train.train_epoch(self.recipe, self.model, self.optimizer, self.images, 0, 1)

    def usual(self):
        """The same with usual convolutions alone."""
        with patch.object(fast, "WINOGRAD_SIDE", 0), patch.object(products, "LARGEST_SIDE", 0):
            self()

    def counted(self, step):
        """(FLOPs, other bytes) for one image, of one way to take the step."""
        with FlopCounterMode(display=False) as counter, MemoryTraffic() as memory:
            step()
        return counter.get_total_flops() / len(self.images), memory.bytes / len(self.images)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", nargs="?", default="fast94")
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()

    device = devices.pick(arguments.device)
    if device.type == "cpu":
        devices.keep_memory()
    recipe = recipes.get(arguments.recipe)
    images = data.load(arguments.data).train.to(device)
    rate, speed = matrix_rate(device), bandwidth(device)
    print(devices.describe(device))
    print(f"matrix rate {rate / 1e9:,.0f} GFLOP/s, memory {speed / 1e9:.1f} GB/s")
    print(f"\n{recipe.name}, batch {recipe.batch_size}: milliseconds an image")
    print("images  epochs  MFLOP  computed  floor  other memory  usual  reached  floor / reached")
    floor_sum = usual_sum = reached_sum = 0.0
    sides = [recipe.side_at(epoch) or images.pixels.shape[-1] for epoch in range(recipe.epochs)]
    for side in sorted(set(sides)):
        step = Step(recipe.but(sides=[[0, side]]), images, arguments.steps)
        flops, moved = step.counted(step.usual)
        computed, _ = step.counted(step)
        usual, reached = (seconds(way, device, repeat=3) / len(step.images) for way in (step.usual, step))
        floor, epochs = flops / rate, sides.count(side)
        floor_sum, reached_sum = floor_sum + epochs * floor, reached_sum + epochs * reached
        usual_sum += epochs * usual
        print(
            f"{side:3}×{side:<3} {epochs:6} {flops / 1e6:6.0f} {computed / 1e6:9.0f} {1e3 * floor:6.3f} "
            f"{1e3 * moved / speed:13.3f} {1e3 * usual:6.3f} {1e3 * reached:8.3f} {floor / reached:16.0%}"
        )
    total, floor, usual = (len(images) * each for each in (reached_sum, floor_sum, usual_sum))
    print(
        f"\nthe whole recipe on {len(images):,} images: floor {floor:,.0f} s, at this pace {total:,.0f} s, "
        f"{floor / total:.0%} of the measured matrix rate; {usual / total:.2f} times as fast as with "
        f"usual convolutions"
    )


if __name__ == "__main__":
    main()
