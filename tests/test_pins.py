"""What the project imports is declared and pinned, and the pins agree with the looser bounds."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if "==" in line
)
# Used where a notebook runs them, where someone has installed them, or fetched with what is compared.
OPTIONAL = {"IPython", "matplotlib_inline", "ipywidgets", "google", "pillow_heif", "airbench"}
ROOMS = ("cifar_lib", "book", "notebooks", "tests", "benchmarks")


def imported(path):
    """The names of the packages that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def test_every_package_that_is_imported_has_a_pin():
    files = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")]
    own = {path.stem for path in files} | {"cifar_lib"}
    others = {name for path in files for name in imported(path)} - own - sys.stdlib_module_names - OPTIONAL
    assert {"torch", "nbformat", "docutils"} <= others
    distributions = packages_distributions()
    for name in sorted(others):
        projects = {project.lower().replace("_", "-") for project in distributions[name]}
        assert projects & PINS.keys(), name


def test_every_pin_is_declared_in_one_group():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [*project["project"]["optional-dependencies"].values(), *project["dependency-groups"].values()]
    lines = [*project["project"]["dependencies"], *(line for group in groups for line in group)]
    assert {Requirement(line).name for line in lines if isinstance(line, str)} == PINS.keys()


def test_conda_installs_the_same_pins():
    assert "-r requirements.txt" in (REPOSITORY / "environment.yml").read_text()


def test_the_pins_accept_a_pytorch_for_the_cpu_alone():
    """Its version ends in +cpu; else pip would put the larger one in its place."""
    for name in ("torch", "torchvision"):
        assert Requirement(f"{name}=={PINS[name]}").specifier.contains(f"{PINS[name]}+cpu")


def test_the_pins_satisfy_the_library_s_lower_bounds():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in map(Requirement, project["dependencies"]):
        assert wanted.specifier.contains(PINS[wanted.name]), wanted
