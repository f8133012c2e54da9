"""What each chart draws where: compared with positions, heights and colours worked out by hand."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgba

from cifar_lib import plots

GREEN, RED, BLUE = "#009E73", "#D55E00", "#0072B2"


def run(*values):
    """A run whose history has these numbers in the column "loss"."""
    return SimpleNamespace(column=lambda name: {"loss": list(values)}[name])


def points(line):
    return list(zip(*map(list, line.get_data()), strict=True))


def texts(axis):
    """{text: its position} of what stands in the axes."""
    return {text.get_text(): text.get_position() for text in axis.texts}


def colors(axis):
    """{text: its colour} of what stands in the axes."""
    return {text.get_text(): text.get_color() for text in axis.texts}


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def shaded(axis):
    """(lowest, highest, colour) at each position that a band of the axes covers."""
    bands = []
    for band in axis.collections:
        path = band.get_paths()[0].vertices
        places = sorted(set(path[:, 0]))
        heights = [path[path[:, 0] == place, 1] for place in places]
        bands.append(({x: (y.min(), y.max()) for x, y in zip(places, heights, strict=True)}, band))
    return bands


def words(axis):
    return axis.get_title(loc="left"), axis.get_xlabel(), axis.get_ylabel()


# Images


def test_pictures_fills_its_rows_from_the_left():
    pixels = torch.arange(5 * 3 * 2 * 2, dtype=torch.uint8).view(5, 3, 2, 2)
    axes = plots.pictures(pixels, "five images", columns=3)
    assert axes.shape == (2, 3)
    for axis, image in zip(axes.flat, pixels, strict=False):
        assert np.array_equal(axis.images[0].get_array(), image.permute(1, 2, 0))
        assert axis.images[0].get_interpolation() == "nearest"
    assert not axes[1, 2].images
    assert not any(axis.axison for axis in axes.flat)
    assert axes[0, 0].figure.get_suptitle() == "five images"


@pytest.mark.parametrize(
    ("dtype", "white"), [(torch.uint8, 255), (torch.int64, 255), (torch.float32, 1), (torch.bool, 1)]
)
def test_grey_images_keep_their_brightness(dtype, white):
    axes = plots.pictures(torch.full((1, 1, 2, 2), white // 2).to(dtype), "one image")
    image = axes[0, 0].images[0]
    assert image.get_array().shape == (2, 2)
    assert image.get_clim() == (0, white)
    assert image.get_cmap().name == "gray"


def test_pictures_are_as_wide_as_the_text_or_as_asked():
    pixels = torch.zeros(4, 1, 2, 2)
    axes = plots.pictures(pixels, "")
    assert axes.shape == (1, 10) and axes[0, 0].figure.get_figwidth() == pytest.approx(7.2)
    figure = plots.pictures(pixels, "", columns=2, size=1.5)[0, 0].figure
    assert tuple(figure.get_size_inches()) == pytest.approx((3.0, 3.4))
    labelled = plots.pictures(pixels, "", columns=2, size=1.5, labels="abcd")[0, 0].figure
    assert labelled.get_figheight() == pytest.approx(3.9)


def test_a_label_stands_under_its_image():
    axes = plots.pictures(torch.zeros(3, 1, 2, 2), "", columns=2, labels=["cat", "dog", "frog"])
    assert [list(texts(axis)) for axis in axes.flat] == [["cat"], ["dog"], ["frog"], []]
    label = axes[0, 1].texts[0]
    assert label.get_position()[1] < 0 and label.get_verticalalignment() == "top"
    assert label.get_transform() == axes[0, 1].transAxes


def test_the_name_of_a_row_stands_at_its_left_and_inside_the_figure():
    axes = plots.pictures(torch.zeros(4, 1, 2, 2), "", columns=2, rows=["cat", "automobile"])
    assert [list(texts(axis)) for axis in axes.flat] == [["cat"], [], ["automobile"], []]
    figure = axes[0, 0].figure
    figure.canvas.draw()
    name, image = axes[1, 0].texts[0].get_window_extent(), axes[1, 0].get_window_extent()
    assert name.x0 >= 0 and name.x1 <= image.x0
    assert name.y0 < (image.y0 + image.y1) / 2 < name.y1


def test_a_long_label_moves_no_image():
    def place(label):
        axes = plots.pictures(torch.zeros(2, 1, 2, 2), "", columns=2, labels=[label, "b"])
        axes[0, 0].figure.canvas.draw()
        return axes[0, 1].get_position().bounds

    assert place("a very long label indeed " * 5) == pytest.approx(place("a"))


def test_labels_have_room_between_the_rows_and_below_the_last():
    axes = plots.pictures(torch.zeros(4, 1, 2, 2), "", columns=2, size=1.5, labels="abcd")
    figure = axes[0, 0].figure
    figure.canvas.draw()
    upper, lower = (row[0].texts[0].get_window_extent() for row in axes)
    assert axes[0, 0].get_window_extent().y0 > upper.y1
    assert upper.y0 > axes[1, 0].get_window_extent().y1
    cropped = figure.get_tightbbox()  # in inches, as a figure is saved in a chapter
    assert lower.y0 > figure.dpi * cropped.y0


def test_verdicts_writes_the_predicted_class_and_whether_it_is_right():
    pixels = torch.zeros(2, 3, 2, 2, dtype=torch.uint8)
    pixels[1] = 200
    first, second = plots.verdicts(pixels, ["cat", "dog"], torch.tensor([True, False]), "two verdicts")
    assert colors(first)["True"] == GREEN and colors(second)["False"] == RED
    assert [list(texts(axis)) for axis in (first, second)] == [["cat", "True"], ["dog", "False"]]
    assert [axis.images[0].get_array().max() for axis in (first, second)] == [0, 200]
    name, verdict = first.texts
    assert name.get_position()[0] == 0 and name.get_horizontalalignment() == "left"
    assert verdict.get_position()[0] == 1 and verdict.get_horizontalalignment() == "right"
    assert all(text.get_transform() == first.transAxes and text.get_position()[1] > 1 for text in first.texts)
    assert first.figure.get_suptitle() == "two verdicts"


def test_one_verdict_is_a_figure_too():
    (axis,) = plots.verdicts(torch.zeros(1, 1, 2, 2), ["cat"], [1], "")
    assert list(texts(axis)) == ["cat", "True"]


# Lines


def test_curves_draws_the_mean_of_the_runs():
    axis = plots.curves({"three": [run(0, 4), run(0, 5), run(3, 9)]}, "loss", "the mean", ylabel="nats")
    assert points(axis.lines[0]) == [(1, 1), (2, 6)]
    assert words(axis) == ("the mean", "epoch", "nats")
    assert legend(axis) == ["three"]


def test_curves_shades_from_the_lowest_run_to_the_highest():
    axis = plots.curves(
        {"three": [run(0, 4), run(1, 5), run(3, 9)], "one": [run(1, 1)]}, "loss", "", ylabel=""
    )
    ((heights, band),) = shaded(axis)  # a single run has no range
    assert heights == {1: (0, 3), 2: (4, 9)}
    assert to_hex(band.get_facecolor()[0]) == axis.lines[0].get_color().lower() == BLUE.lower()
    assert band.get_alpha() < 0.5


def test_curves_of_other_lengths_share_an_axis():
    axis = plots.curves({"short": [run(3, 2)], "long": [run(4, 3, 2)]}, "loss", "", ylabel="")
    assert [points(line) for line in axis.lines] == [[(1, 3), (2, 2)], [(1, 4), (2, 3), (3, 2)]]


def test_lines_draws_numbers_from_zero_on_with_dots():
    axis = plots.lines({"squares": [0, 1, 4]}, "they grow", xlabel="number", ylabel="square")
    assert points(axis.lines[0]) == [(0, 0), (1, 1), (2, 4)]
    assert axis.lines[0].get_marker() == "o"
    assert not axis.collections
    assert axis.get_yscale() == "linear"
    assert words(axis) == ("they grow", "number", "square")
    assert legend(axis) == ["squares"]


def test_lines_draws_the_mean_of_seeds_and_shades_their_range():
    axis = plots.lines({"seeds": [[0, 4], [0, 5], [3, 9]]}, "", xlabel="", ylabel="", x=[10, 20])
    assert points(axis.lines[0]) == [(10, 1), (20, 6)]
    ((heights, band),) = shaded(axis)
    assert heights == {10: (0, 3), 20: (4, 9)}
    assert to_hex(band.get_facecolor()[0]) == axis.lines[0].get_color().lower()


def test_lines_without_dots_on_a_logarithmic_axis():
    axis = plots.lines({"a": [1, 10]}, "", xlabel="", ylabel="", log=True, markers=False)
    assert axis.get_yscale() == "log" and axis.get_xscale() == "linear"
    assert axis.lines[0].get_marker() in ("None", None)


@pytest.mark.parametrize(
    "draw",
    [
        lambda axis: plots.lines({"a": [1]}, "", xlabel="", ylabel="", axis=axis),
        lambda axis: plots.curves({"a": [run(1)]}, "loss", "", ylabel="", axis=axis),
        lambda axis: plots.bars([1], "", xlabel="", names=["a"], axis=axis),
    ],
)
def test_a_chart_goes_into_the_axis_it_is_given(draw):
    axis = plt.subplots(1, 2)[1][1]
    assert draw(axis) is axis
    assert len(plt.get_fignums()) == 1


def test_lines_differ_without_their_colours():
    """Seven colours, then the same with broken lines."""
    axis = plots.lines({str(i): [i] for i in range(8)}, "", xlabel="", ylabel="")
    first, eighth = axis.lines[0], axis.lines[7]
    assert first.get_color() == eighth.get_color() and first.get_linestyle() != eighth.get_linestyle()


# Groups


def test_dots_draws_each_value_and_the_mean_of_its_row():
    axis = plots.dots({"first": [0.0, 0.0, 0.03], "second": [0.5]}, "two groups", xlabel="accuracy (%)")
    values, bar, value, short = axis.lines
    assert points(values) == [(0, 0), (0, 0), (3, 0)]
    assert [x for x, _ in points(bar)] == [1, 1]
    assert [y for _, y in points(bar)] == pytest.approx([-0.28, 0.28])
    assert points(value) == [(50, 1)] and [x for x, _ in points(short)] == [50, 50]
    assert [y for _, y in points(short)] == pytest.approx([0.72, 1.28])
    assert values.get_marker() == "o" and values.get_linestyle() == "None"
    assert all(line.get_color() == BLUE for line in axis.lines)
    assert {text.get_text(): text.xy for text in axis.texts} == {"1.0 %": (3, 0), "50.0 %": (50, 1)}
    assert all(text.get_position()[0] > 0 for text in axis.texts)  # at the right of the last dot
    assert words(axis) == ("two groups", "accuracy (%)", "")


def test_dots_names_its_rows_from_the_top():
    axis = plots.dots({"first": [0.1], "second": [0.2]}, "", xlabel="")
    assert list(axis.get_yticks()) == [0, 1] and tick_labels(axis.yaxis) == ["first", "second"]
    bottom, top = axis.get_ylim()
    assert bottom > 1.28 and top < -0.28
    left, right = axis.get_xlim()
    assert left < 10 and right > 20  # else the edge would cut the dots there in half


def test_dots_draws_every_bar_as_a_whole_line_however_many_groups_there_are():
    axis = plots.dots({str(i): [i / 10] for i in range(8)}, "", xlabel="")
    assert {bar.get_linestyle() for bar in axis.lines[1::2]} == {"-"}


GAPS = {"sure": (2.0, 1.0, 3.0), "unsure": (-0.5, -2.0, 1.0), "worse": (-3.0, -4.0, -2.0)}


def faces(axis):
    """Whether the dot of each row is full."""
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    return [dot.get_markerfacecolor() == dot.get_color() for dot in dots]


def test_differences_draws_each_difference_on_its_interval_beside_zero():
    axis = plots.differences(GAPS, "three gaps", xlabel="points")
    zero, first, dot, *_ = axis.lines
    assert [x for x, _ in points(zero)] == [0, 0]
    assert points(first) == [(1, 0), (3, 0)] and points(dot) == [(2, 0)]
    assert {text.get_text(): text.xy for text in axis.texts} == {
        "+2.0": (3, 0),
        "−0.5": (-2, 1),  # away from the line at 0
        "−3.0": (-4, 2),
    }
    assert [text.get_horizontalalignment() for text in axis.texts] == ["left", "right", "right"]
    assert words(axis) == ("three gaps", "points", "")


def test_differences_writes_its_numbers_within_the_axes():
    gaps = {"a row with a rather long label": (-7.7, -15.3, -0.1), "another": (40.0, 37.5, 42.5)}
    axis = plots.differences(gaps, "", xlabel="points")
    axis.figure.canvas.draw()
    inside = axis.get_window_extent()
    for number in axis.texts:
        extent = number.get_window_extent()
        assert inside.x0 < extent.x0 and extent.x1 < inside.x1


def test_differences_draws_every_interval_through():
    axis = plots.differences({str(i): (1.0, 0.0, 2.0) for i in range(12)}, "", xlabel="")
    intervals = [line for line in axis.lines[1:] if line.get_marker() == "None"]
    assert len(intervals) == 12 and {line.get_linestyle() for line in intervals} == {"-"}


def test_differences_keeps_the_order_of_its_rows_from_the_top():
    axis = plots.differences(GAPS, "", xlabel="")
    assert list(axis.get_yticks()) == [0, 1, 2] and tick_labels(axis.yaxis) == list(GAPS)
    bottom, top = axis.get_ylim()
    assert bottom > top


def test_differences_fills_the_dots_whose_interval_excludes_zero():
    assert faces(plots.differences(GAPS, "", xlabel="")) == [True, False, True]


def test_differences_fills_the_dots_that_it_is_told_where_it_is_told():
    assert faces(plots.differences(GAPS, "", xlabel="", certain=["worse"])) == [False, False, True]


def test_a_difference_without_an_interval_is_a_dot_beside_its_number():
    axis = plots.differences({"one seed": (2.0, float("nan"), float("nan"))}, "", xlabel="")
    assert points(axis.lines[2]) == [(2, 0)] and faces(axis) == [False]
    assert axis.texts[0].xy == (2, 0)


def test_a_ladder_joins_its_rungs_and_writes_their_gains():
    rungs = {"ground": [0.2, 0.4], "up": [0.5], "down": [0.45]}
    axis = plots.ladder(rungs, "a title", xlabel="accuracy (%)", certain=["up"])
    dots, bar, _, found, joint, *_, last = axis.lines
    assert points(dots) == [(20, 0), (40, 0)] and [x for x, _ in points(bar)] == [30, 30]
    assert points(joint) == [(30, pytest.approx(0.26)), (30, 1), (50, 1)]
    assert [x for x, _ in points(last)] == [50, 50, 45]
    assert list(texts(axis)) == ["30.0 %", "+20.0", "−5.0"]
    assert {text for text, color in colors(axis).items() if color == BLUE} == {"+20.0"}
    assert found.get_color() == joint.get_color() == BLUE != last.get_color()
    assert tick_labels(axis.yaxis) == list(rungs) and words(axis) == ("a title", "accuracy (%)", "")


SCATTERED = {"small": (1, [0.4, 0.6], 100), "large": (1_000, [0.8], 400)}


def scattered(**options):
    return plots.scatter(
        SCATTERED, "a title", xlabel="cost", ylabel="%", key=((200, 4_000), "parameters"), **options
    )


def test_scatter_draws_a_disc_at_the_mean_whose_area_is_the_size():
    axis = scattered()
    discs = axis.collections[:2]
    assert [disc.get_offsets().tolist() for disc in discs] == [[[1, 50]], [[1_000, 80]]]
    assert discs[1].get_sizes()[0] == pytest.approx(4 * discs[0].get_sizes()[0])
    assert discs[1].get_sizes()[0] == 1_200
    assert [to_hex(disc.get_facecolor()[0]).upper() for disc in discs] == [BLUE, BLUE]
    assert [points(line) for line in axis.lines] == [[(1, 40), (1, 60)], [(1_000, 80)]]
    assert axis.get_xscale() == "log" and axis.get_yscale() == "linear"
    assert words(axis) == ("a title", "cost", "%")
    axis.figure.canvas.draw()
    assert {"1", "10", "100", "1000"} <= set(tick_labels(axis.xaxis))


def test_scatter_explains_the_sizes_of_its_discs():
    axis = scattered()
    assert legend(axis) == ["200 parameters", "4,000 parameters"]
    assert [disc.get_sizes()[0] for disc in axis.collections[2:]] == [600, 12_000]


def test_scatter_gives_each_kind_a_colour_and_explains_it():
    axis = scattered(kinds={"small": "plain", "large": "with batch norm"})
    assert [to_hex(disc.get_facecolor()[0]).upper() for disc in axis.collections[:2]] == [BLUE, RED]
    assert legend(axis)[:2] == ["plain", "with batch norm"]
    axis = scattered(kinds={"small": "plain", "large": "plain"})
    assert [to_hex(disc.get_facecolor()[0]).upper() for disc in axis.collections[:2]] == [BLUE, BLUE]


@pytest.mark.parametrize(
    ("place", "direction", "across", "up"),
    [
        (None, (1, 0), "left", "center"),
        ("left", (-1, 0), "right", "center"),
        ("above", (0, 1), "center", "bottom"),
        ("below", (0, -1), "center", "top"),
    ],
)
def test_scatter_writes_a_label_beside_its_disc(place, direction, across, up):
    axis = scattered(places={"small": place} if place else None)
    small, large = axis.texts
    assert (small.get_text(), small.xy) == ("small", (1, 50))
    radius = (300 / np.pi) ** 0.5  # in points, as the distance of the text
    assert small.get_position() == pytest.approx(tuple((radius + 5) * share for share in direction))
    assert (small.get_horizontalalignment(), small.get_verticalalignment()) == (across, up)
    assert large.get_position()[0] == pytest.approx(2 * radius + 5)


def test_bars_are_as_long_as_their_values_with_the_first_on_top():
    axis = plots.bars([3, 1.5], "two bars", xlabel="recall (%)", names=["cat", "dog"])
    assert [(bar.get_width(), bar.get_y() + bar.get_height() / 2) for bar in axis.patches] == [
        (3, 0),
        (1.5, 1),
    ]
    assert tick_labels(axis.yaxis) == ["cat", "dog"] and list(axis.get_yticks()) == [0, 1]
    bottom, top = axis.get_ylim()
    assert bottom > top
    assert words(axis) == ("two bars", "recall (%)", "")


# Tables


def test_confusion_matrix_shades_each_row_by_its_shares():
    counts = np.array([[2, 6], [0, 10]])
    axis = plots.confusion_matrix(counts, ["cat", "dog"], "a matrix")
    image = axis.images[0]
    assert image.get_array().tolist() == [[0.25, 0.75], [0, 1]]
    assert image.get_clim() == (0, 1) and image.get_cmap().name == "Blues"
    assert texts(axis) == {"2": (0, 0), "6": (1, 0), "10": (1, 1)}
    assert colors(axis) == {"2": "#222222", "6": "white", "10": "white"}
    assert words(axis) == ("a matrix", "predicted class", "true class")
    assert tick_labels(axis.xaxis) == tick_labels(axis.yaxis) == ["cat", "dog"]


def test_confusion_matrix_of_a_class_without_images():
    axis = plots.confusion_matrix(np.array([[0, 0], [1, 1]]), ["cat", "dog"], "")
    assert axis.images[0].get_array().tolist() == [[0, 0], [0.5, 0.5]]
    assert set(colors(axis).values()) == {"#222222"}  # a half is not dark yet


TABLE = [[[0.1], [0.2]], [[0.3], [0.4, 0.6]], [[0.75], [0.9]]]


def test_share_table_writes_mean_and_spread_into_each_cell():
    axis = plots.share_table(TABLE, "abc", "xy", "a table", xlabel="rate", ylabel="decay")
    assert texts(axis) == {
        "10.0": (0, 0),
        "20.0": (1, 0),
        "30.0": (0, 1),
        "50.0 ± 14.1": (1, 1),
        "75.0": (0, 2),
        "90.0": (1, 2),
    }
    assert words(axis) == ("a table", "rate", "decay")
    assert tick_labels(axis.xaxis) == ["x", "y"] and tick_labels(axis.yaxis) == ["a", "b", "c"]
    assert not axis.patches


def test_share_table_is_darkest_where_the_mean_is_largest():
    axis = plots.share_table(TABLE, "abc", "xy", "", xlabel="", ylabel="")
    image = axis.images[0]
    assert image.get_array().tolist() == pytest.approx(np.array([[10, 20], [30, 50], [75, 90]]))
    assert image.get_clim() == pytest.approx((-6, 90))  # below 10 by a fifth of the range: not quite white
    assert image.get_cmap()(1.0)[0] < image.get_cmap()(0.0)[0]


def test_share_table_can_be_read_in_every_cell():
    means = [[value] for value in range(0, 101, 5)]
    axis = plots.share_table(
        [[[value / 100]] for (value,) in means], [""] * len(means), "x", "", xlabel="", ylabel=""
    )
    for text in axis.texts:
        cell = axis.images[0].to_rgba(means[round(text.get_position()[1])][0])
        lighter, darker = sorted((luminance(cell), luminance(to_rgba(text.get_color()))), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 4  # WCAG's contrast; 3 suffices for large letters


def luminance(rgba):
    """WCAG's relative luminance, 0 to 1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgba[:3]]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def test_share_table_frames_one_cell():
    (frame,) = plots.share_table(TABLE, "abc", "xy", "", xlabel="", ylabel="", frame=(2, 1)).patches
    assert (frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) == (1, 2)
    assert 0.8 < frame.get_width() < 1 and 0.8 < frame.get_height() < 1
    assert not frame.get_fill() and frame.get_edgecolor() == to_rgba(RED)


