"""Networks by name, and networks of the reader's own."""

import traceback

import pytest
import torch
from refusals import refusal
from torch import nn

from cifar_lib import CourseError, models, recipes
from cifar_lib.__main__ import main
from cifar_lib.models import FastCNN

SHAPES = {
    "cifar10": (3, 32, 32),
    "cifar10/shuffled": (3, 32, 32),
    "cifar10/grey": (1, 32, 32),
    "cifar10/28x28": (3, 28, 28),
    "cifar10/grey-28x28": (1, 28, 28),
    "mnist": (1, 28, 28),
    "mnist/moved": (1, 28, 28),
    "mnist/scaled": (1, 28, 28),
    "cifar10/random-labels": (3, 32, 32),
    "mnist/noise": (3, 28, 28),
    "mnist/moved-noise": (3, 28, 28),
}
# One recipe for each network that the book trains.
DIFFERENT = {
    (recipe.model, str(recipe.options), SHAPES[recipe.data]): recipe for recipe in recipes.RECIPES.values()
}


@pytest.mark.parametrize("recipe", DIFFERENT.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_can_be_built(recipe):
    shape = SHAPES[recipe.data]
    network = models.build(recipe, shape)
    assert network(torch.zeros(2, *shape)).shape == (2, 10)
    models.check_shapes(network, recipe, shape, 10)


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_every_network_takes_its_shape_and_its_classes_from_the_data(name, shape):
    options = {"depth": 2} if name == "deep-cnn" else {}
    network = models.build(recipes.Recipe("any", model=name, options=options), shape, 7)
    assert network(torch.zeros(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize("recipe", DIFFERENT.values(), ids=lambda recipe: recipe.name)
def test_no_network_convolves_few_channels_with_strides_and_1x1_filters_in_pytorchs_own_way(recipe):
    """See `models.Pointwise`."""
    for module in models.build(recipe, SHAPES[recipe.data]).modules():
        if type(module) is nn.Conv2d and module.kernel_size == (1, 1) and module.stride != (1, 1):
            assert module.in_channels >= 16  # these fill a register on every processor


@pytest.mark.parametrize("name", ["tuned-add-0.005", "tuned-no-skip-0.005"])
def test_without_the_concatenation_a_greater_width_keeps_the_number_of_parameters(name):
    one, other = (
        models.count_parameters(models.build(recipes.RECIPES[n], (3, 32, 32))) for n in (name, "study")
    )
    assert one == pytest.approx(other, rel=0.03)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "cnn"}, "no network 'cnn'.* mlp, skip-cnn"),
        ({"options": {"widht": 3}}, "'widht'.* width, merge, batch_norm, head, activation, convolutions"),
        ({"options": {"merge": "mean"}}, "merge .* not 'mean'"),
        ({"options": {"head": "max"}}, "head .* not 'max'"),
        ({"options": {"activation": "gelu"}}, "activation .* not 'gelu'"),
        ({"options": {"convolutions": 4}}, "convolutions is 3 or 5, not 4"),
        ({"model": "vgg", "options": {"width": 3}}, "'vgg'.*'width'.* no options"),
        ({"model": "deep-cnn"}, "'depth'"),
        ({"options": {"batch_norm": "no"}}, "options.batch_norm is true or false, not 'no'"),
        ({"options": {"batch_norm": 0}}, "options.batch_norm is true or false, not 0"),
        ({"options": {"width": 2.5}}, "options.width is a whole number, not 2.5"),
        ({"options": {"width": 0}}, "make each width at least 1"),
        ({"model": "mlp", "options": {"hidden": 64}}, r"options.hidden is a list .* \[64, 128\], not 64"),
        ({"model": "mlp", "options": {"hidden": [0]}}, "make each width at least 1"),
        ({"options": {"classes": 3}}, "classes .* comes from the data"),
        ({"options": {"shape": [1, 8, 8]}}, "shape .* comes from the data"),
    ],
)
def test_a_network_that_cannot_be_is_one_sentence(changes, words):
    with pytest.raises(CourseError, match=words) as caught:
        models.build(recipes.RECIPES["paper"].replace(**changes), (3, 32, 32))
    assert "\n" not in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("Traceback") == 1  # the error of the check itself would say nothing more


