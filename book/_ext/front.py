"""Sphinx extension: the picture of the first page, drawn from the recorded runs whenever the site is built.

python book/_ext/front.py     keeps it as book/_static/preview.png, which links to the site show
"""

import math
import statistics
import sys
import tempfile
from functools import cache
from itertools import accumulate
from pathlib import Path
from urllib.parse import urljoin

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cifar_lib import runs

PREVIEW = Path(__file__).parent.parent / "_static" / "preview.png"
PAPER = 72.5  # per cent, as the paper reports
# recipe: what the picture calls it, and the class that gives it its colour in light and dark mode.
CURVES = {
    "paper": ("the paper’s recipe", "paper"),
    "fast72": ("fast72", "fast"),
    "fast94": ("fast94", "fast"),
}
POINTS = {"paper"}  # of these only the ends: chapter 4 asks to sketch the way there
TICKS = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
START, END = 1, 4800  # seconds across
LOW, HIGH = 20, 100  # per cent upwards
SEEDS = 5  # at most, of each recipe
CROWDED = {("paper", 3), ("paper", 4)}  # recorded beside much other work: their seconds say little


def curves(recipe):
    """The first runs of a recipe: seconds of training so far and validation accuracy in per cent by epoch."""
    found = []
    for run in runs.load_runs(recipe)[:SEEDS]:
        if (recipe, run.seed) not in CROWDED:
            percent = [100 * share for share in run.column("val_accuracy")]
            found.append(list(zip(accumulate(run.column("seconds")), percent, strict=True)))
    return found


def ends(recipe):
    """Where the runs of a recipe end on average: seconds and per cent."""
    last = [points[-1] for points in curves(recipe)]
    return tuple(statistics.fmean(values) for values in zip(*last, strict=True))


def accuracy_over_views(recipe):
    """The mean validation accuracy in per cent when each image is looked at as often as the recipe says."""
    return statistics.fmean(100 * run.result["val_accuracy_views"] for run in runs.load_runs(recipe))


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@cache  # every page carries them
def words():
    """What the picture shows, for those who do not see it."""
    said = [
        f"{name} {ends(recipe)[1]:.1f} % in {duration(ends(recipe)[0])}"
        for recipe, (name, _) in CURVES.items()
    ]
    return (
        "Validation accuracy against the seconds of training, a line for each recorded run, and for those of "
        f"the paper’s recipe the points where they end. On average they end at: {'; '.join(said)}. With "
        f"six looks at each image, fast94 gets {accuracy_over_views('fast94'):.1f} %. The paper: {PAPER} %."
    )


