"""Whatever bytes or values come in, out come data or one clear sentence: never another exception."""

import contextlib
import copy
import gzip
import hashlib
import io
import json
import os
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from unittest import mock

import fakes
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from cifar_lib import CourseError, data, evaluate, models, recipes, runs
from cifar_lib import __main__ as command_line
from cifar_lib.data import layouts

ANY_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
FEW, MANY = (
    # Without chance and without a memory of earlier failures: the same examples on each machine.
    settings(
        max_examples=n, derandomize=True, database=None, deadline=None, suppress_health_check=ANY_FIXTURE
    )
    for n in (15, 1_000)
)


@pytest.fixture(autouse=True, scope="module")
def small_numbers():
    """A training before has made the process flush them to zero, which hypothesis refuses to work with."""
    torch.set_flush_denormal(False)


RECORD = json.loads((Path(__file__).parent.parent / "runs" / "records" / "schema-1.json").read_text())


def both(*strategies):
    """The test with a few examples now, and as NAME_often with many in `make test-long`."""

    def decorate(function):
        often = pytest.mark.long(MANY(given(*strategies)(function)))
        often.__name__ = often.__qualname__ = f"{function.__name__}_often"
        globals()[often.__name__] = often
        return FEW(given(*strategies)(function))

    return decorate


def or_sentence(function, *arguments, **options):
    """What the call returns, or None when it ends in a CourseError of one line."""
    try:
        return function(*arguments, **options)
    except CourseError as error:
        assert type(error) is CourseError
        assert error.__context__ is None or error.__suppress_context__
        assert str(error) and "\n" not in str(error)
        return None


# Images


@cache
def layout(kind):
    """The files of one layout, as {path: bytes}, small but whole."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        folder = Path(folder)
        parts = fakes.cifar(n_train=50 if kind == "bin" else 10)  # its files are equally long
        if kind == "parquet":
            fakes.write_parquet(folder, parts, shards=1)
        elif kind in ("png", "jpg"):
            fakes.write_classes(folder, fakes.class_files(parts, kind))
        elif kind == "deflated.zip":
            with zipfile.ZipFile(folder / "cifar10.zip", "w", zipfile.ZIP_DEFLATED) as bundle:
                for name, content in fakes.class_files(parts).items():
                    bundle.writestr(name, content + bytes(200))
        elif kind.startswith("."):
            fakes.write_classes(folder, fakes.class_files(parts), kind)
        elif kind == "batches":
            fakes.write_batches(folder, parts, patch)
        elif kind == "batches.tar.gz":
            (folder / "data").mkdir()
            fakes.write_batches_archive(folder / "data", parts, patch)
            (folder / "data" / fakes.ARCHIVE).rename(folder / fakes.ARCHIVE)
            for path in sorted((folder / "aside").rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        elif kind in ("bin", "mat"):
            files = fakes.binary_files(parts) if kind == "bin" else fakes.matlab_files(parts)
            return {Path(name): content for name, content in files.items()}
        elif kind == "arrow":
            name = "cifar10/{}/data-00000-of-00001.arrow"
            return {Path(name.format(part)): fakes.arrow_file(images) for part, images in parts.items()}
        elif kind == "npz":
            return {Path("mnist.npz"): fakes.npz(fakes.mnist(n_train=10))}
        elif kind in ("ubyte", "ubyte.gz"):
            fakes.write_mnist(folder, fakes.mnist(n_train=10), patch, kind == "ubyte.gz")
        return {path.relative_to(folder): content for path, content in fakes.snapshot(folder).items()}


LAYOUTS = {
    kind: "mnist" if kind.startswith(("ubyte", "npz")) else "cifar10"
    for kind in (
        *("parquet", "png", "jpg", ".zip", "deflated.zip", ".tar", ".tgz"),
        *("batches", "batches.tar.gz", "bin", "mat", "arrow", "ubyte", "ubyte.gz", "npz"),
    )
}

places = st.floats(0, 1, exclude_max=True)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("set"), places, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("remove"), places, st.integers(1, 40)),
        st.tuples(st.just("cut"), places, st.none()),
        st.tuples(st.just("flip"), places, st.integers(0, 7)),
        st.tuples(st.just("number"), places, st.sampled_from([0, -1, 2**31 - 1, -(2**31), 2**20])),
    ),
    min_size=1,
    max_size=4,
)


def edited(content, changes):
    """`content` after some changes, each at a place between 0 and 1 of its length."""
    content = bytearray(content)
    for kind, place, value in changes:
        start = int(place * len(content))
        if kind == "set":
            content[start : start + len(value)] = value
        elif kind == "insert":
            content[start:start] = value
        elif kind == "remove":
            del content[start : start + value]
        elif kind == "cut":
            del content[start:]
        elif kind == "flip" and content:
            content[start] ^= 1 << value
        elif kind == "number":
            content[start : start + 4] = (value % 2**32).to_bytes(4, "little" if start % 2 else "big")
    return bytes(content)


def loaded(files, name):
    """Load data set `name` from these files; check what comes, if it is no sentence."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIFAR_CACHE", f"{folder}/cache")
        root = Path(folder) / "data"
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        before = fakes.snapshot(root)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = or_sentence(data.load, name, root)
        if found is not None:
            spec = layouts.SPECS[name]
            for images in (found.train, found.test):
                assert images.pixels.dtype == torch.uint8 and images.labels.dtype == torch.int64
                assert images.pixels.shape == (len(images), *spec.shape) and len(images) > 0
                assert images.labels.min() >= 0 and images.labels.max() < len(spec.classes)
            again = data.load(name, root)
            assert again.fingerprint == found.fingerprint == data.fingerprint(again.train)
        assert fakes.snapshot(root) == before


