"""The page *Luck* in a browser: a reader guesses, sees a hundred experiments, and changes them."""

import re
from functools import cache

import pytest
from browser import drive, missing

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@cache
def seen():
    return drive("luck.mjs")


def called(text):
    return int(re.search(r"Of 1,000 experiments, ([\d,]+) call", text)[1].replace(",", ""))


def test_nothing_is_shown_before_the_reader_has_guessed():
    assert seen()["hiddenBefore"] and seen()["hiddenAgain"] and seen()["askedAgain"]


def test_the_guess_is_answered_with_a_hundred_experiments():
    assert seen()["told"].startswith("You said 45 of 100. It is ")
    assert "false alarms" in seen()["told"]
    assert seen()["experiments"] == 100
    assert 0 < called(seen()["told"]) < 80  # of 1,000: Welch's interval promises about 50 at most
    assert seen()["focused"] == "luck-told"


def test_a_large_difference_with_many_seeds_is_found_each_time():
    assert called(seen()["large"]) == 1_000
    assert seen()["right"] == 100 and seen()["alarms"] > 0
    assert seen()["pressed"] == 0


def test_images_of_their_own_make_equal_methods_look_different():
    assert called(seen()["own"]) > 300


def test_another_draw_gives_other_experiments():
    assert seen()["otherLuck"]


def test_a_slider_is_answered_within_a_tenth_of_a_second():
    assert seen()["milliseconds"] < 100


def test_the_page_fits_a_narrow_screen_and_has_no_errors():
    assert seen()["excess"] <= 0
    assert seen()["errors"] == []


def test_without_javascript_there_are_a_table_and_the_shuffle():
    assert seen()["still"] == 4
    assert "4,060 ways to choose three" in seen()["verdict"]


def test_the_experiments_can_be_used_by_all():
    assert seen()["violations"] == []
