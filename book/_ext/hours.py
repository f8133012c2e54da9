"""Sphinx extension: how long a person needs for each chapter, by its words, code and exercises."""

import re
from pathlib import Path

import nbformat
from course import Table

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))

WORDS_A_MINUTE = 180  # technical prose, read to be understood
SECONDS_A_LINE = 4  # of code
SECONDS_A_FIGURE = 30
EXERCISE_MINUTES = 25


def counted(path):
    """(words, lines of code, figures, exercises) of a chapter, without its solutions."""
    cells = nbformat.read(path, 4).cells
    shown = [cell for cell in cells if not cell.id.startswith("solution")]
    prose = " ".join(re.sub(r"<!--.*?-->|<[^>]+>", " ", c.source) for c in shown if c.cell_type == "markdown")
    code = [cell for cell in shown if cell.cell_type == "code"]
    exercises = sum(cell.id.startswith("solution-") for cell in cells if cell.cell_type == "code")
    lines = sum(len(cell.source.splitlines()) for cell in code)
    figures = sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    return len(prose.split()), lines, figures, exercises


def minutes(words, lines, figures, exercises):
    """(to read, for the exercises)."""
    reading = words / WORDS_A_MINUTE + (lines * SECONDS_A_LINE + figures * SECONDS_A_FIGURE) / 60
    return reading, exercises * EXERCISE_MINUTES


class Hours(Table):
    """A row per chapter and their sum."""

    def lines(self):
        lines = [
            "| chapter | words | code lines | figures | exercises | minutes to read | for exercises |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        sums = [0.0] * 6
        for path in CHAPTERS:
            counts = counted(path)
            values = [*counts, *minutes(*counts)]
            sums = [total + value for total, value in zip(sums, values, strict=True)]
            title = nbformat.read(path, 4).cells[0].source.splitlines()[0].removeprefix("# ")
            lines.append(f"| {path.name[:2].lstrip('0')}. {title} | " + _row(values))
        hours = [f"{total / 60:.0f} hours" for total in sums[4:]]
        return [*lines, "| all | " + _row(sums[:4]) + " " + " | ".join(hours) + " |"]


def _row(values):
    return " | ".join(f"{value:,.0f}" for value in values) + " |"


def setup(app):
    app.add_directive("hours", Hours)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
