"""What the reader is told when something is wrong: one sentence, and no file has changed."""

import fakes
import pytest

from cifar_lib import CourseError, data


def refusal(function, *arguments, **options):
    """The text of the CourseError that a call raises, checked to be one sentence without a chain."""
    with pytest.raises(CourseError) as caught:
        function(*arguments, **options)
    assert type(caught.value) is CourseError
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    text = str(caught.value)
    assert "\n" not in text
    return text


def assert_not_loaded(folder, *words, name="cifar10"):
    """Loading a data set fails with a sentence that has all these words, and no file changes."""
    before = fakes.snapshot(folder.parent)
    text = refusal(data.load, name)
    for word in words:
        assert str(word) in text
    assert fakes.snapshot(folder.parent) == before
