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
    assert stored.metadata.language_info.file_extension == ".py"  # what a script is saved with


def test_a_failing_cell_leaves_the_file_as_it_was(notebook):
    broken = nbformat.read(notebook, 4)
    broken.cells[1].source = "1 / 0"
    nbformat.write(broken, notebook)
    before = notebook.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute.execute(notebook)
    assert notebook.read_bytes() == before


def test_chapters_are_executed_in_the_recorded_profile_whatever_the_environment_says(notebook, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    asking = nbformat.read(notebook, 4)
    asking.cells[1].source = "from cifar_lib import runs\nprint(runs.profile())"
    del asking.cells[2]
    nbformat.write(asking, notebook)
    execute.execute(notebook)
    assert nbformat.read(notebook, 4).cells[1].outputs[0].text == "recorded\n"


def test_the_librarys_hash_covers_every_room(monkeypatch, tmp_path):
    """A changed module, style or record of any depth makes the stored outputs stale."""
    places = [
        "cifar_lib/a.py",
        "cifar_lib/room/b.py",
        "cifar_lib/room/c.mplstyle",
        "cifar_lib/recorded/d.json",
    ]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("before")
    monkeypatch.setattr(execute, "REPOSITORY", tmp_path)
    hashes = {execute.library_hash()}
    for place in places:
        (tmp_path / place).write_text("after")
        hashes.add(execute.library_hash())
    assert len(hashes) == 1 + len(places)