# Networks under scrutiny


def test_reliability_draws_accuracy_over_confidence():
    confidence, accuracy = torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.625])
    top, bottom = plots.reliability(confidence, accuracy, torch.tensor([3, 5]), "unsure", label="paper")
    ideal, found = top.lines
    assert points(ideal) == [(0, 0), (100, 100)]
    assert list(found.get_xdata()) == [25, 75] and list(found.get_ydata()) == [50, 62.5]
    assert found.get_marker() == "o"
    assert legend(top) == ["perfectly calibrated", "paper"]
    assert words(top) == ("unsure", "", "accuracy (%)")
    assert words(bottom) == ("", "confidence (%)", "images")


def test_reliability_counts_the_images_of_each_bin():
    empty = torch.tensor([0.1, float("nan"), 0.5, 0.7, 0.9])
    top, bottom = plots.reliability(empty, empty, torch.tensor([3, 0, 4, 5, 6]), "", label="")
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in bottom.patches]
    assert [height for _, height in bars] == [3, 0, 4, 5, 6]
    assert [place for place, _ in bars] == pytest.approx([10, 30, 50, 70, 90])
    assert all(bar.get_width() == pytest.approx(16) for bar in bottom.patches)
    assert top.get_shared_x_axes().joined(top, bottom)


