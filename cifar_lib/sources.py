"""The layouts in which a person may already have the images, each read into uint8 arrays.

`find` tries them in turn. A layout that is there but damaged is an error, never passed over: what
the reader put there is what they mean to use. Pickles are opened only after their checksum matched;
archives are read in memory, nothing is unpacked to disk. What a header claims is checked before memory
or time is spent on it.
"""

import gzip
import hashlib
import io
import math
import pickle
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np
import torch
from PIL import Image

from . import CourseError
from .files import md5

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
# File names and MD5s as torchvision lists them in `datasets.CIFAR10` and `datasets.MNIST`; importing it
# takes as long as importing torch.
CIFAR_BATCHES = {
    "train": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    "test": {"test_batch": "40351d587109b95175f43aff81a1287e"},
}
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
LARGEST_IMAGE_FILE = 1_000_000  # bytes
LARGEST_IN_ALL = 1_000_000_000
MOST_FILES = 150_000  # 60,000 images, and the second file that macOS packs with each
LARGEST_ZIP_DIRECTORY = 20_000_000
LARGEST_TAR_HEADER = 32_000  # in all its blocks; Python 3.11 searches it in quadratic time


@dataclass(frozen=True)
class Spec:
    """What a data set must look like: channels × height × width, classes, training fingerprint."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    fingerprint: str


SPECS = {
    "cifar10": Spec(
        (3, 32, 32),
        tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
        "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
    ),
    "mnist": Spec(
        (1, 28, 28),
        tuple("0123456789"),
        "3655811c0e1223700a4714a92a51f55bd215ed7dc1fa2baa4326a2b58042d82d",
    ),
}
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


def find(name, folder):
    """The images of "cifar10" or "mnist" under `folder`, or None when no layout is there.

    Returns:
        (pixels, labels) of the training images, the same of the test images (uint8 [N, C, H, W]
        and int64 [N] tensors), and the layout in words.

    Raises:
        CourseError: a layout is there, but incomplete or damaged.
    """
    folder = Path(folder)
    for layout, read in LAYOUTS[name].items():
        try:
            found = read(folder) if folder.is_dir() else None
        except OSError as error:
            raise CourseError(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
        if found is not None:
            train, test = (_checked(part, SPECS[name], layout) for part in found)
            return train, test, layout
    return None


def read_torchvision_cifar(folder):
    """`cifar-10-batches-py/` or the archive it comes in, each file checked against its MD5."""
    unpacked, archive = folder / "cifar-10-batches-py", folder / ARCHIVE
    if unpacked.is_dir():
        read = lambda name: (unpacked / name).read_bytes()  # noqa: E731
        return _read_batches(read, unpacked)
    if not archive.exists():
        return None
    if md5(archive) != ARCHIVE_MD5:
        raise CourseError(f"{archive} is damaged (its checksum differs): delete it, then run again.")
    with tarfile.open(archive) as tar:
        return _read_batches(lambda name: tar.extractfile(f"cifar-10-batches-py/{name}").read(), archive)


def read_parquet(folder):
    """Hugging Face's layout: `cifar10/train-00000-of-00003.parquet`, columns img{bytes}, label."""
    for place in (folder / "cifar10", folder / "plain_text", folder):
        shards = {part: sorted(place.glob(f"{part}-*-of-*.parquet")) for part in ("train", "test")}
        if any(shards.values()):
            return [_read_shards(shards[part], part, place) for part in ("train", "test")]
    return None


def read_class_folders(folder):
    """`cifar10/train/<class>/*.png` (or JPEG), as a folder or a .zip, .tar, .tgz archive."""
    place = folder / "cifar10"
    if (place / "train").is_dir():
        names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        files = ((name, _content(place / name, LARGEST_IMAGE_FILE)) for name in names if _class_of(name))
        return _read_classes(files, place)
    for ending in ARCHIVE_ENDINGS:
        archive = folder / f"cifar10{ending}"
        if archive.exists():
            return _read_classes(_archive_files(archive), archive)
    return None


def read_mnist(folder):
    """torchvision's layout: `MNIST/raw/*-ubyte`, or the same files with `.gz`."""
    raw = folder / "MNIST" / "raw"
    if not all((raw / name).exists() or (raw / name).with_suffix("").exists() for name in MNIST_FILES):
        return None  # what is missing can be downloaded
    return [
        (_read_idx(raw, f"{part}-images-idx3-ubyte")[:, None], _read_idx(raw, f"{part}-labels-idx1-ubyte"))
        for part in ("train", "t10k")
    ]


LAYOUTS = {
    "cifar10": {
        "torchvision's files": read_torchvision_cifar,
        "Hugging Face parquet files": read_parquet,
        "class folders": read_class_folders,
    },
    "mnist": {"torchvision's files": read_mnist},
}


