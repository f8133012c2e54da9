"""The landscape of a loss: its contour lines and paths lie where they belong."""

import pytest
import torch

from cifar_lib import plots

RED, BLUE = "#D55E00", "#0072B2"


def points(line):
    return list(zip(*map(list, line.get_data()), strict=True))


def bowl():
    """A bowl whose lowest loss is 1, at (1, 2), and two paths into it."""
    corners = ((-1.0, 0.0), (3.0, 6.0))
    paths = {"slow": torch.tensor([[0.0, 0.0], [0.5, 1.0]]), "fast": torch.tensor([[0.0, 0.0], [1.0, 2.0]])}
    return plots.landscape(
        lambda weights: 1 + (weights - torch.tensor([1.0, 2.0])).square().sum(-1),
        paths,
        "two ways down",
        corners=corners,
        xlabel="first",
        ylabel="second",
    )


def test_landscape_draws_each_path_over_its_own_contour_lines():
    axis = bowl()
    paths = axis.lines[1:]
    assert [points(line) for line in paths] == [[(0, 0), (0.5, 1)], [(0, 0), (1, 2)]]
    assert [line.get_color() for line in paths] == [BLUE, RED]
    assert axis.get_title(loc="left") == "two ways down"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("first", "second")
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["lowest loss", "slow", "fast"]
    assert axis.get_xlim() == (-1, 3) and axis.get_ylim() == (0, 6)


def test_a_cross_marks_the_lowest_loss_of_a_landscape():
    [place] = points(bowl().lines[0])
    assert place == pytest.approx((1, 2), abs=0.06)  # the grid has steps of up to 6 / 59


def test_the_contour_lines_of_a_landscape_lie_where_the_loss_has_their_level():
    [contours] = bowl().collections
    lines = [line.vertices for line in contours.get_paths() if len(line.vertices)]
    assert len(lines) > 5
    for level, line in zip(contours.levels, lines, strict=False):
        x, y = line[:-1].T  # the last point may only close the line
        assert 1 + (x - 1) ** 2 + (y - 2) ** 2 == pytest.approx(level, abs=0.02)


def test_a_landscape_has_equal_scales_so_that_right_angles_are_right():
    assert bowl().get_aspect() == 1
