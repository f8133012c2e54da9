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


def test_the_version_is_of_the_rooms_that_training_loads():
    """Of the package itself only its own `__init__` is not in it."""
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=version.ROOT.parent)
    loaded = {Path(path).relative_to(version.ROOT).parts[0] for path in json.loads(done.stdout)}
    assert loaded == set(version.ROOMS)


def test_the_version_changes_with_the_code_that_trains(tmp_path, monkeypatch):
    for room in ("models/kernels", "runs"):
        (tmp_path / room).mkdir(parents=True)
    monkeypatch.setattr(version, "ROOT", tmp_path)
    versions = [version.code_version()]
    for path in ("models/kernels/layers.py", "models/mlp.py", "runs/queue.py"):
        (tmp_path / path).write_text("x = 1\n")
        versions.append(version.code_version())
    assert len(set(versions)) == 3 and versions[2] == versions[3]


def test_the_version_does_not_depend_on_the_order_in_which_files_are_found(monkeypatch):
    """Each file system lists them in an order of its own."""
    found, versions = Path.rglob, set()
    for backwards in (False, True):
        monkeypatch.setattr(
            Path, "rglob", lambda path, form, b=backwards: sorted(found(path, form), reverse=b)
        )
        versions.add(version.code_version())
    assert len(versions) == 1


def test_the_version_is_the_librarys_with_a_hash():
    pattern = re.escape(cifar_lib.__version__) + r"\+[0-9a-f]{8}"
    assert re.fullmatch(pattern, training.CODE_VERSION)
    assert version.code_version() == training.CODE_VERSION