def test_descents_draws_each_path_on_the_function():
    axes = plots.descents(lambda w: w**2, {"slow": [2, 1], "fast": [2.0, -3.0, 4.0]}, "two rates")
    assert [points(axis.lines[1]) for axis in axes] == [[(2, 4), (1, 1)], [(2, 4), (-3, 9), (4, 16)]]
    for axis, color in zip(axes, (BLUE, RED), strict=True):
        ground = points(axis.lines[0])
        assert ground[0] == (-2.5, 6.25) and ground[-1] == (2.5, 6.25) and len(ground) >= 100
        assert [y for _, y in ground] == pytest.approx([x * x for x, _ in ground])
        assert axis.get_xlim() == (-2.5, 2.5) and axis.get_ylim() == (-0.1, 6.25)
        assert axis.lines[1].get_color() == color and axis.lines[1].get_marker() == "o"
    assert [words(axis) for axis in axes] == [("slow", "weight", "loss"), ("fast", "weight", "")]
    assert axes[0].figure.get_suptitle() == "two rates"


def test_descents_draws_one_path_or_more_than_there_are_colours():
    assert len(plots.descents(lambda w: w**2, {"one": [1.0]}, "")) == 1
    axes = plots.descents(lambda w: w**2, {str(i): [i] for i in range(8)}, "")
    assert axes[7].lines[1].get_color() == BLUE


