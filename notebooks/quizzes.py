"""Write the questions of book/quizzes.toml into the chapters, before their exercises.

python notebooks/quizzes.py

The answers are folded, which needs no JavaScript and works in Jupyter and Colab too.
"""

import tomllib
from pathlib import Path
from string import ascii_lowercase

import nbformat

from cifar_lib.system.files import atomic_write

FOLDER = Path(__file__).resolve().parent
SOURCE = FOLDER.parent / "book" / "quizzes.toml"
HEADING = "## Check yourself"


def main():
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, 4)
        if put_quiz(notebook, quiz_of(path.stem)):
            with atomic_write(path) as aside:
                nbformat.write(notebook, aside)
            print(path.name)


def questions_of(chapter):
    """The questions of a chapter, in the order of the file."""
    questions = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["question"]
    return [question for question in questions if question["chapter"] == chapter]


def quiz_of(chapter):
    """The markdown of a chapter's quiz, or an empty string."""
    shown = []
    for number, question in enumerate(questions_of(chapter), start=1):
        asked, answered = parts(number, question)
        shown += [
            asked,
            f"<details>\n<summary>Answer</summary>\n\n{answered}\n\n</details>",
        ]
    return "\n\n".join([HEADING, *shown]) if shown else ""


def parts(number, question):
    """The markdown of a question with its choices, and that of its answer."""
    choices = "\n".join(
        f"- ({letter}) {choice}"
        for letter, choice in zip(ascii_lowercase, question["choices"], strict=False)
    )
    asked = f"**{number}.** {question['ask']}\n\n{choices}"
    return asked, f"**({question['right']})** {question['because']}"


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
