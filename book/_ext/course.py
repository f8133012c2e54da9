"""Sphinx extension: the table of recorded runs, and pages that ask no other host for anything."""

from itertools import groupby

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cifar_lib import runs


class RecordedRuns(SphinxDirective):
    """A table with a row for each recipe, made from the JSON files in `cifar_lib/recorded`."""

    def run(self):
        every = [runs.load_record(path) for path in sorted(runs.RECORDED.glob("*.json"))]
        lines = [
            "| recipe | data | seeds | epochs | parameters | test accuracy | validation accuracy | seconds |",
            "|---|---|---|---:|---:|---|---|---:|",
        ]
        for name, group in groupby(every, key=lambda run: run.recipe.name):
            several = list(group)
            first = several[0]
            seconds = runs.mean_and_spread(run.seconds for run in several)[0]
            lines.append(
                f"| `{name}` | {first.recipe.data} | {', '.join(str(run.seed) for run in several)} "
                f"| {first.recipe.epochs} | {first.model['parameters']:,} "
                f"| {runs.percent(several, 'test_accuracy')} | {runs.percent(several, 'val_accuracy')} "
                f"| {seconds:,.0f} |"
            )
        where = sorted({(run.environment["device"], run.environment["torch"]) for run in every})
        lines += ["", "Devices: " + "; ".join(f"{device}, PyTorch {torch}" for device, torch in where) + "."]
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source="recorded runs"), 0, node)
        return node.children


def keep_local(app, page, template, context, doctree):
    """Leave out other hosts' scripts and styles, and Thebe's, which fetches its own: no page needs them."""
    context["css_files"] = [file for file in context.get("css_files", []) if "://" not in str(file.filename)]
    context["script_files"] = [file for file in context.get("script_files", []) if not _asks_elsewhere(file)]


def _asks_elsewhere(script):
    body = script.attributes.get("body") or ""
    return "://" in f"{script.filename} {body}" or "thebe" in f"{script.filename} {body}".lower()


def setup(app):
    app.add_directive("recorded-runs", RecordedRuns)
    app.connect("html-page-context", keep_local, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
