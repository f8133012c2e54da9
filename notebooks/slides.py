"""Write a deck of slides for each chapter, from its figures, questions and quiz.

python notebooks/slides.py [FOLDER]     by default _build/slides

Questions with their answers, figures, tables and equations are slides, one column per
section, and the prose is the speaker's notes (press S). nbconvert makes the decks, and
reveal.js shows them. A deck is one file that needs no network: reveal.js lies in the
folder reveal, and MathJax comes with the package that brings it to the site.
"""

import re
import sys
from importlib.metadata import files
from pathlib import Path

import citations
import nbformat
import quizzes
from nbconvert.exporters import SlidesExporter
from nbformat.v4 import new_markdown_cell

FOLDER = Path(__file__).resolve().parent
REVEAL = FOLDER / "reveal"
# What of the prose is shown instead of said.
QUESTION = r"^> \*\*Predict\.\*\*.*\n?(?:^>.*\n?)*"
TABLE = r"(?:^\|.*\n?)+"
EQUATION = r"^\$\$[^$]+\$\$"
SHOWN = re.compile(f"(?m){QUESTION}|{TABLE}|{EQUATION}")
# Marks that a deck cannot show: where a number comes from, live parts, citations.
MARKS = re.compile(
    rf"<!--.*?-->|</?div[^>]*>| ?{citations.CITATION.pattern}", re.DOTALL
)
ROLE = re.compile(r"\{[a-z:]+\}`([^`<]*?) ?(?:<[^>]*>)?`")
NEAR = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")  # a link within the site


STYLE = """<style>
:root { --r-main-font: "Source Sans 3", "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  --r-heading-font: var(--r-main-font); }
.section { position: fixed; top: 16px; left: 24px; color: #666;
  font: 20px var(--r-main-font); }
.reveal .slide-number { font-size: 16px; color: #666; background: none; }
.reveal .jp-RenderedMarkdown, .reveal blockquote p { font-size: 30px }
.reveal h1 { font-size: 56px; }
.reveal h2 { font-size: 42px; }
.reveal blockquote { width: 90%; font-style: normal; box-shadow: none; }
.reveal .jp-RenderedMarkdown img { display: block; margin: 0 auto; width: 100%;
  max-height: 480px; object-fit: contain; }
.reveal .jp-RenderedMarkdown pre { box-shadow: none; font-size: 22px; width: 100%;
  white-space: pre-wrap; }
.reveal .jp-RenderedMarkdown table { font-size: 22px; }
</style>"""


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        slides = deck(nbformat.read(path, 4), quizzes.questions_of(path.stem))
        (folder / f"{path.stem}.html").write_text(in_html(slides), encoding="utf-8")
    print(f"The slides are in {folder}.")


def deck(notebook, quiz):
    """The chapter as a notebook of which each cell says what part of a deck it is."""
    cells, asked = [], False
    for cell in notebook.cells:
        if cell.id in ("quiz", "exercises"):
            break
        if cell.cell_type == "markdown":
            cells += prose(cell)
            asked = "> **Predict.**" in cell.source
        else:
            cells += figure(cell) or (printed(cell) if asked else [])
            asked = False
    for number, question in enumerate(quiz, start=1):
        asked, answered = quizzes.parts(number, question)
        cells += [part("slide", asked), part("fragment", answered)]
    notebook.cells = with_joined_notes(cells)
    return notebook


def with_joined_notes(cells):
    """The cells with one note per slide, because reveal.js shows only the first."""
    joined = []
    for cell in cells:
        kinds = [one.metadata.slideshow.slide_type for one in (*joined[-1:], cell)]
        if kinds == ["notes", "notes"]:
            joined[-1].source += f"\n\n{cell.source}"
        else:
            joined.append(cell)
    return joined


def part(kind, text):
    return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})


