"""A network drawn from its code."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from .. import CourseError
from ..system.errors import first_line
from .charts import INK, WIDTH

Point = tuple[float, float]

# Of the boxes in the first of two columns, in the second, and where paths meet.
PLAIN, BRANCH, JOIN = "#D6E6F2", "#D3EBE2", "#F6D9C4"
HALF = 0.33  # half the height of a box; rows are 1 apart


def network(
    model: nn.Module,
    title: str,
    shape: tuple[int, int, int] = (3, 32, 32),
    *,
    whole: type[nn.Module] | tuple[type[nn.Module], ...] = (),
    rows: int | None = None,
) -> Axes:
    """Draw a network as `torch.fx` traces it: a box per group of layers, with the shape that it puts out.

    The axes' units are inches across, and rows of boxes downwards.

    Args:
        model: a network that `torch.fx` can trace; paths that meet again stand side by side.
        shape: channels, height and width of one image.
        whole: a class or a tuple of classes of modules that are one box each.
        rows: boxes per column: a longer network, which must have a single path, goes on in the next column.

    Raises:
        CourseError: `torch.fx` cannot trace the network, or it takes no images of this shape.
    """
    boxes = boxes_of(model, shape, whole)
    put_in_places(boxes, rows)
    columns = max(2, 1 + max(box.column for box in boxes))
    length = 1 + max(box.row for box in boxes)
    step, height = WIDTH / columns, 0.62 if columns == 2 else 0.8
    axis = plt.subplots(figsize=(WIDTH, height * length + 0.5))[1]
    for box in boxes:
        box.x, box.y = step * (box.column + (box.span - 1) / 2), -box.row
        half = step * (box.span / 2 - 1 / 18)
        box.left, box.right = box.x - half, box.x + half
    # The longest name must fit its box: an inch has 72 points, a bold letter is about 0.65 of its size wide.
    size = min(9, *(110 * (box.right - box.left) / len(box.name) for box in boxes))
    for box in boxes:
        narrow = columns > 2 and box.span == 1
        side = columns == 2 and box.column and not rows
        color = JOIN if len(box.inputs) > 1 else BRANCH if side else PLAIN
        corner = box.left, box.y - HALF
        axis.add_patch(plt.Rectangle(corner, 2 * (box.x - box.left), 2 * HALF, fc=color, ec=INK, lw=0.8))
        style: dict[str, Any] = {"ha": "center", "va": "center"}
        axis.text(box.x, box.y + (0.19 if narrow else 0.12), box.name, fontsize=size, weight="bold", **style)
        text = box.what + ("\n" if narrow else " ") + f"→ {box.shape}"
        axis.text(box.x, box.y - (0.1 if narrow else 0.14), text, fontsize=9, **style)
        for before in box.inputs:
            draw_arrow(axis, _way(before, box, boxes), lw=1)
    axis.set(xlim=(-step / 2, WIDTH - step / 2), ylim=(-length + 0.5, 0.5), title=title)
    axis.axis("off")
    return axis


@dataclass(eq=False)  # two boxes may look the same
class Box:
    """A box, the boxes whose outputs it takes, and its place: first in rows and columns, then on the axes."""

    name: str
    what: str
    shape: str
    inputs: list[Box]
    size: tuple[int, ...]  # of one image's output, before it is made a row
    operations: int  # per image; a multiply-add counts as two, as in `models.count_flops`
    row: int = 0
    column: int = 0
    span: int = 1  # columns
    x: float = 0.0  # of its centre, as is y
    y: float = 0.0
    left: float = 0.0
    right: float = 0.0


def draw_arrow(axis: Axes, way: Sequence[Point], lw: float, **options: Any) -> None:
    """An arrow along the points of `way`; `options` are those of its last piece, which has the head."""
    *bends, start, end = way
    axis.plot(*zip(*bends, start, strict=True), color=INK, lw=lw)
    axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": lw} | options)


def _way(before: Box, box: Box, boxes: list[Box]) -> tuple[Point, ...]:
    """The points of the arrow from one box to a later one."""
    narrower, wider = sorted((before, box), key=lambda box: box.span)
    inside = narrower.column in range(wider.column, wider.column + wider.span)
    passed = [b for b in boxes if b.column == box.column and before.row < b.row < box.row]
    if inside and not (passed and narrower.span == wider.span):
        return (narrower.x, before.y - HALF), (narrower.x, box.y + HALF)
    if before.row > box.row or inside:  # round the boxes between: on to the next column, or past them
        bend = before.right + 0.2
        end = (box.right if inside else box.left, box.y)
        return (before.right, before.y), (bend, before.y), (bend, box.y), end
    if before.column < box.column:
        return (before.right, before.y), (box.x, box.y + HALF)
    return (before.x, before.y - HALF), (box.right, box.y)


class _Tracer(fx.Tracer):
    """Traces into every module except layers of PyTorch, also as a training quickens them, and `whole`."""

    def __init__(self, whole: type[nn.Module] | tuple[type[nn.Module], ...]) -> None:
        super().__init__()
        self.leaves = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, whole)

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, self.leaves) or super().is_leaf_module(module, name)


def boxes_of(
    model: nn.Module,
    shape: tuple[int, int, int],
    whole: type[nn.Module] | tuple[type[nn.Module], ...],
) -> list[Box]:
    """The traced graph as boxes: a layer takes along the norm, activation or reshaping behind it.

    Raises:
        CourseError: as `network`.
    """
    model = copy.deepcopy(model).eval()  # tracing shapes must not move the running averages
    name, images = type(model).__name__, torch.zeros(2, *shape)
    try:
        with torch.no_grad():
            model(images)
    except Exception as error:
        wanted = "×".join(map(str, shape))
        raise CourseError(
            f"{name} takes no images of {wanted} ({first_line(error)}): give its shape."
        ) from error
    try:
        traced = fx.GraphModule(model, _Tracer(whole).trace(model))
        ShapeProp(traced).propagate(images)
    except Exception as error:  # code that depends on its input fails in many ways
        raise CourseError(
            f"torch.fx cannot trace {name} ({first_line(error)}): draw its parts one by one."
        ) from error
    modules = dict(traced.named_modules())
    boxes: list[Box] = []
    of: dict[fx.Node, Box] = {}
    for node in traced.graph.nodes:
        if node.op == "output":
            continue
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        before = [of[n] for n in node.all_input_nodes]
        size = tuple(node.meta["tensor_meta"].shape[1:])
        text = "×".join(str(n) for n in size)
        follows = len(before) == 1 and len(node.all_input_nodes[0].users) == 1 and boxes[-1] is before[0]
        if follows and isinstance(layer, _JOINING):
            of[node] = before[0]
            before[0].shape = text
            if not isinstance(layer, nn.Identity):
                before[0].name += f", {_name(node, layer)[1]}"
            continue
        name = ": ".join(filter(None, _name(node, layer)))
        products = layer.weight[0].numel() if isinstance(layer, nn.Conv2d | nn.Linear) else 0
        of[node] = Box(name, _what(node, layer), text, before, size, 2 * math.prod(size) * products)
        boxes.append(of[node])
    return boxes


_JOINING = (nn.BatchNorm2d, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Flatten, nn.Identity)
_SHORT = {
    nn.Conv2d: "conv",
    nn.BatchNorm2d: "norm",
    nn.MaxPool2d: "pool",
    nn.AvgPool2d: "pool",
    nn.Linear: "linear",
    nn.Tanh: "tanh",
    nn.ReLU: "ReLU",
    nn.Dropout: "dropout",
    nn.Flatten: "flatten",
}


def _name(node: fx.Node, layer: nn.Module | None) -> tuple[str, str]:
    """What the code calls a layer; in a list of layers, the list's name and the layer's kind."""
    parts = str(node.target).split(".")
    kind = next((short for kind, short in _SHORT.items() if isinstance(layer, kind)), None)
    if kind and parts[-1].isdigit():
        return "_".join(part for part in parts if not part.isdigit()), kind
    return "", node.name


def put_in_places(boxes: list[Box], rows: int | None) -> None:
    """Rows by the longest way from the input; paths that meet in one box stand in neighbouring columns."""
    for i, box in enumerate(boxes):
        followers = [later for later in boxes if box in later.inputs]
        paths = max(len(box.inputs), len(followers))
        box.span = paths if paths > 2 else 1
        box.row = 1 + max((before.row for before in box.inputs), default=-1)
        box.column = len(boxes)
        if rows:
            box.column, box.row = divmod(i, rows)
    if not rows:
        boxes[-1].column = 0
        for box in reversed(boxes):
            for i, before in enumerate(box.inputs):
                before.column = min(before.column, box.column + i)


def _what(node: fx.Node, layer: nn.Module | None) -> str:
    """What a layer does, in words."""
    if isinstance(layer, nn.Conv2d):
        kernel, stride = "×".join(str(n) for n in layer.kernel_size), layer.stride[0]
        return f"{kernel} convolution" + (f", stride {stride}" if stride > 1 else "")
    if isinstance(layer, nn.Linear):
        return "linear layer"
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        kind, size = "max" if isinstance(layer, nn.MaxPool2d) else "average", layer.kernel_size
        return f"{size}×{size} {kind} pool" + (f", stride {layer.stride}" if layer.stride != size else "")
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return "average over positions"
    if node.op == "placeholder":
        return "image" if node.meta["tensor_meta"].shape[1] <= 3 else "input"
    if node.op == "call_function":
        return "both paths" if len(node.all_input_nodes) == 2 else "all paths"
    return type(layer).__name__
