"""Executing a chapter again changes nothing."""

import execute
import nbformat
import pytest


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "09_small.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell(
            "# Small\n[Open in Colab](https://colab.research.google.com/github/)", id="title"
        ),
        nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nprint(1 + 1)", id="sum"),
        nbformat.v4.new_code_cell("plt.plot([1, 2])\nplt.show()", id="figure"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_second_execution_writes_the_same_bytes(notebook):
    execute.execute(notebook)
    first = notebook.read_bytes()
    execute.execute(notebook)
    assert notebook.read_bytes() == first
    stored = nbformat.read(notebook, 4)
    assert stored.cells[1].outputs[0].text == "2\n"
    assert execute.address()[0] in stored.cells[0].source


def test_a_failing_cell_leaves_the_file_as_it_was(notebook):
    broken = nbformat.read(notebook, 4)
    broken.cells[1].source = "1 / 0"
    nbformat.write(broken, notebook)
    before = notebook.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute.execute(notebook)
    assert notebook.read_bytes() == before
