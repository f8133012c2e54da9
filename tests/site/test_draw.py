"""Draw, then see, in a real browser: by mouse, by finger, by keys; what is kept, judged, and forgotten."""

import tomllib
from functools import cache
from pathlib import Path

import pytest
from browser import drive, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

SOURCE = Path(__file__).parents[2] / "book" / "questions.toml"
QUESTIONS = tomllib.loads(SOURCE.read_text(encoding="utf-8"))["question"]


@cache
def seen(scene):
    return _driven()[scene]


@cache
def _driven():
    return drive("draw.mjs", *(f"{question['chapter']}/{question['id']}" for question in QUESTIONS))


def test_nothing_goes_wrong_on_the_way():
    assert seen("noise") == []


def test_before_drawing_the_answer_is_neither_fetched_nor_in_view():
    before = seen("mouse")["before"]
    assert (before["answers"], before["inPart"], before["folded"]) == ([], 0, True)
    assert before["disabled"], "the answer can be asked for before anything is drawn"


def test_a_curve_must_be_drawn_to_its_end_and_the_last_stroke_can_be_undone():
    mouse = seen("mouse")
    assert mouse["half"]["disabled"] and "go on to the end" in mouse["half"]["status"]
    assert not mouse["whole"]["disabled"] and mouse["whole"]["status"].startswith("Complete")
    assert mouse["undone"]["disabled"]


def test_after_drawing_the_recorded_runs_are_shown_with_the_error_and_the_reason():
    after = seen("mouse")["after"]
    assert after["answers"] == ["constant-rate.answer.json"] and after["runs"] >= 3
    [question] = [question for question in QUESTIONS if question["id"] == "constant-rate"]
    assert question["why"] in after["result"] and " points off, and furthest in epoch " in after["result"]
    assert after["picture"] in after["result"] and after["live"] == "polite"
    assert after["folded"] is False
    assert after["kept"]["shown"] and len(after["kept"]["answer"]) == 70


def test_a_second_try_does_not_replace_the_first_answer():
    mouse = seen("mouse")
    assert mouse["again"]["runs"] == 0 and mouse["again"]["disabled"]
    assert mouse["again"]["kept"] == mouse["after"]["kept"]


def test_an_answer_survives_that_the_page_is_loaded_again():
    mouse = seen("mouse")
    assert mouse["reloaded"]["kept"] == mouse["after"]["kept"]
    assert mouse["reloaded"]["result"].split("\n")[0] == mouse["after"]["result"].split("\n")[0]


def test_a_finger_draws_without_moving_the_page_and_moves_it_beside_the_chart():
    touch = seen("touch")
    assert touch["scrolledWhileDrawing"] == 0 and not touch["disabled"]
    assert touch["scrolledBeside"] > 50
    assert touch["bars"]["status"].startswith("Complete")
    assert "points off" in touch["result"] and "points off" in touch["bars"]["result"]
    assert max(touch["excess"], touch["bars"]["excess"]) <= 0


def test_the_arrow_keys_draw_a_curve_epoch_by_epoch():
    keys = seen("keys")
    assert keys["label"] == "validation accuracy, epoch 4 of 4" and keys["words"] == "80.0 %"
    assert keys["sketch"] == [71, 81, 81, 80]
    assert keys["undone"] == [None] * 4
    assert keys["enabled"] and "points off" in keys["result"]
    assert keys["focused"] == "Draw again"


def test_a_number_needs_a_range_and_the_range_is_judged():
    keys = seen("keys")
    assert keys["guessed"]["disabled"] and "80 % sure" in keys["guessed"]["status"]
    guess, low, high = keys["ranged"]
    assert low == -10 and low <= guess <= high < 10
    assert "Your 80 % range holds what was recorded." in keys["range"]["result"]


def test_ordinary_sliders_set_the_bars():
    assert seen("keys")["sliders"] == [30] * 4


def test_every_state_can_be_used_by_all():
    mouse, touch, keys, judged = map(seen, ("mouse", "touch", "keys", "judged"))
    states = [mouse["before"], mouse["after"], touch, keys["guessed"], keys["range"]]
    states += [judged["empty"], judged["some"], judged["narrow"], touch["bars"]]
    problems = [problem for state in states for problem in state["accessible"]]
    assert problems + touch["bars"]["after"] + keys["slidersAccessible"] == []


def test_where_a_browser_keeps_nothing_the_page_says_so_and_goes_on():
    forbidden = seen("forbidden")
    assert "points off" in forbidden["result"]
    assert "This browser keeps nothing, so your answer lasts until you leave the page." in forbidden["result"]


def test_an_answer_that_cannot_be_loaded_can_be_asked_for_again():
    assert seen("forbidden")["failed"].endswith("Your answer is kept: try again.")


def test_without_answers_the_page_says_where_to_begin():
    empty = seen("judged")["empty"]
    assert "You have not answered a question yet." in empty["text"]
    wanted = [f"/notebooks/{question['chapter']}.html#draw-{question['id']}" for question in QUESTIONS]
    assert empty["links"] == wanted


def test_the_page_judges_each_answer_and_counts_the_ranges():
    some = seen("judged")["some"]
    assert f"You have answered 5 of {len(QUESTIONS)} questions." in some["text"] and some["cards"] == 5
    assert "2 of your 3 ranges hold what was recorded." in some["text"]
    assert [row.split("\n")[-1] for row in some["rows"]] == ["holds it", "holds it", "misses it"]
    assert "(drawn, not yet compared)" in some["text"]


def test_predictions_are_saved_as_json():
    saved = {entry["id"]: entry for entry in seen("judged")["saved"]}
    assert set(saved) == {"straight-line", "shuffle", "worth-of-the-skip", "width", "second-guess"}
    line = saved["straight-line"]
    off = [abs(one - other) for one, other in zip(line["answer"], line["recorded"]["mean"], strict=True)]
    assert line["average_error"] == pytest.approx(sum(off) / 4)
    assert line["answered_on"] == "2026-01-01"


def test_predictions_are_forgotten_only_when_the_reader_is_sure():
    judged = seen("judged")
    assert judged["spared"] and judged["forgotten"]["kept"] is None
    assert "You have not answered a question yet." in judged["forgotten"]["text"]


def test_every_question_starts_in_its_chapter_and_fetches_no_answer():
    everywhere = seen("everywhere")
    assert {name: title.split("\n")[-1] for name, title in everywhere["titles"].items()} == {
        question["id"]: question["title"].replace("'", "’") for question in QUESTIONS
    }
    assert everywhere["answers"] == []


def test_a_link_into_a_folded_section_opens_it():
    assert seen("everywhere")["opened"]


@pytest.mark.parametrize("way", ["keys past it", "keys below it", "scrolling"])
def test_a_part_that_starts_late_takes_nothing_from_who_is_past_it(way):
    """Neither the focus, nor the place in the window, nor what stands there."""
    top, focused, visible = seen("late")[way]["before"]
    assert visible and focused == (way != "scrolling")
    assert seen("late")[way]["after"] == [pytest.approx(top, abs=2), focused, visible]


def test_who_has_the_focus_in_the_still_form_goes_on_in_the_live_part():
    assert seen("late")["inStillForm"] == "draw-constant-rate"
