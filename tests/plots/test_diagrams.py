"""A network's diagram: the boxes, what stands in them, where they stand, and which arrows lead where."""

from itertools import pairwise

import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from cifar_lib import CourseError, models, plots

WIDTH = 7.2
PLAIN, BRANCH, JOIN = "#d6e6f2", "#d3ebe2", "#f6d9c4"


class Boxes:
    """What is seen in a diagram: boxes from top left, with their two texts, and arrows between them."""

    def __init__(self, axis):
        self.axis, self.seen = axis, []
        texts = [text for text in axis.texts if text.get_text()]
        for patch in axis.patches:
            inside = [text for text in texts if patch.get_bbox().contains(*text.get_position())]
            inside.sort(key=lambda text: -text.get_position()[1])
            self.seen.append((patch, [text.get_text() for text in inside]))

    def words(self):
        return [texts for _, texts in self.seen]

    def place(self, name):
        """The centre of the box of this name."""
        (patch,) = [patch for patch, texts in self.seen if texts[0] == name]
        return patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2

    def color(self, name):
        (patch,) = [patch for patch, texts in self.seen if texts[0] == name]
        return to_hex(patch.get_facecolor())

    def at(self, point):
        """The name of the box on whose edge a point lies, or None."""
        for patch, texts in self.seen:
            box = patch.get_bbox().padded(1e-6)
            if box.contains(*point) and not patch.get_bbox().padded(-1e-6).contains(*point):
                return texts[0]
        return None

    def arrows(self):
        """(from, to) of each arrow, by the names of the boxes at the two ends of its way."""
        heads = [text for text in self.axis.texts if not text.get_text()]
        ways = [list(zip(*line.get_data(), strict=True)) for line in self.axis.lines]
        assert all(way[-1] == head.xyann for way, head in zip(ways, heads, strict=True))
        return [(self.at(way[0]), self.at(head.xy)) for way, head in zip(ways, heads, strict=True)]

    def overlap(self):
        boxes = [patch.get_bbox() for patch, _ in self.seen]
        return any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


@pytest.fixture
def draw():
    return lambda *arguments, **options: Boxes(plots.network(*arguments, **options))


