"""Whatever is wrong, the reader gets one clear sentence, and what was there is still there."""

import errno
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import fakes
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cifar_lib import CourseError, data, recipes, runs
from cifar_lib.__main__ import main
from cifar_lib.data import layouts

pytestmark = pytest.mark.filterwarnings("error")


def sentence(function, *arguments, **options):
    """The text of the CourseError that a call raises, checked to be one sentence without a chain."""
    with pytest.raises(CourseError) as caught:
        function(*arguments, **options)
    assert type(caught.value) is CourseError
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    text = str(caught.value)
    assert "\n" not in text
    return text


def refused(folder, *words):
    """Loading CIFAR-10 fails with a sentence that has all these words, and no file changes."""
    return _refused("cifar10", folder, *words)


def _refused(name, folder, *words):
    before = fakes.snapshot(folder.parent)
    text = sentence(data.load, name)
    for word in words:
        assert str(word) in text
    assert fakes.snapshot(folder.parent) == before


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def damage(path, position=0.5):
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 0xFF
    path.write_bytes(content)


# Originals


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated_parquet(share, folder):
    path = fakes.write_parquet(folder, fakes.cifar())[1]
    cut(path, share)
    refused(folder, path, "is damaged or not CIFAR-10", "fetch this file again")


def test_parquet_of_something_else(folder):
    import pyarrow
    import pyarrow.parquet

    path = fakes.write_parquet(folder, fakes.cifar())[0]
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"x"], "fine_label": [1]}), path)
    refused(folder, path, "is damaged or not CIFAR-10")


def test_missing_shard(folder):
    fakes.write_parquet(folder, fakes.cifar(), shards=3)[1].unlink()
    refused(folder, "has 2 of 3 train parquet files", "add the missing")


def test_missing_part_of_parquet(folder):
    fakes.write_parquet(folder, fakes.cifar(), shards=1)[1].unlink()
    refused(folder, "has no test-*.parquet", "add the missing")


@pytest.mark.parametrize("label", [-1, 10, 300])
def test_label_out_of_range(label, folder):
    parts = fakes.cifar()
    parts["train"][1][7] = label
    fakes.write_parquet(folder, parts)
    refused(folder, str(label), "labels go from 0 to 9")


def test_missing_label(folder):
    parts = fakes.cifar()
    parts["train"][1][7] = None
    path = fakes.write_parquet(folder, parts)[0]
    refused(folder, path, "is damaged")


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_truncated_archive(ending, share, folder):
    archive = fakes.write_classes(folder, fakes.class_files(fakes.cifar()), ending)
    cut(archive, share)
    refused(folder, archive, "is damaged or cut short", "fetch it again")


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
def test_damaged_archive(ending, folder):
    archive = fakes.write_classes(folder, fakes.class_files(fakes.cifar()), ending)
    damage(archive)
    refused(folder, archive)


def test_damaged_compressed_zip(folder):
    archive = folder / "cifar10.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in fakes.class_files(fakes.cifar()).items():
            bundle.writestr(name, bytes(2000) + content)
    content = bytearray(archive.read_bytes())
    start = 30 + len("train/airplane/0.png")
    content[start : start + 40] = b"\xff" * 40
    archive.write_bytes(content)
    refused(folder, archive, "is damaged or cut short")


def test_wrong_checksum_of_the_archive(folder, monkeypatch):
    archive = fakes.write_batches_archive(folder, fakes.cifar(), monkeypatch)
    damage(archive)
    refused(folder, archive, "is damaged (its checksum differs)", "delete it")


def test_wrong_checksum_of_a_batch_is_seen_before_it_is_unpickled(folder, monkeypatch):
    place = fakes.write_batches(folder, fakes.cifar(), monkeypatch)
    damage(place / "data_batch_2")
    monkeypatch.setattr(layouts.pickle, "loads", lambda content, **_: {"data": np.zeros(0), "labels": []})
    refused(folder, "data_batch_2", place, "is damaged (its checksum differs)")
    monkeypatch.setattr(layouts.pickle, "loads", lambda *_, **__: pytest.fail("an unchecked pickle"))
    damage(place / "data_batch_1")
    refused(folder, "data_batch_1")


def test_missing_batch(folder, monkeypatch):
    place = fakes.write_batches(folder, fakes.cifar(), monkeypatch)
    (place / "test_batch").unlink()
    refused(folder, place, "lacks test_batch")