class Own(nn.Module):
    """A network that a reader might add to `MODELS`."""

    def __init__(self, shape, classes, width=4):
        super().__init__()
        if width < 0:
            raise ValueError("a width below 0\nand a second line")
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], width, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(width, classes),
        )

    def forward(self, x):
        if x.shape[-1] == 24:
            raise ZeroDivisionError
        return self.layers(x)


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setitem(models.MODELS, "own", Own)
    return recipes.Recipe("own", model="own", data="toy", epochs=1)


def test_a_network_of_the_readers_own_is_built_by_its_name(own):
    network = models.build(own.replace(options={"width": 6}), (3, 32, 32), 10)
    assert type(network) is Own
    models.check_shapes(network, own, (3, 32, 32), 10)


# As in a module that begins with `from __future__ import annotations`, where all annotations are text.
FUTURE = """
from __future__ import annotations
from typing import Literal
def network(shape, classes, deep: bool = False, rate: float = 0.1, pool: Literal["max", "mean"] = "max",
            name: str = "", size: tuple[int, int] = (1, 1), other: object = None, any=None):
    return Own(shape, classes)
"""


@pytest.fixture
def with_kinds(own, monkeypatch):
    names = {"Own": Own}
    exec(FUTURE, names)
    monkeypatch.setitem(models.MODELS, "own", names["network"])
    return own


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("deep", "no", "true or false, not 'no'"),
        ("rate", "0.1", "a number, not '0.1'"),
        ("pool", "min", "Literal['max', 'mean'], not 'min'"),
        ("name", 3, "a text, not 3"),
        ("size", [1, 2, 3], "tuple[int, int], not [1, 2, 3]"),
    ],
)
def test_an_option_of_another_kind_than_the_annotation_is_refused(option, value, words, with_kinds):
    text = refusal(models.build, with_kinds.replace(options={option: value}), (3, 32, 32))
    assert text == f"options.{option} is {words}."


def test_options_of_the_annotated_kinds_and_without_any_are_taken(with_kinds):
    options = {"deep": True, "rate": 1, "pool": "mean", "name": "x", "size": [2, 3], "other": len, "any": len}
    assert models.build(with_kinds.replace(options=options), (3, 32, 32))


def test_what_the_readers_network_raised_when_it_was_built_is_the_cause(own):
    with pytest.raises(CourseError, match=r"'own' .*'width': -1.* 3×32×32: a width below 0$") as caught:
        models.build(own.replace(options={"width": -1}), (3, 32, 32))
    cause = caught.value.__cause__
    assert type(cause) is ValueError
    assert traceback.extract_tb(cause.__traceback__)[-1].filename == __file__


@pytest.mark.parametrize(
    ("text", "words"), [("\nwithout a first line", "without a first line"), (" \n", "OSError")]
)
def test_a_networks_error_that_begins_with_an_empty_line_is_a_sentence_too(text, words, own, monkeypatch):
    def network(shape, classes):
        raise OSError(text)

    monkeypatch.setitem(models.MODELS, "own", network)
    with pytest.raises(CourseError, match=rf"3×32×32: {words}$"):
        models.build(own, (3, 32, 32))


def test_what_the_readers_network_raised_for_its_images_is_the_cause(own):
    growing = own.replace(sides=[[0, 16], [0.5, 24]])
    with pytest.raises(CourseError, match=r"'own' .* 24×24 .*\(ZeroDivisionError\)") as caught:
        models.check_shapes(models.build(growing, (3, 32, 32)), growing, (3, 32, 32), 10)
    cause = caught.value.__cause__
    assert type(cause) is ZeroDivisionError
    assert traceback.extract_tb(cause.__traceback__)[-1].filename == __file__


