"""*The paper, annotated*: every sentence of the paper has its place, a verdict, and a link that leads on."""

import re
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "book" / "annotated-paper.md").read_text()
# The sentences of the paper's text, captions included, by its parts.
SENTENCES = {"Introduction": 10, "Methodology": 19, "Evaluation": 13, "Results": 2}
VERDICTS = "True|Partly true|Not true|Supported|Depends|Open|Not supported|Reproduced|Does not follow|Unclear"
VERDICTS += "|Not testable|Not tested"
ENTRY = re.compile(rf"^\*\*(\d+)\.\*\* .+\n: \*\*({VERDICTS})[.*]", re.M)
LINK = re.compile(r"\]\((\.\./notebooks/[^)#]+\.ipynb)(?:#([^)]+))?\)")


def anchors(path):
    """The anchors of a chapter's headings, made as GitHub does."""
    text = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#{1,2} (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_sentence_has_a_number_and_a_verdict():
    assert [int(number) for number, _ in ENTRY.findall(PAGE)] == list(range(1, sum(SENTENCES.values()) + 1))


@pytest.mark.parametrize("part", SENTENCES)
def test_the_sentences_stand_in_the_part_of_the_paper_that_has_them(part):
    section = PAGE.split(f"\n## {part}\n")[1].split("\n## ")[0]
    assert len(ENTRY.findall(section)) == SENTENCES[part]


def test_every_link_leads_to_a_section_of_a_chapter():
    links = set(LINK.findall(PAGE))
    assert len(links) > 20
    lost = [
        f"{path}#{anchor}"
        for path, anchor in links
        if not (REPOSITORY / "book" / path).exists()
        or (anchor and anchor not in anchors(REPOSITORY / "book" / path))
    ]
    assert lost == []


def test_only_what_cannot_be_tested_stands_without_evidence():
    for entry in re.split(r"^(?=\*\*\d+\.\*\*)", PAGE, flags=re.M)[1:]:
        assert "Not testable" in entry or "](" in entry or "{cite}" in entry, entry
