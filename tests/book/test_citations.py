"""Citations name their authors wherever a chapter is opened."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import citations
import nbformat
import pytest
import quizzes

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
CITED = "([{}](../book/references.bib#{}))"


@pytest.mark.parametrize(
    "keys, names",
    [
        ("wilson1927", "Wilson, 1927"),
        ("kingma2015", "Kingma and Ba, 2015"),
        ("lecun1998,barz2020", "LeCun et al., 1998; Barz and Denzler, 2020"),
    ],
)
def test_a_citation_has_authors_and_year(keys, names):
    cell = nbformat.v4.new_markdown_cell(f"As {CITED.format('', keys)}.")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert citations.name_authors(notebook)
    assert notebook.cells[0].source == f"As {CITED.format(names, keys)}."
    assert not citations.name_authors(notebook)


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_the_chapter_has_the_names_of_the_bibliography(path):
    notebook = nbformat.read(path, 4)
    assert not citations.name_authors(notebook), "python notebooks/citations.py"
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "references.bib" in text and "{cite" not in text


def test_in_the_site_it_is_a_citation():
    connected = {}
    citations.setup(SimpleNamespace(connect=connected.__setitem__))
    source = [f"As {CITED.format('Holm, 1979', 'holm1979')} and [a link](../book/setup.md#x)."]
    connected["source-read"](None, "page", source)
    assert source == ["As {cite}`holm1979` and [a link](../book/setup.md#x)."]


@pytest.mark.parametrize("program", [citations, quizzes], ids=["citations", "quizzes"])
def test_a_program_that_is_stopped_leaves_the_chapter_whole(program, tmp_path, monkeypatch):
    def stopped(notebook, path):
        Path(path).write_text("half")
        raise KeyboardInterrupt

    folder = tmp_path / "notebooks"
    folder.mkdir()
    chapter = Path(shutil.copy(CHAPTERS[0], folder))
    before = chapter.read_bytes()
    monkeypatch.setattr(program, "FOLDER", folder)
    monkeypatch.setattr(citations, "name_authors", lambda notebook: True)
    monkeypatch.setattr(quizzes, "put_quiz", lambda notebook, text: True)
    monkeypatch.setattr(nbformat, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        program.main()
    assert chapter.read_bytes() == before and list(folder.iterdir()) == [chapter]
