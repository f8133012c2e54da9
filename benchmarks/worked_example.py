"""Three claims of an invented report about the generated shapes, tested: see book/worked-example.md.

Every side chooses its rate on validation images, with a seed that is not used again. Then each side is
trained from several seeds and tested on images that no choice was made on. A minute or two on two cores:

python benchmarks/worked_example.py > benchmarks/worked_example.txt
"""

import argparse
from dataclasses import replace

import torch

from cifar_lib import data, evaluate, recipes
from cifar_lib.data import generated
from cifar_lib.training import train

RATES = (0.001, 0.003, 0.01, 0.03)
CHOOSING = 100  # the seed of the runs that choose a rate
BASE = recipes.Recipe("shapes", data="toy", epochs=4, batch_size=50, schedule="one-cycle")
LENET = BASE.replace(model="lenet-5")
MLP = BASE.replace(model="mlp", options={"hidden": [64]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2_000, help="to train on, and as many to test on")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    shapes = generated.toy(arguments.images, arguments.images)
    grey, moved = variant(shapes, "grey"), variant(shapes, "moved")
    sides = {
        "LeNet-5": (LENET, shapes),
        "LeNet-5, grey": (LENET, grey),
        "LeNet-5, moved": (LENET, moved),
        "MLP": (MLP, shapes),
        "MLP, moved": (MLP, moved),
    }
    print(f"{arguments.images:,} training images of which a tenth validates, as many test images, ", end="")
    print(f"{BASE.epochs} epochs, {arguments.seeds} seeds per side\n\nvalidation accuracy by rate:")
    right = {
        name: answers(with_its_rate(name, recipe, images), images, arguments.seeds)
        for name, (recipe, images) in sides.items()
    }
    print("\ntest accuracy, mean over seeds with its interval over seeds and images, and of each seed:")
    for name, table in right.items():
        shown = ", ".join(f"{share:.1%}" for share in table.double().mean(1))
        print(f"  {name:15} {in_percent(evaluate.accuracy_interval(table))}; {shown}")
    report(right)


def variant(dataset, name):
    """The same images, all changed in one way."""
    change = data.VARIANTS[name]
    return replace(dataset, train=change(dataset.train), test=change(dataset.test))


def with_its_rate(name, recipe, dataset):
    """The recipe at the rate that is best on the validation images."""
    tried = {}
    for rate in RATES:
        trained = train(recipe.replace(rate=rate), dataset, CHOOSING)
        tried[rate] = trained.history[-1]["val_accuracy"]
    best = max(tried, key=tried.get)
    shown = ", ".join(f"{rate:g}: {share:.1%}" for rate, share in tried.items())
    print(f"  {name:15} {shown}; chosen {best:g}", flush=True)
    return recipe.replace(rate=best)


def answers(recipe, dataset, seeds):
    """Whether the network of each seed is right about each test image: bool [seeds, images]."""
    rows = []
    for seed in range(seeds):
        logits = evaluate.predict(train(recipe, dataset, seed).model, dataset.test.pixels)
        rows.append(logits.argmax(1) == dataset.test.labels)
    return torch.stack(rows)


def report(right):
    """The three comparisons, with their p-values corrected for their number."""
    lead, lead_moved = (
        evaluate.difference_interval(right[f"LeNet-5{suffix}"], right[f"MLP{suffix}"])
        for suffix in ("", ", moved")
    )
    colour = evaluate.difference_interval(right["LeNet-5"], right["LeNet-5, grey"])
    # The two leads were measured on other images, so this interval knows of the seeds alone.
    leads = [
        (right[f"LeNet-5{suffix}"].double().mean(1) - right[f"MLP{suffix}"].double().mean(1)).tolist()
        for suffix in (", moved", "")
    ]
    growth = evaluate.welch(*leads)
    found = {
        "LeNet-5 less MLP": lead,
        "LeNet-5 less MLP, moved": lead_moved,
        "the growth of that lead": growth,
        "LeNet-5 in colour less grey": colour,
    }
    corrected = evaluate.holm([estimate.p for estimate in found.values()])
    print("\ndifferences in points, with intervals and p corrected by Holm's method:")
    for (name, estimate), p in zip(found.items(), corrected, strict=True):
        low, high = 100 * estimate.low, 100 * estimate.high
        print(f"  {name:28} {100 * estimate.value:5.1f} ({low:.1f} to {high:.1f}), p = {p:.2g}")


def in_percent(estimate):
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


if __name__ == "__main__":
    main()