class Chain(nn.Module):
    """A layer of each kind, one after the other."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, (5, 3), stride=2, padding=(2, 1))
        self.norm = nn.BatchNorm2d(6)
        self.active = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.other = nn.AvgPool2d(3, stride=1)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(6, 10)

    def forward(self, x):
        x = self.other(self.pool(self.active(self.norm(self.first(x)))))
        return self.linear(self.flatten(self.average(x)))


def test_each_layer_is_a_box_with_what_it_does_and_puts_out(draw):
    boxes = draw(Chain(), "a chain", (3, 32, 32))
    assert boxes.words() == [
        ["x", "image → 3×32×32"],
        ["first, norm, active", "5×3 convolution, stride 2 → 6×16×16"],
        ["pool", "2×2 max pool → 6×8×8"],
        ["other", "3×3 average pool, stride 1 → 6×6×6"],
        ["average, flatten", "average over positions → 6"],
        ["linear", "linear layer → 10"],
    ]
    assert boxes.axis.get_title(loc="left") == "a chain"


def test_a_chain_stands_in_one_column_from_top_to_bottom(draw):
    boxes = draw(Chain(), "")
    places = [boxes.place(texts[0]) for texts in boxes.words()]
    assert places == [pytest.approx((0, -row)) for row in range(6)]
    assert boxes.arrows() == list(pairwise(texts[0] for texts in boxes.words()))
    assert {boxes.color(texts[0]) for texts in boxes.words()} == {PLAIN}
    (left, right), (bottom, top) = boxes.axis.get_xlim(), boxes.axis.get_ylim()
    assert (left, right) == pytest.approx((-WIDTH / 4, 3 * WIDTH / 4)) and (bottom, top) == (-5.5, 0.5)
    assert not boxes.axis.axison


def test_a_long_chain_goes_on_in_the_next_column(draw):
    boxes = draw(Chain(), "", rows=2)
    step = WIDTH / 3
    places = [boxes.place(texts[0]) for texts in boxes.words()]
    expected = [(0, 0), (0, -1), (step, 0), (step, -1), (2 * step, 0), (2 * step, -1)]
    assert places == [pytest.approx(place) for place in expected]
    assert boxes.arrows() == list(pairwise(texts[0] for texts in boxes.words()))
    across = boxes.axis.lines[1]  # from the foot of the first column to the head of the second
    assert list(across.get_ydata()) == [-1, -1, 0] and across.get_xdata()[0] < across.get_xdata()[1] < step
    assert {boxes.color(texts[0]) for texts in boxes.words()} == {PLAIN}
    head = [text for text in boxes.axis.texts if not text.get_text()][1]
    assert head.xy == pytest.approx((step - step * (1 / 2 - 1 / 18), 0))  # the left edge
    assert boxes.words()[2] == ["pool", "2×2 max pool\n→ 6×8×8"]  # three columns are narrow


def test_two_columns_of_one_chain_have_one_colour(draw):
    boxes = draw(Chain(), "", rows=3)
    assert {boxes.color(texts[0]) for texts in boxes.words()} == {PLAIN}


class Skip(nn.Module):
    """The paper's form: a convolution's output is added to that of two more."""

    def __init__(self, kernel=None):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.third = nn.Conv2d(4, 4, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 4, 1) if kernel else None

    def forward(self, x):
        x = self.first(x)
        return self.third(self.second(x)) + (self.shortcut(x) if self.shortcut else x)


def test_a_skip_leads_round_the_boxes_between(draw):
    boxes = draw(Skip(), "", (3, 8, 8))
    assert [texts[0] for texts in boxes.words()] == ["x", "first", "second", "third", "add"]
    assert boxes.words()[4] == ["add", "both paths → 4×8×8"]
    assert boxes.arrows() == [
        ("x", "first"),
        ("first", "second"),
        ("second", "third"),
        ("third", "add"),
        ("first", "add"),
    ]
    way = boxes.axis.lines[4]
    edge = WIDTH / 2 * (1 / 2 - 1 / 18)
    assert list(way.get_xdata()) == pytest.approx([edge, edge + 0.2, edge + 0.2])
    assert list(way.get_ydata()) == [-1, -1, -4]
    assert boxes.color("add") == JOIN and boxes.color("third") == PLAIN


def test_a_second_path_stands_beside_the_first(draw):
    boxes = draw(Skip(kernel=1), "", (3, 8, 8))
    assert boxes.place("third") == pytest.approx((0, -3))
    assert boxes.place("shortcut") == pytest.approx((WIDTH / 2, -2))
    assert boxes.place("add") == pytest.approx((0, -4))
    assert set(boxes.arrows()) == {
        ("x", "first"),
        ("first", "second"),
        ("second", "third"),
        ("third", "add"),
        ("first", "shortcut"),
        ("shortcut", "add"),
    }
    assert [boxes.color(name) for name in ("second", "shortcut", "add")] == [PLAIN, BRANCH, JOIN]
    assert not boxes.overlap()
    half = WIDTH / 2 * (1 / 2 - 1 / 18)  # of a box's width; 0.33 is half its height
    ways = {
        (boxes.at(head.xyann), boxes.at(head.xy)): head for head in boxes.axis.texts if not head.get_text()
    }
    out, back = ways["first", "shortcut"], ways["shortcut", "add"]
    assert out.xyann == pytest.approx((half, -1)) and out.xy == pytest.approx((WIDTH / 2, -2 + 0.33))
    assert back.xyann == pytest.approx((WIDTH / 2, -2 - 0.33)) and back.xy == pytest.approx((half, -4))


class Four(nn.Module):
    """As GoogLeNet's modules: paths that are joined."""

    def __init__(self):
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(4, width, 1) for width in (1, 2, 3, 5))

    def forward(self, x):
        return torch.cat([path(x) for path in self.paths], dim=1)


def test_many_paths_share_boxes_as_wide_as_all_of_them(draw):
    boxes = draw(Four(), "", (4, 8, 8))
    assert [texts[1] for texts in boxes.words()] == [
        "input → 4×8×8",
        *(f"1×1 convolution\n→ {width}×8×8" for width in (1, 2, 3, 5)),
        "all paths → 11×8×8",
    ]
    assert [texts[0] for texts in boxes.words()] == ["x", *["paths: conv"] * 4, "cat"]
    step = WIDTH / 4
    centers = [patch.get_x() + patch.get_width() / 2 for patch, _ in boxes.seen]
    assert centers == pytest.approx([1.5 * step, 0, step, 2 * step, 3 * step, 1.5 * step])
    assert [patch.get_y() + 0.33 for patch, _ in boxes.seen] == [0, -1, -1, -1, -1, -2]
    wide, narrow = boxes.seen[0][0].get_width(), boxes.seen[1][0].get_width()
    assert wide == pytest.approx(4 * step - step / 9) and narrow == pytest.approx(step - step / 9)
    for line, center in zip(boxes.axis.lines, [0, step, 2 * step, 3 * step] * 2, strict=True):
        assert list(line.get_xdata()) == pytest.approx([center])  # straight down, from and to the wide boxes
    assert boxes.arrows() == [("x", "paths: conv")] * 4 + [("paths: conv", "cat")] * 4
    assert not boxes.overlap()


