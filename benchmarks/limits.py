"""How far CIFAR-10's own test images limit what an accuracy says, from recorded predictions.

Compares the networks with people (CIFAR-10H, Peterson et al. 2019), with labels that reviewers rejected
(Northcutt et al. 2021) and with near-duplicates among the training images (ciFAIR, Barz and Denzler 2020).
Their files are not part of the course. Put them beside the images, in $CIFAR_DATA/cifar10h,
label-errors and cifair; then

python benchmarks/limits.py > benchmarks/limits.txt
"""

import csv
import json
from itertools import pairwise

import torch
from numpy.lib.format import open_memmap

from cifar_lib import data, runs
from cifar_lib.data import layouts

RECIPES = ("mlp", "paper", "paper-constant-rate", "study")
PRETRAINED = "fast-lean"
WHOLE = "fast94-all"  # chapter 9 reports it beside a recipe that was tested on the first images alone
AGREED = (0.0, 0.7, 0.9, 0.97, 1.0)  # shares of people who give the true class: limits of the groups
MISTAKEN = (0, 1, 2, 4, 8, 16, 100)  # people who err about an image: limits of groups of like difficulty


def main():
    labels, _ = runs.load_labels(runs.labels_file("cifar10"))
    truth = labels["test"]
    original = original_order(data.load("cifar10").test)
    answers = {
        name: torch.stack([run.predictions("test").classes[:, 0].long() for run in runs.load_runs(name)])
        for name in RECIPES
    }
    answers[PRETRAINED] = runs.load_pretrained_predictions(PRETRAINED)["test"].classes[None, :, 0].long()
    right = {name: (several == truth).double().mean(0) for name, several in answers.items()}
    for name, several in answers.items():
        print(f"{name}: {len(several)} seeds, {right[name].mean():.2%} of {len(truth):,} test images")

    folder = data.data_folder()
    judged = open_memmap(folder / "cifar10h" / "cifar10h-counts.npy", mode="c")  # it opens no pickles
    counts = torch.from_numpy(judged)[original].double()
    people(counts, truth, answers, right)
    with open(folder / "label-errors" / "cifar10_mturk.json") as file:
        reviewed = json.load(file)
    label_errors(reviewed, original, right)
    with open(folder / "cifair" / "duplicates_cifar10.csv") as file:
        near_duplicates(list(csv.DictReader(file)), original, right)
    whole = torch.stack([run.predictions("test").right(truth) for run in runs.load_runs(WHOLE)])
    first_images(original, right | {WHOLE: whole.double().mean(0)})
    hardest(counts, truth, answers, reviewed, original)


def first_images(original, right, count=1_017):
    """How much easier the images are that older runs of the course were tested on."""
    first = original < count
    for name, shares in right.items():
        apart = shares[first].mean() - shares.mean()
        print(f"first {count:,} test images: {name} {100 * apart:+.1f} points against all")


def original_order(images):
    """The number in the published test set of each image, which the library keeps in another order."""
    published = layouts.find("cifar10", data.data_folder()).read()[1]
    numbers = {pixels.numpy().tobytes(): number for number, pixels in enumerate(published.pixels)}
    assert len(numbers) == len(images)
    return torch.tensor([numbers[pixels.numpy().tobytes()] for pixels in images.pixels])


