"""A record names the version of all the code that trained it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cifar_lib
from cifar_lib import training
from cifar_lib.training import version

LOADED = """
import json, sys
import cifar_lib.training
names = [name for name in sys.modules if name.startswith("cifar_lib.")]
print(json.dumps([sys.modules[name].__file__ for name in names]))
"""


def test_every_module_that_training_loads_is_in_the_version():
    """Of the package itself only its own `__init__` is not."""
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=version.ROOT.parent)
    loaded = {Path(path) for path in json.loads(done.stdout)}
    files = version.imported_files(version.ROOT / "training" / "__init__.py")
    assert version.ROOT / "training" / "muon.py" in loaded
    assert loaded - files == set()


def test_what_training_does_not_import_is_not_in_the_version():
    files = version.imported_files(version.ROOT / "training" / "__init__.py")
    rooms = {path.relative_to(version.ROOT).parts[0] for path in files}
    assert rooms == {"data", "evaluate", "models", "recipes", "system", "training"}


def test_the_version_changes_with_the_code(tmp_path, monkeypatch):
    for name, text in {"__init__": "from . import other\n", "other": "", "alone": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(version, "__file__", str(tmp_path / "version.py"))
    before = version.code_version()
    (tmp_path / "alone.py").write_text("x = 1\n")
    assert version.code_version() == before
    (tmp_path / "other.py").write_text("x = 1\n")
    assert version.code_version() != before


def test_the_version_does_not_depend_on_the_order_in_which_files_are_found(monkeypatch):
    """A set of paths has another order in each process."""
    files, versions = list(version.imported_files(version.ROOT / "training" / "__init__.py")), set()
    for order in (files, files[::-1]):
        monkeypatch.setattr(version, "imported_files", lambda _, order=order: order)
        versions.add(version.code_version())
    assert len(files) > 1 and len(versions) == 1


def test_the_version_is_the_librarys_with_a_hash():
    pattern = re.escape(cifar_lib.__version__) + r"\+[0-9a-f]{8}"
    assert re.fullmatch(pattern, training.CODE_VERSION)
    assert version.code_version() == training.CODE_VERSION
