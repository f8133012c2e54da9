"""Sphinx extension: every recorded run, as a table of the page and as JSON for its live part."""

import inspect
import math
from itertools import groupby
from pathlib import Path

import numpy as np
from course import Table, every_run
from live import write_json

from cifar_lib import evaluate, models, runs
from cifar_lib.recipes import Recipe
from cifar_lib.runs.listing import seeds_as_text

HISTORY = {"val_accuracy": 4, "val_loss": 3, "train_loss": 3}  # decimals that a curve needs
RESULTS = ("test_accuracy", "test_accuracy_views", "val_accuracy", "val_accuracy_views")


def place(run):
    """Where a run was trained: the device in words, and PyTorch's version."""
    return run.environment["device"], run.environment["torch"]


def groups():
    """Every recorded run, as lists of those that differ in their seed alone."""
    found = []
    for _, same in groupby(every_run(), key=lambda run: run.recipe.name):
        alike = {}
        for run in same:
            alike.setdefault((place(run), run.data["n_test"]), []).append(run)
        found += alike.values()
    return found


def letters(found):
    """A letter for each place, in the order in which they occur."""
    places = dict.fromkeys(place(run) for group in found for run in group)
    return {where: chr(ord("A") + i) for i, where in enumerate(places)}


class RecordedRuns(Table):
    """A row for each recipe, device and set of test images, made from the files in `cifar_lib/recorded`."""

    def lines(self):
        found = groups()
        named = letters(found)
        lines = [
            "| recipe | test | of images | validation | seeds | data | epochs | weights | sec. | on |",
            "|---|---|---:|---|---|---|---:|---:|---:|---|",
        ]
        for group in found:
            first = group[0]
            # Half a second is rounded up, as the page's own table rounds it.
            seconds = math.floor(evaluate.mean_and_spread(run.seconds for run in group)[0] + 0.5)
            validation = "none held out"
            if first.recipe.holdout:
                validation = evaluate.format_percent(runs.results(group, "val_accuracy"))
            lines.append(
                f"| `{first.recipe.name}` "
                f"| {evaluate.format_percent(runs.results(group))} | {first.data['n_test']:,} | {validation} "
                f"| {seeds_of(group)} | {first.recipe.data} | {first.recipe.epochs} "
                f"| {first.model['parameters']:,} | {seconds:,} | {named[place(first)]} |"
            )
        every = [run for group in found for run in group]
        gpu = sum(not device.startswith("CPU") for device, _ in map(place, every))
        listed = "; ".join(
            f"{letter}: {device}, PyTorch {torch}" for (device, torch), letter in named.items()
        )
        counted = f"{gpu:,} of {len(every):,} recorded runs" if gpu else "No recorded run"
        return [*lines, "", f"Devices: {listed}. {counted} used a GPU."]


def seeds_of(group):
    """The seeds of runs in few words, as `--seeds` takes them."""
    return seeds_as_text(sorted(run.seed for run in group))


def width(recipe):
    """The channels or units that a recipe gives its network, or an empty list where the network has none."""
    defaults = inspect.signature(models.MODELS[recipe.model]).parameters
    for name in ("width", "widths", "hidden"):
        if name in defaults:
            value = recipe.options.get(name, defaults[name].default)
            return list(value) if isinstance(value, list | tuple) else [value]
    return []


def as_json(found, repository):
    """What the live part needs: the groups with their curves, and where each pair of them agrees.

    Args:
        repository: the address under which a record's file can be read.
    """
    names = identities(found)
    return {
        "repository": repository,
        "defaults": {name: field.default for name, field in Recipe.model_fields.items() if name != "name"},
        "groups": [describe(name, group) for name, group in zip(names, found, strict=True)],
        "agreement": agreement(found, names),
    }


def identities(found):
    """A name for each group: its recipe, and its device's letter where that is not enough."""
    named, names = letters(found), []
    for first, *_ in found:
        name = first.recipe.name
        names.append(f"{name}@{named[place(first)]}" if name in names else name)
    return names


def describe(name, group):
    first = group[0]
    return {
        "id": name,
        "recipe": first.recipe.name,
        "data": first.recipe.data,
        "network": first.recipe.model,
        "width": width(first.recipe),
        "weights": first.model["parameters"],
        "epochs": first.recipe.epochs,
        "test_images": first.data["n_test"],
        "place": f"{place(first)[0]}, PyTorch {place(first)[1]}",
        "seeds": seeds_of(group),
        "fields": first.recipe.model_dump(exclude={"name"}, exclude_defaults=True),
        "runs": [
            {
                "seed": run.seed,
                "seconds": run.seconds,
                "results": {name: run.result[name] for name in RESULTS if name in run.result},
                "history": {
                    name: [round(entry[name], decimals) for entry in run.history]
                    for name, decimals in HISTORY.items()
                    if run.history[0].get(name) is not None
                },
            }
            for run in group
        ],
    }


def agreement(found, names):
    """How two groups agree on the same test images, {"A B": [both right, only A, only B, both wrong]}.

    Numbers of images, the mean over every choice of a seed of A and another training of B. For a group with
    itself, "A A", that is how far two of its own seeds agree.
    """
    right = {}
    for name, group in zip(names, found, strict=True):
        if all(runs.predictions_file(run.recipe.name, run.seed).exists() for run in group):
            labels = runs.labels_file(group[0].recipe.data)
            right[name] = labels, runs.right_answers(group).numpy()
    counted = {}
    for a, (labels_a, right_a) in right.items():
        for b, (labels_b, right_b) in right.items():
            same = a == b
            alike = labels_a == labels_b and right_a.shape[1] == right_b.shape[1]
            if alike and a <= b and not (same and len(right_a) < 2):
                counted[f"{a} {b}"] = pairs(right_a, right_b, same)
    return counted


def pairs(first, second, same):
    """The means of `agreement`, from bool [seeds, images] of each side; `same`: no run with itself."""
    one, other = first.astype(float), second.astype(float)
    tables = np.stack([a @ b.T for a in (one, 1 - one) for b in (other, 1 - other)])  # [4, seeds, seeds]
    kept = ~np.eye(len(one), dtype=bool) if same else np.ones(tables.shape[1:], bool)
    both, only_first, only_second, neither = tables[:, kept].mean(1)
    return [round(float(value), 1) for value in (both, only_first, only_second, neither)]


def write(app):
    if app.builder.format == "html":
        options = app.config.html_theme_options
        repository = f"{options['repository_url']}/blob/{options['repository_branch']}/cifar_lib/recorded/"
        write_json(Path(app.outdir, "_static", "live", "data", "runs.json"), as_json(groups(), repository))


def setup(app):
    app.add_directive("recorded-runs", RecordedRuns)
    app.connect("builder-inited", write)  # before autodoc puts texts in place of the networks' defaults
    return {"parallel_read_safe": True, "parallel_write_safe": True}
