"""Every figure of the book, in one style. Importing this room sets matplotlib's style (`course.mplstyle`)."""

from .charts import (
    COLORS,
    FAINT,
    INK,
    WIDTH,
    attributions,
    bars,
    confusion_matrix,
    curves,
    descents,
    differences,
    dots,
    ladder,
    lines,
    pictures,
    reliability,
    scatter,
    share_table,
    verdicts,
)
from .diagrams import network
from .landscapes import landscape
from .volumes import volumes

__all__ = [
    "COLORS",
    "FAINT",
    "INK",
    "WIDTH",
    "attributions",
    "bars",
    "confusion_matrix",
    "curves",
    "descents",
    "differences",
    "dots",
    "ladder",
    "landscape",
    "lines",
    "network",
    "pictures",
    "reliability",
    "scatter",
    "share_table",
    "verdicts",
    "volumes",
]
