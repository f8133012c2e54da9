"""Images come in alike from every layout; what is incomplete or damaged is refused in one sentence."""

import tarfile
import tracemalloc

import fakes
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from refusals import assert_not_loaded
from torchvision import datasets

from cifar_lib import data
from cifar_lib.data import layouts, toronto

WAYS = {
    "parquet": lambda folder, parts, patch: fakes.write_parquet(folder, parts),
    "parquet, one shard": lambda folder, parts, patch: fakes.write_parquet(folder, parts, 1, "plain_text"),
    "parquet, no folder": lambda folder, parts, patch: fakes.write_parquet(folder, parts, 3, "."),
    "batches": fakes.write_batches,
    "batches.tar.gz": fakes.write_batches_archive,
} | {
    f"classes{ending}": lambda folder, parts, patch, ending=ending: fakes.write_classes(
        folder, fakes.class_files(parts), ending
    )
    for ending in ("", ".zip", ".tar", ".tgz", ".tar.gz")
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", WAYS)
def test_the_way_and_the_order_in_which_images_arrive_change_nothing(way, folder, cache, monkeypatch):
    parts = fakes.cifar()
    fingerprint = fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    reference = data.load("cifar10")
    for path in (*folder.rglob("*.parquet"), *cache.iterdir()):
        path.unlink()

    WAYS[way](folder, fakes.shuffled(parts), monkeypatch)
    loaded = data.load("cifar10")
    assert loaded.fingerprint == reference.fingerprint == fingerprint
    assert fakes.same(loaded.train, reference.train)
    assert fakes.same(loaded.test, reference.test)
    assert loaded.train.pixels.shape == (40, 3, 32, 32)
    assert loaded.train.pixels.dtype == torch.uint8
    assert loaded.train.labels.dtype == torch.int64


def test_each_image_keeps_its_label(folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_classes(folder, fakes.class_files(parts))
    loaded = data.load("cifar10").train
    labels = {image.tobytes(): label for image, label in zip(*parts["train"], strict=True)}
    pairs = zip(loaded.pixels.numpy(), loaded.labels.tolist(), strict=True)
    assert all(labels[image.tobytes()] == label for image, label in pairs)


@pytest.mark.filterwarnings("ignore:The training images")
def test_jpeg_class_folders_and_archives_hold_the_same_images(folder, cache):
    files = fakes.class_files(fakes.cifar(), "jpg")
    found = []
    for ending in ("", ".zip", ".tgz"):
        place = fakes.write_classes(folder, files, ending)
        found.append(data.load("cifar10", folder))
        place.rename(folder / f"seen{ending}")
        data.prepared_file("cifar10").unlink()
    assert len({dataset.fingerprint for dataset in found}) == 1
    assert fakes.same(found[0].train, found[1].train)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_loads_raw_or_packed(packed, folder, monkeypatch):
    parts = fakes.mnist()
    fingerprint = fakes.expect(monkeypatch, "mnist", parts)
    fakes.write_mnist(folder, fakes.shuffled(parts), monkeypatch, packed)
    loaded = data.load("mnist")
    assert loaded.fingerprint == fingerprint
    assert loaded.train.pixels.shape == (40, 1, 28, 28)
    assert data.fingerprint(loaded.test) == data.fingerprint(fakes.as_images(parts["t10k"]))


def test_images_of_parquet_files_with_several_groups_of_rows(folder):
    parts = fakes.cifar()
    for path in fakes.write_parquet(folder, parts):
        pyarrow.parquet.write_table(pyarrow.parquet.read_table(path), path, row_group_size=3)
    train, test, layout = fakes.read("cifar10", folder)
    assert fakes.same(train, fakes.as_images(parts["train"]))
    assert fakes.same(test, fakes.as_images(parts["test"]))
    assert layout == "Hugging Face parquet files"


@pytest.mark.parametrize("way", ["parquet", "batches", "classes"])
def test_images_are_read_into_one_array_and_not_copied(way, folder, monkeypatch):
    images = 1_500
    WAYS[way](folder, fakes.cifar(images, 10), monkeypatch)
    fakes.read("cifar10", folder)  # once, for what is imported or compiled at the first call
    peaks = []
    for _ in range(2):  # Python's own table of names may grow during one of them
        tracemalloc.start()
        found = fakes.read("cifar10", folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    peak = min(peaks)
    size = found[0].pixels.numel() + found[1].pixels.numel()
    assert size == (images + 10) * 3 * 32 * 32
    assert size < peak < (3 if way == "batches" else 1.6) * size  # a batch is held as bytes and unpickled


def test_names_and_checksums_are_those_of_torchvision():
    listed = {"train": datasets.CIFAR10.train_list, "test": datasets.CIFAR10.test_list}
    assert {part: dict(names) for part, names in listed.items()} == data.SPECS["cifar10"].members
    assert {f"MNIST/raw/{n}": md5 for n, md5 in datasets.MNIST.resources} == data.SPECS["mnist"].downloads
    assert {datasets.CIFAR10.filename: datasets.CIFAR10.tgz_md5} == data.SPECS["cifar10"].downloads


def test_where_nothing_lies_nothing_is_found(folder):
    assert layouts.find("cifar10", folder) is None
    assert layouts.find("cifar10", folder / "not there") is None
    (folder / "cifar10").mkdir()
    assert layouts.find("cifar10", folder) is None


def test_mnist_of_which_a_file_is_missing_is_left_to_the_download(folder, monkeypatch):
    fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=True)[3].unlink()
    assert layouts.find("mnist", folder) is None


@pytest.mark.parametrize("ending", ["", ".zip", ".tar", ".tgz"])
def test_other_files_beside_the_images_are_passed_over(ending, folder):
    files = {name.replace(".png", ".PNG"): image for name, image in fakes.class_files(fakes.cifar()).items()}
    others = ["train/cat/notes.txt", "train/cat/.1.png", "1.png", "cat/2.png", "extra/cat/3.png"]
    fakes.write_classes(folder, files | dict.fromkeys(others, b"x"), ending)
    train, test, _ = fakes.read("cifar10", folder)
    assert (len(train), len(test)) == (40, 10)


# What is incomplete or damaged


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_truncated_parquet(share, folder):
    path = fakes.write_parquet(folder, fakes.cifar())[1]
    fakes.cut(path, share)
    assert_not_loaded(folder, path, "is damaged or not CIFAR-10", "fetch this file again")


def test_parquet_of_something_else(folder):
    import pyarrow
    import pyarrow.parquet

    path = fakes.write_parquet(folder, fakes.cifar())[0]
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"x"], "fine_label": [1]}), path)
    assert_not_loaded(folder, path, "is damaged or not CIFAR-10")


