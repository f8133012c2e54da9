"""The page of the library: every public name is on it, and every docstring can be set in type."""

import importlib
import inspect
import pydoc
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import rooms
import yaml
from sphinx.application import Sphinx

REPOSITORY = Path(__file__).parents[2]
ROOMS = sorted(rooms.ROOMS)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(the names on the page, the warnings) of a site that has this page alone, under the book's settings."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "book" / "api.md", folder / "index.md")
    (folder / "architecture.md").write_text("---\norphan: true\n---\n# How the course is built\n")
    book = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
    settings = {
        name: value
        for name, value in book["sphinx"]["config"].items()
        if name.startswith(("autodoc", "napoleon", "python", "default_role", "nitpick", "add_module"))
    }
    settings |= {"extensions": ["myst_parser", "public_names"], "nitpicky": True, "html_theme": "basic"}
    with (folder / "warnings.txt").open("w+") as warnings:
        app = Sphinx(
            folder,
            None,
            folder / "out",
            folder / "doctrees",
            "html",
            confoverrides=settings,
            status=None,
            warning=warnings,
        )
        app.build()
        warnings.seek(0)
        return set(app.env.get_domain("py").objects), warnings.read()


def expected(module):
    """The public names of a module, and in place of a module among them those of that module."""
    for name in module.__all__:
        thing = getattr(module, name)
        if not isinstance(thing, ModuleType):
            yield f"{module.__name__}.{name}"
        elif hasattr(thing, "__all__"):
            yield from expected(thing)
        else:
            for inner, value in vars(thing).items():
                public = inspect.isfunction(value) or inspect.isclass(value)
                if public and not inner.startswith("_") and value.__module__ == thing.__name__:
                    yield f"{thing.__name__}.{inner}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_of_a_room_is_on_the_page(built, room):
    names, _ = built
    assert set(expected(importlib.import_module(f"cifar_lib.{room}"))) - names == set()


@pytest.mark.parametrize("room", ROOMS)
def test_every_method_that_a_class_adds_is_on_the_page(built, room):
    """Those that a base class has, as `forward`, are explained there."""
    names, _ = built
    for path in expected(importlib.import_module(f"cifar_lib.{room}")):
        thing = pydoc.locate(path)
        if inspect.isclass(thing):
            own = [name for name, value in vars(thing).items() if inspect.isfunction(value)]
            added = {name for name in own if not any(hasattr(base, name) for base in thing.__mro__[1:])}
            assert {f"{path}.{name}" for name in added if not name.startswith("_")} - names == set()


def test_docstrings_can_be_set_and_name_only_public_types(built):
    assert built[1] == ""
