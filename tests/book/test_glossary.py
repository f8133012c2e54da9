"""The glossary: it explains the words that the book uses, and no others."""

import re
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).parents[2]
TERMS = re.findall(
    r"^(\S.*)\n    \S", (REPOSITORY / "book" / "glossary.md").read_text().split(":::")[1], re.M
)
PAGES = sorted(path for path in (REPOSITORY / "book").glob("*.md") if path.stem != "glossary")
CHAPTERS = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
BOOK = "\n".join(
    [path.read_text() for path in PAGES]
    + [cell.source for path in CHAPTERS for cell in nbformat.read(path, 4).cells]
)


def test_terms_stand_in_the_order_of_the_alphabet():
    assert len(TERMS) > 40
    assert sorted(TERMS, key=str.lower) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_the_book_uses_the_term(term):
    assert re.search(rf"\b{re.escape(term)}", BOOK, re.I)
