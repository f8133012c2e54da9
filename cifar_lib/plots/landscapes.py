"""A loss over two weights, and the ways down that optimizers take."""

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from .charts import COLORS, INK, WIDTH


def landscape(
    function: Callable[[torch.Tensor], torch.Tensor],
    paths: Mapping[str, torch.Tensor],
    title: str,
    *,
    corners: tuple[tuple[float, float], tuple[float, float]],
    xlabel: str,
    ylabel: str,
) -> Axes:
    """Draw a function of two weights as contour lines, and over them paths, whose points are joined.

    The levels of the lines are closer together near the lowest loss, which a cross marks, because paths
    slow down there.

    Args:
        function: weights, float64 [N, 2] -> losses [N].
        paths: label -> weights [steps, 2], in the order of the steps; points may lie outside.
        corners: the lowest and the highest weights of the picture, each of them a pair.
    """
    axis = plt.subplots(figsize=(WIDTH, 4.6))[1]
    (left, bottom), (right, top) = corners
    places = [torch.linspace(*ends, 60, dtype=torch.float64) for ends in ((left, right), (bottom, top))]
    weights = torch.stack(torch.meshgrid(*places, indexing="xy"), dim=-1)
    # Row by row, because a loss over thousands of images would need much memory for all places at once.
    losses = torch.stack([function(row).detach() for row in weights]).numpy()
    levels = losses.min() + np.ptp(losses) * np.linspace(0.06, 1, 16) ** 2
    contours = axis.contour(*(place.numpy() for place in places), losses, levels=levels, cmap="Greys_r")
    contours.set(linewidths=0.8, alpha=0.7)
    axis.clabel(contours, levels[1::3], fmt="%.2f", fontsize=8, colors=INK)
    lowest = weights.flatten(0, 1)[losses.argmin()]
    axis.plot(*lowest.numpy(), "+", color=INK, ms=10, mew=1.5, label="lowest loss")
    for i, (label, path) in enumerate(paths.items()):
        color = COLORS[i % len(COLORS)]
        axis.plot(*path.T.numpy(), "osD"[i % 3] + "-", color=color, ms=3.5, lw=1.2, label=label)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(left, right), ylim=(bottom, top))
    axis.set_aspect("equal")  # else no path could be seen to cross the lines at a right angle
    axis.grid(False)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return axis
