"""The figure of the page *Luck*: the seeds of two sides, their difference, and what three seeds would say."""

import numpy as np

from cifar_lib import evaluate


def points(share, decimals=1, sign=""):
    """A difference from 0 to 1 as points; with the sign "+", which positive ones show too."""
    return f"{100 * share:{sign}.{decimals}f}".replace("-", "−")


def draw(first, second, apart, called):
    """An SVG in one line.

    Args:
        first, second: the accuracy of each seed, 0 to 1.
        apart: differences from three seeds a side, 0 to 1.
        called: which of these have an interval that leaves out zero.
    """
    width, edge = 360, 8
    parts = []

    def scale(low, high):
        return lambda value: edge + (width - 2 * edge) * (value - low) / (high - low)

    def axis(x, y, ticks, unit):
        parts.append(f'<path d="M{edge} {y}H{width - edge}" class="luck-axis"/>')
        for tick in ticks:
            text = f"{tick:g}{unit}".replace("-", "−")
            parts.append(f'<text x="{x(tick):.1f}" y="{y + 15}" text-anchor="middle">{text}</text>')

    def title(y, text):
        parts.append(f'<text x="{edge}" y="{y}" class="luck-title">{text}</text>')

    x = scale(48.8, 52.2)
    for y, side, name, values in (
        (86, "a", "MLP, 30 seeds: test accuracy", first),
        (176, "b", "MLP on shuffled pixels, 30 seeds", second),
    ):
        title(y - 70, name)
        stacks = {}
        for value in sorted(100 * values):
            place = round(value * 10)
            height = stacks[place] = stacks.get(place, 0) + 1
            parts.append(
                f'<circle cx="{x(place / 10):.1f}" cy="{y - 9 * height + 3}" r="4" class="luck-side-{side}"/>'
            )
        mean = x(100 * values.mean())
        parts.append(f'<path d="M{mean:.1f} {y}v-60" class="luck-mean luck-side-{side}"/>')
        axis(x, y, (49, 50, 51, 52) if side == "b" else (), " %")

    difference, low, high = (100 * value for value in evaluate.welch_interval(second, first))
    x = scale(-1, 1)
    title(222, "The difference, with its 95 % interval")
    parts.append(f'<path d="M{x(0):.1f} 270v-38" class="luck-zero"/>')
    parts.append(f'<path d="M{x(low):.1f} 250H{x(high):.1f}" class="luck-interval"/>')
    parts.append(f'<circle cx="{x(difference):.1f}" cy="250" r="5" fill="currentColor"/>')
    title(304, f"The same from three seeds, all {len(apart):,} choices")
    edges = np.linspace(-1, 1, 41)
    everyone, _ = np.histogram(100 * apart, edges)
    alarms, _ = np.histogram(100 * apart[called], edges)
    for left, right_edge, count, wrong in zip(edges[:-1], edges[1:], everyone, alarms, strict=True):
        for number, side in ((count, "none"), (wrong, "b")):
            tall = 80 * number / everyone.max()
            if number:
                parts.append(
                    f'<rect x="{x(left):.1f}" y="{400 - tall:.1f}" width="{x(right_edge) - x(left) - 1:.1f}" '
                    f'height="{tall:.1f}" class="luck-side-{side}"/>'
                )
    parts.append(f'<path d="M{x(0):.1f} 400v-86" class="luck-zero"/>')
    axis(x, 400, (-1, -0.5, 0, 0.5, 1), "")
    parts.append(f'<text x="{width / 2}" y="432" text-anchor="middle">points</text>')
    said = (
        "The dots of both sides overlap almost completely. The interval of their difference reaches from "
        f"{low:.1f} to {high:.1f} points. Differences of three seeds reach from {points(apart.min())} to "
        f"{points(apart.max())} points."
    )
    return (
        f'<figure class="luck-figure"><svg viewBox="0 0 {width} 438" role="img" aria-label="{said}">'
        f"{''.join(parts)}</svg><figcaption>Each dot is a seed, rounded to a tenth of a point. The coloured "
        "bars at the bottom are choices of three seeds whose interval leaves out zero.</figcaption></figure>"
    )
