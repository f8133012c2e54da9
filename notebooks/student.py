"""Write the student edition: the chapters without outputs and without solutions.

python notebooks/student.py [FOLDER]     by default _build/student

An exercise with a check keeps its stub, and the check raises until it is solved. Where
there is no check, the solution becomes a cell for the student's own, which stops "Run
All" until it is replaced; an open exercise gets a cell for text. These cells and the
checks carry nbgrader's notes, so that `nbgrader generate_assignment` takes the
notebooks as they are: checks are graded automatically, the rest by hand. A stub carries
none, because nbgrader would clear it as it clears solutions.
"""

import re
import sys
from pathlib import Path

import address
import citations
import nbformat

FOLDER = Path(__file__).resolve().parent
POINTS = 5
# A link to a page of the site.
PAGE = re.compile(r"\]\(\.\./(book/[^)#]+)\.md(#[^)]*)?\)")
STUB = "# Exercise {number}: replace these two lines.\nraise NotImplementedError\n"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        nbformat.write(student_edition(nbformat.read(path, 4)), folder / path.name)
    print(f"The student edition is in {folder}.")


def student_edition(notebook):
    """The notebook without outputs, and with a stub for each solution."""
    ids = {cell.id for cell in notebook.cells}
    site = address.of_site()  # the edition lies beside no pages
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if "<summary>What the solution" in cell.source:
                continue
            # The link leads to the edition with solutions.
            cell.source = re.sub(r"(> *\n)?> *\[Open in Colab\].*\n?", "", cell.source)
            cell.source = PAGE.sub(rf"]({site}\1.html\2)", cell.source)
            cell.source = citations.linked(cell.source, f"{site}book/references.html")
        else:
            cell.outputs, cell.execution_count = [], None
            if is_solution(cell):
                if cell.id.replace("solution", "stub", 1) in ids:
                    continue
                cell = stub(cell)
            elif is_check(cell):
                cell.source = cell.source.replace("check()", "check(strict=True)")
                cell.metadata["nbgrader"] = notes(cell)
        cells.append(cell)
        if is_open(cell, ids):
            cells.append(answer(cell))
    notebook.cells = cells
    notebook.metadata.pop("course", None)  # it vouches for outputs, and there are none
    return notebook


def is_solution(cell):
    return cell.cell_type == "code" and cell.id.startswith("solution-")


def is_check(cell):
    return cell.cell_type == "code" and "with check():" in cell.source


def is_open(cell, ids):
    """Whether a cell asks for something that has neither a stub nor a solution."""
    kind, _, name = cell.id.partition("-")
    return kind == "exercise" and not ids & {f"stub-{name}", f"solution-{name}"}


def answer(cell):
    """The cell for the text that answers an open exercise."""
    new = nbformat.v4.new_markdown_cell("*Your answer, with cells of code below it:*")
    new.id = cell.id.replace("exercise", "answer", 1)
    new.metadata["nbgrader"] = notes(new, solution=True)
    return new


def stub(cell):
    number = re.match(r"# @title Solution (\d+)", cell.source)[1]
    new = nbformat.v4.new_code_cell(STUB.format(number=number))
    new.id = cell.id
    new.metadata["nbgrader"] = notes(cell, solution=True)
    return new


def notes(cell, solution=False):
    """What nbgrader asks: who writes the cell, and how many points it brings."""
    return {
        "grade": True,
        "grade_id": cell.id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
        "points": POINTS,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER.parent / "_build" / "student")
