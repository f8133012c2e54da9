"""Every figure of the book, in one style. Importing this module sets matplotlib's style.

Each function draws into a new figure and returns its axes; `title` says the finding.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from .runs import mean_and_spread

# Okabe and Ito's palette, readable with every kind of colour vision.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
INK, PAPER, FAINT = "#222222", "#FCFCFA", "#D9D9D4"
RIGHT, WRONG = COLORS[2], COLORS[1]
WIDTH = 7.2  # inches: the text column at 100 dots an inch

plt.rcParams.update(
    {
        "figure.figsize": (WIDTH, 3.4),
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "figure.constrained_layout.use": True,
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "figure.titlesize": 12,
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.grid": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "image.cmap": "gray",
    }
)


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
    _head(figure, title)
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
    _head(figure, title)
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


def matrix(counts, names, title):
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
    _head(figure, title)
    return axes


def heat(pixels, maps, title):
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
    _head(figure, title)
    return axes


def network(model, title, shape=(3, 32, 32)):
    """A network drawn from its code: traced, one box a group of layers, beside each the shape it puts out.

    Args:
        model: a network that `torch.fx` can trace.
        shape: channels, height, width of one image.
    """
    boxes = _boxes(model, shape)
    rows = max(box["row"] for box in boxes) + 1
    axis = plt.subplots(figsize=(WIDTH, 0.62 * rows + 0.5))[1]
    for box in boxes:
        x, y = 3.6 * box["column"], -box["row"]
        color = {"merge": "#F6D9C4", "side": "#D3EBE2"}.get(box["kind"], "#D6E6F2")
        axis.add_patch(plt.Rectangle((x - 1.6, y - 0.29), 3.2, 0.58, facecolor=color, edgecolor=INK, lw=0.8))
        axis.text(x, y + 0.11, box["name"], ha="center", va="center", fontsize=9, weight="bold")
        axis.text(x, y - 0.13, f"{box['what']} → {box['shape']}", ha="center", va="center", fontsize=8)
        for before in box["inputs"]:
            below, above = (3.6 * before["column"], -before["row"] - 0.29), (x, y + 0.29)
            if before["column"] < box["column"]:
                below = (1.6, -before["row"])
            elif before["column"] > box["column"]:
                above = (1.6, y)
            axis.annotate("", above, below, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
    axis.set(xlim=(-1.8, 5.4), ylim=(-rows + 0.5, 0.5), title=title)
    axis.axis("off")
    return axis


def _boxes(model, shape):
    """The traced graph as boxes: a convolution or linear layer takes its norm and ReLU with it."""
    traced = fx.symbolic_trace(model)
    ShapeProp(traced).propagate(torch.zeros(2, *shape))
    modules, boxes, of = dict(traced.named_modules()), [], {}
    for node in traced.graph.nodes:
        if node.op == "output":
            continue
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        before = [of[n] for n in node.all_input_nodes]
        size = "×".join(str(n) for n in node.meta["tensor_meta"].shape[1:])
        joins = len(before) == 1 and len(node.all_input_nodes[0].users) == 1 and boxes[-1] is before[0]
        if joins and isinstance(layer, nn.BatchNorm2d | nn.ReLU | nn.Flatten | nn.Identity):
            of[node] = before[0]
            before[0]["shape"] = size
            if not isinstance(layer, nn.Identity):
                before[0]["name"] += f", {node.name}"
            continue
        kind = "merge" if len(before) > 1 else "main"
        of[node] = {
            "name": node.name,
            "what": _what(node, layer),
            "shape": size,
            "kind": kind,
            "inputs": before,
        }
        boxes.append(of[node])
    _place(boxes)
    return boxes


def _place(boxes):
    """Rows from top to bottom; a box that waits for a later merge stands in a second column."""
    row = 0
    for i, box in enumerate(boxes):
        side = (
            i + 1 < len(boxes)
            and box["kind"] == "main"
            and all(box is not b for b in boxes[i + 1]["inputs"][:1])
        )
        side = side and any(box is b for later in boxes[i + 1 :] for b in later["inputs"][1:])
        if side:
            box |= {"column": 1, "kind": "side", "row": box["inputs"][0]["row"] + 1}
        else:
            box |= {"column": 0, "row": row}
            row += 1


def _what(node, layer):
    if isinstance(layer, nn.Conv2d):
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        return f"{kernel}×{kernel} convolution" + (f", stride {stride}" if stride > 1 else "")
    if isinstance(layer, nn.Linear):
        return "linear layer"
    if isinstance(layer, nn.MaxPool2d):
        return f"{layer.kernel_size}×{layer.kernel_size} max pool"
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return "average over positions"
    return {"placeholder": "image", "call_function": "both paths"}.get(node.op, type(layer).__name__)


def _head(figure, title):
    figure.suptitle(title, x=0.01, ha="left")
