"""Every figure of the book, in one style. Importing this module sets matplotlib's style.

Each function draws into a new figure and returns its axes; `title` says the finding.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ..evaluate import mean_and_spread

plt.style.use(Path(__file__).with_name("course.mplstyle"))

# Okabe and Ito's palette, readable with every kind of colour vision.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
INK, PAPER, FAINT = "#222222", "#FCFCFA", "#D9D9D4"
RIGHT, WRONG = COLORS[2], COLORS[1]
WIDTH = 7.2  # inches: the text column at 100 dots an inch


def pictures(pixels, title, *, columns=10, labels=None, size=None):
    """Images in rows.

    Args:
        pixels: uint8 [N, C, H, W] or float 0 to 1 of the same shape.
        labels: a text under each image.
        size: inches an image; by default the text's width is filled.
    """
    rows = -(-len(pixels) // columns)
    side = size or WIDTH / columns
    height = rows * (side + (0.25 if labels is not None else 0)) + 0.4
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, height), squeeze=False)
    if labels is not None:
        figure.get_layout_engine().set(hspace=0.3 / side, rect=(0, 0.22 / height, 1, 1 - 0.22 / height))
        figure.text(0, 0, " ")  # keeps the lowest labels when the figure is cropped to its content
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, pixels, strict=False)):
        show(axis, image)
        if labels is not None:
            text = axis.text(
                0.5, -0.05, labels[i], transform=axis.transAxes, ha="center", va="top", fontsize=9
            )
            text.set_in_layout(False)  # a long label must not push the images apart
    head(figure, title)
    return axes


def show(axis, image):
    """One image, [C, H, W] of uint8 or of 0 to 1, without ticks."""
    image = image.permute(1, 2, 0).squeeze().numpy()
    axis.imshow(image, vmin=0, vmax=255 if image.dtype == np.uint8 else 1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)


def verdicts(pixels, predicted, right, title):
    """The paper's figure: each image with its predicted class top left and True or False top right."""
    figure, axes = plt.subplots(1, len(pixels), figsize=(WIDTH * 1.2, 1.7))
    for axis, image, name, correct in zip(axes, pixels, predicted, right, strict=True):
        show(axis, image)
        style = {"transform": axis.transAxes, "fontsize": 8, "va": "bottom"}
        axis.text(0, 1.03, name, ha="left", **style)
        color = RIGHT if correct else WRONG
        axis.text(1, 1.03, str(bool(correct)), ha="right", color=color, weight="bold", **style)
    head(figure, title)
    return axes


def curves(groups, column, title, *, ylabel, axis=None, log=False):
    """One quantity of the history over the epochs: the mean of each group of runs, its range shaded.

    Args:
        groups: label -> list of runs of equal length.
        column: a key of the history's entries.
    """
    axis = axis or plt.subplots()[1]
    for label, several in groups.items():
        values = np.array([run.column(column) for run in several])
        epochs = np.arange(1, values.shape[1] + 1)
        (line,) = axis.plot(epochs, values.mean(0), label=label)
        if len(several) > 1:
            axis.fill_between(epochs, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, lw=0)
    if log:
        axis.set_yscale("log")
    axis.set(title=title, xlabel="epoch", ylabel=ylabel)
    axis.legend()
    return axis


def dots(groups, title, *, xlabel, percent=True):
    """One row a group: each value a dot, the mean a bar. The eye compares spread with distance.

    Args:
        groups: label -> list of numbers (shares from 0 to 1 when `percent`).
    """
    axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.45 * len(groups)))[1]
    scale = 100 if percent else 1
    for row, (_label, values) in enumerate(groups.items()):
        values = [scale * value for value in values]
        mean, _ = mean_and_spread(values)
        color = COLORS[row % len(COLORS)]
        axis.plot(values, [row] * len(values), "o", color=color, alpha=0.6, ms=7)
        axis.plot([mean, mean], [row - 0.28, row + 0.28], color=color, lw=3)
        text = f"{mean:.1f}" + (" %" if percent else "")
        axis.annotate(text, (max(values), row), xytext=(9, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(groups)), groups)
    axis.set_ylim(len(groups) - 0.4, -0.6)
    axis.margins(x=0.12)
    axis.set(title=title, xlabel=xlabel)
    axis.grid(axis="y", visible=False)
    return axis


