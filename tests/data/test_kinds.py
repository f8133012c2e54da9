"""The layouts in which people have the images at home: each is read, or named with what to do."""

import csv
import gzip
import hashlib
import io
import json
import os
import shutil
import zipfile

import fakes
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io
import systems
import torch
from PIL import Image
from refusals import assert_not_loaded, refusal
from torchvision import datasets

from cifar_lib import data
from cifar_lib.data import digits, download, layouts, toronto

CLASSES = data.SPECS["cifar10"].classes
SORTED = "airplane bird car cat deer dog frog horse ship truck".split()  # as `imagefolder` sorts them
PARTS = fakes.cifar(n_train=50)
FILES = fakes.class_files(PARTS)


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda name, folder: pytest.fail("it was downloaded"))


def assert_read(folder, layout, parts=PARTS, name="cifar10"):
    """All images of both parts lie in the folder in this layout, each with its label."""
    train, test, words = fakes.read(name, folder)
    assert words.startswith(layout)
    for images, part in zip((train, test), parts.values(), strict=True):
        assert len(images) == len(part[1])
        assert data.fingerprint(images) == data.fingerprint(fakes.as_images(part))


def put(place, files):
    """Write {path: bytes} under a folder."""
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("links cannot be made here")


# The version for C and that for Matlab


def test_the_binary_version(folder):
    put(folder, fakes.binary_files(PARTS))
    assert_read(folder, "the binary version")


@pytest.mark.parametrize("packed", [False, True])
def test_the_matlab_version(packed, folder):
    put(folder, fakes.matlab_files(PARTS, do_compression=packed))
    assert_read(folder, "the Matlab version")


@pytest.mark.parametrize("version", ["binary", "matlab"])
def test_the_archives_of_the_other_versions(version, folder, monkeypatch):
    files = fakes.binary_files(PARTS) if version == "binary" else fakes.matlab_files(PARTS)
    archive = folder / f"cifar-10-{version}.tar.gz"
    with fakes.tarfile.open(archive, "w:gz") as tar:
        for name, content in files.items():
            fakes.add_to_tar(tar, name, content)
    assert_not_loaded(folder, archive, "its checksum differs")
    monkeypatch.setitem(toronto.OTHER_ARCHIVES, archive.name, hashlib.md5(archive.read_bytes()).hexdigest())
    assert_read(folder, "the archive of its authors")


@pytest.mark.parametrize("size", [0, 3072, 3073, 10 * 3073 - 1])
def test_a_binary_file_cut_short(size, folder):
    files = fakes.binary_files(PARTS)
    put(folder, files | {"cifar-10-batches-bin/data_batch_2.bin": bytes(size)})
    assert_not_loaded(folder, "cifar-10-batches-bin", "is cut short")


@pytest.mark.parametrize("version", ["bin", "mat"])
def test_a_missing_file_of_the_other_versions(version, folder):
    files = fakes.binary_files(PARTS) if version == "bin" else fakes.matlab_files(PARTS)
    put(folder, {name: content for name, content in files.items() if "data_batch_3" not in name})
    place = folder / f"cifar-10-batches-{version}"
    assert_not_loaded(folder, f"{place} lacks data_batch_3.{version}")


def matlab(variables, **options):
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, **options)
    return buffer.getvalue()


ROWS = np.zeros((10, 3072), np.uint8)
LABELS = np.zeros((10, 1), np.uint8)
WRONG_MATLAB = {
    "no variables": matlab({"x": ROWS}),
    "floats": matlab({"data": ROWS.astype(float), "labels": LABELS}),
    "labels that are too few": matlab({"data": ROWS, "labels": LABELS[:9]}),
    "cells": matlab({"data": np.array([[1], "x"], object), "labels": LABELS}),
    "the fourth version": matlab({"data": ROWS, "labels": LABELS}, format="4"),
    "text": b"no Matlab file" * 100,
    "nothing": b"",
}


@pytest.mark.parametrize("kind", WRONG_MATLAB)
def test_another_matlab_file(kind, folder):
    put(folder, fakes.matlab_files(PARTS) | {"cifar-10-batches-mat/test_batch.mat": WRONG_MATLAB[kind]})
    assert_not_loaded(folder, "test_batch.mat", "is damaged or not CIFAR-10: fetch it again")


def test_a_matlab_file_of_version_7_3(folder):
    head = fakes.matlab_files(PARTS)["cifar-10-batches-mat/test_batch.mat"][:124] + b"\0\2IM"
    put(folder, fakes.matlab_files(PARTS) | {"cifar-10-batches-mat/test_batch.mat": head + bytes(500)})
    assert_not_loaded(folder, "test_batch.mat", "save it with -v7")


