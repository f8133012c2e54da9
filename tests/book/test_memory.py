"""Each chapter, with the real images, stays well below the memory that Binder gives."""

import os
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

CHAPTERS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
MOST = 1.5 * 2**20  # KiB; Binder gives 2 GiB to the kernel and the server together
# As they were before conftest.py empties them for each test.
FOLDERS = {name: os.environ[name] for name in ("CIFAR_DATA", "CIFAR_CACHE") if os.environ.get(name)}
PEAK = 'print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])'


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells the peak of one process")
@pytest.mark.skipif("CIFAR_DATA" not in FOLDERS, reason="CIFAR_DATA names no folder with the real images")
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_needs_less_than_one_and_a_half_gigabytes(chapter, monkeypatch):
    for name, folder in (FOLDERS | {"CIFAR_PROFILE": "recorded"}).items():
        monkeypatch.setenv(name, folder)
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    client = nbclient.NotebookClient(
        notebook, timeout=1200, resources={"metadata": {"path": str(chapter.parent)}}
    )
    client.execute()
    assert int(notebook.cells[-1].outputs[0].text) < MOST


def test_the_chapters_are_found():
    assert [chapter.name[:2] for chapter in CHAPTERS] == [f"{number:02}" for number in range(1, 11)]