def test_missing_shard(folder):
    fakes.write_parquet(folder, fakes.cifar(), shards=3)[1].unlink()
    assert_not_loaded(folder, "has 2 of 3 train parquet files", "add the missing")


def test_missing_part_of_parquet(folder):
    fakes.write_parquet(folder, fakes.cifar(), shards=1)[1].unlink()
    assert_not_loaded(folder, "has no test-*.parquet", "add the missing")


@pytest.mark.parametrize("label", [-1, 10, 300])
def test_label_out_of_range(label, folder):
    parts = fakes.cifar()
    parts["train"][1][7] = label
    fakes.write_parquet(folder, parts)
    assert_not_loaded(folder, str(label), "labels go from 0 to 9")


def test_missing_label(folder):
    parts = fakes.cifar()
    parts["train"][1][7] = None
    path = fakes.write_parquet(folder, parts)[0]
    assert_not_loaded(folder, path, "is damaged")


def test_wrong_checksum_of_the_archive(folder, monkeypatch):
    archive = fakes.write_batches_archive(folder, fakes.cifar(), monkeypatch)
    fakes.damage(archive)
    assert_not_loaded(folder, f"{archive} is damaged (its checksum differs): delete it, then run again")


def test_wrong_checksum_of_a_batch(folder, monkeypatch):
    place = fakes.write_batches(folder, fakes.cifar(), monkeypatch)
    fakes.damage(place / "data_batch_2")
    assert_not_loaded(folder, f"data_batch_2 in {place} is damaged (its checksum differs)", "delete it")


def test_missing_batch(folder, monkeypatch):
    place = fakes.write_batches(folder, fakes.cifar(), monkeypatch)
    (place / "test_batch").unlink()
    assert_not_loaded(folder, place, "lacks test_batch")


def test_archive_without_a_batch(folder, monkeypatch):
    archive = fakes.write_batches_archive(folder, fakes.cifar(), monkeypatch)
    with tarfile.open(archive, "w:gz") as tar:
        fakes.add_to_tar(tar, "cifar-10-batches-py/readme.html")
    fakes.change_spec(monkeypatch, "cifar10", downloads={fakes.ARCHIVE: toronto.md5(archive)})
    assert_not_loaded(folder, archive, "lacks data_batch_1")