def prose(cell):
    """A section's beginning and what it shows as slides, everything else as notes."""
    text = readable(cell.source)
    if cell.id == "title":
        aims, _, rest = text.partition("\n> **Time**")
        told = re.sub(r"(?m)^>.*\n?", "", rest.partition("\n")[2]).strip()
        return [part("slide", f"{STYLE}\n\n{aims}"), part("notes", told)]
    if cell.id == "evidence":
        return [part("slide", text)]
    sections = re.split(r"(?m)^(?=##+ )", text)
    return [slide for section in sections if section for slide in column(section)]


def column(text):
    """The slides and the notes of a section, or of a part of one without a heading."""
    heading, _, body = text.partition("\n") if text.startswith("#") else ("", "", text)
    shown = [match.strip() for match in SHOWN.findall(body)]
    told = re.sub(r"\n{3,}", "\n\n", SHOWN.sub("", body)).strip()
    slides = [part("slide", f"{heading}\n\n{first_sentence(told)}")] if heading else []
    slides += [part("notes", told)] if told else []
    return slides + [part("subslide", piece) for piece in shown]


def first_sentence(text):
    return re.match(r"(?:.*?[.?!](?= |\n|$)|)", text)[0]


def figure(cell):
    """What a cell draws, with its caption; any other code is passed over."""
    about = cell.metadata.get("mystnb", {})
    described = re.sub(r"([\[\]])", r"\\\1", about.get("image", {}).get("alt", ""))
    caption = readable(about.get("figure", {}).get("caption", ""))
    pictures = [
        output.data["image/png"].replace("\n", "")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    return [
        part(
            "subslide", f"![{described}](data:image/png;base64,{picture})\n\n{caption}"
        )
        for picture in pictures
    ]


def printed(cell):
    """What a cell prints: the answer to a question that no figure answers."""
    text = "".join(output.get("text", "") for output in cell.outputs).strip("\n")
    return [part("subslide", f"```text\n{text}\n```")] if text else []


def readable(text):
    """Markdown that needs neither Sphinx nor the site's other pages, nor any cells."""
    text = NEAR.sub(r"\1", ROLE.sub(r"\1", MARKS.sub("", text))).strip()
    return text.replace("before you run the next cell", "before the next slide")


# nbconvert's page asks four hosts for its scripts. This one carries them.
PAGE = """{% extends 'index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block footer_js %}<script>
const above = document.body.appendChild(document.createElement("div"));
above.className = "section";
const show = () => {
  const slide = Reveal.getCurrentSlide();
  const heading = slide.parentElement.querySelector("h1, h2, h3");
  const repeated = heading && !slide.contains(heading);
  above.textContent = repeated ? heading.firstChild.textContent : "";
  const room = 0.95 * Reveal.getConfig().height;
  if (slide.scrollHeight > room)  // some evidence is longer than a screen
    Object.assign(slide.style, { height: `${room}px`, overflowY: "auto" });
};
Reveal.initialize({
  history: true, width: 1280, height: 720, slideNumber: "c/t", transition: "none",
  plugins: [RevealNotes],
}).then(show);
Reveal.on("slidechanged", show);
</script>{% endblock %}"""
MATHS = """window.MathJax = {
  tex: { inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]] },
  options: { enableMenu: false },
};
"""


def in_html(notebook):
    """One file with all that it needs."""
    exporter = SlidesExporter(raw_template=PAGE, reveal_url_prefix="reveal")
    page = exporter.from_notebook_node(notebook)[0]
    page = re.sub(r"<link [^>]*href=\"reveal/.*?>", "", page)
    styles = f"<style>{text_of('reveal.css')}{text_of('simple.css')}</style>"
    scripts = [text_of("reveal.js"), text_of("notes.js")]
    if re.search(r"\$.+\$", page):
        scripts.append(MATHS + mathjax())
    carried = styles + "".join(f"<script>{script}</script>\n" for script in scripts)
    return page.replace("</head>", f"{carried}</head>", 1)


def text_of(name):
    return (REVEAL / name).read_text(encoding="utf-8")


def mathjax():
    """MathJax with the shapes of its letters, so that it fetches no fonts."""
    package = files("sphinx-mathjax-offline")
    script = next(path for path in package if path.name == "tex-svg.js")
    return script.locate().read_text(encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER.parent / "_build" / "slides")