def test_archive_without_a_batch(folder, monkeypatch):
    archive = fakes.write_batches_archive(folder, fakes.cifar(), monkeypatch)
    with tarfile.open(archive, "w:gz") as tar:
        fakes.add_to_tar(tar, "cifar-10-batches-py/readme.html")
    fakes.change_spec(monkeypatch, "cifar10", downloads={fakes.ARCHIVE: layouts.md5(archive)})
    refused(folder, archive, "lacks data_batch_1")


def test_wrong_checksum_of_mnist(folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=True)[0]
    damage(path)
    _refused("mnist", folder, path, "is damaged (its checksum differs)", "delete it")


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_truncated_mnist(which, share, folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)[which]
    cut(path, share)
    _refused("mnist", folder, path, "is damaged", "delete it")


def test_mnist_with_fewer_labels_than_images(folder, monkeypatch):
    parts = fakes.mnist()
    parts["train"] = (parts["train"][0], parts["train"][1][:-1])
    fakes.write_mnist(folder, parts, monkeypatch, packed=False)
    _refused("mnist", folder, "40 images, but 39 labels")


def test_mnist_of_another_size(folder, monkeypatch):
    parts = {part: fakes.images(20, (1, 20, 20)) for part in ("train", "t10k")}
    fakes.write_mnist(folder, parts, monkeypatch, packed=False)
    _refused("mnist", folder, "(1, 20, 20)", "(1, 28, 28)")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../train/cat/x.png", tarfile.REGTYPE),
        ("cifar10/../../train/cat/x.png", tarfile.REGTYPE),
        ("..\\train\\cat\\x.png", tarfile.REGTYPE),
        ("/train/cat/x.png", tarfile.REGTYPE),
        ("cifar10/train/cat/x.png", tarfile.SYMTYPE),
        ("cifar10/train/cat/x.png", tarfile.LNKTYPE),
        ("cifar10/train/cat/x.png", tarfile.FIFOTYPE),
    ],
)
def test_tar_that_reaches_outside(name, kind, folder):
    archive = folder / "cifar10.tar"
    with tarfile.open(archive, "w") as bundle:
        for known, content in fakes.class_files(fakes.cifar()).items():
            fakes.add_to_tar(bundle, known, content)
        fakes.add_to_tar(bundle, name, kind=kind, target="train/cat/3.png")
    refused(folder, archive, "is refused", repr(name), "outside its folder")


@pytest.mark.parametrize("name", ["../train/cat/x.png", "/train/cat/x.png", "a/..\\..\\train/cat/x.png"])
def test_zip_that_reaches_outside(name, folder):
    archive = folder / "cifar10.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for known, content in fakes.class_files(fakes.cifar()).items():
            bundle.writestr(known, content)
        bundle.writestr(name, b"")
    refused(folder, archive, "is refused", repr(name), "outside its folder")


@pytest.mark.parametrize("ending", [".zip", ".tgz"])
def test_archive_with_a_huge_member(ending, folder):
    archive = fakes.write_classes(folder, {"train/cat/0.png": bytes(2_000_000)}, ending)
    refused(folder, archive, "is refused", "too large")