def test_a_matlab_file_that_grows_is_not_unpacked(folder, monkeypatch):
    """A variable of 12 MB in a file of some kilobytes, where 1 MB is the limit."""
    large = matlab({"data": np.zeros((4_000, 3072), np.uint8), "labels": LABELS}, do_compression=True)
    assert len(large) < 100_000
    put(folder, fakes.matlab_files(PARTS) | {"cifar-10-batches-mat/test_batch.mat": large})
    opened, list_variables = [], scipy.io.whosmat
    monkeypatch.setattr(scipy.io, "whosmat", lambda file: opened.append(file) or list_variables(file))
    monkeypatch.setattr(toronto, "LARGEST_BATCH", 1_000_000)
    assert "test_batch.mat" in refusal(fakes.read, "cifar10", folder)
    assert len(opened) == 5 and all(len(file.getvalue()) < 100_000 for file in opened)


# Tables


def table(part, columns=("img", "label"), names=None, image=None):
    """Images and labels as `datasets` makes them a table; with class names, labels are numbers of these."""
    pixels, labels = part
    contents = [fakes.encoded(each) for each in pixels]
    if names:
        ours = [{"car": "automobile"}.get(name, name) for name in names]
        labels = [ours.index(CLASSES[label]) for label in labels]
    rows = [{"bytes": each, "path": None} for each in contents] if image is None else image(contents)
    made = pyarrow.table({columns[0]: rows, columns[1]: labels})
    features = {columns[0]: {"_type": "Image"}, columns[1]: {"_type": "ClassLabel", "names": names}}
    notes = {"huggingface": json.dumps({"info": {"features": features}})}
    return made.replace_schema_metadata(notes if names else None)


def write_tables(folder, place="cifar10/{}-00000-of-00001.parquet", parts=PARTS, **options):
    paths = []
    for part, images in parts.items():
        paths.append(folder / place.format(part))
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        made = table(images, **options)
        if paths[-1].suffix == ".parquet":
            pyarrow.parquet.write_table(made, paths[-1])
        else:
            with pyarrow.ipc.new_stream(paths[-1], made.schema) as writer:
                writer.write_table(made, 20)
    return paths


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("label", ["label", "labels"])
def test_parquet_columns_have_one_of_several_names(image, label, folder):
    write_tables(folder, columns=(image, label))
    assert_read(folder, "Hugging Face parquet")


@pytest.mark.parametrize(
    "names",
    [
        "cifar10/{}.parquet",
        "cifar10/plain_text/{}/0000.parquet",
        "datasets--uoft-cs--cifar10/snapshots/0b27/plain_text/{}-00000-of-00001.parquet",
        "plain_text/{}-00000-of-00001.parquet",
    ],
)
def test_parquet_files_have_one_of_several_places(names, folder):
    write_tables(folder, names)
    assert_read(folder, "Hugging Face parquet")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_class_names_in_a_table_decide_what_its_labels_mean(ending, folder):
    write_tables(folder, f"cifar10/{{}}-00000-of-00001.{ending}", names=SORTED)
    assert_read(folder, f"Hugging Face {ending}")


def test_labels_of_a_table_may_be_class_names(folder):
    parts = {part: (pixels, [CLASSES[i] for i in labels]) for part, (pixels, labels) in PARTS.items()}
    write_tables(folder, parts=parts)
    assert_read(folder, "Hugging Face parquet")


def test_images_of_a_parquet_file_without_a_struct(folder):
    write_tables(folder, image=lambda contents: contents)
    assert_read(folder, "Hugging Face parquet")


@pytest.mark.parametrize("column", ["fine_label", "coarse_label", "target"])
def test_another_column_is_not_taken_for_the_label(column, folder):
    (path, _) = write_tables(folder, columns=("img", column))
    told = "those of CIFAR-100" if column == "fine_label" else "rename the columns"
    assert_not_loaded(folder, path, f"its columns are img, {column}", told)


def test_class_names_of_another_data_set(folder):
    write_tables(folder)
    notes = {"features": {"label": {"names": ["T - shirt / top", "Trouser", "Pullover"]}}}
    path = folder / "cifar10" / "train-00000-of-00001.parquet"
    made = pyarrow.parquet.read_table(path)
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": notes})})
    pyarrow.parquet.write_table(made, path)
    assert_not_loaded(folder, path, "its classes are T - shirt / top, Trouser, Pullover")


