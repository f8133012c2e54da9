"""Sphinx extension: tables of the recorded runs; pages that ask no other host and that all can use."""

from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cifar_lib import evaluate, recipes, runs

# On a first visit the theme has no mode: it logs an error, and shows no colours until its script is there.
# Paper is light: the theme would print its dark mode's pale letters.
MODE = """
  const shown = document.documentElement.dataset;
  shown.mode ||= "auto";
  shown.theme ||= matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  let onScreen = shown.theme;
  addEventListener("beforeprint", () => { onScreen = shown.theme; shown.theme = "light"; });
  addEventListener("afterprint", () => { shown.theme = onScreen; });
"""
PLAN = Path(__file__).parent.parent / "computing-plan.csv"


def every_run():
    """Every recorded run, in the order of the recipes."""
    names = {path.stem.rpartition("-seed")[0] for path in runs.record.RECORDED.glob("*.json")}
    order = [*recipes.RECIPES, *sorted(names - set(recipes.RECIPES))]
    return [run for name in order if name in names for run in runs.load_runs(name)]


class Table(SphinxDirective):
    """Markdown lines, parsed as if they stood in the page."""

    def run(self):
        node = nodes.Element()
        self.state.nested_parse(StringList(self.lines(), source=type(self).__name__), 0, node)
        for table in node.findall(nodes.table):
            table["classes"].append(self.name)
        return node.children


class RecordedRuns(Table):
    """A row for each recipe and device, made from the JSON files in `cifar_lib/recorded`."""

    def lines(self):
        every = every_run()
        letters = {where: chr(ord("A") + i) for i, where in enumerate(dict.fromkeys(map(place, every)))}
        lines = [
            "| recipe | data | on | seeds | epochs | weights | test | validation | sec. |",
            "|---|---|---|---|---:|---:|---|---|---:|",
        ]
        for name, group in groupby(every, key=lambda run: run.recipe.name):
            group = sorted(group, key=lambda run: letters[place(run)])
            for where, alike in groupby(group, key=place):
                several = list(alike)
                first = several[0]
                seconds = evaluate.mean_and_spread(run.seconds for run in several)[0]
                test = evaluate.format_percent(runs.results(several))
                validation = "none held out"
                if first.recipe.holdout:
                    validation = evaluate.format_percent(runs.results(several, "val_accuracy"))
                lines.append(
                    f"| `{name}` | {first.recipe.data} | {letters[where]} "
                    f"| {' '.join(str(run.seed) for run in several)} "
                    f"| {first.recipe.epochs} | {first.model['parameters']:,} "
                    f"| {test} | {validation} | {seconds:,.0f} |"
                )
        gpu = sum(not device.startswith("CPU") for device, _ in map(place, every))
        listed = "; ".join(
            f"{letter}: {device}, PyTorch {torch}" for (device, torch), letter in letters.items()
        )
        counted = f"{gpu:,} of {len(every):,} recorded runs" if gpu else "No recorded run"
        return [*lines, "", f"Devices: {listed}. {counted} used a GPU."]


def place(run):
    """Where a run was trained: the device in words, and PyTorch's version."""
    return run.environment["device"], run.environment["torch"]


class ComputingPlan(Table):
    """What was planned, row by row of `book/computing-plan.csv`, beside what was spent."""

    def lines(self):
        lines = [
            "| question | recipes × seeds | epochs | planned minutes | recorded runs | minutes spent |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        every, totals = every_run(), [0, 0, 0]
        for question in runs.read_plan(PLAN):
            done = [run for run in every if run.recipe.name in question.recipes]
            epochs = sorted({recipes.RECIPES[name].epochs for name in question.recipes})
            planned = len(question.recipes) * question.seeds * question.seconds / 60
            spent = sum(run.seconds for run in done) / 60
            totals = [total + value for total, value in zip(totals, (planned, len(done), spent), strict=True)]
            lines.append(
                f"| {question.question} | {len(question.recipes)} × {question.seeds} "
                f"| {', '.join(map(str, epochs))} | {planned:,.0f} | {len(done)} | {spent:,.0f} |"
            )
        planned, count, spent = totals
        return [*lines, f"| all | | | {planned:,.0f} | {count} | {spent:,.0f} |"]


def keep_local(app, page, template, context, doctree):
    """Leave out other hosts' scripts and styles, and Thebe's, which fetches its own: no page needs them."""
    context["css_files"] = [file for file in context.get("css_files", []) if "://" not in str(file.filename)]
    context["script_files"] = [file for file in context.get("script_files", []) if not _asks_elsewhere(file)]


def _asks_elsewhere(script):
    body = script.attributes.get("body") or ""
    return "://" in f"{script.filename} {body}" or "thebe" in f"{script.filename} {body}".lower()


def mend_roles(app, page, template, context, doctree):
    """Give axe what it asks: docutils' list of references has items, a fold is named by its visible text,
    and the parameters in a signature are no list of definitions."""
    if "body" in context:
        context["body"] = (
            context["body"]
            .replace('role="doc-biblioentry"', 'role="listitem"')
            .replace('<summary aria-label="Toggle hidden content">', "<summary>")
            .replace("<dl>\n<dd>", '<dl role="presentation">\n<dd>')
        )


def setup(app):
    app.add_directive("recorded-runs", RecordedRuns)
    app.add_directive("computing-plan", ComputingPlan)
    app.connect("html-page-context", keep_local, priority=900)
    app.connect("html-page-context", mend_roles)
    app.add_js_file(None, body=MODE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
