"""The slides: each chapter's figures and questions are shown, its prose is said, its code stays away."""

import re
from pathlib import Path

import nbformat
import pytest
import quizzes
import slides

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
END = nbformat.v4.new_markdown_cell("## Exercises", id="exercises")
QUIZ = [{"ask": "Which?", "choices": ["this", "that", "none"], "right": "b", "because": "It is."}]


@pytest.fixture(params=CHAPTERS, ids=[path.stem for path in CHAPTERS])
def pair(request):
    """A chapter and the cells of its deck."""
    chapter, again = (nbformat.read(request.param, 4) for _ in range(2))
    return chapter, slides.deck(again, quizzes.questions_of(request.param.stem)).cells


def of_kind(cells, *kinds):
    return [cell for cell in cells if cell.metadata.slideshow.slide_type in kinds]


def draws(cell):
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def test_every_figure_before_the_exercises_is_on_a_slide_with_its_text_and_no_code_is(pair):
    chapter, cells = pair
    end = [cell.id for cell in chapter.cells].index("exercises")
    drawn = [cell for cell in chapter.cells[:end] if draws(cell)]
    shown = [cell.source for cell in of_kind(cells, "subslide") if "](data:image/png;base64," in cell.source]
    assert len(shown) == len(drawn) > 0
    for cell, source in zip(drawn, shown, strict=True):
        assert source.startswith(f"![{cell.metadata['mystnb']['image']['alt']}](")
    assert not [cell for cell in cells if cell.cell_type == "code"]


def test_every_section_is_a_column_and_every_question_is_shown(pair):
    chapter, cells = pair
    columns = "\n".join(cell.source for cell in of_kind(cells, "slide"))
    shown = "\n".join(cell.source for cell in of_kind(cells, "slide", "subslide"))
    for cell in chapter.cells:
        if cell.id in ("quiz", "exercises"):
            break
        if cell.cell_type == "markdown":
            for heading in re.findall(r"(?m)^##+ .*", cell.source):
                assert heading in columns
        assert cell.source.count("> **Predict.**") <= shown.count("> **Predict.**")


def deck_of(*cells):
    made = slides.deck(nbformat.v4.new_notebook(cells=[*cells, END]), []).cells
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in made]


def code(text):
    return nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("stream", text=text)])


def test_what_a_cell_prints_is_shown_where_it_answers_a_question():
    asked = nbformat.v4.new_markdown_cell("Look.\n\n> **Predict.** How many, before you run the next cell?")
    assert deck_of(asked, code("seven"), code("else")) == [
        ("notes", "Look."),
        ("subslide", "> **Predict.** How many, before the next slide?"),
        ("subslide", "```text\nseven\n```"),
    ]


def test_tables_and_equations_are_shown_and_the_prose_around_them_is_said():
    text = "## One\n\nFirst. Second.\n\n| a |\n|---|\n| 1 |\n\n$$x = 1$$\n\nLast.\n\n## Two\n\nThird."
    assert deck_of(nbformat.v4.new_markdown_cell(text)) == [
        ("slide", "## One\n\nFirst."),
        ("notes", "First. Second.\n\nLast."),
        ("subslide", "| a |\n|---|\n| 1 |"),
        ("subslide", "$$x = 1$$"),
        ("slide", "## Two\n\nThird."),
        ("notes", "Third."),
    ]


def test_a_slide_has_one_note_because_no_second_would_be_shown():
    texts = [nbformat.v4.new_markdown_cell(text) for text in ("## One\n\nFirst.", "More.", "Still more.")]
    assert deck_of(*texts) == [("slide", "## One\n\nFirst."), ("notes", "First.\n\nMore.\n\nStill more.")]


def test_no_mark_of_the_site_is_left(pair):
    _, cells = pair
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    marks = ("<!--", "references.bib", "{term", "<div", ".ipynb)", ".md)")
    assert not [mark for mark in marks if mark in text]


def test_a_quiz_shows_the_question_before_its_answer():
    asked, answered = slides.deck(nbformat.v4.new_notebook(cells=[END]), QUIZ).cells
    assert asked.source == "**1.** Which?\n\n- (a) this\n- (b) that\n- (c) none"
    assert asked.metadata.slideshow.slide_type == "slide"
    assert answered.source == "**(b)** It is." and answered.metadata.slideshow.slide_type == "fragment"


def test_a_deck_is_written_for_each_chapter(tmp_path, capsys):
    slides.main(tmp_path / "decks")
    assert [path.stem for path in sorted((tmp_path / "decks").iterdir())] == [path.stem for path in CHAPTERS]
    text = (tmp_path / "decks" / f"{CHAPTERS[0].stem}.html").read_text(encoding="utf-8")
    assert "Reveal.initialize" in text and '<img alt="' in text


def test_a_deck_needs_no_network_and_has_mathjax_where_there_is_an_equation():
    with_one, without = (
        slides.in_html(slides.deck(nbformat.v4.new_notebook(cells=[END]), [{**QUIZ[0], "ask": ask}]))
        for ask in ("$x$?", "x?")
    )
    for page in (with_one, without):
        assert "RevealNotes" in page
        assert not re.findall(r"<(?:link|script)\b[^>]*(?:href|src)=|@import|import \w+ from", page)
    assert "window.MathJax =" in with_one and "window.MathJax =" not in without