def test_images_that_are_only_named(folder):
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    row = {"bytes": None, "path": "1.png"}
    write_tables(folder, image=lambda contents: pyarrow.array([row] * len(contents), kind))
    assert_not_loaded(folder, "image 0", "is only named, not stored")


def save_to_disk(folder, **options):
    """As `datasets.DatasetDict.save_to_disk` writes them."""
    (folder / "saved").mkdir()
    (folder / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    paths = write_tables(folder, "saved/{}/data-00000-of-00001.arrow", **options)
    for path in paths:
        path.with_name("state.json").write_text("{}")
        shutil.copy(path, path.with_name("cache-1b2a.arrow"))
    return paths


def test_arrow_files_of_save_to_disk(folder):
    save_to_disk(folder, names=SORTED)
    assert_read(folder / "saved", "Hugging Face arrow")


def test_arrow_files_of_the_cache_of_datasets(folder):
    write_tables(folder, "uoft-cs___cifar10/plain_text/0.0.0/0b27/cifar10-{}.arrow", names=list(CLASSES))
    assert_read(folder, "Hugging Face arrow")


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_an_arrow_file_cut_short(share, folder):
    path = save_to_disk(folder)[0]
    fakes.cut(path, share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIFAR_DATA", str(folder / "saved"))
        assert_not_loaded(folder, path, "is damaged or not CIFAR-10")


def write_stream(path, made, **options):
    with pyarrow.ipc.new_stream(path, made.schema, options=pyarrow.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(made)


def test_an_arrow_file_that_could_grow_is_refused(folder):
    """10 MB of zeros packed into some kB, and one value that many rows share."""
    path = save_to_disk(folder)[0]
    made = table(PARTS["train"])
    write_stream(path, made, compression="zstd")
    assert "is damaged or not" in refusal(fakes.read, "cifar10", folder / "saved")
    rows = pyarrow.StructArray.from_arrays(
        [made["img"].combine_chunks().field("bytes").dictionary_encode()], ["bytes"]
    )
    write_stream(path, pyarrow.table({"img": rows, "label": made["label"]}))
    assert "is damaged or not" in refusal(fakes.read, "cifar10", folder / "saved")


def test_an_arrow_file_whose_lengths_lead_outside_is_refused(folder):
    """The offsets of the images are changed to point beyond the file."""
    path = save_to_disk(folder)[0]
    made = pyarrow.ipc.open_stream(path.read_bytes()).read_next_batch()
    offsets = made.column("img").field("bytes").buffers()[1].to_pybytes()[: 4 * 21]
    content = path.read_bytes()
    assert offsets in content
    path.write_bytes(content.replace(offsets, offsets[:-4] + (2**31 - 1).to_bytes(4, "little")))
    assert "is damaged or not" in refusal(fakes.read, "cifar10", folder / "saved")


# Images as files


def test_class_folders_may_be_links(folder, tmp_path):
    put(tmp_path / "store", FILES)
    for part in PARTS:
        for name in CLASSES:
            link(folder / "cifar10" / part / name, tmp_path / "store" / part / name)
    assert_read(folder, "class folders")


def test_images_may_be_links_unless_they_lead_nowhere(folder, tmp_path):
    put(tmp_path / "store", FILES)
    for name in FILES:
        link(folder / "cifar10" / name, tmp_path / "store" / name)
    assert_read(folder, "class folders")
    (tmp_path / "store/train/cat/3.png").unlink()
    assert "cat/3.png is a link to a file that is not there" in refusal(data.load, "cifar10").replace(
        "\\", "/"
    )


def test_hidden_files_and_second_trees_are_passed_over(folder):
    image = fakes.encoded(fakes.images(1, seed=9)[0][0])
    hidden = ["train/.ipynb_checkpoints/1.png", "train/@eaDir/1.png", "__MACOSX/train/cat/1.png"]
    trees = [f"backup/{name}" for name in FILES]
    put(folder / "cifar10", FILES | dict.fromkeys([*hidden, *trees, "train/cat/._1.png"], image))
    assert_read(folder, "class folders")


def test_an_archive_of_two_trees_is_refused(folder):
    fakes.write_classes(
        folder, FILES | {f"backup/{name}": content for name, content in FILES.items()}, ".zip"
    )
    assert_not_loaded(folder, "holds images twice, in cifar10/backup/train and cifar10/train: keep one")


def test_hidden_files_in_an_archive_are_passed_over(folder):
    others = dict.fromkeys(["__MACOSX/train/cat/1.png", "train/cat/._0.png"], b"x")
    fakes.write_classes(folder, FILES | others, ".zip")
    assert_read(folder, "an archive of images")


@pytest.mark.parametrize("ending", ["webp", "bmp", "tif", "tiff", "PNG"])
def test_images_of_other_formats(ending, folder):
    kind = {"tif": "tiff"}.get(ending, ending.lower())
    put(
        folder / "cifar10",
        {
            f"{part}/{CLASSES[label]}/{i}.{ending}": fakes.saved(
                Image.fromarray(image.transpose(1, 2, 0)), kind
            )
            for part, (pixels, labels) in PARTS.items()
            for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
        },
    )
    assert_read(folder, "class folders")


def test_jpegs_may_end_in_jfif(folder):
    put(folder / "cifar10", {f"{name[:-4]}.jfif": content for name, content in FILES.items()})
    assert_read(folder, "class folders")


@pytest.mark.parametrize("mode", ["P", "L", "LA", "RGBA", "1"])
def test_images_of_other_modes_lose_nothing(mode, folder):
    few = np.random.default_rng(0).integers(0, 2, (32, 32), dtype=np.uint8) * 255
    image = Image.fromarray(few).convert("RGB").convert(mode)
    put(folder / "cifar10", FILES | {"train/cat/3.png": fakes.saved(image)})
    train, _, _ = fakes.read("cifar10", folder)
    wanted = torch.from_numpy(few).expand(3, -1, -1)
    assert sum(torch.equal(pixels, wanted) for pixels in train.pixels) == 1


def test_what_else_lies_in_a_class_folder_is_named(folder):
    files = {name.replace(".png", ".gif") if "/deer/" in name else name: FILES[name] for name in FILES}
    put(folder / "cifar10", files)
    assert_not_loaded(folder, "has no images in train/deer", "5 .gif files are there")


def test_letters_of_names_may_be_large_or_small(folder):
    put(folder / "CIFAR-10", {name.title().replace(".Png", ".PNG"): FILES[name] for name in FILES})
    assert_read(folder, "class folders")


def test_other_names_of_classes(folder):
    put(folder / "cifar10", {name.replace("/automobile/", "/car/"): FILES[name] for name in FILES})
    assert_read(folder, "class folders")


def numbered():
    """{"train/7_cat.png": bytes}, as the copy of darknet has them."""
    return {
        f"{part}/{number}_{name}.png": content
        for (part, name, number), content in (
            ((*path[:-4].split("/"),), content) for path, content in FILES.items()
        )
    }


@pytest.mark.parametrize("ending", ["", ".tgz"])
def test_numbered_images_with_the_class_in_their_name(ending, folder):
    if ending:
        fakes.write_classes(folder, numbered(), ending).rename(folder / "cifar.tgz")
    else:
        put(folder / "cifar", numbered() | {"labels.txt": b"airplane"})
    assert_read(folder, "an archive" if ending else "numbered images")


def test_numbered_images_without_one_of_the_classes(folder):
    put(
        folder / "cifar",
        {name: content for name, content in numbered().items() if "test/" not in name or "_deer" not in name},
    )
    assert_not_loaded(folder, f"{folder / 'cifar'} has no images in test/deer")


def kaggle(folder, inner="train"):
    pixels, labels = PARTS["train"]
    put(folder, {f"{inner}/{i + 1}.png": fakes.encoded(image) for i, image in enumerate(pixels)})
    with open(folder / "trainLabels.csv", "w", newline="") as file:
        rows = [(i + 1, CLASSES[label]) for i, label in enumerate(labels)]
        csv.writer(file).writerows([("id", "label"), *rows])


@pytest.mark.parametrize("inner", ["train", "train/train"])
def test_kaggles_numbered_images(inner, folder, monkeypatch):
    monkeypatch.setattr("cifar_lib.data.folders.HELD_OUT", 5)
    kaggle(folder / "cifar-10", inner)
    pixels, labels = PARTS["train"]
    last = slice(40, 50)  # of five images a class, each the fifth
    parts = {"train": (pixels[:40], labels[:40]), "test": (pixels[last], labels[last])}
    assert_read(folder, "Kaggle's files, a tenth of whose training images stand in", parts)


def test_kaggles_archives_are_to_be_unpacked(folder):
    put(folder / "cifar-10", {"train.7z": b"7z", "test.7z": b"7z", "trainLabels.csv": b"id,label\n1,frog\n"})
    assert_not_loaded(folder, "trainLabels.csv, but no train/1.png", "unpack train.7z")


@pytest.mark.parametrize(
    ("row", "words"),
    [("1,dragon", "the class 'dragon'"), ("99,cat", "image 99, which is not there"), ("1", "is damaged")],
)
def test_kaggles_list_with_a_wrong_row(row, words, folder):
    kaggle(folder)
    (folder / "trainLabels.csv").write_text(f"id,label\n{row}\n")
    assert_not_loaded(folder, "trainLabels.csv", words)


# Where they lie


@pytest.mark.parametrize(
    "level", ["", "cifar10", "cifar10/cifar10", "CIFAR10", "images", "datasets/cifar-10"]
)
def test_a_root_one_level_too_high_or_too_low(level, folder, monkeypatch):
    put(folder / level, FILES)
    assert_read(folder, "class folders")
    for named in (folder / level, folder / level / "train"):
        assert_read(named, "class folders")


def test_the_folder_of_torchvision_itself(folder, monkeypatch):
    place = fakes.write_batches(folder, PARTS, monkeypatch)
    for root in (place, folder, folder.parent):
        assert_read(root, "torchvision's files")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_table_that_names_the_classes_is_known_under_any_name(ending, folder):
    write_tables(folder, f"mine/{{}}-00000-of-00001.{ending}")
    assert layouts.find("cifar10", folder) is None
    write_tables(folder, f"mine/{{}}-00000-of-00001.{ending}", names=SORTED)
    assert_read(folder, f"Hugging Face {ending}")


def test_the_ending_of_a_table_may_be_in_capitals(folder):
    for path in write_tables(folder, "mine/{}-00000-of-00001.parquet", names=SORTED):
        path.rename(path.with_suffix(".PARQUET"))
    assert_read(folder, "Hugging Face parquet")


def test_other_data_sets_beside_it_are_not_taken_for_it(folder):
    other = fakes.encoded(fakes.images(1)[0][0])
    write_tables(folder, "cifar100/{}-00000-of-00001.parquet")
    write_tables(folder, "mnist/{}-00000-of-00001.parquet")
    put(folder / "imagenet", {"train/n01440764/1.png": other, "test/n01440764/1.png": other})
    put(folder / "cifar-10-c", {"fog.npy": b"", "labels.npy": b"", "test/1.npy": b""})
    assert layouts.find("cifar10", folder) is None
    layouts.refuse_look_alikes("cifar10", folder)
    put(folder / "my-cifar10", FILES)
    assert_read(folder, "class folders")


@pytest.mark.parametrize(
    "name",
    ["cifar10.npz", "CIFAR-10.7z", "cifar10/train.pt", "cifar10/images/1.gif.h5", "cifar10/train/0/1.png"],
)
def test_what_looks_like_it_and_is_not_read_is_named(name, folder):
    put(folder, {name: b"something"})
    assert_not_loaded(folder, folder / name, "looks like CIFAR-10", "unpack or convert it")


@pytest.mark.parametrize(
    "name",
    ["cifar10/notes.txt", "cifar-10-python.tar.gz.part", "cifar10-results/plot.png", "cifar10h/train.npy"],
)
def test_what_is_no_data_does_not_keep_from_downloading(name, folder, monkeypatch):
    put(folder, {name: b"something"})
    monkeypatch.setattr(download, "fetch", lambda name, folder: put(folder / "cifar10", FILES))
    with pytest.warns(UserWarning, match="are not those of cifar10"):
        assert len(data.load("cifar10").train) == 50


def test_a_folder_that_cannot_be_read_beside_it(folder, monkeypatch):
    put(folder / "cifar-10", FILES)
    (folder / "closed").mkdir()
    scan = os.scandir

    def closed(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "no", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert_read(folder, "class folders")


CLOSED = {
    "a zip": lambda folder: fakes.write_classes(folder, FILES, ".zip"),
    "a tar": lambda folder: fakes.write_classes(folder, FILES, ".tar"),
    "a packed tar": lambda folder: fakes.write_classes(folder, FILES, ".tgz"),
    "parquet": lambda folder: write_tables(folder)[0],
    "arrow": lambda folder: write_tables(folder, "cifar10/{}/data-00000-of-00001.arrow")[0],
    "npz": lambda folder: put(folder, {"mnist.npz": fakes.npz(DIGITS)}) / "mnist.npz",
    "a file of MNIST": lambda folder: put(folder, dict.fromkeys(digits.FILES, b"")) / digits.FILES[0],
    "the binary version": lambda folder: put(folder, fakes.binary_files(PARTS)) / BATCH,
}
BATCH = next(name for name in fakes.binary_files(PARTS) if "data_batch_1" in name)


@pytest.mark.parametrize("kind", CLOSED)
def test_a_file_that_may_not_be_read_is_not_called_damaged(kind, folder, monkeypatch):
    path = CLOSED[kind](folder)
    systems.close_to_readers(path, monkeypatch)
    name = "mnist" if kind in ("npz", "a file of MNIST") else "cifar10"
    assert refusal(data.load, name) == f"{path} cannot be read: Permission denied."


# MNIST

DIGITS = fakes.mnist()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw", "raw"])
@pytest.mark.parametrize("names", ["-idx", ".idx"])
def test_mnist_under_its_several_names(names, place, packed, folder, monkeypatch):
    for path in fakes.write_mnist(folder.parent / "aside", DIGITS, monkeypatch, packed):
        put(folder / place, {path.name.replace("-idx", names): path.read_bytes()})
    root = folder / "raw" if place == "raw" else folder
    assert_read(root, "torchvision's files", DIGITS, "mnist")


@pytest.mark.parametrize("names", ["mnist/{}-00000-of-00001.parquet", "mnist/{}/data-00000-of-00001.arrow"])
def test_mnist_as_a_table(names, folder):
    parts = {"train": DIGITS["train"], "test": DIGITS["t10k"]}
    for path in write_tables(folder, names, parts, columns=("image", "label")):
        assert path.exists()
    assert_read(folder, f"Hugging Face {names.rpartition('.')[2]}", parts, "mnist")


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_mnist_npz(kind, folder):
    put(folder, {"mnist.npz": fakes.npz(DIGITS, y_test=np.array(DIGITS["t10k"][1], kind))})
    assert_read(folder, "Keras's mnist.npz", DIGITS, "mnist")


WRONG_NPZ = {
    "floats": fakes.npz(DIGITS, x_train=np.zeros((40, 28, 28))),
    "objects": fakes.npz(DIGITS, x_train=np.array([{}] * 40, object)),
    "a single number as images": fakes.npz(DIGITS, x_train=np.array(3, np.uint8)),
    "a single number as labels": fakes.npz(DIGITS, y_test=np.array(3)),
    "text": b"no archive",
    "cut short": fakes.npz(DIGITS)[:5000],
    "a missing array": fakes.npz(DIGITS).replace(b"y_test", b"z_test"),
}


@pytest.mark.parametrize("kind", WRONG_NPZ)
def test_another_mnist_npz(kind, folder):
    put(folder, {"mnist.npz": WRONG_NPZ[kind]})
    assert_not_loaded(folder, folder / "mnist.npz", "is damaged or not Keras's mnist.npz", name="mnist")


def test_an_npz_that_promises_more_than_follows(folder):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((40, 28, 28), np.uint8))
    content = buffer.getvalue().replace(b"(40, 28, 28)", b"(4000000,28)")
    path = folder / "mnist.npz"
    with zipfile.ZipFile(path, "w") as bundle:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            bundle.writestr(f"{name}.npy", content)
    assert_not_loaded(folder, path, "is damaged", name="mnist")


def test_fashion_mnist_is_known_by_its_checksum(folder, monkeypatch):
    listed = dict(datasets.FashionMNIST.resources) | dict(datasets.KMNIST.resources)
    spec = data.SPECS["mnist"]
    assert (
        set(spec.look_alikes)
        <= {md5 for known in (datasets.FashionMNIST, datasets.KMNIST) for _, md5 in known.resources}
        and len(listed) == 4
    )
    path = fakes.write_mnist(folder, DIGITS, monkeypatch, packed=True)[0]
    content = gzip.compress(b"images of clothes")
    path.write_bytes(content)
    fakes.change_spec(monkeypatch, "mnist", look_alikes={hashlib.md5(content).hexdigest(): "Fashion-MNIST"})
    assert_not_loaded(folder, path, "is Fashion-MNIST, not MNIST", name="mnist")


def test_fashion_mnist_is_known_by_its_equal_classes(folder, monkeypatch):
    pixels = np.zeros((60_000, 1, 28, 28), np.uint8)
    parts = {"train": (pixels, [i % 10 for i in range(60_000)]), "t10k": fakes.mnist()["t10k"]}
    fakes.write_mnist(folder, parts, monkeypatch, packed=False)
    assert "exactly 6,000 images of each class" in refusal(data.load, "mnist")
