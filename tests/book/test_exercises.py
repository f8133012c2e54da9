"""Exercises with a check: the untouched stub fails it with a hint, and the solution passes it."""

import ast
from functools import cache
from pathlib import Path

import nbformat
import pytest

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@cache
def cells_of(chapter):
    return {cell.id: cell for cell in nbformat.read(chapter, 4).cells}


CHECKS = [(path, name) for path in CHAPTERS for name in cells_of(path) if name.startswith("check-")]
each = pytest.mark.parametrize("chapter, check", CHECKS, ids=[f"{p.stem[:2]}-{name}" for p, name in CHECKS])


def execute(chapter, *names):
    """Execute cells of a chapter one after the other, after its imports."""
    cells = cells_of(chapter)
    imports = [
        node
        for node in ast.parse(cells["start"].source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    namespace = {}
    exec(compile(ast.Module(imports, []), "start", "exec"), namespace)
    for name in names:
        exec(compile(cells[name].source, name, "exec"), namespace)


@each
def test_the_stub_stands_before_its_check_and_the_solution_after_it(chapter, check):
    name, order = check.removeprefix("check-"), list(cells_of(chapter))
    assert order.index(f"stub-{name}") + 1 == order.index(check) < order.index(f"solution-{name}")
    assert "hide-cell" in cells_of(chapter)[f"solution-{name}"].metadata.get("tags", [])


@each
def test_the_untouched_stub_gets_a_hint(chapter, check, capsys):
    uses = cells_of(chapter)[check].metadata.get("uses", [])
    execute(chapter, *uses, check.replace("check-", "stub-", 1))
    capsys.readouterr()
    execute(chapter, *uses, check.replace("check-", "stub-", 1), check)
    said = capsys.readouterr().out.splitlines()[-1]
    # A hint in words, and not an error of Python's that happened to stop the check.
    assert said.startswith("Not yet: ") and "the check stopped" not in said


@each
def test_the_solution_is_right(chapter, check, capsys):
    uses = cells_of(chapter)[check].metadata.get("uses", [])
    execute(chapter, *uses, check.replace("check-", "solution-", 1), check)
    assert capsys.readouterr().out.splitlines()[-1] == "Right."


@each
def test_every_assertion_of_a_check_has_a_hint(chapter, check):
    tree = ast.parse(cells_of(chapter)[check].source)
    asserted = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert asserted and all(node.msg is not None for node in asserted)
