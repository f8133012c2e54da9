"""The program for photographs of one's own does what the page says."""

import re
from pathlib import Path

import pytest
from PIL import Image

from cifar_lib import CourseError
from cifar_lib.__main__ import main

PAGE = (Path(__file__).parents[2] / "book" / "what-you-can-give-it.md").read_text()
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)
COLORS = {"apple": (200, 30, 30), "pear": (60, 180, 60), "plum": (110, 30, 130)}


def add_photographs(split, numbers):
    for name, color in COLORS.items():
        folder = Path("pictures") / split / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            Image.new("RGB", (40 + number, 40), color).save(folder / f"{number}.png")


def test_photographs_of_ones_own_are_trained_on_as_the_page_says(tmp_path, monkeypatch, cache, capsys):
    monkeypatch.chdir(tmp_path)
    add_photographs("train", range(20))
    add_photographs("test", range(20, 24))
    exec(PROGRAM, {})
    assert capsys.readouterr().out.startswith("seed 0: ")
    exec(PROGRAM, {})  # what is kept is read
    assert main(["list", "runs", "--folder", "trained"]) == 0
    assert main(["predict", "pictures/test/pear/20.png", "--weights", "trained/fruit-seed0.safetensors"]) == 0
    assert main(["compare", "fruit", "fruit", "--folder", "trained"]) == 0
    out = capsys.readouterr().out
    assert "seeds 0-1" in out and "%  pear\n" in out
    add_photographs("train", range(30, 31))
    with pytest.raises(CourseError, match="was trained or evaluated on other images than those found here"):
        exec(PROGRAM, {})
