"""Sphinx extension: what the page *Luck* takes from the records, for its live part and without JavaScript."""

from functools import cache
from itertools import combinations
from math import sqrt
from pathlib import Path

import luck_figure
import numpy as np
from all_runs import pairs
from course import Table
from live import write_json
from luck_figure import points
from scipy import stats

from cifar_lib import evaluate, runs

PLAIN, SHUFFLED, SMALLER, GREY = "mlp", "mlp-shuffled", "mlp-28x28", "mlp-grey"
FIRST_IMAGES, ALL_IMAGES = 1_017, 10_000
EXPERIMENTS = 20_000  # of a cell of the table


@cache
def right(name):
    """Whether each recorded run of a recipe is right about each of all test images: bool [seeds, images]."""
    return runs.right_answers(runs.load_runs(name)).numpy()


def accuracies(name):
    return right(name).mean(1)


def disagreement():
    """The share of test images on which one of two seeds of the MLP is right and the other is wrong."""
    _, only_first, only_second, _ = pairs(right(PLAIN), right(PLAIN), same=True)
    return (only_first + only_second) / ALL_IMAGES


def own_images():
    """How much two methods differ from image to image: the MLP with colours and with grey images.

    The variance, over images, of the difference between the shares of seeds that are right. Only products of
    different seeds count, because a seed's own luck would add to the variance; both sides' runs of one seed,
    which share their order of batches, count as one.
    """
    several = right(GREY)
    apart = right(PLAIN)[: len(several)].astype(float) - several
    products = (apart.sum(0) ** 2 - (apart**2).sum(0)) / (len(apart) * (len(apart) - 1))
    return float(products.mean() - apart.mean() ** 2)


def seed_spread():
    """The standard deviation between seeds of the MLP on endlessly many test images, 0 to 1.

    The measured one also holds the luck of the images, which is taken away.
    """
    return sqrt(evaluate.mean_and_spread(accuracies(PLAIN))[1] ** 2 - disagreement() / (2 * ALL_IMAGES))


def step(points):
    """Points as a slider can show them."""
    return round(round(points / 0.05) * 0.05, 2)


def as_json():
    """The settings of the live part."""
    return {"disagreement": disagreement(), "own": own_images(), "presets": presets()}


def presets():
    """The experiments that a reader can choose; differences and spreads in points."""
    spread = step(100 * seed_spread())
    smaller = step(100 * (accuracies(SMALLER).mean() - accuracies(PLAIN).mean()))
    equal = "Two methods are equally good. Each is trained with"
    rows = [
        (
            "Three seeds of equal methods",
            f"{equal} three seeds and tested on 1,017 images, as in the first runs of this course.",
            (0, 3, FIRST_IMAGES, False),
        ),
        (
            "A small difference, three seeds",
            f"One method is {smaller:g} points better, as much as the MLP gained when its images shrank to "
            "28×28. Each is trained with three seeds and tested on 1,017 images.",
            (smaller, 3, FIRST_IMAGES, False),
        ),
        (
            "The same, ten seeds",
            f"Again one method is {smaller:g} points better. Each is trained with ten seeds and tested on "
            "all 10,000 images.",
            (smaller, 10, ALL_IMAGES, False),
        ),
        (
            "The shuffle’s thirty seeds",
            f"{equal} thirty seeds and tested on 10,000 images: the experiment at the end of this page.",
            (0, 30, ALL_IMAGES, False),
        ),
        (
            "Thirty seeds, few images",
            "Two methods are equally good, but each of them is good at other images, as the MLP is with "
            "colours and with grey. Each is trained with thirty seeds and tested on 1,017 images.",
            (0, 30, FIRST_IMAGES, True),
        ),
    ]
    names = ("difference", "seeds", "images", "own")
    return [
        {"name": name, "about": about, "spread": spread} | dict(zip(names, values, strict=True))
        for name, about, values in rows
    ]


def called_different(difference, spread, seeds, images, own=False, experiments=EXPERIMENTS):
    """How often Welch's interval leaves out zero, as a share of simulated experiments.

    Args:
        difference, spread: in points.
        own: each method is good at images of its own, which all its seeds share.
    """
    random = np.random.default_rng(0)
    run = sqrt((spread / 100) ** 2 + disagreement() / (2 * images))
    shared = sqrt(own_images() / images) if own else 0
    first = random.normal(0, run, (experiments, seeds)) + difference / 100
    first += random.normal(0, 1, (experiments, 1)) * shared
    second = random.normal(0, run, (experiments, seeds))
    found = stats.ttest_ind(first, second, axis=1, equal_var=False).confidence_interval(0.95)
    return float(((found.low > 0) | (found.high < 0)).mean())