def test_a_short_path_leads_straight_into_the_wide_box_below(draw):
    """Although the first path has one more box in the column where the wide box begins."""
    model = Four()
    model.paths[0] = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 1, 1))
    boxes = draw(model, "", (4, 8, 8))
    step = WIDTH / 4
    into = boxes.axis.lines[-4:]
    assert [list(line.get_xdata()) for line in into] == [pytest.approx([step * i]) for i in range(4)]
    assert boxes.arrows()[-4:] == [("paths: conv", "cat")] * 4


def test_layers_of_a_list_go_by_its_name_and_their_kind(draw):
    layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2))
    model = nn.Sequential()
    model.add_module("layers", layers)
    assert [texts[0] for texts in draw(model, "", (1, 4, 4)).words()] == [
        "input_1",
        "layers: conv, norm, tanh, flatten",
        "layers: linear",
    ]


class Block(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 3, 1), nn.ReLU())


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.same = nn.Identity()

    def forward(self, x):
        return self.same(self.block(x))


@pytest.mark.parametrize("whole", [Block, (nn.Linear, Block)])
def test_a_module_can_be_one_box(whole, draw):
    assert draw(Blocks(), "", (3, 4, 4), whole=whole).words()[1:] == [["block", "Block → 3×4×4"]]
    assert draw(Blocks(), "", (3, 4, 4)).words()[1:] == [["block: conv, ReLU", "1×1 convolution → 3×4×4"]]


class Used(nn.Module):
    """An activation whose input is needed again, and one behind two paths."""

    def __init__(self):
        super().__init__()
        self.conv, self.active, self.last = nn.Conv2d(3, 3, 1), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        x = self.conv(x)
        return self.last(x + self.active(x))


def test_an_activation_has_its_own_box_where_its_input_goes_on(draw):
    boxes = draw(Used(), "", (3, 4, 4))
    assert boxes.words() == [
        ["x", "image → 3×4×4"],
        ["conv", "1×1 convolution → 3×4×4"],
        ["active", "ReLU → 3×4×4"],
        ["add, last", "both paths → 3×4×4"],
    ]
    assert set(boxes.arrows()) == {
        ("x", "conv"),
        ("conv", "active"),
        ("conv", "add, last"),
        ("active", "add, last"),
    }


def test_a_long_name_is_written_small_enough_for_its_box(draw):
    model = nn.Sequential()
    model.add_module("a_name_of_very_many_letters_that_would_not_fit_into_its_box", nn.Conv2d(3, 4, 1))
    boxes = draw(model, "", (3, 8, 8))
    names = [text for text in boxes.axis.texts if text.get_weight() == "bold"]
    boxes.axis.figure.canvas.draw()
    for name in names:
        drawn = name.get_window_extent().transformed(boxes.axis.transData.inverted())
        assert drawn.width < WIDTH / 2 * 8 / 9
    assert len({name.get_fontsize() for name in names}) == 1  # all names have the size of the smallest
    assert draw(Four(), "", (4, 8, 8)).axis.texts[0].get_fontsize() == 9


def test_drawing_changes_neither_the_network_nor_the_random_numbers(draw):
    model = nn.Sequential(nn.Dropout(), Chain()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    draw(model, "")
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_trained_network_is_drawn_as_before_its_training(draw):
    """A training on a CPU replaces batch norms and ReLUs by quick ones."""
    words = draw(models.SkipCNN(), "").words()
    assert draw(models.kernels.quicken(models.SkipCNN()), "").words() == words


def test_a_network_that_cannot_be_traced_is_told(draw):
    with pytest.raises(CourseError, match=r"torch.fx cannot trace FastCNN .*: draw its parts one by one"):
        draw(models.FastCNN(widths=(4, 4)), "")


def test_images_that_a_network_does_not_take_are_told(draw):
    with pytest.raises(CourseError, match=r"Chain takes no images of 1×8×8 .*: give its shape"):
        draw(Chain(), "", (1, 8, 8))
