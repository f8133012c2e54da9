"""A data set by its name: where it is looked for, what is kept of it, and what is said when it is damaged."""

import gc
import os
import time
from pathlib import Path

import fakes
import pytest
import systems
import torch
from refusals import assert_not_loaded, refusal
from safetensors.torch import save_file

from cifar_lib import data
from cifar_lib.data import download, layouts

MAPS = Path("/proc/self/maps")


@pytest.fixture
def parts(folder, monkeypatch):
    """Images that lie there as parquet files, and are those that are expected."""
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    return parts


def test_the_prepared_file_is_reused_and_opens_fast(folder, monkeypatch):
    parts = fakes.cifar(n_train=5_000)
    fakes.expect(monkeypatch, "cifar10", parts)
    paths = fakes.write_parquet(folder, parts)
    moments = [time.perf_counter()]
    first = data.load("cifar10")
    for path in paths:
        path.unlink()
    moments.append(time.perf_counter())
    again = data.load("cifar10")
    moments.append(time.perf_counter())
    assert moments[2] - moments[1] < (moments[1] - moments[0]) / 5
    assert fakes.same(again.train, first.train)
    assert fakes.same(again.test, first.test)
    assert (again.fingerprint, again.source, again.classes) == (
        first.fingerprint,
        first.source,
        first.classes,
    )


def test_other_images_are_used_with_a_warning(folder):
    fakes.write_parquet(folder, fakes.cifar())
    with pytest.warns(UserWarning, match="are not those of cifar10") as caught:
        loaded = data.load("cifar10")
    assert loaded.fingerprint[:12] in str(caught[0].message)
    assert caught[0].filename == __file__
    assert len(loaded.train) == 40
    with pytest.warns(UserWarning, match="are not those of cifar10"):
        data.load("cifar10")  # from the prepared file


@pytest.mark.filterwarnings("error")
def test_fewer_test_images_are_accepted(folder, monkeypatch):
    parts = fakes.cifar(n_test=10)
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts | {"test": fakes.images(4)}, shards=1)
    assert len(data.load("cifar10").test) == 4


@pytest.mark.parametrize("name", ["cifar11", "", "cifar10/turned", "toy/grey/moved", "CIFAR10"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    assert "choose one of cifar10, mnist, toy, digits, cifar10/shuffled" in refusal(data.load, name)


def test_the_prepared_file_lies_beside_the_originals_or_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_CACHE", "")  # as if it were not set
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path / "not" / "yet"))
    before = data.prepared_file("cifar10")
    (tmp_path / "not" / "yet").mkdir(parents=True)
    assert data.prepared_file("cifar10") == before == tmp_path / "not/yet/prepared-cifar10.safetensors"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert tmp_path / "xdg" in data.prepared_file("cifar10").parents


def test_folders_are_those_of_the_environment(tmp_path, monkeypatch):
    assert data.data_folder() == tmp_path / "data"
    assert data.cache_folder() == data.cache_folder(tmp_path / "other") == tmp_path / "cache"
    assert data.data_folder(tmp_path / "other") == tmp_path / "other"
    monkeypatch.setenv("CIFAR_DATA", "~/images")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert data.data_folder() == tmp_path / "home" / "images"
    monkeypatch.delenv("CIFAR_DATA")
    assert data.data_folder() == tmp_path / "xdg" / "cifar10-by-experiment"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data.data_folder() == tmp_path / "home" / ".cache" / "cifar10-by-experiment"


# Originals that change


def folders(root, images_per_class, seed=0):
    """Class folders with so many images of each class in each part; returns how many that are."""
    pixels, labels = fakes.images(10 * images_per_class, seed=seed)
    fakes.write_classes(root, fakes.class_files({"train": (pixels, labels), "test": (pixels, labels)}))
    return len(labels)


OTHER_IMAGES = pytest.mark.filterwarnings("ignore:The training images found in")


@OTHER_IMAGES
def test_another_root_is_read_although_another_was_prepared(tmp_path):
    first, second = (folders(tmp_path / name, n) for name, n in (("a", 2), ("b", 3)))
    for root, n in (("a", first), ("b", second), ("a", first)):
        loaded = data.load("cifar10", tmp_path / root)
        assert (len(loaded.train), loaded.place) == (n, tmp_path / root / "cifar10")


