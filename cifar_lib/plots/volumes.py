"""A network drawn as the blocks of numbers that its layers put out, to scale."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from torch import nn

from .. import CourseError
from .charts import COLORS, INK, WIDTH
from .diagrams import Box, boxes_of, draw_arrow, put_in_places

# In inches: between two blocks, the least that the text over a block takes, the side of the largest output.
GAP, TEXT, TALLEST = 0.1, 0.68, 1.1
LINE = 0.145  # inches, of the text
SLANT = 0.22  # how far back a block reaches, as a part of its height, across and upwards


def volumes(model: nn.Module, title: str, shape: tuple[int, int, int] = (3, 32, 32)) -> Axes:
    """Draw what each layer of a network puts out for one image as a block, from left to right.

    A block is as high and as deep as the output's planes, as broad as it has channels, and the darker, the
    more operations its layer takes. Over it stand its name, its size and, in millions, its operations.
    Steps that neither compute nor change the shape, such as an activation on its own, are left out.
    The axes' units are inches.

    Args:
        model: a network that `torch.fx` can trace; paths that meet again stand one below the other.
        shape: channels, height and width of one image.

    Raises:
        CourseError: the network has more steps than fit on the page; or as `network`.
    """
    boxes = _steps(boxes_of(model, shape, ()))
    put_in_places(boxes, None)
    columns = [[box for box in boxes if box.row == row] for row in range(1 + boxes[-1].row)]
    pixel = TALLEST / max(_side(box) for box in boxes)
    fitting = (scale for scale in np.geomspace(0.05, 1e-5, 500) if _rooms(columns, pixel, scale)[1] <= WIDTH)
    channel = next(fitting, None)
    if channel is None:
        raise CourseError(
            f"{len(columns)} steps are too many to stand side by side: draw this network with plots.network."
        )
    most = max(box.operations for box in boxes) or 1
    paths = 1 + max(box.column for box in boxes)
    step = TALLEST * (1 + SLANT) + 3 * LINE + 0.1  # from one path to the next
    axis = plt.subplots(figsize=(WIDTH, 0.5 + paths * step))[1]
    lefts = _rooms(columns, pixel, channel)[0]
    for left, column in zip(lefts, columns, strict=True):
        for box in column:
            box.left, box.right = left, left + channel * box.size[0]
            box.x, box.y = (box.left + box.right) / 2, -box.column * step
            _block(axis, box, pixel * _side(box), box.operations / most)
            for before in box.inputs:
                _arrow(axis, before, box, pixel)
    axis.set(title=title, aspect="equal", xlim=(-0.05, WIDTH + 0.05))
    axis.set_ylim(step * (1 - paths) - TALLEST / 2 - 0.05, step - TALLEST / 2)
    axis.axis("off")
    return axis


def _steps(boxes: list[Box]) -> list[Box]:
    """The boxes that compute, change the shape or join paths; what follows another takes that one's input."""
    instead: dict[Box, Box] = {}
    for box in boxes:
        box.inputs = [instead[before] for before in box.inputs]
        idle = len(box.inputs) == 1 and box.size == box.inputs[0].size and not box.operations
        instead[box] = box.inputs[0] if idle else box
    return [box for box, kept in instead.items() if box is kept]


def _side(box: Box) -> int:
    """The height of the output's planes; a row of numbers counts as one pixel high."""
    return box.size[1] if len(box.size) == 3 else 1


def _rooms(columns: list[list[Box]], pixel: float, channel: float) -> tuple[list[float], float]:
    """Where each column of blocks begins and the last one ends, with `channel` inches for a channel."""
    lefts, left = [], 0.0
    for column in columns:
        lefts.append(left)
        left += GAP + max(TEXT, *(channel * box.size[0] + SLANT * pixel * _side(box) for box in column))
    return lefts, left - GAP


def _block(axis: Axes, box: Box, height: float, cost: float) -> None:
    """A block in oblique view with its text above; `cost` is from 0 to 1."""
    back, low, high = SLANT * height, box.y - height / 2, box.y + height / 2
    front = np.array([(box.left, low), (box.right, low), (box.right, high), (box.left, high)])
    corners = np.concatenate([front, front + back])  # 0 to 3 in front, 4 to 7 behind them
    color = np.array(to_rgb(COLORS[0]))
    for face, light in (([0, 1, 2, 3], 0.0), ([3, 2, 6, 7], 0.25), ([1, 2, 6, 5], 0.12)):  # front, top, end
        shade = 1 - (1 - color) * (0.08 + 0.92 * cost) * (1 - light)
        axis.add_patch(plt.Polygon(corners[face], fc=shade, ec=INK, lw=0.6))
    # Of "layers: conv, tanh" only "conv" is for readers; where paths meet, "x" and "cat" say little.
    name = box.name.partition(",")[0].rpartition(": ")[2] if len(box.inputs) == 1 else box.what
    lines = [name, "×".join(str(n) for n in box.size)]
    lines += [f"{box.operations / 1e6:.2g} M"] if box.operations else []
    axis.text(box.left, high + back + 0.05, "\n".join(lines), fontsize=8.8, va="bottom")


def _arrow(axis: Axes, before: Box, box: Box, pixel: float) -> None:
    """From a block to a later one: along their path, down to a side path, or up from it."""
    side = before.right + SLANT * pixel * _side(before)
    way = [(side, before.y), (box.left, box.y)]
    if before.column < box.column:
        way = [(before.x, before.y - pixel * _side(before) / 2), (before.x, box.y), (box.left, box.y)]
    if before.column > box.column:
        way = [(side, before.y), (box.x, before.y), (box.x, box.y - pixel * _side(box) / 2)]
    draw_arrow(axis, way, lw=0.8, shrinkA=0)
