"""Images, curves and tables of results, in the style that `course.mplstyle` sets.

`title` states the finding. Every function draws into a new figure, unless it is given an axis, and returns
the axes, to which a chapter may add.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..evaluate import mean_and_spread
from ..runs import Run

plt.style.use(Path(__file__).with_name("course.mplstyle"))
if "inline" in plt.get_backend():
    # In a notebook: two pixels per point, which a sharp screen needs, in the same size on the page.
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("retina")

# The palette of Okabe and Ito (2008), whose colours differ for every kind of colour vision.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
INK, FAINT = "#222222", "#D9D9D4"
QUIET = "#7A7A75"  # for what is shown but does not count; dark enough for text
RIGHT, WRONG = COLORS[2], COLORS[1]
WIDTH = 7.2  # inches: the text column at 100 dots per inch


def pictures(
    pixels: torch.Tensor,
    title: str,
    *,
    columns: int = 10,
    labels: Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    size: float | None = None,
) -> np.ndarray:
    """Draw images in rows.

    Args:
        pixels: uint8 [N, C, H, W] or float from 0 to 1 of the same shape; C is 1 or 3.
        columns: images per row.
        labels: a text for each image, written under it.
        rows: a name for each row, written at its left.
        size: inches per image; by default a row is as wide as the text.

    Returns:
        The axes [rows, columns].
    """
    n_rows = -(-len(pixels) // columns)
    room = 0.95 if rows is not None else 0  # inches, for a name as long as "automobile"
    side = size or (WIDTH - room) / columns
    height = n_rows * (side + (0.25 if labels is not None else 0)) + 0.4
    figure, axes = plt.subplots(n_rows, columns, figsize=(side * columns + room, height), squeeze=False)
    if labels is not None:
        figure.set_layout_engine(
            "constrained", hspace=0.3 / side, rect=(0, 0.22 / height, 1, 1 - 0.22 / height)
        )
        figure.text(0, 0, " ")  # keeps the lowest labels when the figure is cropped to its content
    for axis in axes.flat:
        axis.axis("off")
    for i, (axis, image) in enumerate(zip(axes.flat, pixels, strict=False)):
        _show(axis, image)
        if labels is not None:
            text = axis.text(
                0.5, -0.05, labels[i], transform=axis.transAxes, ha="center", va="top", fontsize=9
            )
            text.set_in_layout(False)  # a long label must not push the images apart
    for axis, name in zip(axes[:, 0], rows or (), strict=False):
        axis.text(-0.15, 0.5, name, transform=axis.transAxes, ha="right", va="center", fontsize=9)
    _head(figure, title)
    return axes


def verdicts(
    pixels: torch.Tensor, predicted: Sequence[str], right: Iterable[bool] | torch.Tensor, title: str
) -> np.ndarray:
    """Draw images in a row, each with its predicted class at the top left and True or False at the top right.

    This is the form in which the paper shows its results.

    Args:
        pixels: uint8 [N, C, H, W].
        predicted: the name of each predicted class.
        right: for each image, whether that class is the true one.

    Returns:
        The axes [N].
    """
    figure, axes = plt.subplots(1, len(pixels), figsize=(WIDTH * 1.2, 1.7), squeeze=False)
    for axis, image, name, correct in zip(axes[0], pixels, predicted, right, strict=True):
        _show(axis, image)
        style = {"transform": axis.transAxes, "fontsize": 9.5, "va": "bottom"}
        axis.text(0, 1.03, name, ha="left", **style)
        color = RIGHT if correct else WRONG
        axis.text(1, 1.03, str(bool(correct)), ha="right", color=color, weight="bold", **style)
    _head(figure, title)
    return axes[0]


def curves(
    groups: Mapping[str, Sequence[Run]],
    column: str,
    title: str,
    *,
    ylabel: str,
    axis: Axes | None = None,
) -> Axes:
    """Draw one quantity over the epochs: a line for the mean of each group of runs, its range shaded.

    Args:
        groups: label -> runs, which have the same number of epochs within a group.
        column: a key of the entries of a run's history.
    """
    axis = axis or plt.subplots()[1]
    for label, runs in groups.items():
        values = np.array([run.column(column) for run in runs])
        _mean_and_range(axis, np.arange(1, values.shape[1] + 1), values, label)
    axis.set(title=title, xlabel="epoch", ylabel=ylabel)
    axis.legend()
    return axis


def dots(groups: Mapping[str, Sequence[float]], title: str, *, xlabel: str) -> Axes:
    """Draw a row per group: a dot per value and a bar at their mean, which is written beside them.

    This lets the eye compare the distance between groups with the spread within them. All rows have one
    colour, because their names stand beside them.

    Args:
        groups: label -> shares from 0 to 1, one per seed; they are drawn in per cent.
    """
    axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.45 * len(groups)))[1]
    for row, shares in enumerate(groups.values()):
        values = [100 * share for share in shares]
        mean, _ = mean_and_spread(values)
        axis.plot(values, [row] * len(values), "o", color=COLORS[0], alpha=0.6, ms=7)
        # "-", because the style's cycle turns to dashes after seven lines.
        axis.plot([mean, mean], [row - 0.28, row + 0.28], "-", color=COLORS[0], lw=3)
        _write_beside(axis, f"{mean:.1f} %", (max(values), row))
    _label_rows(axis, groups, 0.12)
    axis.set(title=title, xlabel=xlabel)
    return axis


def differences(
    gaps: Mapping[str, tuple[float, float, float]],
    title: str,
    *,
    xlabel: str,
    certain: Iterable[str] | None = None,
    axis: Axes | None = None,
) -> Axes:
    """Draw a row per comparison: a difference with its interval, written beside it, and a line at 0.

    A full dot in colour stands for a difference that counts as found, an open grey one for the others. Rows
    keep the order of `gaps`, so a ladder can keep its own and other comparisons can be sorted.

    Args:
        gaps: label -> (difference, low, high), all in the unit of `xlabel`; limits may be nan.
        certain: the labels of the differences that count as found; by default those whose interval
            excludes 0. Pass it where many comparisons are corrected for their number.
    """
    axis = axis or plt.subplots(figsize=(WIDTH, 0.9 + 0.3 * len(gaps)))[1]
    if certain is None:
        certain = [label for label, (_, low, high) in gaps.items() if low > 0 or high < 0]
    found = set(certain)
    axis.axvline(0, color=INK, lw=1)
    for row, (label, (value, low, high)) in enumerate(gaps.items()):
        color, face = (COLORS[0], COLORS[0]) if label in found else (QUIET, "white")
        # "-", because the style's cycle turns to dashes after seven lines.
        axis.plot([low, high], [row, row], "-", color=color, lw=2, solid_capstyle="butt")
        axis.plot(value, row, "o", color=color, markerfacecolor=face, ms=7)
        # On the side away from the line at 0.
        limit, away, align = (low, -8, "right") if value < 0 else (high, 8, "left")
        place = value if np.isnan(limit) else limit
        _write_beside(axis, _signed(value), (place, row), away, ha=align, fontsize=9)
    _label_rows(axis, gaps, 0.15)  # room for the numbers on both sides
    axis.set(title=title, xlabel=xlabel)
    return axis


def ladder(groups: Mapping[str, Sequence[float]], title: str, *, xlabel: str, certain: Iterable[str]) -> Axes:
    """Draw a row per rung: a dot per value, a bar at their mean, and a line on from the rung above.

    Each row but the first ends with its gain over the row above it, in points.

    Args:
        groups: label -> shares from 0 to 1, one per seed, in the order of the rungs; drawn in per cent.
        certain: the labels of the rungs whose gain counts as found. They stand out in colour.
    """
    axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.42 * len(groups)))[1]
    found, before = set(certain), None
    for row, (label, shares) in enumerate(groups.items()):
        values = [100 * share for share in shares]
        mean, _ = mean_and_spread(values)
        color = COLORS[0] if label in found else QUIET
        axis.plot(values, [row] * len(values), "o", color=color, alpha=0.45, ms=6, mew=0)
        axis.plot([mean, mean], [row - 0.26, row + 0.26], "-", color=color, lw=3)
        text = f"{mean:.1f} %"
        if before is not None:
            axis.plot([before, before, mean], [row - 0.74, row, row], "-", color=color, lw=1.2)
            text = _signed(mean - before)
        weight = "bold" if label in found else "normal"
        _write_beside(axis, text, (max(values), row), color=color, weight=weight)
        before = mean
    _label_rows(axis, groups, 0.1)
    axis.set(title=title, xlabel=xlabel)
    return axis


def scatter(
    groups: Mapping[str, tuple[float, Sequence[float], float]],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    key: tuple[Iterable[int], str],
    kinds: Mapping[str, str] | None = None,
    places: Mapping[str, str] | None = None,
) -> Axes:
    """Draw results against a cost on a logarithmic axis: a disc at each group's mean, its values over it.

    Args:
        groups: label -> (cost, shares from 0 to 1, size). The shares are drawn in per cent; the area of the
            disc is proportional to the size.
        key: (sizes, unit): the discs that the legend explains.
        kinds: label -> kind: groups of a kind share a colour, which the legend explains.
        places: label -> "above", "below" or "left" of its disc; the other labels stand at its right.
    """
    axis = plt.subplots(figsize=(WIDTH, 4.6))[1]
    largest = max(size for _, _, size in groups.values())

    def area(size: float) -> float:
        """In points squared, as matplotlib measures it."""
        return 1_200 * size / largest

    kinds = kinds or dict.fromkeys(groups, "")
    colors = dict(zip(dict.fromkeys(kinds.values()), COLORS, strict=False))
    for label, (cost, shares, size) in groups.items():
        values = [100 * share for share in shares]
        mean, _ = mean_and_spread(values)
        axis.scatter(cost, mean, s=area(size), color=colors[kinds[label]], alpha=0.5, lw=0)
        axis.plot([cost] * len(values), values, "_-", color=INK, lw=1, ms=6)
        away = 5 + (area(size) / np.pi) ** 0.5  # the disc's radius and a gap, in points
        at, across, up = {
            "right": ((away, 0), "left", "center"),
            "left": ((-away, 0), "right", "center"),
            "above": ((0, away), "center", "bottom"),
            "below": ((0, -away), "center", "top"),
        }[(places or {}).get(label, "right")]
        axis.annotate(label, (cost, mean), xytext=at, textcoords="offset points", ha=across, va=up)
    for kind, color in colors.items():
        if kind:
            axis.scatter([], [], s=60, color=color, alpha=0.5, lw=0, label=kind)
    sizes, unit = key
    for size in sizes:
        axis.scatter([], [], s=area(size), color=INK, alpha=0.3, lw=0, label=f"{size:,} {unit}")
    axis.legend(loc="upper left", labelspacing=1.2, borderpad=1)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(x=0.12, y=0.1)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return axis


def bars(
    values: Sequence[float] | np.ndarray,
    title: str,
    *,
    xlabel: str,
    names: Sequence[str],
    axis: Axes | None = None,
) -> Axes:
    """Draw a horizontal bar per value, the first at the top, with its name at the left."""
    axis = axis or plt.subplots(figsize=(WIDTH, 0.9 + 0.3 * len(values)))[1]
    axis.barh(range(len(values)), values, color=COLORS[0])
    axis.set_yticks(range(len(values)), names)
    axis.invert_yaxis()
    axis.set(title=title, xlabel=xlabel)
    axis.grid(axis="y", visible=False)
    return axis


def lines(
    groups: Mapping[str, ArrayLike],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    x: Sequence[float] | Sequence[str] | np.ndarray | None = None,
    log: bool = False,
    markers: bool = True,
    axis: Axes | None = None,
) -> Axes:
    """Draw several lines over one axis.

    Args:
        groups: label -> numbers [N]; or, with a row per seed, [seeds, N]: then the line is their mean and
            their range is shaded.
        x: the N positions; by default 0, 1, 2, …
        log: whether the vertical axis is logarithmic.
        markers: whether each value has a dot.
    """
    axis = axis or plt.subplots()[1]
    for label, numbers in groups.items():
        values = np.atleast_2d(np.asarray(numbers, dtype=float))
        places = np.arange(values.shape[1]) if x is None else x
        _mean_and_range(axis, places, values, label, marker="o" if markers else None)
    if log:
        axis.set_yscale("log")
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.legend()
    return axis


def confusion_matrix(counts: np.ndarray, names: Sequence[str], title: str) -> Axes:
    """Draw a confusion matrix: true classes in rows, predicted ones in columns, counts in the cells.

    The darker a cell, the larger its share of its row. Zeros are left out.

    Args:
        counts: int [true class, predicted class], see `evaluate.confusion`.
    """
    axis = plt.subplots(figsize=(WIDTH, 5.8))[1]
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            shade = "white" if shares[row, column] > 0.5 else INK
            axis.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=9)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(title=title, xlabel="predicted class", ylabel="true class")
    axis.grid(False)
    return axis


def share_table(
    groups: Sequence[Sequence[Sequence[float]]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    xlabel: str,
    ylabel: str,
    frame: tuple[int, int] | None = None,
) -> Axes:
    """Draw a table of shares in per cent: mean ± standard deviation per cell, the darker the larger the mean.

    Args:
        groups: [rows][columns] lists of shares from 0 to 1, one per seed. A single seed has no ±.
        frame: (row, column) of a cell to be framed.
    """
    axis = plt.subplots(figsize=(WIDTH, 1.1 + 0.6 * len(rows)))[1]
    means = np.array([[100 * mean_and_spread(shares)[0] for shares in row] for row in groups])
    low, high = means.min(), means.max()
    image = axis.imshow(means, cmap="Blues", aspect="auto", vmin=low - 0.2 * (high - low), vmax=high)
    for (row, column), mean in np.ndenumerate(means):
        shares = groups[row][column]
        text = f"{mean:.1f}" + (f" ± {100 * mean_and_spread(shares)[1]:.1f}" if len(shares) > 1 else "")
        red, green, blue, _ = image.to_rgba(mean)
        luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
        shade = INK if luminance > 0.2 else "white"  # the one with the larger contrast
        axis.text(column, row, text, ha="center", va="center", color=shade)
    if frame:
        corner = frame[1] - 0.46, frame[0] - 0.44
        axis.add_patch(plt.Rectangle(corner, 0.92, 0.88, fill=False, ec=WRONG, lw=2.5))
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.grid(False)
    return axis


def reliability(
    confidence: torch.Tensor, accuracy: torch.Tensor, count: torch.Tensor, title: str, *, label: str
) -> tuple[Axes, Axes]:
    """Draw a reliability diagram: accuracy against confidence, and below it the number of images in each bin.

    Both are drawn in per cent. The first three arguments are what `evaluate.calibration` returns. Source:
    Guo et al. (2017), figure 1.

    Args:
        confidence: the mean confidence [bins], 0 to 1; nan where a bin is empty.
        accuracy: the share that is right [bins], 0 to 1; nan where a bin is empty.
        count: images [bins]; the bins have equal width.
        label: what the legend calls the network.

    Returns:
        The axes of the accuracies and of the counts.
    """
    _, (top, bottom) = plt.subplots(
        2, 1, sharex=True, figsize=(WIDTH, 4.4), gridspec_kw={"height_ratios": [3, 1]}
    )
    top.plot([0, 100], [0, 100], color=FAINT, lw=2, label="perfectly calibrated")
    top.plot(100 * confidence.numpy(), 100 * accuracy.numpy(), "o-", label=label)
    top.set(title=title, ylabel="accuracy (%)")
    top.legend()
    centers = 100 * (np.arange(len(count)) + 0.5) / len(count)
    bottom.bar(centers, count.numpy(), width=80 / len(count), color=COLORS[0])
    bottom.set(xlabel="confidence (%)", ylabel="images")
    return top, bottom


def descents(
    function: Callable[[np.ndarray], np.ndarray], paths: Mapping[str, Sequence[float]], title: str
) -> np.ndarray:
    """Draw gradient descent on a function of one weight: a panel per path, whose points are joined.

    The panels show the weights from -2.5 to 2.5; points of a path may lie outside.

    Args:
        function: weights [N] -> losses [N].
        paths: label -> weights, in the order of the steps.

    Returns:
        The axes, one per path.
    """
    reach = 2.5
    figure, axes = plt.subplots(1, len(paths), figsize=(WIDTH, 2.8), sharey=True, squeeze=False)
    ground = np.linspace(-reach, reach, 200)
    for i, (axis, (label, weights)) in enumerate(zip(axes[0], paths.items(), strict=True)):
        path = np.asarray(weights, dtype=float)
        axis.plot(ground, function(ground), color=INK, lw=1)
        axis.plot(path, function(path), "o-", color=COLORS[i % len(COLORS)], ms=4, lw=1)
        axis.set(title=label, xlabel="weight", xlim=(-reach, reach), ylim=(-0.1, function(ground).max()))
    axes[0, 0].set_ylabel("loss")
    _head(figure, title)
    return axes[0]


def attributions(
    pixels: torch.Tensor, maps: Mapping[str, torch.Tensor], title: str, *, label: str
) -> np.ndarray:
    """Draw images in a row and, below, attribution maps over their grey copies.

    Red is above 0, blue below, and the grey image shows through where a value is near 0. All maps have the
    same scale, so that a weak one looks weak beside a strong one; a bar at the right explains it.

    Args:
        pixels: uint8 [N, C, H, W].
        maps: label -> float [N, H, W], a row per label.
        label: what the values are, with their unit.

    Returns:
        The axes [1 + rows of maps, N].
    """
    rows = len(maps) + 1
    side = (WIDTH - 2.0) / len(pixels)  # the labels and the bar stand in the rest
    figure, axes = plt.subplots(rows, len(pixels), figsize=(WIDTH, rows * side + 0.4), squeeze=False)
    for axis, image in zip(axes[0], pixels, strict=True):
        _show(axis, image)
    # Not 0, so that maps of zeros alone have a scale.
    limit = max(1e-12, *(values.abs().max().item() for values in maps.values()))
    scale = ScalarMappable(Normalize(-limit, limit), "RdBu_r")
    for row, values in zip(axes[1:], maps.values(), strict=True):
        for axis, image, value in zip(row, pixels, values, strict=True):
            _show(axis, image.float().mean(0, keepdim=True) / 255)
            axis.images[0].set_cmap("gray")
            strength = (value.abs() / limit).sqrt().numpy()  # weak values stay visible
            axis.imshow(value.numpy(), cmap=scale.cmap, norm=scale.norm, alpha=0.85 * strength)
    for axis, name in zip(axes[:, 0], ["image", *maps], strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, fontsize=9)
    figure.colorbar(scale, ax=axes[1:], label=label, shrink=0.8)
    _head(figure, title)
    return axes


def _mean_and_range(
    axis: Axes, places: ArrayLike, values: np.ndarray, label: str, marker: str | None = None
) -> None:
    """A line through the means of `values` [runs, places], and the range of several runs shaded."""
    (line,) = axis.plot(places, values.mean(0), marker=marker, ms=4, label=label)
    if len(values) > 1:
        axis.fill_between(places, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, lw=0)


def _label_rows(axis: Axes, labels: Collection[str], margin: float) -> None:
    """Give each label a row, from the top down, and the numbers at both ends `margin` of the width."""
    axis.set_yticks(range(len(labels)), list(labels))
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.margins(x=margin)
    axis.grid(axis="y", visible=False)


def _write_beside(axis: Axes, text: str, place: tuple[float, float], away: int = 9, **style: Any) -> None:
    """A text at the height of a place, `away` points at its right, or at its left if that is negative."""
    axis.annotate(text, place, xytext=(away, 0), textcoords="offset points", va="center", **style)


def _signed(points: float) -> str:
    """A difference as it is printed, with a sign in any case."""
    return f"{points:+.1f}".replace("-", "−")


def _show(axis: Axes, image: torch.Tensor) -> None:
    """One image without ticks: whole numbers to 255 [C, H, W], or float from 0 to 1."""
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()  # a grey image has no axis of channels
    axis.imshow(pixels, vmin=0, vmax=255 if pixels.dtype.kind in "iu" else 1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(False)


def _head(figure: Figure, title: str) -> None:
    """The title of a figure of several panels, at the left as that of a single one."""
    figure.suptitle(title, x=0.01, ha="left")
