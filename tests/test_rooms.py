"""The house: each room says what it is for, and lists its public names. Their order is import-linter's."""

import importlib
import inspect
from pathlib import Path

import pytest

import cifar_lib

FOLDER = Path(cifar_lib.__file__).parent
ROOMS = ["system", "data", "recipes", "models", "evaluate", "training", "runs", "plots"]
MODULES = [
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(FOLDER.rglob("*.py"))
]


def test_the_rooms_are_those_of_the_docstring():
    places = [cifar_lib.__doc__.index(f"`{room}`") for room in ROOMS]
    assert places == sorted(places)
    assert {*ROOMS, "commands"} == {path.parent.name for path in FOLDER.glob("*/__init__.py")}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name):
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_there_and_documented(room):
    module = importlib.import_module(f"cifar_lib.{room}")
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), f"{room}.{name}"
