"""What the pages name exists: functions and modules, files and folders, tests, commands and their recipes."""

import importlib
import re
import shlex
from pathlib import Path

import yaml

import cifar_lib
from cifar_lib import __main__ as command_line
from cifar_lib import recipes, system
from cifar_lib.commands import words

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
    *sorted((REPOSITORY / "book").glob("*.md")),
]
ROOMS = {path.parent.name for path in Path(cifar_lib.__file__).parent.glob("*/__init__.py")}
# Modules that the pages and the docstrings call by their own name.
SHORT = {name: f"system.{name}" for name in system.__all__} | {"kernels": "models.kernels"}
FENCED = re.compile(r"^```.*?^```", re.S | re.M)
FOLDERS = {"cifar_lib", "book", "notebooks", "tests", "benchmarks", ".github", ".ci"}
SOURCES = {path.name for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py")}


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES, ids=[path.stem for path in PAGES])


def quoted(page):
    """The words between single backticks, outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", page.read_text()))


def exists(name):
    """Whether a dotted name of a room, or of one of its modules under its own name, is there."""
    path = name.split("(")[0].removeprefix("cifar_lib.").split(".")
    thing = cifar_lib
    for part in [*SHORT.get(path[0], path[0]).split("."), *path[1:]]:
        if not hasattr(thing, part):
            try:
                importlib.import_module(f"{thing.__name__}.{part}")
            except ImportError:
                return False
        thing = getattr(thing, part)
    return True


def test_every_name_of_a_room_exists(page):
    names = [word for word in quoted(page) if re.match(r"(\w+\.)+\w+(\(.*)?$", word)]
    ours = [name for name in names if name.split(".")[0] in {"cifar_lib", *ROOMS, *SHORT}]
    assert [name for name in ours if not exists(name)] == []


def test_a_name_that_is_gone_is_noticed():
    assert exists("training.train") and exists("distributed.all_reduce") and exists("runs.Claim.BUSY")
    assert not exists("runs.start") and not exists("train.train_epoch")


def test_the_new_names_of_the_changelog_exist():
    rows = re.findall(r"^\| .+? \| (.*) \|$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    names = [name for row in rows for name in re.findall(r"`((?:\w+\.)+\w+)`", row)]
    assert names and [name for name in names if not exists(name)] == []


def test_every_path_exists(page):
    paths = [word.rstrip("/") for word in quoted(page) if word.split("/")[0] in FOLDERS and "/" in word]
    files = [word for word in quoted(page) if re.fullmatch(r"\w+\.py", word)]
    missing = [path for path in paths if not list(REPOSITORY.glob(path))]
    assert missing + [name for name in files if name not in SOURCES] == []


def test_every_fault_has_its_test():
    """Rows of the page end with a file of tests and the beginnings of the names of tests in it."""
    rows = [
        line
        for line in (REPOSITORY / "book" / "trust.md").read_text().splitlines()
        if "`tests/" in line and "|" in line
    ]
    missing = []
    for row in rows:
        file, *tests = re.findall(r"`([\w/]*test_[^`]*)`", row)
        path = REPOSITORY / file
        text = path.read_text() if path.is_file() else ""
        missing += [] if text else [file]
        missing += [f"{file} {test}" for test in tests if f"def {test.rstrip('…')}" not in text]
    assert rows and missing == []


def test_every_layout_has_its_test():
    """All tests that the page names are there, each in a file that it names."""
    words = quoted(REPOSITORY / "book" / "what-you-can-give-it.md")
    files = {word for word in words if word.startswith("tests/")}
    tests = {word for word in words if word.startswith("test_") and word != "test_batch"}
    defined = set(
        re.findall(r"^def (test_\w+)\(", "".join((REPOSITORY / f).read_text() for f in files), re.M)
    )
    assert len(tests) > 30 and tests - defined == set()


def test_every_command_can_be_parsed_and_its_recipes_exist(page):
    blocks = "\n".join(FENCED.findall(page.read_text())).replace("\\\n", " ")
    for line in re.findall(r"-m cifar_lib (.*)", blocks):
        parsed = command_line.parser().parse_args(shlex.split(line, comments=True))
        named = getattr(parsed, "recipes", None) or [getattr(parsed, "recipe", "NAME")]
        for name in set(named) - {"NAME"}:
            recipe = recipes.get(name)
            recipe.replace(**words.changes(getattr(parsed, "set", []), recipe))


def test_the_set_up_page_names_what_the_workflow_tests():
    text = (REPOSITORY / "book" / "setup.md").read_text()
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "book.yml").read_text())["jobs"]
    elsewhere = jobs["elsewhere"]["strategy"]["matrix"]
    assert elsewhere["python"] == jobs["test"]["strategy"]["matrix"]["python"]
    for version in elsewhere["python"]:
        assert version in text
    for system_name in elsewhere["system"]:
        assert system_name.removesuffix("-latest") in text.lower()