def at_hand(kind, patch):
    """The files of a layout; its checksums are made the listed ones."""
    files = dict(layout(kind))
    digest = {path.name: hashlib.md5(content).hexdigest() for path, content in files.items()}
    if kind == "batches":
        listed = {"train": "data", "test": "test"}
        listed = {part: {n: d for n, d in digest.items() if word in n} for part, word in listed.items()}
        fakes.change_spec(patch, "cifar10", members=listed)
    if kind.startswith("ubyte"):
        names = [f"{name.removesuffix('.gz')}.gz" for name in digest]
        downloads = {f"MNIST/raw/{name}": digest.get(name, "0") for name in names}
        fakes.change_spec(patch, "mnist", downloads=downloads)
    return files


@pytest.mark.parametrize("kind", LAYOUTS)
def test_each_layout_is_whole_before_it_is_changed(kind, monkeypatch):
    files = at_hand(kind, monkeypatch)
    assert files
    if kind != "batches.tar.gz":  # its checksum is that of the real archive
        for path, content in files.items():
            Path(os.environ["CIFAR_DATA"], path).parent.mkdir(parents=True, exist_ok=True)
            Path(os.environ["CIFAR_DATA"], path).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(data.load(LAYOUTS[kind]).train) in (10, 50)


@both(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_changed_files_give_images_or_a_sentence(kind, chance):
    with pytest.MonkeyPatch.context() as patch:
        files = at_hand(kind, patch)
        path = chance.draw(st.sampled_from(sorted(files)))
        changes = chance.draw(edits)
        files[path] = edited(files[path], changes)
        loaded(files, LAYOUTS[kind])


@both(st.sampled_from(sorted(LAYOUTS)), st.data())
def test_any_bytes_give_images_or_a_sentence(kind, chance):
    with pytest.MonkeyPatch.context() as patch:
        files = at_hand(kind, patch)
        path = chance.draw(st.sampled_from(sorted(files)))
        start = chance.draw(st.sampled_from([0, 2, 4, 8, 16, 512]))  # behind a right beginning
        files[path] = files[path][:start] + chance.draw(st.binary(max_size=600))
        loaded(files, LAYOUTS[kind])


@both(edits)
def test_a_changed_tar_within_a_right_gzip_gives_images_or_a_sentence(changes):
    (path,) = layout(".tgz")
    loaded({path: gzip.compress(edited(gzip.decompress(layout(".tgz")[path]), changes), 1)}, "cifar10")


@both(st.integers(0, 19), edits, st.sampled_from(["png", "jpg"]))
def test_a_changed_image_gives_images_or_a_sentence(which, changes, kind):
    files = dict(layout(kind))
    path = sorted(files)[which]
    loaded(files | {path: edited(files[path], changes)}, "cifar10")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
IMAGES = [st.binary(max_size=20), st.text(max_size=5), st.integers(0, 9)]
LABELS = [st.integers(-(2**63), 2**63 - 1), st.integers(0, 9), st.floats(), st.text(max_size=3)]


@both(st.data())
def test_parquet_of_any_columns_gives_images_or_a_sentence(chance):
    rows = chance.draw(st.integers(0, 3))

    def column(kinds):
        kind = chance.draw(st.sampled_from(kinds))
        return chance.draw(st.lists(st.none() | kind, min_size=rows, max_size=rows))

    names = chance.draw(st.sampled_from([("img", "label"), ("image", "label"), ("img", "fine_label")]))
    inner = chance.draw(st.sampled_from(["bytes", "path", None]))
    images = [value if inner is None else {inner: value} for value in column(IMAGES)]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({names[0]: images, names[1]: column(LABELS)}), buffer)
    files = dict(layout("parquet"))
    path = chance.draw(st.sampled_from(sorted(files)))
    loaded(files | {path: buffer.getvalue()}, "cifar10")


