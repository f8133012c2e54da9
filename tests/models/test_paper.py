"""The course's own networks: shapes, sizes, wiring and initial weights."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from by_hand import conv, kinds, linear
from torch import fx, nn

from cifar_lib import models, recipes
from cifar_lib.models import MLP, DeepCNN, SkipCNN

MERGES = ["concat", "add", "none"]

# MLP


@pytest.mark.parametrize(
    ("shape", "hidden", "count"),
    [
        ((3, 32, 32), (), linear(3072, 7)),
        ((3, 32, 32), (128,), linear(3072, 128) + linear(128, 7)),
        ((1, 28, 28), (20, 30), linear(784, 20) + linear(20, 30) + linear(30, 7)),
    ],
)
def test_mlp_shape_and_parameters(shape, hidden, count):
    model = MLP(shape, hidden, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    assert models.count_parameters(model) == count


def test_mlp_layers_in_order():
    assert kinds(MLP(hidden=(20, 30)).layers) == ["Flatten", *["Linear", "ReLU"] * 2, "Linear"]


# The paper's network


def skip_cnn_parameters(width, merge, batch_norm, head, classes, convolutions=5):
    """Every convolution, its batch norm (2 per channel) or bias, and the linear layer."""
    wide, widest = 2 * width, 4 * width
    merged = 2 * wide if merge == "concat" else wide
    sizes = [(3, width, 3), (width, wide, 3), (wide, wide, 3), (merged, widest, 3), (widest, widest, 3)]
    sizes = sizes[:convolutions] + ([(width, wide, 1)] if merge != "none" else [])
    last, positions = (widest, 16) if convolutions == 5 else (merged, 64)
    total = sum(conv(*size, bias=not batch_norm) for size in sizes)
    total += sum(2 * outputs for _, outputs, _ in sizes) if batch_norm else 0
    return total + linear(last * (positions if head == "flatten" else 1), classes)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("head", ["flatten", "pool"])
@pytest.mark.parametrize("convolutions", [3, 5])
def test_skip_cnn_shape_and_parameters(merge, batch_norm, head, convolutions):
    form = {"merge": merge, "batch_norm": batch_norm, "head": head, "convolutions": convolutions}
    model = SkipCNN(width=8, classes=7, **form)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert models.count_parameters(model) == skip_cnn_parameters(8, classes=7, **form)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batch_norm


def test_parameters_of_the_papers_network():
    model = models.build(recipes.RECIPES["paper"], (3, 32, 32))
    assert models.count_parameters(model) == skip_cnn_parameters(32, "concat", True, "flatten", 10) == 374_570


@pytest.mark.parametrize(("head", "pooled"), [("flatten", 16), ("pool", 1)])
def test_the_linear_layer_takes_every_maximum_or_the_average(head, pooled):
    model, seen = SkipCNN(width=2, head=head), {}
    model.conv5_relu.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    logits = model(torch.randn(2, 3, 32, 32))
    maps = seen["maps"]
    maxima = maps.unflatten(2, (4, 2)).unflatten(4, (4, 2)).amax((3, 5)).flatten(1)
    taken = maxima if head == "flatten" else maps.mean((2, 3))
    assert taken.shape == (2, 8 * pooled)
    torch.testing.assert_close(logits, model.linear(taken))


def test_each_layer_draws_its_initial_weights_in_the_order_of_the_network():
    """Else the same seed would give other networks than those that are recorded."""
    torch.manual_seed(0)
    model = SkipCNN(width=4)
    torch.manual_seed(0)
    expected = [
        nn.Conv2d(3, 4, 3, bias=False),
        nn.Conv2d(4, 8, 3, bias=False),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.Conv2d(4, 8, 1, bias=False),
        nn.Conv2d(16, 16, 3, bias=False),
        nn.Conv2d(16, 16, 3, bias=False),
        nn.Linear(256, 10),
    ]
    layers = [model.conv1, model.conv2, model.conv3, model.skip, model.conv4, model.conv5, model.linear]
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(layers, expected, strict=True))


class Tracer(fx.Tracer):
    """Traces a network down to its layers."""

    def is_leaf_module(self, module, name):
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, name)


def trace(**options):
    model = SkipCNN(width=4, **options)
    return fx.GraphModule(model, Tracer().trace(model))


def graph(**options):
    """{name of a step: the names of the steps whose results it takes} of a SkipCNN."""
    traced = trace(**options)
    return {node.name: [before.name for before in node.all_input_nodes] for node in traced.graph.nodes}


@pytest.mark.parametrize("merge", MERGES)
def test_batch_norm_and_relu_follow_every_convolution(merge):
    traced = trace(merge=merge)
    kind = {
        node.name: type(traced.get_submodule(node.target)).__name__.replace("Pointwise", "Conv2d")
        for node in traced.graph.nodes
        if node.op == "call_module"
    }
    convolutions = [node for node in traced.graph.nodes if kind.get(node.name) == "Conv2d"]
    assert len(convolutions) == (5 if merge == "none" else 6)
    for node in convolutions:
        (norm,) = node.users
        assert kind[norm.name] == "BatchNorm2d"
        assert "ReLU" in [kind.get(after.name) for after in norm.users]


def test_the_skip_takes_bn_conv1_and_is_concatenated_with_conv3_relu():
    steps = graph(merge="concat")
    assert steps["skip"] == ["bn_conv1"]
    assert steps["conv1_relu"] == ["bn_conv1"]
    assert (steps["bn_skip"], steps["skip_relu"]) == (["skip"], ["bn_skip"])
    assert steps["cat"] == ["conv3_relu", "skip_relu"]
    assert steps["conv4"] == ["cat"]


def test_the_skip_is_added_or_left_out():
    assert graph(merge="add")["add"] == ["conv3_relu", "skip_relu"]
    steps = graph(merge="none")
    assert steps["conv4"] == ["conv3_relu"]
    assert "skip" not in steps


def test_without_the_two_last_convolutions_the_head_follows_the_skip():
    steps = graph(convolutions=3)
    assert steps["pool"] == ["cat"]
    assert "conv4" not in steps


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize(("activation", "kind"), [("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid)])
def test_another_activation_takes_the_place_of_every_relu(activation, kind, merge):
    usual, changed = SkipCNN(width=4, merge=merge), SkipCNN(width=4, merge=merge, activation=activation)
    before, after = (
        {name: type(module) for name, module in model.named_modules()} for model in (usual, changed)
    )
    assert list(before.values()).count(nn.ReLU) == (5 if merge == "none" else 6)
    assert after == {name: kind if was is nn.ReLU else was for name, was in before.items()}
    relus = fx.symbolic_trace(changed)
    assert not [node for node in relus.graph.nodes if "relu" in str(node.target) and node.op != "call_module"]


def test_sizes_along_the_network():
    sizes, model = {}, SkipCNN(width=4)
    for name in ("conv1", "conv2", "conv3", "skip", "conv4", "conv5"):
        layer = getattr(model, name)
        layer.register_forward_hook(lambda _, __, output, name=name: sizes.update({name: output.shape[1:]}))
    model(torch.zeros(1, 3, 32, 32))
    assert sizes["conv1"] == (4, 32, 32)
    assert sizes["conv2"] == sizes["conv3"] == sizes["skip"] == (8, 16, 16)
    assert sizes["conv4"] == sizes["conv5"] == (16, 8, 8)


# Its skip


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("inputs", [4, 16])
def test_a_pointwise_convolution_is_torchs(inputs, bias):
    ours = models.Pointwise(inputs, 8, stride=2, bias=bias)
    torchs = nn.Conv2d(inputs, 8, 1, stride=2, bias=bias).double()  # double takes another way in PyTorch
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(32, inputs, 31, 32)
    weights, got, expected = torch.randn(8), ours(x), torchs(x.double())
    torch.testing.assert_close(got, expected.float())
    for outputs in (got, expected):
        (outputs * weights[:, None, None]).square().mean().backward()
    for one, other in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad.float())


def test_on_a_cpu_pytorch_gets_no_pointwise_convolution_with_strides(monkeypatch):
    """Only some processors show what goes wrong with it."""
    strides = []
    monkeypatch.setattr(F, "conv2d", lambda x, weight, bias, stride=1: strides.append(stride))
    models.Pointwise(4, 8, stride=2, bias=True)(torch.randn(2, 4, 6, 6))
    assert strides == [1]


@pytest.mark.long
def test_a_narrow_network_trains_without_writing_past_its_memory():
    """In a process of its own: where this goes wrong, the process dies (see `models.Pointwise`)."""
    code = (
        "import torch; from cifar_lib.models import SkipCNN\n"
        "model = SkipCNN(width=4).to(memory_format=torch.channels_last)\n"
        "x = torch.randn(32, 3, 32, 32).contiguous(memory_format=torch.channels_last)\n"
        "for _ in range(20): model(x).square().mean().backward()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The deep network


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_deep_cnn_shape_and_parameters(batch_norm, skip):
    model = DeepCNN(depth=6, skip=skip, batch_norm=batch_norm, classes=7)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    expected = conv(3, 16) + 6 * conv(16, 16) + linear(16, 7)
    assert models.count_parameters(model) == expected + (6 * 32 if batch_norm else 0)


@pytest.mark.parametrize(("options", "stride"), [({"stride": 1}, 1), ({}, 2), ({"stride": 4}, 4)])
def test_deep_cnn_stride_is_the_stems_alone(options, stride):
    sizes, model = [], DeepCNN(depth=2, **options)
    for module in (model.stem, model.convolutions[-1]):
        module.register_forward_hook(lambda _, __, output: sizes.append(output.shape[2:]))
    model(torch.zeros(1, 3, 32, 32))
    assert sizes == [(32 // stride, 32 // stride)] * 2
    assert models.count_parameters(model) == models.count_parameters(DeepCNN(depth=2))


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_deep_cnn_adds_the_input_of_each_pair(skip, batch_norm):
    torch.manual_seed(0)
    model, x = DeepCNN(depth=4, skip=skip, batch_norm=batch_norm), torch.randn(2, 3, 32, 32)
    first, second, third, fourth = (
        nn.Sequential(convolution, norm, nn.ReLU())
        for convolution, norm in zip(model.convolutions, model.norms, strict=True)
    )
    stem = model.stem(x)
    middle = second(first(stem)) + skip * stem
    end = fourth(third(middle)) + skip * middle
    torch.testing.assert_close(model(x), model.linear(end.mean((2, 3))))
