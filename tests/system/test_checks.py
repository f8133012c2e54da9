import pytest

from cifar_lib.system import check


def test_a_solved_exercise_is_right(capsys):
    with check():
        assert True, "never shown"
    assert capsys.readouterr().out == "Right.\n"


def test_the_first_failing_assertion_shows_its_hint_and_the_chapter_goes_on(capsys):
    with check():
        assert True, "first"
        raise AssertionError("second")
    assert capsys.readouterr().out == "Not yet: second\n"


def test_an_assertion_without_a_hint_says_only_that(capsys):
    with check():
        raise AssertionError
    assert capsys.readouterr().out == "Not yet.\n"


def test_an_error_in_the_readers_code_is_named(capsys):
    with check():
        len(None)
    assert capsys.readouterr().out.startswith("Not yet: the check stopped with TypeError: ")


def test_an_interrupt_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt), check():
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [AssertionError, TypeError])
def test_a_strict_check_raises(error):
    with pytest.raises(error), check(strict=True):
        raise error