def prepared():
    return prepared_from(os.environ["CIFAR_DATA"])


@cache
def prepared_from(root):
    with tempfile.TemporaryDirectory() as folder:
        tensors = {}
        for part, (pixels, labels) in fakes.cifar(n_train=10).items():
            tensors[f"{part}.pixels"] = torch.from_numpy(pixels)
            tensors[f"{part}.labels"] = torch.tensor(labels)
        marks = {
            note: data.fingerprint(data.Images(tensors[f"{part}.pixels"], tensors[f"{part}.labels"]))
            for part, note in (("train", "fingerprint"), ("test", "test_fingerprint"))
        }
        save_file(tensors, f"{folder}/file", {"source": "a test", "root": root} | marks)
        return Path(folder, "file").read_bytes()


def opened(content):
    path = data.prepared_file("cifar10")
    path.write_bytes(content)
    found = or_sentence(data.load, "cifar10")
    assert path.read_bytes() == content
    return found


@pytest.mark.filterwarnings("ignore:The training images found in")
def test_the_prepared_file_is_whole_before_it_is_changed():
    assert len(opened(prepared()).train) == 10


@both(edits)
def test_a_changed_prepared_file_gives_the_same_images_or_a_sentence(changes):
    found, content = opened(edited(prepared(), changes)), prepared()
    if found is not None:
        same = opened(content)
        assert data.fingerprint(found.train) == same.fingerprint == found.fingerprint
        assert data.fingerprint(found.test) == data.fingerprint(same.test)


@both(st.binary(max_size=600), st.sampled_from([0, 8, 100]))
def test_any_bytes_as_the_prepared_file_give_images_or_a_sentence(content, start):
    opened(prepared()[:start] + content)


shapes = st.lists(st.integers(0, 33), max_size=5)


@both(
    st.dictionaries(
        st.sampled_from(["train.pixels", "train.labels", "test.pixels", "test.labels"]),
        st.tuples(shapes, st.sampled_from([torch.uint8, torch.int64, torch.float32, torch.bool])),
    ),
    st.none() | st.dictionaries(st.sampled_from(["source", "fingerprint", "x"]), st.text(max_size=5)),
)
def test_a_prepared_file_of_any_tensors_gives_a_sentence(tensors, notes):
    path = data.prepared_file("cifar10")
    shaped = {name: torch.zeros(shape[:4], dtype=kind) for name, (shape, kind) in tensors.items()}
    save_file(shaped, path, notes)
    assert or_sentence(data.load, "cifar10") is None


@both(st.text(max_size=30))
def test_any_name_of_a_data_set_gives_images_or_a_sentence(name):
    or_sentence(data.load, name)


# Recipes

FIELDS = list(recipes.Recipe.model_fields)
likely = st.sampled_from(
    [*recipes.OPTIMIZERS, *recipes.SCHEDULES, *recipes.LOSSES, 0, 1, 2, 6, 0.5, True, [], {}, [[0, 24]]]
)
sides = st.lists(st.lists(st.integers() | st.floats() | st.booleans(), max_size=3) | anything, max_size=3)
changes_of_recipes = st.dictionaries(st.sampled_from(FIELDS), anything | likely | sides, max_size=5)


def used(recipe):
    """What training, recording and replaying ask of a recipe, whatever it holds."""
    assert recipe.replace() == recipe or recipe != recipe  # an option may be nan
    for epoch in (0, 0.5):
        assert recipe.rate_at(epoch) >= 0
    assert recipe.side_at(0) is None or recipe.side_at(0) > 0
    assert recipe.quick().epochs >= 1
    assert runs.record_file(recipe.name, 0, "folder").parent == Path("folder")
    str(recipe)


@both(changes_of_recipes)
def test_a_recipe_of_any_values_is_one_or_a_sentence(values):
    recipe = or_sentence(recipes.Recipe, **({"name": "any"} | values))
    if recipe is not None:
        used(recipe)


@both(
    st.sampled_from(sorted(recipes.RECIPES)),
    changes_of_recipes | st.dictionaries(st.text(max_size=20), anything, max_size=2),
)
def test_a_changed_recipe_is_one_or_a_sentence(name, changes):
    recipe = or_sentence(lambda: recipes.get(name).replace(**changes))
    if recipe is not None:
        used(recipe)