def _checked(part, spec, layout):
    pixels, labels = np.asarray(part[0]), np.asarray(part[1])
    if len(labels) == 0:
        raise CourseError(f"No images in the {layout}: put them there, or remove the folder.")
    if len(labels) != len(pixels):
        raise CourseError(f"The {layout} hold {len(pixels)} images, but {len(labels)} labels.")
    if pixels.shape[1:] != spec.shape:
        raise CourseError(f"The images are {pixels.shape[1:]}, but {spec.shape} is needed.")
    if labels.min() < 0 or labels.max() >= len(spec.classes):
        raise CourseError(
            f"A label is {labels.min()} or {labels.max()}, but labels go from 0 to "
            f"{len(spec.classes) - 1}: these are not the expected images."
        )
    pixels = torch.from_numpy(np.require(pixels, np.uint8, "CW"))  # torch warns of arrays it may not write to
    return pixels, torch.from_numpy(labels.astype(np.int64))


def _read_batches(read, place):
    return [_read_pickles(read, CIFAR_BATCHES[part], place) for part in ("train", "test")]


def _read_pickles(read, checksums, place):
    pixels, labels = bytearray(), []
    for name, checksum in checksums.items():
        try:
            content = read(name)
        except (OSError, KeyError, AttributeError):
            raise CourseError(f"{place} lacks {name}: delete it, then run again.") from None
        if hashlib.md5(content).hexdigest() != checksum:
            raise CourseError(f"{name} in {place} is damaged (its checksum differs): delete it.")
        batch = pickle.loads(content, encoding="latin1")
        pixels += batch["data"].tobytes()
        labels += batch["labels"]
    return _as_images(pixels), labels


def _read_shards(shards, part, place):
    if not shards:
        raise CourseError(f"{place} has no {part}-*.parquet: add the missing files.")
    expected = int("0" + re.search(r"-of-(\d*)", shards[0].name)[1])
    if len(shards) != expected:
        raise CourseError(
            f"{place} has {len(shards)} of {expected} {part} parquet files: add the missing ones."
        )
    pixels, labels = bytearray(), []
    for shard in shards:
        for i, (content, label) in enumerate(_read_shard(shard)):
            pixels += _decode(content, f"image {i} of {shard}")
            labels.append(label)
    return _as_images(pixels), labels


def _read_shard(shard):
    """The images' bytes and their labels, one after the other.

    Few are held at once, and the bytes stay a dictionary: a small file can name one large value
    for millions of rows.
    """
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # the default one keeps 30 MB more for itself
    try:
        with pyarrow.parquet.ParquetFile(shard, read_dictionary=["img.bytes"]) as file:
            groups = range(file.metadata.num_row_groups)
            if (
                len(groups) > MOST_FILES
                or sum(file.metadata.row_group(i).total_byte_size for i in groups) > LARGEST_IN_ALL
                or file.metadata.num_rows > MOST_FILES
            ):
                raise CourseError(f"{shard} is refused: it holds far more than CIFAR-10's images.")
            for batch in _batches(file, groups):
                images = batch.column("img").field("bytes")
                longest = pyarrow.compute.max(pyarrow.compute.binary_length(images.dictionary)).as_py()
                if longest is not None and longest > LARGEST_IMAGE_FILE:
                    raise CourseError(f"{shard} is refused: an image in it is too large for a small image.")
                labels = [int(label) for label in batch.column("label").to_pylist()]
                yield from zip(images.to_pylist(), labels, strict=True)
    except (pyarrow.ArrowException, OSError, KeyError, AttributeError, TypeError, ValueError, OverflowError):
        raise CourseError(f"{shard} is damaged or not CIFAR-10: fetch this file again.") from None


def _batches(file, groups):
    """Batches of up to 100 rows. Read all at once, the dictionary would grow from group to group."""
    for group in groups:
        yield from file.iter_batches(100, [group], columns=["img.bytes", "label"], use_threads=False)