def added(place):
    (place / "test" / "cat" / "new.png").write_bytes((place / "train" / "cat" / "3.png").read_bytes())
    return 21


def removed(place):
    (place / "test" / "cat" / "3.png").unlink()
    return 19


def changed(place):
    (place / "test" / "cat" / "3.png").write_bytes(fakes.encoded(fakes.images(1, seed=8)[0][0]))
    return 20


def touched(place):
    """The same bytes at another time, which cannot be told from other bytes of the same length."""
    os.utime(place / "test" / "cat" / "3.png", (1, 1))
    return 20


@OTHER_IMAGES
@pytest.mark.parametrize("change", [added, removed, changed, touched])
def test_originals_that_changed_are_read_anew(change, folder, monkeypatch):
    folders(folder, 2)
    before = data.load("cifar10").test
    n = change(folder / "cifar10")
    reads, read = [], layouts.Found.read
    monkeypatch.setattr(layouts.Found, "read", lambda found: reads.append(found) or read(found))
    after = data.load("cifar10").test
    assert len(reads) == 1 and len(after) == n
    assert fakes.same(before, after) == (change is touched)
    assert fakes.same(data.load("cifar10").test, after) and len(reads) == 1


def test_a_prepared_file_of_another_root_serves_where_its_images_are_the_known_ones(folder, tmp_path, parts):
    data.load("cifar10")
    (tmp_path / "empty").mkdir()
    assert data.load("cifar10", tmp_path / "empty").place == folder / "cifar10"


def test_a_prepared_file_of_another_root_and_other_images_does_not(tmp_path, monkeypatch):
    folders(tmp_path / "a", 2)
    with pytest.warns(UserWarning, match="are not those of cifar10"):
        data.load("cifar10", tmp_path / "a")
    asked = []
    monkeypatch.setattr(download, "fetch", lambda name, folder: asked.append(folder))
    refusal(data.load, "cifar10", tmp_path / "empty")
    assert asked == [tmp_path / "empty"]


def test_a_prepared_file_that_does_not_know_its_originals_is_made_anew(parts):
    first = data.load("cifar10")
    path = data.prepared_file("cifar10")
    tensors = {"train.pixels": first.train.pixels[:10], "train.labels": first.train.labels[:10]}
    tensors |= {"test.pixels": first.test.pixels, "test.labels": first.test.labels}
    mark = data.fingerprint(first.train[:10])
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path, {"fingerprint": mark})
    assert fakes.same(data.load("cifar10").train, first.train)


def test_the_sentence_of_a_failed_download_says_where_was_looked(folder, monkeypatch):
    fakes.change_spec(monkeypatch, "cifar10", mirrors=["http://127.0.0.1:9"])
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    monkeypatch.setenv("CIFAR_DATA", str(folder / "wrong"))
    assert f"looked in {folder / 'wrong'}, which is not there" in refusal(data.load, "cifar10")
    (folder / "notes.txt").write_text("x")
    monkeypatch.setenv("CIFAR_DATA", str(folder))
    assert f"looked in {folder}, which holds notes.txt, wrong)" in refusal(data.load, "cifar10")


def test_an_unknown_home_folder(monkeypatch):
    monkeypatch.setenv("CIFAR_DATA", "~nobody-of-this-name/images")
    assert "unknown home folder" in refusal(data.load, "cifar10")


@pytest.mark.skipif(not MAPS.exists(), reason="Linux alone lists the files that a process has mapped")
def test_labels_that_stay_do_not_keep_the_prepared_file_in_memory(parts):
    data.load("cifar10")
    again, name = data.load("cifar10"), data.prepared_file("cifar10").name
    labels = again.train.labels, again.test.labels
    assert name in MAPS.read_text()  # the pixels are a view into it
    del again
    gc.collect()
    assert name not in MAPS.read_text()
    assert [len(each) for each in labels] == [40, 10]


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_damaged_prepared_file(share, folder, parts):
    data.load("cifar10")
    fakes.cut(data.prepared_file("cifar10"), share)
    assert_not_loaded(folder, data.prepared_file("cifar10"), "is damaged: delete it")


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_changed_pixel_of_the_prepared_file(part, folder, parts):
    loaded = data.load("cifar10")
    path = data.prepared_file("cifar10")
    image = getattr(loaded, part).pixels[3].numpy().tobytes()
    content = path.read_bytes()
    assert content.count(image) == 1
    path.write_bytes(content.replace(image, image[:-1] + bytes([image[-1] ^ 1])))
    assert_not_loaded(folder, path, "is damaged: delete it")


