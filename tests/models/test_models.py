"""Shapes, sizes and wiring of the networks."""

import subprocess
import sys

import pytest
import torch
from torch import fx, nn

from cifar_lib import models, recipes
from cifar_lib.models import MLP, DeepCNN, SkipCNN


def convolution(inputs, outputs, kernel=3, bias=False):
    return inputs * outputs * kernel**2 + bias * outputs


def skip_cnn_parameters(width, merge, batch_norm, head):
    """Counted by hand: every convolution, its batch norm (2 a channel) or bias, and the linear layer."""
    wide, widest = 2 * width, 4 * width
    merged = 2 * wide if merge == "concat" else wide
    sizes = [(3, width, 3), (width, wide, 3), (wide, wide, 3), (merged, widest, 3), (widest, widest, 3)]
    sizes += [(width, wide, 1)] if merge != "none" else []
    total = sum(convolution(*size, bias=not batch_norm) for size in sizes)
    total += sum(2 * outputs for _, outputs, _ in sizes) if batch_norm else 0
    return total + widest * (16 if head == "flatten" else 1) * 10 + 10


@pytest.mark.parametrize("merge", ["concat", "add", "none"])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("head", ["flatten", "pool"])
def test_skip_cnn_shape_and_parameters(merge, batch_norm, head):
    model = SkipCNN(width=8, merge=merge, batch_norm=batch_norm, head=head)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert models.count_parameters(model) == skip_cnn_parameters(8, merge, batch_norm, head)
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batch_norm


def test_parameters_of_the_papers_network():
    model = models.build(recipes.RECIPES["paper"], (3, 32, 32))
    assert models.count_parameters(model) == skip_cnn_parameters(32, "concat", True, "flatten") == 374_570


