"""Sphinx extension: the computing plan; pages that ask no other host and that all can use."""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cifar_lib import recipes, runs

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
    names = runs.record.records_in(runs.record.RECORDED)
    order = dict.fromkeys([*recipes.RECIPES, *names])
    return [run for name in order if name in names for run in runs.load_runs(name)]


class Markdown(SphinxDirective):
    """Markdown `lines`, parsed as if they stood in the page."""

    def run(self):
        node = nodes.Element()
        self.state.nested_parse(StringList(self.lines(), source=type(self).__name__), 0, node)
        return node.children


class Table(Markdown):
    """The same with a table, which has the directive's name as its class."""

    def run(self):
        children = super().run()
        for node in children:
            for table in node.findall(nodes.table):
                table["classes"].append(self.name)
        return children


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
    """Leave out other hosts' scripts and styles, and Thebe's, which fetches its own: no page needs them.

    Those of cards and tabs are left out where there are none.
    """
    designed = 'class="sd-' in context.get("body", "")
    unused = ("://", "thebe") if designed else ("://", "thebe", "sphinx-design", "design-tabs")

    def needed(file):
        text = f"{file.filename} {file.attributes.get('body', '')}".lower()
        return not any(name in text for name in unused)

    context["css_files"] = list(filter(needed, context.get("css_files", [])))
    scripts = filter(needed, context.get("script_files", []))
    # Sphinx adds MathJax to a page if there is a formula on the page or on those below it in the contents.
    formulas = doctree and any(doctree.findall(lambda n: isinstance(n, nodes.math | nodes.math_block)))
    context["script_files"] = [file for file in scripts if formulas or "mathjax" not in str(file.filename)]


def print_what_is_shown(app):
    """The book of one page, which `make pdf` prints, shows each kind of node as the site does.

    Sphinx asks for a builder's own handlers first, and looks no further if any extension registered one.
    """
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers.get("html", {}) | handlers.get("singlehtml", {})


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
    app.add_directive("computing-plan", ComputingPlan)
    app.connect("builder-inited", print_what_is_shown)
    app.connect("html-page-context", keep_local, priority=900)
    app.connect("html-page-context", mend_roles)
    app.add_js_file(None, body=MODE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