def test_a_prepared_file_of_an_earlier_version_is_read(parts):
    first = data.load("cifar10")
    tensors = {
        f"{part}.{kind}": getattr(getattr(first, part), kind).contiguous()
        for part in ("train", "test")
        for kind in ("pixels", "labels")
    }
    notes = {"source": first.source, "fingerprint": first.fingerprint}
    save_file(tensors, data.prepared_file("cifar10"), notes)
    assert data.load("cifar10").fingerprint == first.fingerprint


@pytest.mark.parametrize("wrong", ["label", "number", "shape", "type"])
def test_a_prepared_file_of_other_images_than_those_of_its_name(wrong, folder):
    """Whole, with the fingerprints of what it holds."""
    images = fakes.as_images(fakes.images(20, (1, 28, 28) if wrong == "shape" else (3, 32, 32)))
    if wrong == "label":
        images.labels[3] = 10
    if wrong == "number":
        images = images[:0]
    if wrong == "type":
        images = data.Images(images.pixels.char(), images.labels)
    tensors = {
        f"{part}.{kind}": getattr(images, kind).clone()
        for part in ("train", "test")
        for kind in ("pixels", "labels")
    }
    mark = data.fingerprint(images)
    notes = {"source": "a test", "fingerprint": mark, "test_fingerprint": mark, "root": str(folder)}
    save_file(tensors, data.prepared_file("cifar10"), notes)
    assert_not_loaded(folder, data.prepared_file("cifar10"), "is damaged: delete it")


def test_prepared_file_of_something_else(folder):
    save_file({"a": torch.zeros(1)}, data.prepared_file("cifar10"))
    assert_not_loaded(folder, "is damaged: delete it")


def test_a_prepared_file_that_cannot_be_kept_is_a_warning(folder, cache, parts):
    cache.rmdir()
    cache.write_text("a file")
    with pytest.warns(UserWarning, match=r"not kept, .*a file stands where a folder is needed") as caught:
        assert len(data.load("cifar10").train) == 40
    assert caught[0].filename == __file__
    assert cache.read_text() == "a file"


def test_a_root_that_is_a_file(tmp_path, monkeypatch):
    fakes.change_spec(monkeypatch, "cifar10", mirrors=["http://127.0.0.1:9"])
    (tmp_path / "file").write_text("kept")
    text = refusal(data.load, "cifar10", tmp_path / "file" / "deeper")
    assert "cannot be written: a file stands where a folder is needed" in text
    assert (tmp_path / "file").read_text() == "kept"


def test_a_drive_that_is_not_there(monkeypatch):
    """On Windows each has a root of its own, so no folder above is there either."""
    monkeypatch.delenv("CIFAR_CACHE")
    monkeypatch.setattr(Path, "exists", lambda path, **options: False)
    text = refusal(data.load, "cifar10", "/drive/images")
    drive = Path("/").absolute()
    assert text == (
        f"{Path('/drive/images')} cannot be used, because there is no {drive}: connect that drive, or set "
        "CIFAR_DATA to another folder."
    )


def test_a_prepared_file_that_may_not_be_read_is_not_called_damaged(parts, monkeypatch):
    path = data.prepared_file("cifar10")
    data.load("cifar10")
    fakes.cut(path)  # safetensors says of both that they cannot be opened
    systems.close_to_readers(path, monkeypatch)
    assert refusal(data.load, "cifar10") == f"{path} cannot be read: Permission denied."


def test_a_download_that_leaves_nothing(monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda name, folder: None)
    assert "run again" in refusal(data.load, "cifar10")