@both(st.text(max_size=40) | st.sampled_from(sorted(recipes.RECIPES)).flatmap(lambda n: st.just(n[1:])))
def test_any_name_is_a_recipe_or_a_sentence(name):
    recipe = or_sentence(recipes.get, name)
    assert recipe is None or recipe.name == name


@both(
    st.sampled_from(sorted(recipes.RECIPES)),
    st.lists(
        st.text(max_size=20)
        | st.builds("{}={}".format, st.sampled_from(FIELDS), anything | likely | st.text(max_size=10)),
        max_size=3,
    ),
)
def test_the_command_line_changes_a_recipe_or_says_a_sentence(name, texts):
    """It ends where the images would be loaded, or before."""
    error, seen = io.StringIO(), []

    def load(which):
        seen.append(which)
        raise CourseError("No images here.")

    with (
        mock.patch.object(data, "load", load),
        contextlib.redirect_stderr(error),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        assert command_line.main(["train", name, *(f"--set={text}" for text in texts)]) == 2
    said = error.getvalue()
    assert said.startswith("cifar_lib: ") and said.count("\n") == 1
    assert len(seen) == said.count("No images here.")


# Records


def read(content):
    """Load a record from these bytes, and use it as the library and the plots do."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any-seed0.json"
        path.write_bytes(content)
        run = or_sentence(runs.load_record, path)
        assert path.read_bytes() == content
    if run is None:
        return None
    str(run)
    held = run.recipe.holdout
    for part in ("val", "test") if held else ("test",):
        evaluate.format_percent(runs.results([run, run], f"{part}_accuracy"))
        runs.summarize([run], f"{part}_top2")
        assert run.data[f"n_{part}"] >= 0
    names = ["epoch", "rate", "train_loss", "seconds", *(("val_loss", "val_accuracy") if held else ())]
    table = np.array([run.column(name) for name in names], float)
    assert table.shape == (len(names), run.recipe.epochs)
    shape = [int(n) for n in run.model["shape"]]
    assert shape == run.model["shape"] and min(shape) > 0
    with torch.device("meta"):  # absurd sizes need no memory there
        or_sentence(models.build, run.recipe, tuple(shape))
    f"{run.model['parameters']:,} {run.model['flops'] / 1e6:.1f} {run.environment['device']}"
    assert runs.as_record(run)["schema"] == runs.record.SCHEMA
    return run


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places_in(value, place=()):
    """Every place in a nest of dicts and lists."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places_in(inner, (*place, key))


PLACES = [place for place in places_in(RECORD) if place]


def test_the_record_is_whole_before_it_is_changed():
    assert read(json.dumps(RECORD).encode()).seed == 0


@both(
    st.lists(
        st.tuples(st.sampled_from(PLACES), st.none() | json_values, st.booleans()), min_size=1, max_size=3
    )
)
def test_a_record_with_other_values_is_read_or_refused(changes):
    record = copy.deepcopy(RECORD)
    for place, value, remove in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # the place went with an earlier change
            within = record
            for key in place[:-1]:
                within = within[key]
            if remove:
                del within[place[-1]]
            else:
                within[place[-1]] = value
    read(json.dumps(record).encode())


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_each_part_of_a_record_may_be_missing_or_wrong(place):
    for value in ("remove", None, -1, [], {}, "x", True, 10**400, float("nan")):
        record = copy.deepcopy(RECORD)
        within = record
        for key in place[:-1]:
            within = within[key]
        if value == "remove":
            del within[place[-1]]
        else:
            within[place[-1]] = value
        read(json.dumps(record).encode())


@both(edits)
def test_a_changed_record_is_read_or_refused(changes):
    read(edited(json.dumps(RECORD).encode(), changes))


@both(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_record(content):
    assert read(content) is None


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000, b"\xef\xbb\xbf{}"])
def test_long_and_deep_json_is_no_record(content):
    assert read(content) is None


# Photographs


@cache
def photo(kind):
    """A turned photograph in one format."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    options = {"exif": exif} if kind in ("PNG", "JPEG", "TIFF", "WEBP") else {}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@both(st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"]), edits, st.booleans())
def test_a_photograph_with_any_bytes_changed(kind, changes, fit):
    found = or_sentence(data.photograph, edited(photo(kind), changes), fit)
    assert found is None or (found.dtype, found.shape) == (torch.uint8, (3, 32, 32))


@both(st.binary(max_size=200))
def test_any_bytes_as_a_photograph(content):
    assert or_sentence(data.photograph, content) is None
