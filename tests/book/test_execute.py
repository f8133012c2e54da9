"""Executing a chapter again changes nothing."""

import base64
import io

import execute
import nbformat
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "09_small.ipynb"
    cells = [
        nbformat.v4.new_markdown_cell(
            "# Small\n[Open in Colab](https://colab.research.google.com/github/)", id="title"
        ),
        nbformat.v4.new_code_cell("from cifar_lib.plots.charts import plt\nprint(1 + 1)", id="sum"),
        nbformat.v4.new_code_cell("plt.plot([1, 2])\nplt.show()", id="figure"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_chapter_that_does_not_exist_is_named():
    with pytest.raises(SystemExit, match=r"No chapter begins with '5': write 01 to 10\."):
        execute.main(["5"])


def test_a_second_execution_writes_the_same_bytes(notebook):
    execute.execute(notebook)
    first = notebook.read_bytes()
    execute.execute(notebook)
    assert notebook.read_bytes() == first
    stored = nbformat.read(notebook, 4)
    assert stored.cells[1].outputs[0].text == "2\n"
    assert stored.metadata.language_info.file_extension == ".py"  # what a script is saved with


def test_a_failing_cell_leaves_the_file_as_it_was(notebook):
    broken = nbformat.read(notebook, 4)
    broken.cells[1].source = "1 / 0"
    nbformat.write(broken, notebook)
    before = notebook.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute.execute(notebook)
    assert notebook.read_bytes() == before


def test_chapters_are_executed_in_the_recorded_profile_whatever_the_environment_says(notebook, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    asking = nbformat.read(notebook, 4)
    asking.cells[1].source = "from cifar_lib import runs\nprint(runs.profile())"
    del asking.cells[2]
    nbformat.write(asking, notebook)
    execute.execute(notebook)
    assert nbformat.read(notebook, 4).cells[1].outputs[0].text == "recorded\n"


def test_the_librarys_hash_covers_every_room(monkeypatch, tmp_path):
    """A changed module, style or record of any depth makes the stored outputs stale."""
    places = [
        "cifar_lib/a.py",
        "cifar_lib/room/b.py",
        "cifar_lib/room/c.mplstyle",
        "cifar_lib/recorded/d.json",
        "cifar_lib/recorded/d.safetensors",
        "cifar_lib/recorded/d.predictions.gz",
        "cifar_lib/recorded/e.labels.gz",
        "cifar_lib/pretrained/f.json",
        "cifar_lib/pretrained/f.safetensors",
    ]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("before")
    monkeypatch.setattr(execute, "REPOSITORY", tmp_path)
    hashes = {execute.library_hash()}
    for place in places:
        (tmp_path / place).write_text("after")
        hashes.add(execute.library_hash())
    assert len(hashes) == 1 + len(places)


def as_png(pixels):
    """Pixels [H, W, 3] as an output holds them."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def shown(picture):
    return Image.open(io.BytesIO(base64.b64decode(picture)))


def test_a_chart_is_kept_with_256_colours_and_a_photograph_as_it_is():
    chart = np.full((64, 64, 3), 255, np.uint8)
    chart[10:20, :, 0] = np.arange(64)  # a soft edge, as letters have it
    photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    small = shown(execute.compact(as_png(chart)))
    assert small.mode == "P" and np.abs(np.asarray(small.convert("RGB"), int) - chart).mean() < 1
    assert np.array_equal(shown(execute.compact(as_png(photograph))), photograph)
    assert execute.compact(execute.compact(as_png(chart))) == execute.compact(as_png(chart))


def test_a_figure_has_two_pixels_per_point_and_says_its_size(notebook):
    execute.execute(notebook)
    output = nbformat.read(notebook, 4).cells[2].outputs[-1]
    width, height = shown(output.data["image/png"]).size
    assert output.metadata["image/png"] == {"width": width // 2, "height": height // 2}
