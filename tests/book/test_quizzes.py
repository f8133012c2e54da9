"""The quizzes: five questions a chapter from one file, as they stand in the notebooks."""

import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import pytest
import quizzes

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
QUESTIONS = tomllib.loads(quizzes.SOURCE.read_text(encoding="utf-8"))["question"]


def test_each_chapter_has_five_questions():
    assert Counter(question["chapter"] for question in QUESTIONS) == {path.stem: 5 for path in CHAPTERS}


@pytest.mark.parametrize("question", QUESTIONS, ids=[question["ask"][:40] for question in QUESTIONS])
def test_the_right_answer_is_one_of_three_or_four_different_choices(question):
    choices = question["choices"]
    assert len(set(choices)) == len(choices) in (3, 4)
    assert question["right"] in "abcd"[: len(choices)]


def test_no_choice_is_lost():
    question = {"ask": "Which?", "choices": ["1", "2", "3", "4", "5"], "right": "e", "because": "so"}
    assert "\n- (d) 4\n- (e) 5" in quizzes.parts(1, question)[0]


def test_the_right_answers_are_not_always_at_the_same_place():
    places = Counter(question["right"] for question in QUESTIONS)
    assert max(places.values()) < len(QUESTIONS) / 2


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_the_chapter_has_the_quiz_of_the_file(path):
    notebook = nbformat.read(path, 4)
    assert not quizzes.put_quiz(notebook, quizzes.quiz_of(path.stem)), "python notebooks/quizzes.py"
