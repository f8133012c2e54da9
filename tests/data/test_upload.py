"""The button gives what was chosen, in Colab and in Jupyter, and says what it lacks."""

import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace

import pytest

from cifar_lib import CourseError, data


def module(monkeypatch, name, **contents):
    made = ModuleType(name)
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, name, made)


def test_colab_gives_the_files_at_once(monkeypatch):
    files = SimpleNamespace(upload=lambda: {"cat.jpg": b"pixels"})
    module(monkeypatch, "google.colab", files=files)
    module(monkeypatch, "google", colab=sys.modules["google.colab"])
    assert data.UploadButton().files() == {"cat.jpg": b"pixels"}


def test_jupyter_shows_a_button_and_gives_the_files_later(monkeypatch):
    ipywidgets = pytest.importorskip("ipywidgets")
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    button = data.UploadButton()
    (chooser,) = shown
    assert isinstance(chooser, ipywidgets.FileUpload) and chooser.multiple
    assert button.files() == {}
    file = {"name": "cat.jpg", "type": "image/jpeg", "size": 6, "last_modified": datetime.now(UTC)}
    chooser.set_trait("value", (file | {"content": memoryview(b"pixels")},))
    assert button.files() == {"cat.jpg": b"pixels"}


def test_without_ipywidgets_the_name_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # to import it now fails
    with pytest.raises(CourseError, match="pip install ipywidgets, or give the photograph's name"):
        data.UploadButton()
