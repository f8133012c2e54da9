"""A network drawn to scale: the size, the text and the shade of its blocks, and how they are joined."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from cifar_lib import CourseError, models, plots


class Block:
    """What is seen of one block: its front face, its shade, and the lines of text over it."""

    def __init__(self, faces, text):
        (left, low), (right, _), (_, high), _ = faces[0].get_xy()[:4]
        self.left, self.right, self.breadth, self.height = left, right, right - left, high - low
        self.middle = (low + high) / 2
        self.shade = sum(faces[0].get_facecolor()[:3])
        self.name, self.size, *self.operations = text.get_text().split("\n")


def blocks(axis):
    texts = [text for text in axis.texts if text.get_text()]
    faces = [axis.patches[i : i + 3] for i in range(0, len(axis.patches), 3)]
    return {block.name: block for block in map(Block, faces, texts)}


@pytest.fixture
def paper():
    return blocks(plots.volumes(models.SkipCNN(), "the paper's network"))


def test_a_block_is_as_high_as_its_planes_and_as_broad_as_it_has_channels(paper):
    one, other = paper["conv1"], paper["conv4"]
    assert one.height / other.height == pytest.approx(32 / 8)
    assert one.breadth / other.breadth == pytest.approx(32 / 128)
    assert paper["linear"].height == pytest.approx(one.height / 32)


def test_planes_that_are_not_square_have_their_height():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1, stride=(4, 1)), nn.MaxPool2d((1, 4)))
    first, tall, low = blocks(plots.volumes(layers, "", (3, 32, 16))).values()
    assert first.height / tall.height == pytest.approx(32 / 8)
    assert tall.height == pytest.approx(low.height)


def test_each_layer_says_its_size_and_its_operations(paper):
    assert paper["image"].size == "3×32×32" and paper["image"].operations == []
    assert (paper["conv2"].size, paper["conv2"].operations) == ("64×16×16", ["9.4 M"])
    assert paper["both paths"].size == "128×16×16"
    assert paper["pool"].size == "128×4×4"  # and not the row of 2,048 that the linear layer reads


def test_layers_of_a_sequence_are_named_by_what_they_do():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.MaxPool2d(2))

        def forward(self, x):
            return self.layers(x)

    assert list(blocks(plots.volumes(Sequence(), ""))) == ["image", "conv", "pool"]


def test_the_operations_are_those_that_are_counted():
    from cifar_lib.plots.diagrams import boxes_of

    network = models.SkipCNN()
    found = boxes_of(network, (3, 32, 32), ())
    assert sum(box.operations for box in found) == models.count_flops(network)


def test_more_operations_are_darker(paper):
    assert paper["conv3"].shade < paper["conv2"].shade < paper["conv1"].shade < paper["pool"].shade
    assert paper["conv3"].shade == pytest.approx(paper["conv5"].shade)


def test_an_activation_on_its_own_is_left_out(paper):
    names = ["image", "conv1", "conv2", "skip", "conv3", "both paths", "conv4", "conv5", "pool", "linear"]
    assert list(paper) == names


def test_blocks_stand_from_left_to_right_within_the_page_and_the_skip_below(paper):
    main = [block for name, block in paper.items() if name != "skip"]
    assert all(one.right + 0.22 * one.height < other.left for one, other in pairwise(main))
    assert {round(block.middle, 6) for block in main} == {0}
    assert paper["skip"].middle < -paper["conv1"].height / 2
    assert paper["linear"].right <= 7.2


def test_arrows_lead_down_to_the_skip_and_up_into_both_paths():
    axis = plots.volumes(models.SkipCNN(), "")
    bent = [list(line.get_ydata()) for line in axis.lines if len(set(line.get_ydata())) == 2]
    heads = [text for text in axis.texts if not text.get_text()]
    assert len(heads) == 10  # nine layers, and the skip into the block of both paths
    assert len(bent) == 1 and bent[0][0] > bent[0][1]  # down from conv1; the way up is the head's


def test_arrows_begin_and_end_at_the_edges_of_blocks(paper):
    axis = plots.volumes(models.SkipCNN(), "")
    ends = [(*arrow.xyann, *arrow.xy) for arrow in axis.texts if not arrow.get_text()]
    # A block reaches back by 0.22 of its height; conv1 stands behind the image, conv2 behind conv1.
    for one, other in (("image", "conv1"), ("conv1", "conv2"), ("pool", "linear")):
        back = paper[one].right + 0.22 * paper[one].height
        assert (pytest.approx(back), 0, pytest.approx(paper[other].left), 0) in ends
    both, conv1 = paper["both paths"], paper["conv1"]
    under = (both.left + both.right) / 2, both.middle - both.height / 2
    assert any(end[2:] == pytest.approx(under) for end in ends)
    skip, half = paper["skip"], (conv1.left + conv1.right) / 2
    assert any(end == pytest.approx((half, skip.middle, skip.left, skip.middle)) for end in ends)
    (down,) = [line for line in axis.lines if len(set(line.get_ydata())) == 2]
    assert (down.get_xdata()[0], down.get_ydata()[0]) == pytest.approx(
        (half, conv1.middle - conv1.height / 2)
    )
    back = skip.right + 0.22 * skip.height
    assert any(list(line.get_xdata()) == pytest.approx([back, under[0]]) for line in axis.lines)


def test_a_network_without_convolutions_is_drawn_too():
    seen = blocks(plots.volumes(nn.Sequential(nn.Flatten(), nn.Linear(48, 5)), "", (3, 4, 4)))
    assert [block.size for block in seen.values()] == ["3×4×4", "5"]


def test_drawing_leaves_the_network_as_it_was():
    network = models.SkipCNN().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    plots.volumes(network, "")
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_that_is_too_long_is_refused():
    with pytest.raises(CourseError, match=r"12 steps are too many .* plots\.network"):
        plots.volumes(nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(11))), "")