def _decode(content, what):
    """PNG or JPEG bytes -> the 3 · 32 · 32 bytes of the image: channel by channel, row by row."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.size != (32, 32) or image.mode != "RGB":
                width, height = image.size
                raise CourseError(
                    f"{what} is {width}×{height} {image.mode}: CIFAR-10's images are 32×32 RGB."
                )
            return np.asarray(image).transpose(2, 0, 1).tobytes()
    except CourseError:
        raise
    except Exception:  # damaged files make Pillow raise nearly anything
        raise CourseError(f"{what} cannot be read as PNG or JPEG: replace or remove it.") from None


def _as_images(content):
    """A bytearray of images, one after the other -> uint8 [N, 3, 32, 32] in the same memory.

    A bytearray grows in place where a list of images would have to be copied into one array.
    """
    return np.ndarray((len(content) // (3 * 32 * 32), 3, 32, 32), np.uint8, content)


def _archive_files(archive):
    """(name, bytes) of the images in an archive; the first entry that could do harm ends it."""
    read = _zip_files if archive.suffix == ".zip" else _tar_files
    try:
        yield from read(archive)
    except DAMAGED_ARCHIVE:
        raise CourseError(f"{archive} is damaged or cut short: fetch it again.") from None


def _zip_files(archive):
    with _Rationed(io.FileIO(archive), LARGEST_ZIP_DIRECTORY) as file, zipfile.ZipFile(file) as bundle:
        file.ration = LARGEST_IN_ALL
        for info in list(_harmless(map(_zip_entry, bundle.infolist()), archive)):
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Python's zipfile unpacks these without a limit, whatever size the entry claims.
                raise CourseError(f"{archive} is packed in an unusual way: pack it as an ordinary zip file.")
            with bundle.open(info) as entry:
                yield info.filename, entry.read(info.file_size)


def _zip_entry(info):
    kind = stat.S_IFMT(info.external_attr >> 16)
    plain = info.is_dir() or kind in (0, stat.S_IFREG)
    return info, info.filename, info.file_size, plain


def _tar_files(archive):
    with open(archive, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    raw = gzip.GzipFile(archive) if packed else io.FileIO(archive)
    with _Rationed(raw, LARGEST_TAR_HEADER) as file, tarfile.open(fileobj=file, mode="r:") as bundle:
        for member in _harmless(_tar_entries(bundle, file), archive):
            if member.isreg():
                file.ration = member.size
                yield member.name, bundle.extractfile(member).read()
        file.ration = tarfile.BLOCKSIZE
        file.seek(bundle.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("no end mark")


def _tar_entries(bundle, file):
    while True:
        file.ration = LARGEST_TAR_HEADER
        member = bundle.next()
        if member is None:
            return
        yield member, member.name, member.size, member.isreg() or member.isdir()


class _Rationed(io.BufferedReader):
    """A file of which only so many bytes may be read until the ration is set anew.

    The readers of archives take a header's word for the length of what follows it.
    """

    def __init__(self, raw, ration):
        super().__init__(raw)
        self.ration = ration

    def read(self, size=-1):
        if not -1 <= size <= self.ration:
            raise CourseError(f"{self.name} is refused: its list of files is far too long for CIFAR-10.")
        content = super().read(size)
        self.ration -= len(content)
        return content


def _harmless(entries, archive):
    """Of (entry, name, bytes, whether a file or a folder): the entries that are images, if all are safe."""
    total = 0
    for number, (entry, name, size, plain) in enumerate(entries, 1):
        path = PureWindowsPath(name)  # it knows drives and both kinds of slash
        if path.anchor or ".." in path.parts or not plain:
            raise CourseError(f"{archive} is refused: {name!r} would reach outside its folder.")
        if not 0 <= size <= LARGEST_IMAGE_FILE:
            raise CourseError(f"{archive} is refused: {name!r} is too large for a small image.")
        total += size
        if number > MOST_FILES or total > LARGEST_IN_ALL:
            raise CourseError(f"{archive} is refused: it holds far more than CIFAR-10's images.")
        if _class_of(name):
            yield entry


def _class_of(name):
    """("train" or "test", class) of an image from the end of its path; None for any other file."""
    parts = name.split("/")
    image = name.lower().endswith(IMAGE_ENDINGS) and not parts[-1].startswith(".")
    return tuple(parts[-3:-1]) if image and len(parts) >= 3 and parts[-3] in ("train", "test") else None


def _read_classes(files, place):
    classes = SPECS["cifar10"].classes
    found = {"train": (bytearray(), []), "test": (bytearray(), [])}
    for name, content in files:
        part, label = _class_of(name)
        if label not in classes:
            raise CourseError(f"{place} has a class folder {label!r}: known are {', '.join(classes)}.")
        pixels, labels = found[part]
        pixels += _decode(content, f"{name} in {place}")
        labels.append(classes.index(label))
    for part, (_, labels) in found.items():
        for index in sorted(set(range(len(classes))) - set(labels)):
            raise CourseError(f"{place} has no images in {part}/{classes[index]}: add that class folder.")
    return [(_as_images(pixels), labels) for pixels, labels in found.values()]


def _content(path, largest):
    """The bytes of a file, if they are no more than `largest`."""
    if path.stat().st_size > largest:
        raise CourseError(f"{path} is too large ({path.stat().st_size:,} bytes): remove it, or replace it.")
    return path.read_bytes()


def _read_idx(raw, name):
    plain, packed = raw / name, raw / f"{name}.gz"
    if packed.exists():
        if md5(packed) != MNIST_FILES[packed.name]:
            raise CourseError(f"{packed} is damaged (its checksum differs): delete it, then run again.")
        content = gzip.decompress(packed.read_bytes())
    else:
        content = _content(plain, LARGEST_IN_ALL)
    dimensions = 3 if "images" in name else 1
    head = content[: 4 + 4 * dimensions]
    shape = [int.from_bytes(head[i : i + 4]) for i in range(4, len(head), 4)]
    if head[:4] != bytes([0, 0, 8, dimensions]) or not 0 < math.prod(shape) == len(content) - len(head):
        raise CourseError(f"{plain} is damaged: delete it, then run again.")
    return np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)
