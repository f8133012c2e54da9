"""Write the questions of book/quizzes.toml into the chapters, before their exercises.

python notebooks/quizzes.py

The answers are folded, which needs no JavaScript and works in Jupyter and Colab too.
"""

import tomllib
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER.parent / "book" / "quizzes.toml"
HEADING = "## Check yourself\n"


def main():
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, 4)
        if put_quiz(notebook, quiz_of(path.stem)):
            nbformat.write(notebook, path)
            print(path.name)


def quiz_of(chapter):
    """The markdown of a chapter's quiz, or an empty string."""
    questions = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["question"]
    shown = [
        in_markdown(i, question)
        for i, question in enumerate(
            (q for q in questions if q["chapter"] == chapter), start=1
        )
    ]
    return "\n".join([HEADING, *shown]).strip() if shown else ""


def in_markdown(number, question):
    choices = "\n".join(
        f"- ({letter}) {choice}"
        for letter, choice in zip("abcdef", question["choices"], strict=False)
    )
    return (
        f"**{number}.** {question['ask']}\n\n{choices}\n\n"
        f"<details>\n<summary>Answer</summary>\n\n"
        f"**({question['right']})** {question['because']}\n\n</details>\n"
    )


def put_quiz(notebook, text):
    """Place the quiz before the exercises; says whether the notebook changed."""
    cells = [cell for cell in notebook.cells if cell.id != "quiz"]
    if text:
        cell = nbformat.v4.new_markdown_cell(text)
        cell.id = "quiz"
        cells.insert([cell.id for cell in cells].index("exercises"), cell)
    changed = cells != notebook.cells
    notebook.cells = cells
    return changed


if __name__ == "__main__":
    main()