def people(counts, truth, answers, right):
    """Whether the networks err where people disagree, and whether they err as people do."""
    everyone = torch.arange(len(truth))
    agreed = counts[everyone, truth] / counts.sum(1)
    print(f"\npeople: {counts.sum():,.0f} answers, {counts.sum(1).min():.0f} or more an image")
    print(f"  on average over the images {agreed.mean():.2%} of the answers are right, ", end="")
    print(f"and the most frequent for {(counts.argmax(1) == truth).double().mean():.2%} of the images")
    bounds = list(pairwise(AGREED))
    groups = {f"{low:.0%} to {high:.0%}": (agreed >= low) & (agreed < high) for low, high in bounds}
    groups["all"] = agreed == 1
    print("\naccuracy by the share of people who give the true class (images):")
    print(" " * 20 + "".join(f"{name + f' ({int(some.sum()):,})':>20}" for name, some in groups.items()))
    for name in answers:
        print(f"{name:20}" + "".join(f"{right[name][some].mean():>20.1%}" for some in groups.values()))

    print("\nof the errors, the share in which at least one person gave the same wrong answer;")
    print("  the share if the people had judged another image of the same class (mean of 200 shuffles);")
    print("  and the same with an image of that class on which about as many people err:")
    errors = (counts.sum(1) - counts[everyone, truth]).long()
    as_hard = truth * len(MISTAKEN) + torch.bucketize(errors, torch.tensor(MISTAKEN))
    for name, several in answers.items():
        wrong = [(answer != truth).nonzero()[:, 0] for answer in several]
        same = [
            (counts[some, answer[some]] > 0).double().mean()
            for some, answer in zip(wrong, several, strict=True)
        ]
        print(f"  {name:20}{torch.stack(same).mean():8.1%}", end="")
        for groups in (truth, as_hard):
            generator = torch.Generator().manual_seed(0)
            other = [
                (counts[within(groups, generator)[some], answer[some]] > 0).double().mean()
                for some, answer in zip(wrong, several, strict=True)
                for _ in range(200)
            ]
            print(f"{torch.stack(other).mean():8.1%}", end="")
        print()


def within(groups, generator):
    """A random image of the same group for each image."""
    swapped = torch.empty_like(groups)
    for label in groups.unique():
        members = (groups == label).nonzero()[:, 0]
        swapped[members] = members[torch.randperm(len(members), generator=generator)]
    return swapped


def label_errors(reviewed, original, right):
    """Accuracy without the images whose label reviewers did not confirm."""
    rejected = [entry["id"] for entry in reviewed if entry["mturk"]["given"] < 3]
    bad = torch.isin(original, torch.tensor(rejected))
    print(
        f"\nlabels: {len(reviewed)} suspected; for {int(bad.sum())} of them fewer than three of five", end=" "
    )
    print("reviewers confirmed the given label")
    with_and_without(bad, right)


def near_duplicates(rows, original, right):
    """Accuracy on test images that have a near-duplicate among the training images, and on the others."""
    kinds = {"0": "exact", "1": "near", "2": "similar"}
    found = {
        kind: {int(row["TestID"]) for row in rows if row["Judgment"] == code} for code, kind in kinds.items()
    }
    every = set().union(*found.values())
    twin = torch.isin(original, torch.tensor(sorted(every)))
    listed = ", ".join(f"{len(numbers)} {kind}" for kind, numbers in found.items())
    print(f"\ntest images with a duplicate in the training images: {len(every)} ({listed})")
    with_and_without(twin, right)


def with_and_without(some, right):
    """What some of the images do to each network's accuracy."""
    print("accuracy on all images, on those alone, and without them:")
    for name, share in right.items():
        print(f"  {name:20}{share.mean():8.2%}{share[some].mean():8.1%}{share[~some].mean():8.2%}")


def hardest(counts, truth, answers, reviewed, original):
    """The images that no recorded convolutional network gets right."""
    networks = torch.cat([several for name, several in answers.items() if name != "mlp"])
    never = ~(networks == truth).any(0)
    suspect = torch.isin(original, torch.tensor([entry["id"] for entry in reviewed]))
    people_wrong = counts.argmax(1) != truth
    alike = (networks == networks[0]).all(0) & never
    print(f"\nimages that none of {len(networks)} convolutional networks gets right: {int(never.sum())}")
    print(f"  all of them with one and the same wrong answer: {int(alike.sum())}")
    print(f"  the label is suspected for {int((never & suspect).sum())} ({int(suspect.sum())} of all images)")
    print(f"  most people say another class for {int((never & people_wrong).sum())}", end=" ")
    print(f"({int(people_wrong.sum())} of all images)")


if __name__ == "__main__":
    main()
