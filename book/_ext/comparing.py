"""Sphinx extension: the tables of *How we decide*, computed from recorded predictions."""

from functools import partial

from course import Table
from luck_figure import points

from cifar_lib import evaluate, runs
from cifar_lib.evaluate import comparisons

PAIRS = [("paper", "paper-constant-rate"), ("study", "study-pool"), ("mlp", "mlp-shuffled")]
SPREADS, SEEDS = (0.2, 0.5, 1.0, 2.0), (3, 5, 10, 30)
signed = partial(points, sign="+")


class TwoIntervals(Table):
    """The intervals of the same differences: over seeds alone, and over seeds and images."""

    def lines(self):
        lines = [
            "| comparison | seeds | difference in points | interval over seeds | over seeds and images |",
            "|---|---|---:|---|---|",
        ]
        for first, second in PAIRS:
            one, other = (runs.right_answers(runs.load_runs(name)) for name in (first, second))
            alone = evaluate.welch_interval(*(side.double().mean(1).tolist() for side in (one, other)))
            both = comparisons.difference_interval(one, other)
            lines.append(
                f"| `{first}` minus `{second}` | {len(one)} and {len(other)} | {signed(both.value)} "
                f"| {signed(alone[1])} to {signed(alone[2])} | {signed(both.low)} to {signed(both.high)} |"
            )
        return lines


class SmallestGaps(Table):
    """The difference that a comparison sees in four of five repetitions, by spread and seeds per side."""

    def lines(self):
        head = " | ".join(f"{seeds} seeds" for seeds in SEEDS)
        lines = [f"| spread of the seeds | {head} |", "|---|" + "---:|" * len(SEEDS)]
        for spread in SPREADS:
            gaps = [comparisons.minimum_detectable_difference(spread, seeds) for seeds in SEEDS]
            lines.append(f"| {spread:.1f} points | {' | '.join(f'{gap:.1f}' for gap in gaps)} |")
        return lines


def setup(app):
    app.add_directive("two-intervals", TwoIntervals)
    app.add_directive("smallest-gaps", SmallestGaps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