def scatter(groups, title, *, xlabel, ylabel, key, percent=True, places=None):
    """Values against a cost, which has a logarithmic axis: a disc a group, its seeds on a line over it.

    Args:
        groups: label -> (cost, list of values, size); the disc's area grows with the size.
        key: (sizes, unit): the discs that the legend shows.
        places: label -> "above", "below" or "left" of its disc; the others stand at the right.
    """
    axis = plt.subplots(figsize=(WIDTH, 4.6))[1]
    scale = 100 if percent else 1
    largest = max(size for _, _, size in groups.values())

    def area(size):
        return 1_200 * size / largest

    for i, (label, (cost, values, size)) in enumerate(groups.items()):
        values = [scale * value for value in values]
        mean, _ = mean_and_spread(values)
        axis.scatter(cost, mean, s=area(size), color=COLORS[i % len(COLORS)], alpha=0.5, lw=0)
        axis.plot([cost] * len(values), values, "_-", color=INK, lw=1, ms=6)
        away = 5 + (area(size) / np.pi) ** 0.5
        at, across, up = {
            "right": ((away, 0), "left", "center"),
            "left": ((-away, 0), "right", "center"),
            "above": ((0, away), "center", "bottom"),
            "below": ((0, -away), "center", "top"),
        }[(places or {}).get(label, "right")]
        axis.annotate(label, (cost, mean), xytext=at, textcoords="offset points", ha=across, va=up)
    sizes, unit = key
    for size in sizes:
        axis.scatter([], [], s=area(size), color=INK, alpha=0.3, lw=0, label=f"{size:,} {unit}")
    axis.legend(loc="upper left", labelspacing=1.2, borderpad=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(x=0.12, y=0.1)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return axis


def bars(values, title, *, xlabel, names, axis=None):
    """Horizontal bars with their value beside them."""
    axis = axis or plt.subplots(figsize=(WIDTH, 0.9 + 0.3 * len(values)))[1]
    axis.barh(range(len(values)), values, color=COLORS[0])
    axis.set_yticks(range(len(values)), names)
    axis.invert_yaxis()
    axis.set(title=title, xlabel=xlabel)
    axis.grid(axis="y", visible=False)
    return axis


def lines(groups, title, *, xlabel, ylabel, x=None, log=False, markers=True, axis=None):
    """Several lines over one axis.

    Args:
        groups: label -> list of numbers, or of lists (one a seed: mean line, range shaded).
        x: positions; by default 0, 1, 2, ...
    """
    axis = axis or plt.subplots()[1]
    for label, values in groups.items():
        values = np.atleast_2d(np.asarray(values, dtype=float))
        places = np.arange(values.shape[1]) if x is None else x
        (line,) = axis.plot(places, values.mean(0), marker="o" if markers else None, ms=4, label=label)
        if len(values) > 1:
            axis.fill_between(places, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, lw=0)
    if log:
        axis.set_yscale("log")
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.legend()
    return axis


def confusion_matrix(counts, names, title):
    """A confusion matrix: true classes in rows, predicted ones in columns, counts in the cells."""
    axis = plt.subplots(figsize=(WIDTH, 5.8))[1]
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            shade = "white" if shares[row, column] > 0.5 else INK
            axis.text(column, row, count, ha="center", va="center", color=shade, fontsize=9)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(title=title, xlabel="predicted class", ylabel="true class")
    axis.grid(False)
    return axis


def share_table(groups, rows, columns, title, *, xlabel, ylabel, frame=None):
    """Shares in a table: mean ± spread of each cell in per cent, the better the darker.

    Args:
        groups: [rows][columns] lists of numbers from 0 to 1, one a seed.
        frame: (row, column) of the cell that gets a frame.
    """
    axis = plt.subplots(figsize=(WIDTH, 1.1 + 0.6 * len(rows)))[1]
    means = np.array([[100 * mean_and_spread(values)[0] for values in row] for row in groups])
    low, high = means.min(), means.max()
    axis.imshow(means, cmap="Blues", aspect="auto", vmin=low - 0.2 * (high - low), vmax=high)
    for (row, column), mean in np.ndenumerate(means):
        spread = 100 * mean_and_spread(groups[row][column])[1]
        text = f"{mean:.1f}" + (f" ± {spread:.1f}" if len(groups[row][column]) > 1 else "")
        shade = "white" if mean > (low + high) / 2 else INK
        axis.text(column, row, text, ha="center", va="center", color=shade)
    if frame:
        corner = frame[1] - 0.46, frame[0] - 0.44
        axis.add_patch(plt.Rectangle(corner, 0.92, 0.88, fill=False, ec=WRONG, lw=2.5))
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.grid(False)
    return axis


def reliability(confidence, accuracy, count, title, *, label="this network"):
    """How often predictions of each confidence are right, beside how often they should be."""
    _, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(WIDTH, 4.4), gridspec_kw={"height_ratios": [3, 1]}
    )
    top.plot([0, 1], [0, 1], color=FAINT, lw=2, label="perfectly calibrated")
    top.plot(confidence, accuracy, "o-", label=label)
    top.set(title=title, ylabel="share that is right")
    top.legend()
    places = (np.arange(len(count)) + 0.5) / len(count)
    bottom.bar(places, count, width=0.8 / len(count), color=COLORS[0])
    bottom.set(xlabel="confidence of the prediction", ylabel="images")
    return top, bottom