class PowerTable(Table):
    """How often an experiment calls two methods different, by true difference, seeds and test images."""

    def lines(self):
        spread = step(100 * seed_spread())
        columns = [(3, FIRST_IMAGES), (3, ALL_IMAGES), (10, ALL_IMAGES), (30, ALL_IMAGES)]
        heads = " | ".join(f"{seeds} seeds, {images:,} images" for seeds, images in columns)
        lines = [f"| true difference | {heads} |", "|---|" + "---:|" * len(columns)]
        for difference in (0, 0.5, 1, 2):
            shares = [called_different(difference, spread, seeds, images) for seeds, images in columns]
            cells = " | ".join(f"{100 * share:.0f}" for share in shares)
            lines.append(f"| {difference:g} point{'s' * (difference != 1)} | {cells} |")
        return [
            *lines,
            "",
            "A number says how many of 100 experiments call two methods different, from "
            f"{EXPERIMENTS:,} simulated ones. The seeds of a method are spread by {spread:g} points, "
            "like those of the MLP.",
        ]


def three_seeds():
    """What the differences of three seeds a side say, for every choice of three seed numbers.

    Returns:
        (differences float, called different bool, apart bool), [choices] each; apart: every seed of one
        side is better than every seed of the other.
    """
    first, second = accuracies(PLAIN), accuracies(SHUFFLED)
    chosen = np.array(list(combinations(range(len(first)), 3)))
    one, other = first[chosen], second[chosen]
    found = stats.ttest_ind(one, other, axis=1, equal_var=False).confidence_interval(0.95)
    apart = (one.min(1) > other.max(1)) | (one.max(1) < other.min(1))
    return one.mean(1) - other.mean(1), (found.low > 0) | (found.high < 0), apart


def early_difference():
    """What the first five seeds a side say about the shuffle on validation images: Welch's interval."""
    shuffled, plain = (runs.results(runs.load_runs(name)[:5], "val_accuracy") for name in (SHUFFLED, PLAIN))
    return evaluate.welch_interval(shuffled, plain)


class ShuffleVerdict(Table):
    """The thirty seeds a side of the MLP with and without shuffled pixels, in words and as a figure."""

    def lines(self):
        first, second = accuracies(PLAIN), accuracies(SHUFFLED)
        difference, low, high = evaluate.welch_interval(second, first)
        early = early_difference()
        paired = stats.ttest_rel(second, first).confidence_interval(0.95)
        apart, called, separate = three_seeds()
        together = np.corrcoef(first, second)[0, 1]
        return [
            f"Trained with {len(first)} seeds each and tested on all 10,000 images, the MLP names "
            f"{100 * first.mean():.1f} % right, and with shuffled pixels {100 * second.mean():.1f} %: "
            f"{points(difference)} points more, with a 95 % interval from {points(low)} to {points(high)}. "
            "Zero, which is the truth, lies inside.",
            "",
            f"Few seeds can say otherwise. The first five, on the validation images, find {points(early[0])} "
            f"points, with an interval from {points(early[1])} to {points(early[2])} that leaves out zero.",
            "",
            luck_figure.draw(first, second, -apart, called),
            "",
            f"There are {len(apart):,} ways to choose three of the thirty seed numbers. Their differences "
            f"reach from {points(-apart.max())} to {points(-apart.min())} points. {called.sum()} of them "
            f"have an interval that leaves out zero, and in {separate.sum()} every seed of one side is "
            "better than every seed of the other, which looks like proof to the eye.",
            "",
            "One trap is left. Runs with the same seed take their images in the same order, and their "
            f"accuracies rise and fall together, with a correlation of {together:.2f}. An interval of the "
            f"thirty differences, seed by seed, is therefore narrower, from {points(paired.low, 2)} to "
            f"{points(paired.high, 2)} points. It leaves out zero, although the truth is zero. One interval "
            "in twenty misses the truth, and a choice between two kinds of interval that is made after "
            "seeing both misleads more often. That is why a comparison names its interval before the runs "
            "are made.",
        ]


def write(app):
    if app.builder.format == "html":
        write_json(Path(app.outdir, "_static", "live", "data", "luck.json"), as_json())


def setup(app):
    app.add_directive("luck-power", PowerTable)
    app.add_directive("luck-shuffle", ShuffleVerdict)
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