def picture(width, height, shown=""):
    """The picture as SVG. Its units are CSS pixels when it is `width` pixels wide.

    Args:
        shown: its class, by which `course.css` chooses the picture that fits the screen.
    """
    left, right, top, bottom = 50, 12, 36, 34
    narrow = width < 500

    def x(seconds):
        share = math.log(max(seconds, START) / START) / math.log(END / START)
        return left + share * (width - left - right)

    def y(percent):
        return top + (HIGH - percent) / (HIGH - LOW) * (height - top - bottom)

    parts = ['<text class="axis" x="0" y="14">validation images recognised</text>']
    for percent in range(LOW, HIGH + 1, 20):
        parts.append(f'<path class="grid" d="M{left} {y(percent):.1f}H{width - right}"/>')
        parts.append(f'<text x="{left - 6}" y="{y(percent) + 4:.1f}" text-anchor="end">{percent} %</text>')
    for seconds, text in TICKS.items():
        parts.append(f'<text x="{x(seconds):.1f}" y="{height - 14}" text-anchor="middle">{text}</text>')
    parts.append(
        f'<text class="axis" x="{width - right}" y="{y(LOW) - 7:.1f}" text-anchor="end">'
        "time of training</text>"
    )
    parts.append(f'<path class="claim" d="M{left} {y(PAPER):.1f}H{width - right}"/>')
    claim = {14: "paper:", 28: f"{PAPER} %"} if narrow else {-6: f"the paper: {PAPER} %"}
    for below, line in claim.items():
        parts.append(f'<text x="{left + 4}" y="{y(PAPER) + below:.1f}">{line}</text>')
    for recipe, (_, kind) in CURVES.items():
        for points in curves(recipe):
            way = [f"{x(seconds):.1f},{y(percent):.1f}" for seconds, percent in points]
            across, down = way[-1].split(",")
            if recipe not in POINTS:
                parts.append(f'<polyline class="{kind}" points="{" ".join(way)}"/>')
            parts.append(f'<circle class="{kind}" cx="{across}" cy="{down}" r="3.5"/>')
    for recipe, (name, kind) in CURVES.items():
        seconds, percent = ends(recipe)
        lines = [name, f"{percent:.1f} % in {duration(seconds)}"]
        if recipe == "fast94":
            lines = [": ".join(lines), f"{accuracy_over_views(recipe):.1f} % with six looks at each"]
        across, down, anchor = {
            "paper": (width - right, y(42) if narrow else y(percent) + 30, "end"),
            "fast72": (x(seconds) - (8 if narrow else 0), y(percent) - 34, "middle"),
            "fast94": (x(seconds) + (30 if narrow else 6), y(percent) - 24, "end"),
        }[recipe]
        for i, line in enumerate(lines):
            parts.append(
                f'<text class="label {kind}" x="{across:.1f}" y="{down + 15 * i:.1f}" '
                f'text-anchor="{anchor}">{line}</text>'
            )
    return (
        f'<svg class="front {shown}" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'aria-label="{words()}">{"".join(parts)}</svg>'
    )


class FrontPicture(SphinxDirective):
    """The picture, once for wide screens and once for narrow ones."""

    def run(self):
        both = picture(720, 320, "front-wide") + picture(330, 350, "front-narrow")
        return [nodes.raw("", both, format="html")]


def know_the_address(app, config):
    """Previews of links name pages and picture by the site's address: see notebooks/address.py."""
    config.ogp_site_url = config.ogp_site_url or config.html_baseurl


def add_preview(app, page, template, context, doctree):
    """Links to a page show the picture."""
    if doctree:
        image = urljoin(app.config.ogp_site_url, f"_static/{PREVIEW.name}")
        context["metatags"] += (
            f'<meta property="og:image" content="{image}" />\n'
            f'<meta property="og:image:alt" content="{words()}" />\n'
            '<meta property="og:image:width" content="1200" />\n'
            '<meta property="og:image:height" content="630" />\n'
            '<meta name="twitter:card" content="summary_large_image" />\n'
        )


def setup(app):
    app.add_directive("front-picture", FrontPicture)
    app.connect("config-inited", know_the_address)
    app.connect("html-page-context", add_preview)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main():
    """Keep the picture in the size that social networks ask for."""
    import chromium

    style = (Path(__file__).parent.parent / "_static" / "course.css").read_text(encoding="utf-8")
    page = (
        f"<!doctype html><meta charset=utf-8><style>{style} :root {{ --pst-color-text-base: #222; "
        "--pst-color-border: #ccc; --pst-color-text-muted: #555 } body { margin: 22px 40px; "
        "font: 13px sans-serif } h1 { font-size: 46px; margin: 0 } p { font-size: 25px; margin: 2px 0 8px }"
        "svg.front { width: 1120px !important; margin: 0 !important }</style>"
        "<h1>CIFAR-10 by Experiment</h1><p>Every claim of a paper, tested. Every number from a run that you "
        f"can repeat.</p>{picture(720, 300, 'front-wide')}"
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "preview.html"
        source.write_text(page, encoding="utf-8")
        chromium.run(f"--screenshot={PREVIEW}", "--window-size=1200,630", source.as_uri())


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parent))
    main()
