"""Archives and files made to do harm: refused in bounded time and memory, and nothing is written."""

import gzip
import io
import json
import math
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from functools import cache

import fakes
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from refusals import assert_not_loaded, refusal

from cifar_lib import data
from cifar_lib.data import archives, decoding, tables

# The reading of one archive in a process of its own: what it said, seconds, growth of the peak in MB.
READ = """
import contextlib, json, re, sys, time
from pathlib import Path
from cifar_lib import CourseError
from cifar_lib.data import layouts
import pyarrow.compute, pyarrow.parquet

def peak():  # Linux alone tells it of the process itself, not of the one that started it
    status = Path("/proc/self/status")
    return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1000 if status.exists() else 0

with contextlib.suppress(OSError):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, after the imports
before, start = peak(), time.perf_counter()
try:
    layouts.find(sys.argv[1], sys.argv[2]).read()
    said = "read"
except CourseError as error:
    said = str(error)
print(json.dumps([said, time.perf_counter() - start, peak() - before]))
"""
SECONDS, MEGABYTES = 60, 500


def said_of(folder, name="cifar10"):
    """What the reader is told of the files in `folder`; asserts the bounds and that no file changed."""
    before = fakes.snapshot(folder.parent)
    done = subprocess.run(
        [sys.executable, "-c", READ, name, folder], capture_output=True, text=True, check=True, timeout=300
    )
    said, seconds, megabytes = json.loads(done.stdout)
    print(f"{seconds:.2f} s, {megabytes:.0f} MB: {said}")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES
    assert fakes.snapshot(folder.parent) == before
    return said


@pytest.fixture(scope="module")
def files():
    return fakes.class_files(fakes.cifar(n_train=10))


OUTSIDE = [
    "../train/cat/x.png",
    "cifar10/../../train/cat/x.png",
    "..\\train\\cat\\x.png",
    "/train/cat/x.png",
    "\\train\\cat\\x.png",
    "C:/train/cat/x.png",
    "c:\\train\\cat\\x.png",
    "C:train/cat/x.png",
    "\\\\server\\share\\train\\cat\\x.png",
]


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("place", ["first", "last"])
def test_names_that_reach_outside(ending, name, place, folder, files):
    harm = {f"{name}": b"harm"}
    ordered = harm | files if place == "first" else files | harm
    archive = folder / f"cifar10{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            for each, content in ordered.items():
                bundle.writestr(each, content)
    else:
        with tarfile.open(archive, "w:gz" if ending == ".tgz" else "w") as bundle:
            for each, content in ordered.items():
                fakes.add_to_tar(bundle, each, content)
    assert_not_loaded(folder, archive, repr(name), "outside its folder")


KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "unknown": b"Z",
}


@pytest.mark.parametrize("kind", KINDS)
def test_tar_entries_that_are_no_files(kind, folder, files):
    with tarfile.open(folder / "cifar10.tar", "w") as bundle:
        for name, content in files.items():
            fakes.add_to_tar(bundle, name, content)
        fakes.add_to_tar(bundle, "train/cat/x.png", kind=KINDS[kind], target="/etc/hostname")
    assert "outside its folder" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.parametrize("kind", [0o120777, 0o010644, 0o020644])
