"""Write the student edition: the chapters without outputs and without solutions.

python notebooks/student.py [FOLDER]     by default _build/student

Each solution becomes a cell for the student's own, which stops "Run All" until it is
replaced. It carries nbgrader's notes, so that `nbgrader generate_assignment` and its
manual grading take the notebooks as they are.
"""

import re
import sys
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent
POINTS = 5
STUB = "# Exercise {number}: replace these two lines.\nraise NotImplementedError\n"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        nbformat.write(student_edition(nbformat.read(path, 4)), folder / path.name)
    print(f"The student edition is in {folder}.")


def student_edition(notebook):
    """The notebook without outputs, and with a stub for each solution."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if "<summary>What the solution" in cell.source:
                continue
            # The link leads to the edition with solutions.
            cell.source = re.sub(r"(> *\n)?> *\[Open in Colab\].*\n?", "", cell.source)
        else:
            cell.outputs, cell.execution_count = [], None
            if is_solution(cell):
                cell = stub(cell)
        cells.append(cell)
    notebook.cells = cells
    notebook.metadata.pop("course", None)  # it vouches for outputs, and there are none
    return notebook


def is_solution(cell):
    return cell.cell_type == "code" and cell.id.startswith("solution-")


def stub(cell):
    number = re.match(r"# @title Solution (\d+)", cell.source)[1]
    notes = {
        "grade": True,
        "grade_id": cell.id,
        "locked": False,
        "points": POINTS,
        "schema_version": 3,
        "solution": True,
        "task": False,
    }
    new = nbformat.v4.new_code_cell(
        STUB.format(number=number), metadata={"nbgrader": notes}
    )
    new.id = cell.id
    return new


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER.parent / "_build" / "student")