def test_the_size_and_the_batch_that_a_network_cannot_take_are_named(own):
    network = models.build(own, (3, 32, 24))
    with pytest.raises(CourseError, match=r"32×24 pixels in batches of 64 "):
        models.check_shapes(network, own, (3, 32, 24), 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [('options={"width":-1}', "a width below 0"), ("sides=[[0,24]]", "ZeroDivisionError")],
)
def test_the_command_line_says_one_sentence_of_a_network_that_fails(own, change, words, monkeypatch, capsys):
    monkeypatch.setitem(recipes.RECIPES, "own", own)
    assert main(["train", "own", "--set", change]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("missing", ["shape", "classes"])
def test_a_network_that_does_not_take_what_the_data_decide_is_named(own, missing, monkeypatch):
    function = {"shape": lambda classes: None, "classes": lambda shape: None}[missing]
    monkeypatch.setitem(models.MODELS, "own", function)
    with pytest.raises(CourseError, match=f"'own' has no argument {missing}"):
        models.build(own, (3, 32, 32))


def test_a_network_may_take_any_arguments(own, monkeypatch):
    monkeypatch.setitem(models.MODELS, "own", lambda **arguments: Own(**arguments))
    assert type(models.build(own, (3, 32, 32))) is Own


@pytest.mark.parametrize(
    ("shape", "sides", "seen"),
    [
        ((3, 32, 28), [], {(32, 28)}),
        ((1, 8, 8), [[0, 12], [0.5, 16]], {(12, 12), (16, 16)}),
    ],
)
@pytest.mark.parametrize(("batch_size", "images"), [(64, 2), (1, 1)])
def test_a_network_is_tried_with_each_size_of_the_recipe(own, shape, sides, seen, batch_size, images):
    sizes = []

    class Watched(nn.Module):
        def forward(self, x):
            sizes.append(tuple(x.shape))
            return torch.zeros(len(x), 10)

    models.check_shapes(Watched(), own.replace(sides=sides, batch_size=batch_size), shape, 10)
    assert sorted(sizes) == sorted((images, shape[0], *size) for size in seen)


def test_another_number_of_logits_is_refused(own):
    network = models.build(own, (3, 32, 32), 9)
    with pytest.raises(CourseError, match=r"\(2, 9\) .* 10 classes"):
        models.check_shapes(network, own, (3, 32, 32), 10)


@pytest.mark.parametrize("shape", [(-1, 10), (-1,)])
def test_another_number_of_rows_than_images_is_refused(own, shape):
    network = nn.Sequential(models.build(own, (3, 32, 32), 20), nn.Flatten(0), nn.Unflatten(0, shape))
    with pytest.raises(CourseError, match=r"gives \((4, 10|40,)\) for 2 images"):
        models.check_shapes(network, own, (3, 32, 32), 10)


def test_batch_norm_cannot_train_with_a_single_value(own):
    """What trains in batches of one image fails only in training mode."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10), nn.BatchNorm1d(10)).eval()
    models.check_shapes(network, own, (3, 32, 32), 10)
    with pytest.raises(CourseError, match="batches of 1 "):
        models.check_shapes(network, own.replace(batch_size=1), (3, 32, 32), 10)


def test_trying_a_network_changes_neither_it_nor_the_random_numbers(own):
    network = nn.Sequential(Own((3, 32, 32), 10), nn.BatchNorm1d(10)).eval()
    before, state = {n: v.clone() for n, v in network.state_dict().items()}, torch.get_rng_state()
    models.check_shapes(network, own, (3, 32, 32), 10)  # draws for the dropout, in training mode
    assert torch.equal(torch.get_rng_state(), state) and not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_options_may_come_from_json():
    recipe = recipes.Recipe("any", model="fast-cnn", options={"widths": [4, 4, 4], "inner": [2, 4, 4]})
    assert isinstance(models.build(recipe, (3, 32, 32)), FastCNN)


def test_he_init_scales_each_layer_by_its_fan_in():
    torch.manual_seed(0)
    recipe = recipes.get("depth-6-plain-he")
    model = models.build(recipe, (3, 32, 32))
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            # 5 standard errors of a sample's standard deviation
            reach = 5 / (2 * layer.weight.numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=reach)
            assert not layer.bias.any()


def test_he_init_leaves_what_is_not_trained():
    model = FastCNN(widths=[16, 32, 32])
    frozen = {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}
    models.he_init(model)
    assert frozen
    assert all(torch.equal(model.get_parameter(name), weight) for name, weight in frozen.items())
