"""The fast recipes' network, against its definition."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from by_hand import conv

from cifar_lib import CourseError, models
from cifar_lib.models import fast, kernels


@pytest.fixture
def images():
    """Images of one colour each with faint noise: most directions of a patch are faint."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.randn(1_201, 3, 1, 1, generator=generator)
    colours[:600] *= 3  # the parts that `prepare` takes one after the other differ
    return colours + 0.02 * torch.randn(1_201, 3, 8, 8, generator=generator)


def moments(rows):
    rows = rows.double()
    return rows @ rows.T / rows.shape[1]


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize("whiten", [True, False])
def test_shape_and_parameters(shape, whiten):
    """Of a batch norm the shift alone is trained, and a whitening layer not at all."""
    network = fast.FastCNN(shape, widths=(8, 16, 12), inner=(6, 10, 14), whiten=whiten, classes=7)
    assert network(torch.zeros(2, *shape)).shape == (2, 7)
    first = 8 * shape[0]
    sizes = [(first, 6), (6, 8), (8, 10), (10, 16), (16, 14), (14, 12)]
    total = sum(conv(*size, bias=False) + size[1] for size in sizes) + 12 * 7
    assert models.count_parameters(network) == total + (0 if whiten else conv(shape[0], first, 2))


def test_a_stage_without_inner_channels_has_as_many_as_it_ends_with():
    network = fast.FastCNN(widths=(8, 16, 12))
    convolutions = [(c.in_channels, c.out_channels) for s in network.stages for c in (s.conv1, s.conv2)]
    assert convolutions == [(24, 8), (8, 8), (8, 16), (16, 16), (16, 12), (12, 12)]


@pytest.mark.parametrize("training", [True, False])
def test_logits_by_hand(training):
    torch.manual_seed(0)
    network = fast.FastCNN(widths=(4, 6, 5), inner=(3, 6, 7), dirac=False).train(training)
    x = torch.randn(6, 3, 32, 32)
    with kernels.only("usual"):
        found = network(x)

    def norm(x, layer):
        mean, variance = layer.running_mean, layer.running_var
        if training:
            variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return x + layer.bias[:, None, None]

    x = F.silu(F.conv2d(x, network.whiten.weight))
    for stage in network.stages:
        x = F.max_pool2d(F.conv2d(x, stage.conv1.weight, padding=1), 2)
        x = F.silu(norm(x, stage.norm1))
        x = F.silu(norm(F.conv2d(x, stage.conv2.weight, padding=1), stage.norm2))
    expected = x.flatten(2).max(2).values @ network.linear.weight.T / 5**0.5
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_running_averages_follow_the_last_few_batches():
    stage, x = fast.Stage(3, 4, dirac=False), torch.randn(5, 3, 8, 8)
    convolved = F.max_pool2d(stage.conv1(x), 2)
    stage(x)
    torch.testing.assert_close(stage.norm1.running_mean, 0.4 * convolved.mean((0, 2, 3)))


@pytest.mark.parametrize(("inputs", "inner", "outputs"), [(4, 6, 8), (4, 4, 4), (6, 4, 3)])
def test_dirac_filters_pass_their_inputs_through(inputs, inner, outputs):
    """As many as there are outputs for; further outputs begin with random filters."""
    stage = fast.Stage(inputs, outputs, inner, dirac=True)
    for convolution in (stage.conv1, stage.conv2):
        x = torch.randn(2, convolution.in_channels, 5, 5)
        passed = min(convolution.in_channels, convolution.out_channels)
        torch.testing.assert_close(convolution(x)[:, :passed], x[:, :passed])
        assert (convolution.weight[passed:] != 0).all()


def test_without_dirac_all_filters_are_random():
    stage = fast.Stage(4, 6, dirac=False)
    assert all((convolution.weight != 0).all() for convolution in (stage.conv1, stage.conv2))


def test_prepare_evens_out_the_directions_of_patches(images):
    """Along each direction variance / (variance + 5e-4) is left; the faintest stay faint."""
    network = fast.FastCNN(widths=(4, 4, 4))
    network.prepare(images)
    patches = F.unfold(images, 2).transpose(0, 1).flatten(1)
    variance = torch.linalg.eigvalsh(moments(patches))
    assert variance.min() < 1e-3 < 1 < variance.max()
    outputs = F.conv2d(images, network.whiten.weight).transpose(0, 1).flatten(1)
    expected = (variance / (variance + 5e-4)).diag()
    torch.testing.assert_close(moments(outputs[:12]), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(outputs[12:], -outputs[:12])
    assert not network.whiten.weight.requires_grad


def test_pixels_that_are_not_normalised_do_not_set_the_first_layer():
    network = fast.FastCNN(widths=(4, 4, 4))
    before = network.whiten.weight.clone()
    with pytest.raises(CourseError, match=r"The images are uint8.*data\.normalize"):
        network.prepare(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert torch.equal(network.whiten.weight, before)


def test_without_whitening_the_first_layer_is_left_to_training(images):
    network = fast.FastCNN(widths=(4, 4, 4), whiten=False)
    before = network.whiten.weight.detach().clone()
    network.prepare(images)
    assert torch.equal(network.whiten.weight, before) and network.whiten.weight.requires_grad


def test_the_first_layer_keeps_float32_where_all_others_are_rounded():
    dtypes = {}
    network = fast.FastCNN(widths=(4, 4, 4))
    for name in ("whiten", "stages", "linear"):
        getattr(network, name).register_forward_hook(
            lambda _, inputs, output, name=name: dtypes.update({name: (inputs[0].dtype, output.dtype)})
        )
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, 3, 32, 32))
    rounded = (torch.bfloat16, torch.bfloat16)
    assert dtypes == {"whiten": (torch.float32, torch.float32), "stages": rounded, "linear": rounded}


@pytest.mark.long
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
def test_a_compiled_gradient_of_the_largest_is_that_of_the_usual_one():
    """In bfloat16, in which the compiler computes anew, and unrounded, what the largest was chosen from."""
    norm, start = torch.nn.BatchNorm2d(4), torch.randn(8, 4, 5, 5, generator=torch.Generator().manual_seed(0))

    def gradient(largest):
        x = start.clone().requires_grad_()
        largest(x).float().square().sum().backward()
        return x.grad

    def largest(x):
        return fast._largest(F.silu(norm(x.bfloat16())))

    usual, compiled = gradient(largest), gradient(torch.compile(largest, dynamic=False))
    assert (compiled - usual).norm() < 0.05 * usual.norm()