def descents(function, paths, title, *, reach=2.5):
    """Gradient descent on a function of one number: a panel for each path, its points joined.

    Args:
        function: array of positions -> array of heights.
        paths: label -> list of positions, in the order of the steps.
        reach: the panels show -reach to reach; later points may lie outside.
    """
    figure, axes = plt.subplots(1, len(paths), figsize=(WIDTH, 2.8), sharey=True)
    ground = np.linspace(-reach, reach, 200)
    for axis, color, (label, path) in zip(axes, COLORS, paths.items(), strict=False):
        path = np.asarray(path, dtype=float)
        axis.plot(ground, function(ground), color=INK, lw=1)
        axis.plot(path, function(path), "o-", color=color, ms=4, lw=1)
        axis.set(title=label, xlabel="weight", xlim=(-reach, reach), ylim=(-0.1, function(ground).max()))
    axes[0].set_ylabel("loss")
    head(figure, title)
    return axes


def attributions(pixels, maps, title):
    """Images in the first row, below each row of maps: red where a value is above 0, blue where below.

    Args:
        pixels: uint8 [N, C, H, W].
        maps: label -> float [N, H, W]; each map has its own scale.
    """
    rows = len(maps) + 1
    side = (WIDTH - 1.2) / len(pixels)
    figure, axes = plt.subplots(rows, len(pixels), figsize=(WIDTH, rows * side + 0.4), squeeze=False)
    for axis, image in zip(axes[0], pixels, strict=True):
        show(axis, image)
    for row, values in zip(axes[1:], maps.values(), strict=True):
        for axis, value in zip(row, values, strict=True):
            limit = value.abs().max().clamp(min=1e-12)
            axis.imshow(value, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
    for axis, label in zip(axes[:, 0], ["image", *maps], strict=True):
        axis.set_ylabel(label, rotation=0, ha="right", va="center", labelpad=8, fontsize=9)
    head(figure, title)
    return axes


def head(figure, title):
    figure.suptitle(title, x=0.01, ha="left")