@pytest.mark.parametrize(
    ("shape", "hidden", "count"),
    [
        ((3, 32, 32), (), 3072 * 10 + 10),
        ((3, 32, 32), (128,), 3072 * 128 + 128 + 128 * 10 + 10),
        ((1, 28, 28), (20, 30), 784 * 20 + 20 + 20 * 30 + 30 + 30 * 10 + 10),
    ],
)
def test_mlp_shape_and_parameters(shape, hidden, count):
    model = MLP(shape, hidden)
    assert model(torch.zeros(2, *shape)).shape == (2, 10)
    assert models.count_parameters(model) == count
    assert sum(isinstance(module, nn.ReLU) for module in model.modules()) == len(hidden)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_deep_cnn_shape_and_parameters(batch_norm, skip):
    model = DeepCNN(depth=6, width=8, skip=skip, batch_norm=batch_norm)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    expected = convolution(3, 8, bias=True) + 6 * convolution(8, 8, bias=True) + 8 * 10 + 10
    assert models.count_parameters(model) == expected + (6 * 16 if batch_norm else 0)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_deep_cnn_stride_is_the_first_convolutions_alone(stride):
    sizes, model = [], DeepCNN(depth=2, width=4, stride=stride)
    for module in (model.stem, model.convolutions[-1]):
        module.register_forward_hook(lambda _, __, output: sizes.append(output.shape[2:]))
    model(torch.zeros(1, 3, 32, 32))
    assert sizes == [(32 // stride, 32 // stride)] * 2
    assert models.count_parameters(model) == models.count_parameters(DeepCNN(depth=2, width=4))


def test_deep_cnn_adds_the_input_of_each_pair():
    torch.manual_seed(0)
    model, x = DeepCNN(depth=4, width=4, skip=True), torch.randn(2, 3, 32, 32)
    first, second, third, fourth = model.convolutions
    stem = model.stem(x)
    middle = stem + second(first(stem).relu()).relu()
    end = middle + fourth(third(middle).relu()).relu()
    torch.testing.assert_close(model(x), model.linear(end.mean((2, 3))))


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_every_network_can_be_built_by_its_name(name, shape):
    options = {"depth": 2} if name == "deep-cnn" else {}
    model = models.build(recipes.Recipe("any", model=name, options=options), shape)
    assert model(torch.zeros(2, *shape)).shape == (2, 10)


SHAPES = {
    "cifar10": (3, 32, 32),
    "cifar10/shuffled": (3, 32, 32),
    "cifar10/grey": (1, 32, 32),
    "cifar10/28x28": (3, 28, 28),
    "cifar10/grey-28x28": (1, 28, 28),
    "mnist": (1, 28, 28),
    "mnist/moved": (1, 28, 28),
    "mnist/noise": (3, 28, 28),
    "mnist/moved-noise": (3, 28, 28),
}


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_can_be_built(name):
    recipe = recipes.RECIPES[name]
    shape = SHAPES[recipe.data]
    assert models.build(recipe, shape)(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("name", ["small-add", "small-no-skip"])
def test_without_the_concatenation_a_greater_width_keeps_the_number_of_parameters(name):
    one, other = (
        models.count_parameters(models.build(recipes.RECIPES[n], (3, 32, 32))) for n in (name, "small")
    )
    assert one == pytest.approx(other, rel=0.03)


class Tracer(fx.Tracer):
    """Traces a network down to its layers."""

    def is_leaf_module(self, module, name):
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, name)


def trace(**options):
    model = SkipCNN(width=4, **options)
    return fx.GraphModule(model, Tracer().trace(model))


def graph(**options):
    """{name of a step: the names of the steps that it takes from} of a SkipCNN."""
    traced = trace(**options)
    return {node.name: [before.name for before in node.all_input_nodes] for node in traced.graph.nodes}


@pytest.mark.parametrize("merge", ["concat", "add", "none"])
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


@pytest.mark.parametrize("merge", ["concat", "add", "none"])
@pytest.mark.parametrize(("activation", "kind"), [("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid)])
def test_another_activation_takes_the_place_of_every_relu(activation, kind, merge):
    usual, changed = SkipCNN(width=4, merge=merge), SkipCNN(width=4, merge=merge, activation=activation)
    before, after = (
        {name: type(module) for name, module in model.named_modules()} for model in (usual, changed)
    )
    assert list(before.values()).count(nn.ReLU) == (5 if merge == "none" else 6)
    assert after == {name: kind if was is nn.ReLU else was for name, was in before.items()}
    assert models.count_parameters(changed) == models.count_parameters(usual)
    relus = fx.symbolic_trace(changed)
    assert not [node for node in relus.graph.nodes if "relu" in str(node.target) and node.op != "call_module"]


def test_the_skip_reaches_the_size_of_what_it_meets():
    sizes = []
    model = SkipCNN(width=4)
    for module in (model.skip_relu, model.conv3_relu):
        module.register_forward_hook(lambda _, __, output: sizes.append(output.shape))
    model(torch.zeros(1, 3, 32, 32))
    assert sizes == [(1, 8, 16, 16)] * 2


def test_flops_agree_with_a_hand_count():
    assert models.count_flops(MLP(hidden=(128,))) == 2 * (3072 * 128 + 128 * 10)
    assert models.count_flops(MLP((1, 28, 28), (16,)), (1, 28, 28)) == 2 * (784 * 16 + 16 * 10)
    w = 8
    products = 32**2 * 27 * w + 16**2 * (9 * w * 2 * w + 9 * 4 * w * w + w * 2 * w)
    products += 8**2 * (9 * 4 * w * 4 * w * 2) + 4 * w * 16 * 10
    assert models.count_flops(SkipCNN(width=w)) == 2 * products


@pytest.mark.parametrize(
    "recipe", {(r.model, str(r.options)): r for r in recipes.RECIPES.values()}.values(), ids=lambda r: r.name
)
def test_flops_agree_with_torchs_counter(recipe):
    from torch.utils.flop_counter import FlopCounterMode

    model = models.build(recipe, (3, 32, 32)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert models.count_flops(model) == counter.get_total_flops()


def test_flops_leave_the_network_as_it_was():
    model = SkipCNN(width=4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    models.count_flops(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


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


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_no_network_has_a_strided_pointwise_convolution_of_few_channels_in_pytorchs_own_way(name):
    recipe = recipes.RECIPES[name]
    shape = (1, 28, 28) if "28" in recipe.data or "mnist" in recipe.data else (3, 32, 32)
    for module in models.build(recipe, shape).modules():
        if type(module) is nn.Conv2d and module.kernel_size == (1, 1) and module.stride != (1, 1):
            assert module.in_channels >= 16  # a whole register's on every processor
