"""The student edition: no solution is in it, and all else is as in the chapters."""

import ast
import os
import re
from pathlib import Path

import address
import nbclient
import nbformat
import pytest
import student

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@pytest.fixture(params=CHAPTERS, ids=[path.stem for path in CHAPTERS])
def pair(request):
    """A chapter and its student edition."""
    chapter = nbformat.read(request.param, 4)
    return chapter, student.student_edition(nbformat.read(request.param, 4))


def solutions(notebook):
    return [cell for cell in notebook.cells if student.is_solution(cell)]


def text_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def unchecked(chapter):
    """The solutions of exercises that have no check."""
    ids = {cell.id for cell in chapter.cells}
    return [cell for cell in solutions(chapter) if cell.id.replace("solution", "stub", 1) not in ids]


def test_each_solution_without_a_check_is_a_stub_that_can_be_graded(pair):
    chapter, edition = pair
    assert [cell.id for cell in solutions(edition)] == [cell.id for cell in unchecked(chapter)]
    for was, cell in zip(unchecked(chapter), solutions(edition), strict=True):
        number = re.search(r"# @title Solution (\d+)", was.source)[1]
        assert cell.source == student.STUB.format(number=number)
        notes = cell.metadata["nbgrader"]
        assert notes["solution"] and notes["grade"] and notes["grade_id"] == cell.id


def test_each_check_raises_and_is_graded_by_itself(pair):
    chapter, edition = pair
    cells = {cell.id: cell for cell in edition.cells}
    checks = [cell.id for cell in chapter.cells if cell.id.startswith("check-")]
    assert checks == [name for name in cells if name.startswith("check-")]
    for name in checks:
        notes = cells[name].metadata["nbgrader"]
        assert "with check(strict=True):" in cells[name].source
        assert notes["grade"] and notes["points"] and notes["locked"] and not notes["solution"]
        # nbgrader replaces what is marked as a solution, and the bug to find with it.
        assert "nbgrader" not in cells[name.replace("check", "stub", 1)].metadata


def test_each_open_exercise_has_a_cell_for_an_answer_that_is_graded_by_hand(pair):
    _, edition = pair
    cells = edition.cells
    places = [place for place, cell in enumerate(cells) if cell.id.startswith("answer-")]
    for place in places:
        assert re.search(r"(?i)\bopen\b", cells[place - 1].source)
        notes = cells[place].metadata["nbgrader"]
        assert notes["solution"] and notes["grade"] and notes["points"]
    exercises = re.findall(r"(?m)^\*\*\d+\. ", text_of(edition).partition("\n## Exercises\n")[2])
    checks = [cell for cell in cells if cell.id.startswith("check-")]
    assert len(places) + len(solutions(edition)) + len(checks) == len(exercises)


def test_no_line_of_a_solution_and_no_output_is_left(pair):
    chapter, edition = pair
    text = text_of(edition)
    shown = "\n".join(cell.source for cell in chapter.cells if not student.is_solution(cell))
    own = {
        line.strip()
        for cell in solutions(chapter)
        for line in cell.source.splitlines()
        if len(line.strip()) > 15 and line.strip() not in shown
    }
    assert len(own) > 5
    assert [line for line in own if line in text] == []
    assert not any(cell.get("outputs") for cell in edition.cells)
    assert "What the solution" not in text


def test_links_stay_in_the_folder_or_are_whole(pair):
    _, edition = pair
    text = "\n".join(cell.source for cell in edition.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    near = {link.partition("#")[0] for link in links if not link.startswith(("https://", "#", "data:"))}
    assert near <= {path.name for path in CHAPTERS}


def test_a_link_to_a_page_leads_to_the_site():
    text = "[One](../book/luck.md), [two](../book/glossary.md#terms), [three](05_x.ipynb)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    site = address.of_site()
    assert student.student_edition(notebook).cells[0].source == (
        f"[One]({site}book/luck.html), [two]({site}book/glossary.html#terms), [three](05_x.ipynb)"
    )


def test_what_is_no_solution_stays_and_needs_none(pair):
    chapter, edition = pair
    kept = {cell.id: cell.source for cell in edition.cells if cell.cell_type == "code"}
    made, used = set(), set()
    for cell in chapter.cells:
        if cell.cell_type != "code":
            continue
        if not student.is_solution(cell):
            assert kept[cell.id] == cell.source.replace("with check():", "with check(strict=True):")
        code = re.sub(r"(?m)^(\s*)%.*", r"\1pass", cell.source)  # lines for IPython alone
        names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        if student.is_solution(cell):
            made |= stored
        else:
            used |= loaded & (made - stored)
            made -= stored
    assert used == set()


def test_it_runs_up_to_the_first_exercise(tmp_path, monkeypatch):
    student.main(tmp_path)
    assert [path.name for path in sorted(tmp_path.glob("*.ipynb"))] == [path.name for path in CHAPTERS]
    path = tmp_path / CHAPTERS[0].name
    monkeypatch.setitem(os.environ, "CIFAR_PROFILE", "quick")
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match=r"NotImplementedError|AssertionError"):
        nbclient.NotebookClient(notebook, timeout=300).execute()
    run = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    assert run[-1].id == next(cell.id for cell in notebook.cells if "grade" in notes_of(cell))


def notes_of(cell):
    """What nbgrader is asked to count, by name."""
    return {name for name, value in cell.metadata.get("nbgrader", {}).items() if value}


def test_a_citation_leads_to_the_references(pair):
    _, edition = pair
    sources = "\n".join(cell.source for cell in edition.cells)
    assert "references.bib" not in sources
    assert "/book/references.html))" in sources
