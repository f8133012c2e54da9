"""Another library's error in one line."""

import pytest

from cifar_lib.system.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("no memory\nException raised from allocate"), "no memory"),
        (RuntimeError("\n  sizes differ\n"), "sizes differ"),
        (KeyError(), "KeyError"),
    ],
)
def test_the_first_line_says_what_happened(error, line):
    assert first_line(error) == line
