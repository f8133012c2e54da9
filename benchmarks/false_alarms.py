"""How often two equal recipes get a small p-value, in experiments that are drawn.

Holm's correction compares the smallest of a chapter's p-values with a level far below 5 per cent. Each
experiment draws two recipes of the same true accuracy, about 67 per cent, whose seeds are spread by so many
points, and computes `evaluate.difference_interval` of their 5,000 images. A row says how many times as often
as promised p lies below each level.

python benchmarks/false_alarms.py
"""

import argparse

import torch

from cifar_lib import evaluate

LEVELS = (0.05, 0.005, 0.003)
CASES = ((3, 1.0, 1.0), (3, 2.0, 2.0), (3, 2.0, 0.1), (5, 1.0, 1.0), (5, 2.0, 2.0), (5, 2.0, 0.1))
OWN = 0.08  # spread of an image's chance from one recipe to the other


def drawn(generator, chances, seeds, spread):
    """Which seeds of a recipe get which images right, bool [seeds, images]."""
    images = len(chances)
    of_recipe = torch.randn(images, generator=generator) * OWN
    of_seeds = torch.randn(seeds, 1, generator=generator) * spread / 100
    return torch.rand(seeds, images, generator=generator) < chances + of_recipe + of_seeds


def excess(seeds, spreads, experiments, images):
    """For each of LEVELS, how many times as often as promised p is below it."""
    generator = torch.Generator().manual_seed(0)
    alarms = dict.fromkeys(LEVELS, 0)
    for _ in range(experiments):
        chances = 0.4 + 0.55 * torch.rand(images, generator=generator)  # of each image to be got right
        one, other = (drawn(generator, chances, seeds, spread) for spread in spreads)
        p = evaluate.difference_interval(one, other).p
        alarms = {level: count + (p < level) for level, count in alarms.items()}
    return [count / experiments / level for level, count in alarms.items()]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=5_000)
    arguments = parser.parse_args()
    print(f"{arguments.experiments:,} experiments of {arguments.images:,} images a row")
    print("seeds  spread of the sides" + "".join(f"{f'p < {level}':>12}" for level in LEVELS))
    for seeds, *spreads in CASES:
        found = excess(seeds, spreads, arguments.experiments, arguments.images)
        sides = " and ".join(f"{spread:.1f}" for spread in spreads)
        print(f"{seeds:5}  {sides:19}" + "".join(f"{each:12.2f}" for each in found))


if __name__ == "__main__":
    main()
