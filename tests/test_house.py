"""The house's order: no module imports from a floor above, and public things say what they do."""

import ast
from pathlib import Path

import pytest

import cifar_lib

FOLDER = Path(cifar_lib.__file__).parent
FLOORS = [
    ["files"],
    ["distributed"],
    ["device"],
    ["threads"],
    ["sources", "download", "toy"],
    ["data"],
    ["winograd"],
    ["kernels"],
    ["family", "fast"],
    ["models", "recipes"],
    ["optim", "evaluate", "train"],
    ["runs"],
    ["plots"],
    ["__main__"],
]
ORDER = [name for floor in FLOORS for name in floor]
TREES = {path.stem: ast.parse(path.read_text()) for path in FOLDER.glob("*.py") if path.stem != "__init__"}


def imported(tree):
    """The modules of cifar_lib that a module imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names = [node.module] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "cifar_lib":
            names = node.module.split(".")[1:] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("cifar_lib.")]
        else:
            continue
        yield from (name for name in names if name in TREES)


def test_the_floors_are_those_of_the_docstring():
    text = cifar_lib.__doc__
    places = [
        text.index(f"`{name}`") for name in ORDER if name not in ("sources", "download", "toy", "__main__")
    ]
    assert places == sorted(places)
    assert set(ORDER) == set(TREES) | {"plots"}


@pytest.mark.parametrize("name", TREES)
def test_a_module_imports_only_from_those_before_it(name):
    assert [other for other in imported(TREES[name]) if ORDER.index(other) >= ORDER.index(name)] == []


@pytest.mark.parametrize(
    "name", "data distributed winograd kernels family fast models recipes optim evaluate train runs".split()
)
def test_public_functions_and_classes_have_docstrings(name):
    evident = {"record_file", "weights_file"}
    kinds = (ast.FunctionDef, ast.ClassDef)
    bare = [
        node.name
        for node in TREES[name].body
        if isinstance(node, kinds) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert set(bare) <= evident


@pytest.mark.parametrize("name", TREES)
def test_every_module_says_what_it_is_for(name):
    assert ast.get_docstring(TREES[name])
