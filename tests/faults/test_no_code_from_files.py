"""No file that the library reads can make it run what stands in the file."""

import ast
import hashlib
import io
import json
import os
import pickle
import re
import tarfile
from pathlib import Path

import fakes
import numpy as np
import pytest
import torch
from refusals import refusal

import cifar_lib
from cifar_lib import data, recipes, runs, training
from cifar_lib.data import layouts

ROOT = Path(cifar_lib.__file__).parent.parent
BATCHES = [name for names in data.SPECS["cifar10"].members.values() for name in names]


class Harm:
    """Pickled, it is a call that creates a file when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """The path that harm would create; asserts in the end that it did not."""
    marker = tmp_path / "harm was done"
    yield marker
    assert not marker.exists()


def bare(marker):
    return pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [0], "harm": Harm(marker)})


def of_torch(marker):
    buffer = io.BytesIO()
    torch.save({"weights": Harm(marker)}, buffer)
    return buffer.getvalue()


def of_old_torch(marker):
    buffer = io.BytesIO()
    torch.save({"weights": Harm(marker)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def of_numpy(marker):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Harm(marker)], object), allow_pickle=True)
    return buffer.getvalue()


KINDS = [bare, of_torch, of_old_torch, of_numpy]


@pytest.mark.parametrize("open_it", [lambda b: pickle.load(b), lambda b: torch.load(b, weights_only=False)])
def test_the_files_would_do_harm(open_it, tmp_path):
    """Else the tests below could not fail."""
    marker = tmp_path / "harm"
    open_it(io.BytesIO(bare(marker) if "pickle" in open_it.__code__.co_names else of_torch(marker)))
    assert marker.exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", ["data_batch_1", "data_batch_5", "test_batch"])
def test_a_batch_is_not_unpickled_before_its_checksum_matched(kind, batch, marker, folder):
    place = folder / "cifar-10-batches-py"
    place.mkdir()
    for name in BATCHES:
        (place / name).write_bytes(kind(marker))
    assert "is damaged (its checksum differs)" in refusal(data.load, "cifar10")
    assert not data.prepared_file("cifar10").exists()


@pytest.mark.parametrize("batch", ["data_batch_2", "test_batch"])
def test_a_wrong_batch_after_right_ones_is_not_unpickled(batch, marker, folder, monkeypatch):
    place = fakes.write_batches(folder, fakes.cifar(), monkeypatch)
    (place / batch).write_bytes(bare(marker))
    assert batch in refusal(data.load, "cifar10")


def archive_of(path, content):
    with tarfile.open(path, "w:gz") as bundle:
        for name in BATCHES:
            fakes.add_to_tar(bundle, f"cifar-10-batches-py/{name}", content)


def test_a_wrong_archive_is_not_opened(marker, folder, monkeypatch):
    archive_of(folder / fakes.ARCHIVE, bare(marker))
    assert "is damaged (its checksum differs)" in refusal(data.load, "cifar10")
    # Even one of the right checksum is opened only batch by batch, by theirs.
    checksum = hashlib.md5((folder / fakes.ARCHIVE).read_bytes()).hexdigest()
    fakes.change_spec(monkeypatch, "cifar10", downloads={fakes.ARCHIVE: checksum})
    assert "data_batch_1" in refusal(data.load, "cifar10")


@pytest.mark.parametrize("kind", KINDS)
def test_other_originals_are_no_code(kind, marker, folder, monkeypatch):
    for path in fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False):
        path.write_bytes(kind(marker))
    refusal(data.load, "mnist")
    for path in fakes.write_parquet(folder, fakes.cifar()):
        path.write_bytes(kind(marker))
    refusal(data.load, "cifar10")
    for path in (folder / "cifar10").iterdir():
        path.unlink()
    (folder / "cifar10").rmdir()
    for ending in layouts.ARCHIVE_ENDINGS:
        (folder / f"cifar10{ending}").write_bytes(kind(marker))
        refusal(data.load, "cifar10")
        (folder / f"cifar10{ending}").unlink()
    fakes.write_classes(folder, fakes.class_files(fakes.cifar()) | {"train/cat/3.png": kind(marker)})
    refusal(data.load, "cifar10")


@pytest.mark.parametrize("kind", KINDS)
def test_the_prepared_file_is_no_code(kind, marker):
    data.prepared_file("cifar10").write_bytes(kind(marker))
    assert "is damaged: delete it" in refusal(data.load, "cifar10")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_is_no_code(kind, marker, tmp_path, tiny, toy_images):
    path = tmp_path / "tiny.safetensors"
    path.write_bytes(kind(marker))
    assert "is damaged: delete it" in refusal(training.train, tiny, toy_images, checkpoint=path)


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_weights_and_records_are_no_code(kind, marker, recorded_folder):
    content = json.loads((Path(__file__).parent.parent / "runs" / "records" / "schema-1.json").read_text())
    runs.record_file("mlp-mnist", 0).write_text(json.dumps(content))
    runs.weights_file("mlp-mnist", 0).write_bytes(kind(marker))
    (run,) = runs.load_runs("mlp-mnist")
    assert "are damaged" in refusal(run.network)
    runs.record_file("mlp-mnist", 0).write_bytes(kind(marker))
    assert "is not a recorded run" in refusal(runs.load_runs, "mlp-mnist")


# The source

CALLS = {"eval", "exec", "compile", "__import__"}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code", "runpy"}
LOADERS = {"load", "loads", "Unpickler", "unpickle", "read_pickle", "load_pickle", "load_state_dict_from_url"}
OWNERS = {"torch", "np", "numpy", "hub", "jit", "pd", "pandas", "yaml"} | MODULES


def dangers(source):
    """What in a module's source may run code that stands in a file, as "call" or "import" and a name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = (getattr(node, "module", None) or "").split(".")[0]
            names = {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.Import):
                yield from (f"import {name}" for name in names & MODULES)
            elif not node.level and (module in MODULES or (module in OWNERS and names & LOADERS)):
                yield f"import {module}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield f"call {node.func.id}"
        elif isinstance(node, ast.Attribute) and node.attr in LOADERS:
            owner = ast.unparse(node.value).split(".")[-1]
            if owner in OWNERS:
                yield f"call {owner}.{node.attr}"
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield "call allow_pickle"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle\npickle.loads(x)", ["import pickle", "call pickle.loads"]),
        ("from pickle import loads", ["import pickle"]),
        ("def f():\n    import joblib", ["import joblib"]),
        ("torch.load(x, weights_only=True)", ["call torch.load"]),
        ("from torch import load", ["import torch"]),
        ("torch.hub.load(x)", ["call hub.load"]),
        ("np.load(x)", ["call np.load"]),
        ("read(x, allow_pickle=True)", ["call allow_pickle"]),
        ("eval(x)", ["call eval"]),
        ("yaml.load(x)", ["call yaml.load"]),
        ("model.eval()\njson.loads(x)\nre.compile(x)\ndata.load(x)\nfrom . import data", []),
    ],
)
def test_dangers_are_found(source, found):
    assert list(dangers(source)) == found


def sources_of_code():
    """{path from the root: source} of the library, the benchmarks, and all cells and scripts of the book."""
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT)
        if name.parts[0] in ("cifar_lib", "benchmarks", "notebooks", "book"):
            yield name.as_posix(), path.read_text()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(cell["source"]) for cell in cells)
        magic = re.compile(r"^(\s*)[%!].*", re.MULTILINE)
        yield path.relative_to(ROOT).as_posix(), magic.sub(r"\1pass", code)


def test_one_place_alone_opens_pickles():
    found = {name: list(dangers(source)) for name, source in sources_of_code()}
    assert len(found) > 20
    assert {name: seen for name, seen in found.items() if seen} == {
        "cifar_lib/data/toronto.py": ["import pickle", "call pickle.loads"]
    }


def test_recipes_of_records_build_no_more_than_networks():
    """A record names its network; the name is looked up in a list, never imported."""
    recipe = recipes.RECIPES["paper"].replace(model="os.system")
    from cifar_lib import models

    assert "There is no network 'os.system'" in refusal(models.build, recipe, (3, 32, 32))
