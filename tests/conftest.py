"""Every test starts with empty folders, no network and a small stand-in for the toy images."""

import os
from functools import partial

# Before PyTorch is loaded: many tests compare bits, which differ where a busy machine takes away a thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fakes
import processes
import pytest
import torch

from cifar_lib import data, recipes, runs
from cifar_lib.data import generated


def pytest_runtest_setup(item):
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture(autouse=True)
def no_gpu(request, monkeypatch):
    """Tests run on the CPU, also beside a GPU, because they compare bits; those marked `cuda` use it."""
    if not request.node.get_closest_marker("cuda"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # for processes that a test starts


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path, monkeypatch):
    for variable, folder in (
        ("CIFAR_CACHE", "cache"),
        ("CIFAR_DATA", "data"),
        ("XDG_CACHE_HOME", "xdg"),
    ):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.delenv("CIFAR_PROFILE", raising=False)
    for name in data.SPECS:
        fakes.change_spec(monkeypatch, name, mirrors=())
    monkeypatch.setitem(generated.GENERATORS, "toy", partial(generated.toy, 400, 100))


@pytest.fixture
def folder(tmp_path):
    """Where `load` looks for original files."""
    return tmp_path / "data"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def toy_images():
    return data.load("toy")


@pytest.fixture
def tiny():
    """A recipe that trains in a blink."""
    return recipes.Recipe(
        "tiny",
        data="toy",
        options={"width": 4},
        epochs=4,
        batch_size=32,
        rate=0.005,
        weight_decay=0.001,
        schedule="one-cycle",
        flip=True,
        shift=2,
    )


@pytest.fixture(scope="session")
def process_server(tmp_path_factory):
    children = processes.Children(tmp_path_factory.mktemp("processes"))
    yield children
    children.stop()


@pytest.fixture
def children(process_server, tmp_path):
    """Processes that run the command line, see `processes`; none outlives the test."""
    process_server.folder = tmp_path
    yield process_server
    process_server.end_all()


@pytest.fixture
def recorded_folder(tmp_path, monkeypatch):
    """An empty folder in the place of `cifar_lib/recorded`."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    monkeypatch.setattr(runs.record, "RECORDED", folder)
    monkeypatch.setattr(runs.record, "IS_CHECKOUT", True)
    return folder