def test_wrong_checksum_of_mnist(folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=True)[0]
    fakes.damage(path)
    assert_not_loaded(folder, path, "is damaged (its checksum differs)", "delete it", name="mnist")


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("share", [0, 0.1, 0.9])
def test_truncated_mnist(which, share, folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)[which]
    fakes.cut(path, share)
    assert_not_loaded(folder, path, "is damaged", "delete it", name="mnist")


@pytest.mark.parametrize("which", range(4))
def test_mnist_of_another_type_of_numbers(which, folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)[which]
    path.write_bytes(b"\0\0\x0d" + path.read_bytes()[3:])  # float32
    assert_not_loaded(folder, path, "is damaged", "delete it", name="mnist")


def test_mnist_with_fewer_labels_than_images(folder, monkeypatch):
    parts = fakes.mnist()
    parts["train"] = (parts["train"][0], parts["train"][1][:-1])
    fakes.write_mnist(folder, parts, monkeypatch, packed=False)
    assert_not_loaded(folder, "40 images, but 39 labels", name="mnist")


def test_mnist_of_another_size(folder, monkeypatch):
    parts = {part: fakes.images(20, (1, 20, 20)) for part in ("train", "t10k")}
    fakes.write_mnist(folder, parts, monkeypatch, packed=False)
    assert_not_loaded(folder, "(1, 20, 20)", "(1, 28, 28)", name="mnist")


@pytest.mark.parametrize("ending", ["", ".zip", ".tar"])
@pytest.mark.parametrize("part", ["train", "test"])
def test_missing_class_folder(ending, part, folder):
    contents = fakes.class_files(fakes.cifar())
    kept = {name: content for name, content in contents.items() if not name.startswith(f"{part}/deer/")}
    place = fakes.write_classes(folder, kept, ending)
    assert_not_loaded(folder, place, f"has no images in {part}/deer")


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_unknown_class_folder(ending, folder):
    contents = fakes.class_files(fakes.cifar())
    place = fakes.write_classes(folder, contents | {"train/dragon/1.png": b""}, ending)
    assert_not_loaded(folder, place, "has a class folder 'dragon'", "airplane, automobile")


CLEAR = fakes.encoded(np.zeros((4, 32, 32), np.uint8))
LARGE = fakes.encoded(np.zeros((3, 33, 32), np.uint8), "jpg")
GOOD = fakes.encoded(fakes.images(1)[0][0])
DEEP = fakes.saved(Image.fromarray(np.full((32, 32), 300, np.uint16)))
PAGE = Image.fromarray(np.zeros((32, 32, 3), np.uint8))
MOVING = fakes.saved(PAGE, "tiff", save_all=True, append_images=[PAGE])
EMPTY_PROFILE = GOOD[:-12] + fakes.chunk(b"iCCP", b"") + GOOD[-12:]  # before the end


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LARGE, "is 32×33 RGB: CIFAR-10's images are 32×32 RGB"),
        (DEEP, "is 32×32 I;16: CIFAR-10's images are 32×32 RGB"),
        (CLEAR, "is partly transparent"),
        (MOVING, "holds several images"),
        (b"", "cannot be read as PNG or JPEG"),
        (b"no image", "cannot be read as PNG or JPEG"),
        (GOOD[: len(GOOD) // 2], "cannot be read as PNG or JPEG"),
        (fakes.png(60_000, 60_000), "cannot be read as PNG or JPEG"),
        (EMPTY_PROFILE, "cannot be read as PNG or JPEG"),
    ],
    ids=[
        *("size", "16 bits", "transparent", "two pages"),
        *("empty", "text", "cut", "bomb", "an empty colour profile"),
    ],
)
@pytest.mark.parametrize("layout", ["classes", "zip", "parquet"])
def test_file_that_is_not_the_right_image(content, words, layout, folder, monkeypatch):
    if layout == "parquet":
        original = fakes.encoded
        wrong = [content]
        monkeypatch.setattr(fakes, "encoded", lambda *a: wrong.pop() if wrong else original(*a))
        path = fakes.write_parquet(folder, fakes.cifar())[0]
        assert_not_loaded(folder, f"image 0 of {path}", words)
    else:
        contents = fakes.class_files(fakes.cifar()) | {"train/cat/3.png": content}
        fakes.write_classes(folder, contents, "" if layout == "classes" else ".zip")
        assert_not_loaded(folder, "train/cat/3.png", words)


def test_original_that_cannot_be_read(folder):
    (folder / fakes.ARCHIVE).mkdir()
    assert_not_loaded(folder, folder / fakes.ARCHIVE, "cannot be read", "directory")