def test_zip_entries_that_are_no_files(kind, folder, files):
    with zipfile.ZipFile(folder / "cifar10.zip", "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
        info = zipfile.ZipInfo("train/cat/x.png")
        info.external_attr = kind << 16
        bundle.writestr(info, "/etc/hostname")
    assert "outside its folder" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
def test_an_image_file_may_hold_much_metadata(ending, folder, files):
    heavy = {name: content + bytes(100_000) for name, content in files.items()}
    fakes.write_classes(folder, heavy, ending)
    train, test, _ = fakes.read("cifar10", folder)
    assert (len(train), len(test)) == (10, 10)


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_folders_may_have_entries_of_their_own(ending, folder, files):
    archive = fakes.write_classes(folder, files, ending)
    if ending == ".zip":
        with zipfile.ZipFile(archive, "a") as bundle:
            bundle.writestr("cifar10/train/", b"")
    else:
        with tarfile.open(archive, "a") as bundle:
            fakes.add_to_tar(bundle, "cifar10/train", kind=tarfile.DIRTYPE)
    train, test, _ = fakes.read("cifar10", folder)
    assert (len(train), len(test)) == (10, 10)


def test_the_limit_of_a_zips_directory_is_not_that_of_its_images(folder, files, monkeypatch):
    """The directory has some 2 kB, the images 60."""
    monkeypatch.setattr(archives, "LARGEST_ZIP_DIRECTORY", 10_000)
    fakes.write_classes(folder, files, ".zip")
    train, test, _ = fakes.read("cifar10", folder)
    assert (len(train), len(test)) == (10, 10)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_an_archive_cut_short(ending, share, folder):
    archive = fakes.write_classes(folder, fakes.class_files(fakes.cifar()), ending)
    fakes.cut(archive, share)
    assert_not_loaded(folder, archive, "is damaged or cut short", "fetch it again")


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
def test_a_damaged_archive(ending, folder, files):
    archive = fakes.write_classes(folder, files, ending)
    fakes.damage(archive)
    assert_not_loaded(folder, archive)


def test_a_damaged_entry_of_a_compressed_zip(folder, files):
    archive = folder / "cifar10.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, bytes(2000) + content)
    content = bytearray(archive.read_bytes())
    start = 30 + len("train/airplane/0.png")
    content[start : start + 40] = b"\xff" * 40
    archive.write_bytes(content)
    assert_not_loaded(folder, archive, "is damaged or cut short")


def test_a_zip_with_a_file_that_is_no_small_image(folder):
    archive = fakes.write_classes(folder, {"train/cat/0.png": bytes(2_000_000)}, ".zip")
    assert_not_loaded(folder, archive, "is refused", "too large")


@pytest.mark.parametrize("ending", [".tar", ".tgz"])
@pytest.mark.parametrize("entry", [1, 10, 19])
def test_a_damaged_header_does_not_end_the_archive_unseen(ending, entry, folder, files):
    """Python's tarfile takes a header that it cannot read, but the first, for the end."""
    archive = fakes.write_classes(folder, files, ending)
    content = archive.read_bytes() if ending == ".tar" else gzip.decompress(archive.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
        start = bundle.getmembers()[entry].offset
    content = content[:start] + b"?" + content[start + 1 :]
    archive.write_bytes(content if ending == ".tar" else gzip.compress(content))
    assert "is damaged or cut short" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
def test_a_zip_whose_entry_is_longer_than_it_says(folder, files):
    """1 GB of zeros in an entry that claims 100 bytes: no more than those are unpacked."""
    archive = folder / "cifar10.zip"
    bundle = zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with bundle, bundle.open("train/cat/x.png", "w") as entry:
        for _ in range(50):
            entry.write(bytes(20_000_000))
    content = archive.read_bytes()
    real, claimed = struct.pack("<I", 1_000_000_000), struct.pack("<I", 100)
    archive.write_bytes(content.replace(real, claimed))
    assert "is damaged or cut short" in said_of(folder)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_a_method_that_is_unpacked_without_a_limit(method, folder):
    with zipfile.ZipFile(folder / "cifar10.zip", "w", method) as bundle:
        bundle.writestr("train/cat/x.png", b"content")
    assert "pack it as an ordinary zip file" in refusal(fakes.read, "cifar10", folder)


@cache
def gigabyte():
    """A GB of zeros as a gzip file; such files may be joined."""
    return gzip.compress(bytes(100_000_000), 6) * 10


def zeros(path, head, gigabytes):
    """A gzip file of `head`, and so many GB of zeros."""
    with open(path, "wb") as file:
        file.write(gzip.compress(head))
        for _ in range(gigabytes):
            file.write(gigabyte())


def header(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("train/cat/x.png", tarfile.REGTYPE, "too large for a small image"),
        ("other/readme", tarfile.REGTYPE, "too large for a small image"),
        ("x", tarfile.XHDTYPE, "list of files is far too long"),
        ("x", tarfile.XGLTYPE, "list of files is far too long"),
        ("x", tarfile.GNUTYPE_LONGNAME, "list of files is far too long"),
        ("x", tarfile.GNUTYPE_LONGLINK, "list of files is far too long"),
    ],
)
def test_a_tgz_that_grows_to_ten_gigabytes(name, kind, words, folder):
    """An entry, or a header that Python's tarfile would read into memory as a whole."""
    size = 10_000_000_000
    zeros(folder / "cifar10.tgz", header(name, size, kind), 10)
    assert (folder / "cifar10.tgz").stat().st_size < 11_000_000
    assert words in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
def test_the_ten_gigabytes_are_not_unpacked(folder):
    for kind in (tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        zeros(folder / "cifar10.tgz", header("train/cat/x.png", 10_000_000_000, kind), 10)
        assert "is refused" in said_of(folder)


def list_of_holes(path, blocks, times=1):
    """A sparse file's header that goes on, block after block."""
    member = tarfile.TarInfo("train/cat/x.png")
    member.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # more blocks follow
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    more = (b"%011o\0%011o\0" % (0o1, 0o1)) * 21 + b"\1" + bytes(7)
    packed = gzip.compress(more * blocks)
    with open(path, "wb") as file:
        file.write(gzip.compress(bytes(block)))
        for _ in range(times):
            file.write(packed)


def test_a_tgz_with_a_long_list_of_holes(folder):
    list_of_holes(folder / "cifar10.tgz", 100)
    assert "list of files is far too long" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
def test_a_tgz_whose_list_of_holes_does_not_end(folder):
    """1 GB of it."""
    list_of_holes(folder / "cifar10.tgz", 100_000_000 // 512, 10)
    assert "list of files is far too long" in said_of(folder)


@pytest.mark.parametrize("size", [-512, -1024, -(2**40)])
def test_a_tar_that_leads_back(size, folder):
    """A negative size sends Python's tarfile (before 3.11.14) round and round."""
    block = bytearray(header("train/cat/x.png", 0))
    block[124:136] = b"\xff" + (256**11 + size).to_bytes(11)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    (folder / "cifar10.tar").write_bytes(bytes(block) + bytes(10240))
    assert "'train/cat/x.png' is too large" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
def test_a_pax_header_of_digits_is_read_in_time(folder):
    """Python 3.11 before .10 searches it in quadratic time."""
    size = archives.LARGEST_TAR_HEADER - 4 * tarfile.BLOCKSIZE
    size -= size % tarfile.BLOCKSIZE
    with open(folder / "cifar10.tar", "wb") as file:
        file.write(header("x", size, tarfile.XHDTYPE) + b"1" * size + bytes(1024))
    assert "is damaged or cut short" in said_of(folder)


def one_image_many_times(folder, ending, count, content):
    archive = folder / f"cifar10{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as bundle:
            for i in range(count):
                bundle.writestr(f"train/cat/{i}.png", content)
    else:
        with tarfile.open(archive, "w:gz", compresslevel=1) as bundle:
            for i in range(count):
                fakes.add_to_tar(bundle, f"train/cat/{i}.png", content)
    return archive


@pytest.mark.parametrize(("limit", "value"), [("LARGEST_IN_ALL", 20_000), ("MOST_FILES", 10)])
def test_entries_are_counted_and_added_up(limit, value, folder, files, monkeypatch):
    """20 images of some 3 kB."""
    monkeypatch.setattr(archives, limit, value)
    fakes.write_classes(folder, files, ".tgz")
    assert "far more than CIFAR-10's images" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
@pytest.mark.parametrize("ending", [".zip", ".tgz"])
def test_ten_gigabytes_in_ten_thousand_entries(ending, folder):
    """Each a right image and a megabyte of nothing."""
    image = fakes.encoded(fakes.images(1)[0][0])
    archive = one_image_many_times(folder, ending, 10_000, image + bytes(999_000 - len(image)))
    assert archive.stat().st_size < 100_000_000
    assert "far more than CIFAR-10's images" in said_of(folder)


@pytest.mark.long
@pytest.mark.parametrize("ending", [".zip", ".tgz"])
def test_a_million_tiny_entries(ending, folder):
    one_image_many_times(folder, ending, 1_000_000, b"")
    said = said_of(folder)
    assert "cannot be read as PNG" in said if ending == ".tgz" else "list of files is far too long" in said


@pytest.mark.long
@pytest.mark.parametrize("ending", [".zip", ".tgz"])
def test_too_many_entries_that_are_no_images(ending, folder):
    archive = folder / f"cifar10{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as bundle:
            for i in range(decoding.MOST_FILES + 1):
                bundle.writestr(f"{i}", b"")
    else:
        with tarfile.open(archive, "w:gz", compresslevel=1) as bundle:
            for i in range(1_000_000):
                fakes.add_to_tar(bundle, f"{i}")
    assert "far more than CIFAR-10's images" in said_of(folder)


# Files outside archives


def write_parquet(folder, images, labels, **options):
    """One shard of each part with these bytes as images."""
    (folder / "cifar10").mkdir()
    for part in ("train", "test"):
        struct_array = pyarrow.StructArray.from_arrays([images], ["bytes"])
        table = pyarrow.table({"img": struct_array, "label": labels})
        path = folder / "cifar10" / f"{part}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(table, path, **options)
    return path


def dictionary(value, rows):
    indices = pyarrow.array(np.zeros(rows, np.int32))
    return pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([value], pyarrow.binary()))


@pytest.mark.long
def test_parquet_that_names_one_large_image_for_many_rows(folder):
    """100 MB, for each of 100,000 rows 10 TB in all, in a file of some kilobytes."""
    rows = 100_000
    images = dictionary(bytes(100_000_000), rows)
    path = write_parquet(folder, images, np.zeros(rows, np.int64), compression="zstd")
    assert path.stat().st_size < 1_000_000
    assert "too large for a small image" in said_of(folder)


@pytest.mark.long
def test_parquet_that_names_one_image_for_many_rows(folder):
    """1 MB for each of 100,000 rows: 100 GB, were they all unpacked at once."""
    image = fakes.encoded(fakes.images(1)[0][0])
    image += bytes(999_000 - len(image))
    rows = 100_000
    write_parquet(folder, dictionary(image[:100], rows), np.zeros(rows, np.int64), compression="zstd")
    assert "cannot be read as PNG" in said_of(folder)
    for path in (folder / "cifar10").iterdir():
        path.unlink()
    (folder / "cifar10").rmdir()
    rows = 5_000
    write_parquet(folder, dictionary(image, rows), np.full(rows, 11), compression="zstd")
    assert "A label is 11" in said_of(folder)


def test_parquet_of_too_many_rows(folder):
    rows = decoding.MOST_FILES + 1
    write_parquet(folder, dictionary(b"", rows), np.zeros(rows, np.int64))
    assert "far more than CIFAR-10's images" in refusal(fakes.read, "cifar10", folder)


def test_parquet_of_too_many_groups_of_rows(folder, monkeypatch):
    """Each is read by itself, and an empty one costs its writer next to nothing."""
    monkeypatch.setattr(tables, "MOST_FILES", 10)
    table = pyarrow.table({"img": [{"bytes": b""}], "label": [0]})
    (folder / "cifar10").mkdir()
    path = folder / "cifar10" / "train-00000-of-00001.parquet"
    with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(11):
            writer.write_table(table.slice(0, 0))
    assert "far more than CIFAR-10's images" in refusal(fakes.read, "cifar10", folder)


@pytest.mark.long
def test_parquet_that_says_it_is_huge(folder):
    images = pyarrow.array([bytes(600_000_000)] * 2, pyarrow.binary())
    write_parquet(folder, images, np.zeros(2, np.int64), compression="zstd", use_dictionary=False)
    assert "far more than CIFAR-10's images" in said_of(folder)


LARGE_ZEROS = zlib.compress(bytes(500_000_000), 9)
BOMBS = {
    "20,000 pixels square": fakes.png(20_000, 20_000),
    "10,000 pixels square": fakes.png(10_000, 10_000),
    "two billion pixels square": fakes.png(2**31 - 1, 2**31 - 1),
    "32 pixels and 500 MB": fakes.png(32, 32, body=LARGE_ZEROS),
    "a text of 500 MB": fakes.png(32, 32, fakes.chunk(b"zTXt", b"Comment\0\0" + LARGE_ZEROS)),
    "a profile of 500 MB": fakes.png(32, 32, fakes.chunk(b"iCCP", b"icc\0\0" + LARGE_ZEROS)),
}


@pytest.mark.long
@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("ending", ["", ".zip"])
def test_small_images_that_grow(bomb, ending, folder, files):
    fakes.write_classes(folder, files | {"train/cat/3.png": BOMBS[bomb]}, ending)
    said = said_of(folder)
    # Zeros are an image, too, and there may be more of them than are needed.
    assert "train/cat/3.png" in said or (said == "read" and "32 pixels" in bomb)


def test_a_file_in_a_class_folder_that_is_no_small_image(folder, files):
    place = fakes.write_classes(folder, files)
    with open(place / "train" / "cat" / "3.png", "r+b") as file:
        file.truncate(10_000_000_000)
    text = refusal(fakes.read, "cifar10", folder)
    assert "3.png is too large (10,000,000,000 bytes)" in text


@pytest.mark.parametrize(
    "shape",
    [
        (2**31 - 1, 28, 28),
        (2**31 - 1, 2**31 - 1, 2**31 - 1),
        (2**32 - 1, 2**32 - 28, 28),
        (40, 2**32 - 1, 2**32 - 784),
        (0, 2**32 - 1, 2**32 - 1),
        (2**32 - 1, 28, 28),
    ],
)
def test_mnist_whose_header_promises_more_than_follows(shape, folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)[0]
    content = path.read_bytes()
    body = content[16:] if math.prod(shape) else b""
    path.write_bytes(content[:4] + b"".join(size.to_bytes(4) for size in shape) + body)
    assert "is damaged" in refusal(fakes.read, "mnist", folder)


def test_a_huge_mnist_file(folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)[0]
    with open(path, "r+b") as file:
        file.truncate(10_000_000_000)
    assert "is too large (10,000,000,000 bytes)" in refusal(fakes.read, "mnist", folder)


def test_a_gzip_bomb_among_the_mnist_files(folder, monkeypatch):
    path = fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=True)[0]
    zeros(path, path.read_bytes()[:16], 10)
    monkeypatch.setattr(gzip, "decompress", lambda content: pytest.fail("an unchecked file is unpacked"))
    assert "its checksum differs" in refusal(fakes.read, "mnist", folder)
    assert not data.prepared_file("mnist").exists()