def test_attributions_are_red_where_they_speak_for_and_blue_where_against():
    pixels = torch.full((2, 3, 1, 3), 51, dtype=torch.uint8)
    maps = {"class": torch.tensor([[[4.0, -2.0, 0.0]], [[-0.2, 0.0, 0.1]]])}
    axes = plots.attributions(pixels, maps, "two maps", label="fall of the logit")
    assert axes.shape == (2, 2)
    assert axes[0, 0].images[0].get_array().shape == (1, 3, 3)
    for column, (above, below, zero) in enumerate([(0, 1, 2), (2, 0, 1)]):
        grey, image = axes[1, column].images
        assert grey.get_array().tolist() == [[pytest.approx(0.2)] * 3] and grey.cmap.name == "gray"
        color = image.cmap(image.norm(maps["class"][column, 0].numpy()))
        assert color[above][0] > color[above][2] and color[below][2] > color[below][0]
        # Where nothing changes, the image under the map is seen alone.
        assert image.get_alpha()[0, zero] == 0 < min(image.get_alpha()[0, [above, below]])
        assert not len(axes[1, column].get_xticks()) and not len(axes[1, column].get_yticks())
    assert axes[0, 0].figure.axes[-1].get_ylabel() == "fall of the logit"
    (title,) = [text for text in axes[0, 0].figure.texts if text.get_text() == "two maps"]
    assert title.get_horizontalalignment() == "left" and title.get_position()[0] < 0.05


def test_attributions_have_one_scale_so_that_a_weak_map_looks_weak():
    maps = {"strong": torch.full((1, 1, 3), -4.0), "weak": torch.full((1, 1, 3), 0.04)}
    axes = plots.attributions(torch.zeros(1, 3, 1, 3, dtype=torch.uint8), maps, "", label="")
    strong, weak = (axis.images[1] for axis in axes[1:, 0])
    assert strong.get_clim() == weak.get_clim() == (-4, 4)
    assert weak.get_alpha().max() < strong.get_alpha().max() / 5


def test_attributions_names_its_rows_at_the_left():
    maps = {"first": torch.zeros(2, 1, 3), "second": torch.zeros(2, 1, 3)}
    axes = plots.attributions(torch.zeros(2, 1, 1, 3), maps, "", label="")
    assert [[axis.get_ylabel() for axis in row] for row in axes] == [
        ["image", ""],
        ["first", ""],
        ["second", ""],
    ]
    axes[0, 0].figure.canvas.draw()  # maps of zeros alone can be drawn


# The style


def test_importing_the_room_sets_the_books_style():
    assert plt.rcParams["figure.figsize"] == [7.2, 3.4] and plt.rcParams["savefig.dpi"] == 100
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle[:7] == plots.COLORS
