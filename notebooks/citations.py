"""Citations that can be read wherever a chapter is opened.

A chapter cites with authors, year and the key in book/references.bib:

    ([He et al., 2016](../book/references.bib#he2016))

Jupyter, Colab and GitHub show the names. In the site, of which this module is an
extension, it becomes a citation of sphinxcontrib-bibtex. As a program it writes the
names of every citation anew; for a new one, the key suffices: `([](…#he2016))`.

    python notebooks/citations.py
"""

import re
from functools import cache
from pathlib import Path

import nbformat
from pybtex.database import parse_file

from cifar_lib.system.files import atomic_write

FOLDER = Path(__file__).resolve().parent
CITATION = re.compile(r"\(\[[^\]]*\]\(\.\./book/references\.bib#([\w,]+)\)\)")


def main():
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, 4)
        if name_authors(notebook):
            with atomic_write(path) as aside:
                nbformat.write(notebook, aside)
            print(path.name)


def name_authors(notebook):
    """Write the names of every citation; says whether the notebook changed."""
    changed = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = linked(cell.source, "../book/references.bib#{keys}")
            changed, cell.source = changed or text != cell.source, text
    return changed


def linked(source, address):
    """The text with each citation's names as a link to `address`.

    Its keys take the place of "{keys}" in the address, if that is there.
    """
    return CITATION.sub(
        lambda found: f"([{names(found[1])}]({address.format(keys=found[1])}))", source
    )


def names(keys):
    """Authors and years: "LeCun et al., 1998; Barz and Denzler, 2020"."""
    return "; ".join(map(author_and_year, keys.split(",")))


def author_and_year(key):
    entry = literature().entries[key]
    last = ["".join(map(str, one.rich_last_names)) for one in entry.persons["author"]]
    authors = f"{last[0]} et al." if len(last) > 2 else " and ".join(last)
    return f"{authors}, {entry.fields['year']}"


@cache
def literature():
    return parse_file(FOLDER.parent / "book" / "references.bib")


def _cite(app, page, source):
    source[0] = CITATION.sub(r"{cite}`\1`", source[0])


def setup(app):
    app.connect("source-read", _cite)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    main()