@pytest.mark.parametrize("ending", ["", ".zip", ".tar"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_class_folder(ending, part, folder):
    contents = fakes.class_files(fakes.cifar())
    kept = {name: content for name, content in contents.items() if not name.startswith(f"{part}/deer/")}
    place = fakes.write_classes(folder, kept, ending)
    refused(folder, place, f"has no images in {part}/deer")


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_unknown_class_folder(ending, folder):
    contents = fakes.class_files(fakes.cifar())
    place = fakes.write_classes(folder, contents | {"train/dragon/1.png": b""}, ending)
    refused(folder, place, "has a class folder 'dragon'", "airplane, automobile")


def png_header(width, height):
    """A PNG file that has no pixels, only the claim to be of this size."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def with_chunk(kind, content):
    """A good PNG with one more chunk before its end."""
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return GOOD[:-12] + struct.pack(">I", len(content)) + kind + content + crc + GOOD[-12:]


GREY = fakes.encoded(np.zeros((1, 32, 32), np.uint8))
RGBA = fakes.encoded(np.zeros((4, 32, 32), np.uint8))
LARGE = fakes.encoded(np.zeros((3, 33, 32), np.uint8), "jpg")
GOOD = fakes.encoded(fakes.images(1)[0][0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LARGE, "is 32×33 RGB: CIFAR-10's images are 32×32 RGB"),
        (GREY, "is 32×32 L: CIFAR-10's images are 32×32 RGB"),
        (RGBA, "is 32×32 RGBA: CIFAR-10's images are 32×32 RGB"),
        (b"", "cannot be read as PNG or JPEG"),
        (b"no image", "cannot be read as PNG or JPEG"),
        (b"GIF89a" + bytes(50), "cannot be read as PNG or JPEG"),
        (GOOD[: len(GOOD) // 2], "cannot be read as PNG or JPEG"),
        (png_header(60_000, 60_000), "cannot be read as PNG or JPEG"),
        (with_chunk(b"iCCP", b""), "cannot be read as PNG or JPEG"),
    ],
    ids=["size", "grey", "rgba", "empty", "text", "gif", "cut", "bomb", "an empty colour profile"],
)
@pytest.mark.parametrize("layout", ["classes", "zip", "parquet"])
def test_file_that_is_not_the_right_image(content, words, layout, folder, monkeypatch):
    if layout == "parquet":
        original = fakes.encoded
        wrong = [content]
        monkeypatch.setattr(fakes, "encoded", lambda *a: wrong.pop() if wrong else original(*a))
        path = fakes.write_parquet(folder, fakes.cifar())[0]
        refused(folder, f"image 0 of {path}", words)
    else:
        contents = fakes.class_files(fakes.cifar()) | {"train/cat/3.png": content}
        fakes.write_classes(folder, contents, "" if layout == "classes" else ".zip")
        refused(folder, "train/cat/3.png", words)


def test_original_that_cannot_be_read(folder):
    (folder / fakes.ARCHIVE).mkdir()
    refused(folder, folder / fakes.ARCHIVE, "cannot be read", "directory")


# Prepared file, checkpoint, record, weights


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_damaged_prepared_file(share, folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    data.load("cifar10")
    cut(data.prepared_file("cifar10"), share)
    refused(folder, data.prepared_file("cifar10"), "is damaged: delete it")


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_changed_pixel_of_the_prepared_file(part, folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    loaded = data.load("cifar10")
    path = data.prepared_file("cifar10")
    image = getattr(loaded, part).pixels[3].numpy().tobytes()
    content = path.read_bytes()
    assert content.count(image) == 1
    path.write_bytes(content.replace(image, image[:-1] + bytes([image[-1] ^ 1])))
    refused(folder, path, "is damaged: delete it")


def test_a_prepared_file_of_an_earlier_version_is_read(folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    first = data.load("cifar10")
    tensors = {
        f"{part}.{kind}": getattr(getattr(first, part), kind).contiguous()
        for part in ("train", "test")
        for kind in ("pixels", "labels")
    }
    notes = {"source": first.source, "fingerprint": first.fingerprint}
    save_file(tensors, data.prepared_file("cifar10"), notes)
    assert data.load("cifar10").fingerprint == first.fingerprint


def test_prepared_file_of_something_else(folder):
    save_file({"a": torch.zeros(1)}, data.prepared_file("cifar10"))
    refused(folder, "is damaged: delete it")


OLD_RECORD = (
    Path(__file__).parent.parent / "runs" / "records" / "schema-1.json"
)  # the first that was ever recorded
RECORD = json.loads(OLD_RECORD.read_text())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff\xfe",
        b"{}",
        json.dumps(RECORD)[:-20].encode(),
        json.dumps(RECORD | {"seed": "0"}).encode(),
        json.dumps(RECORD | {"history": None}).encode(),
        json.dumps(RECORD | {"recipe": {"nam": "paper"}}).encode(),
        json.dumps(RECORD | {"recipe": RECORD["recipe"] | {"of_the_future": 1}}).encode(),
        json.dumps({name: value for name, value in RECORD.items() if name != "result"}).encode(),
        *(
            json.dumps(RECORD | {part: {n: value for n, value in RECORD[part].items() if n != name}}).encode()
            for part in ("model", "data", "result", "environment")
            for name in RECORD[part]
            if name not in ("val_loss", "val_accuracy_views", "test_accuracy_views")
        ),
        json.dumps(RECORD | {"result": {"test_accuracy": 0.5, "test_top2": 0.6, "test_loss": 1}}).encode(),
        json.dumps(RECORD | {"result": RECORD["result"] | {"test_accuracy": 1.5}}).encode(),
        json.dumps(RECORD | {"model": RECORD["model"] | {"shape": [3, 32]}}).encode(),
        json.dumps(RECORD | {"history": []}).encode(),
        json.dumps(RECORD | {"history": RECORD["history"][1:]}).encode(),
        json.dumps(RECORD | {"history": RECORD["history"][::-1]}).encode(),
        json.dumps(RECORD | {"history": [{"epoch": n} for n in range(1, 9)]}).encode(),
    ],
)
def test_damaged_record(content, recorded_folder):
    path = runs.record_file("paper", 0)
    path.write_bytes(content)
    for call in (lambda: runs.load_record(path), lambda: runs.load_runs("paper"), lambda: runs.run("paper")):
        assert f"{path} is not a recorded run" in sentence(call)
    assert path.read_bytes() == content


@pytest.mark.parametrize("schema", [0, 3, 99, "1", None, [1]])
def test_record_of_an_unknown_schema(schema, tmp_path):
    path = tmp_path / "paper-seed0.json"
    path.write_text(json.dumps({"schema": schema, "what": "later versions write"}))
    text = sentence(runs.load_record, path)
    assert text.startswith(f"{path} has schema {schema!r}, but this version reads 1 to 2: ")


def test_a_record_of_the_first_version_is_read(tmp_path):
    before = OLD_RECORD.read_bytes()
    run = runs.load_record(OLD_RECORD)
    written = dict(RECORD["recipe"])
    assert (written.pop("decay_factor"), written["crop"], "cut" in written) == (0.1, 0, False)
    written["shift"] = written.pop("crop")
    added = set(run.recipe.as_dict()) - set(written)
    assert added >= {"loss", "label_smoothing", "sides", "crop", "views", "holdout"}
    assert run.recipe == recipes.Recipe(**written)
    defaults = recipes.Recipe("any").as_dict()
    assert {name: getattr(run.recipe, name) for name in added} == {name: defaults[name] for name in added}
    assert str(run).startswith("mlp-mnist, seed 0: test accuracy 97.4% of 10,000. Replayed: 6 s on CPU")
    assert run.column("epoch") == list(range(1, 9))
    assert runs.as_record(run) == RECORD | {"schema": 2, "recipe": run.recipe.as_dict()}
    assert OLD_RECORD.read_bytes() == before


def test_a_copy_of_a_record_is_no_seed(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1), device="cpu")
    for name in ("tiny-seed0 (1).json", "tiny-seed0-old.json", "tiny-seed.json"):
        path.with_name(name).write_text("")
    assert [run.seed for run in runs.load_runs("tiny")] == [0]


def test_a_record_whose_recipe_cannot_be_names_its_file(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1), device="cpu")
    content = json.loads(path.read_text())
    content["recipe"]["epochs"] = 0
    path.write_text(json.dumps(content))
    text = sentence(runs.load_record, path)
    assert str(path) in text and "epochs is a whole number of at least 1, not 0" in text


def test_no_record(recorded_folder):
    assert "No run of 'paper' is recorded" in sentence(runs.load_runs, "paper")


@pytest.mark.parametrize("content", [b"", b"no weights", "other"])
def test_damaged_weights(content, recorded_folder, tiny):
    run = runs.Run(tiny, {"shape": [3, 32, 32]}, {}, 0, [], {}, {}, 1.0, replayed=True)
    path = runs.weights_file("tiny", 0)
    if content == "other":
        save_file({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    assert f"weights in {path} are damaged" in sentence(run.network)
    assert f"weights in {path} are damaged" in sentence(run.network)


def test_weights_that_were_not_recorded(recorded_folder, tiny):
    run = runs.Run(tiny, {"shape": [3, 32, 32]}, {}, 0, [], {}, {}, 1.0, replayed=True)
    assert "No weights were recorded for 'tiny', seed 0" in sentence(run.network)


# Places that cannot be written


def failing(code):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    return fail


def test_no_space_for_a_record_keeps_the_checkpoint(recorded_folder, cache, tiny, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", failing(errno.ENOSPC))
    text = sentence(runs.train_and_record, tiny.replace(epochs=1), 0, progress=False)
    assert "No space is left" in text
    assert len(list((cache / "checkpoints").glob("tiny-seed0-*.safetensors"))) == 1
    # The empty lock file is no harm: the next recording takes it, and removes it.
    assert fakes.snapshot(recorded_folder) == {recorded_folder / "tiny-seed0.lock": b""}


@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_recording_into_a_file(place, tmp_path, tiny, monkeypatch, capsys):
    (tmp_path / "file").write_text("kept")
    folder = tmp_path / place
    text = sentence(runs.train_and_record, tiny, 0, folder=folder)
    assert text == f"{folder}/tiny-seed0.json cannot be written: a file stands where a folder is needed."
    monkeypatch.setattr(recipes, "get", lambda name: tiny)
    assert main(["record", "tiny", "--folder", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == ["tiny, seed 0", f"  {text}"]
    assert said.err == "cifar_lib: These runs were not recorded, for the reasons above: tiny seed 0.\n"
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_a_recording_into_a_read_only_folder(tmp_path, tiny):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    text = sentence(runs.train_and_record, tiny, 0, folder=folder)
    assert text == f"{folder}/tiny-seed0.json cannot be written: choose a folder that you may write to."


@pytest.mark.parametrize("asked", ["is_dir", "exists"])
def test_folders_that_may_not_be_entered(asked, folder, monkeypatch):
    """As the system answers where another user's folder is closed."""

    def closed(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, asked, closed)
    assert "Permission denied" in sentence(data.load, "cifar10")
    if asked == "exists":
        assert "choose a folder that you may write to" in sentence(
            runs.train_and_record, recipes.get("mlp-quick"), 0, folder=folder
        )


def test_a_prepared_file_that_cannot_be_kept_is_a_warning(folder, cache, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    cache.rmdir()
    cache.write_text("a file")
    with pytest.warns(UserWarning, match=r"not kept, so the next start is slow again: .*a folder is needed"):
        assert len(data.load("cifar10").train) == 40
    assert cache.read_text() == "a file"


def test_a_root_that_is_a_file(tmp_path, monkeypatch):

    fakes.change_spec(monkeypatch, "cifar10", mirrors=["http://127.0.0.1:9"])
    (tmp_path / "file").write_text("kept")
    text = sentence(data.load, "cifar10", tmp_path / "file" / "deeper")
    assert "cannot be written: a file stands where a folder is needed" in text
    assert (tmp_path / "file").read_text() == "kept"


# Names and numbers


@pytest.mark.parametrize("name", ["", "fast", "Quick"])
def test_wrong_profile(name, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", name)
    assert f"CIFAR_PROFILE is one of quick, recorded, full, not {name!r}" in sentence(runs.profile)


# The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "papr"], "did you mean 'paper'"),
        (["train", "paper", "--set", "epochs=2.5"], "epochs is a whole number of at least 1, not 2.5"),
        (["train", "paper", "--set", "epochs"], "epochs is a whole number of at least 1, not ''"),
        (["train", "paper", "--set", "rate=-1"], "rate is a number of at least 0"),
        (["train", "paper", "--set", "rate=nan"], "rate is a number of at least 0"),
        (["train", "paper", "--set", "flip=maybe"], "flip is True or False, not 'maybe'"),
        (["train", "paper", "--set", "options=x"], "options is the network's arguments by name, not 'x'"),
        (["train", "paper", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "paper-quick", "--set", "model=cnn"], "There is no network 'cnn'"),
        (["train", "paper-quick", "--device", "gpu"], "'gpu' is not a device"),
        (["train", "paper"], "cifar-10-python.tar.gz could not be downloaded"),
        (["train", "paper-quick", "--seed", "-1"], "A seed is a whole number"),
        (["train", "paper-quick", "--seed", str(2**32)], "A seed is a whole number"),
        (["evaluate", "papr"], "did you mean 'paper'"),
        (["evaluate", "paper"], "No run of 'paper' is recorded"),
        (["record", "paper-quick", "--seeds", "a"], "Seeds are written 0-4 or 0,2,5, not 'a'"),
        (["record", "paper-quick", "--seeds", "3-1"], "Seeds are written 0-4 or 0,2,5, not '3-1'"),
        (["record", "paper-quick", "--seeds", "1-2-3"], "Seeds are written"),
        (["record", "paper-quick", "--seeds", ""], "Seeds are written"),
        (["data", "cifar11"], "There is no data set 'cifar11'"),
        (["data"], "cifar-10-python.tar.gz could not be downloaded"),
    ],
)
def test_the_command_line_says_one_sentence(arguments, words, recorded_folder, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("cifar_lib: ")
    assert error.count("\n") == 1
    assert words in error
    assert fakes.snapshot(recorded_folder) == {}


def test_the_command_line_without_a_traceback_in_a_process_of_its_own():
    command = [sys.executable, "-m", "cifar_lib", "train", "papr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "cifar_lib: There is no recipe 'papr'; did you mean 'paper': see recipes.RECIPES.\n"


def test_stopping_by_hand_is_no_traceback(monkeypatch, capsys):
    def stopped(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", stopped)
    assert main(["data", "toy"]) == 130
    assert "stopped" in capsys.readouterr().err
