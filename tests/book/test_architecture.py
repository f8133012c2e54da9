"""The page about the rooms: its picture and its table are the code's, and its training works."""

import re
from pathlib import Path

import pytest
import rooms

from cifar_lib import evaluate, models

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "book" / "architecture.md").read_text()


def test_the_picture_has_the_imports_that_import_linter_sees():
    graph = pytest.importorskip("grimp").build_graph("cifar_lib", cache_dir=None)
    for room in rooms.ROOMS:
        within = {f"cifar_lib.{room}", *graph.find_descendants(f"cifar_lib.{room}")}
        found = {
            module.split(".")[1]
            for each in within
            for module in graph.find_modules_directly_imported_by(each)
            if "." in module
        }
        assert rooms.imports(room) == found & rooms.ROOMS - {room}, room


def test_the_table_counts_every_line_and_names_every_room():
    content = re.search(r"{rooms-table}\n(.*?)^```", PAGE, re.S | re.M)[1].splitlines()
    table = type("Here", (), {"content": content, "lines": rooms.RoomsTable.lines})()
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.lines()]
    sources = list(rooms.LIBRARY.rglob("*.py"))
    total = sum(path.read_text().count("\n") for path in sources)
    assert rows[-1] == ["all", "", f"{total:,}", "", "4,722"]
    assert {row[0] for row in rows[2:-2]} == rooms.ROOMS


def test_the_training_of_the_page_works(toy_images):
    page = (REPOSITORY / "book" / "architecture.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.S | re.M)
    names = {}
    exec(code.replace('"paper"', '"paper-quick"'), names)
    assert names["accuracy"] == evaluate.accuracy(names["outputs"], toy_images.test.labels)
    assert isinstance(names["setup"].model, models.SkipCNN)
