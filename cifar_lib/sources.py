"""The layouts in which a person may already have the images, each read into uint8 arrays.

`find` tries them in turn. A layout that is there but damaged is an error, never passed over: what
the reader put there is what they mean to use. Pickles are opened only after their checksum matched;
archives are read in memory, nothing is unpacked to disk.
"""

import gzip
import hashlib
import io
import pickle
import re
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torchvision import datasets as torchvision_datasets

from . import CourseError
from .files import md5

ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
LARGEST_IMAGE_FILE = 1_000_000


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


def find(name, folder):
    """The images of "cifar10" or "mnist" under `folder`, or None when no layout is there.

    Returns:
        (pixels, labels) of the training images, the same of the test images (uint8 [N, C, H, W]
        and int64 [N] tensors), and the layout in words.

    Raises:
        CourseError: a layout is there, but incomplete or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None
    for layout, read in LAYOUTS[name].items():
        try:
            found = read(folder)
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
        paths = sorted(path for path in place.rglob("*") if path.is_file())
        files = ((path.relative_to(place).as_posix(), path.read_bytes()) for path in paths)
        return _read_classes(files, place)
    for ending in ARCHIVE_ENDINGS:
        archive = folder / f"cifar10{ending}"
        if archive.exists():
            return _read_classes(_archive_files(archive), archive)
    return None


def read_mnist(folder):
    """torchvision's layout: `MNIST/raw/*-ubyte`, or the same files with `.gz`."""
    raw = folder / "MNIST" / "raw"
    checksums = dict(torchvision_datasets.MNIST.resources)
    if not all((raw / name).exists() or (raw / name).with_suffix("").exists() for name in checksums):
        return None  # what is missing can be downloaded
    return [
        (
            _read_idx(raw, f"{part}-images-idx3-ubyte", checksums)[:, None],
            _read_idx(raw, f"{part}-labels-idx1-ubyte", checksums),
        )
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
    pixels = torch.from_numpy(np.array(pixels, dtype=np.uint8))
    return pixels, torch.from_numpy(labels.astype(np.int64))


def _read_batches(read, place):
    source = torchvision_datasets.CIFAR10
    return [_read_pickles(read, listed, place) for listed in (source.train_list, source.test_list)]


def _read_pickles(read, listed, place):
    pixels, labels = [], []
    for name, checksum in listed:
        try:
            content = read(name)
        except (OSError, KeyError, AttributeError):
            raise CourseError(f"{place} lacks {name}: delete it, then run again.") from None
        if hashlib.md5(content).hexdigest() != checksum:
            raise CourseError(f"{name} in {place} is damaged (its checksum differs): delete it.")
        batch = pickle.loads(content, encoding="latin1")
        pixels.append(batch["data"].reshape(-1, 3, 32, 32))
        labels += batch["labels"]
    return np.concatenate(pixels), labels


def _read_shards(shards, part, place):
    if not shards:
        raise CourseError(f"{place} has no {part}-*.parquet: add the missing files.")
    expected = int(re.search(r"-of-(\d+)", shards[0].name)[1])
    if len(shards) != expected:
        raise CourseError(
            f"{place} has {len(shards)} of {expected} {part} parquet files: add the missing ones."
        )
    pixels, labels = [], []
    for shard in shards:
        images, shard_labels = _read_shard(shard)
        pixels += [_decode(content, f"image {i} of {shard}") for i, content in enumerate(images)]
        labels += shard_labels
    return np.array(pixels), labels


def _read_shard(shard):
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(shard, columns=["img", "label"])
        images = table.column("img").combine_chunks().field("bytes").to_pylist()
        return images, [int(label) for label in table.column("label").to_pylist()]
    except (pyarrow.ArrowException, OSError, KeyError, AttributeError, TypeError, ValueError):
        raise CourseError(f"{shard} is damaged or not CIFAR-10: fetch this file again.") from None


def _decode(content, what):
    """PNG or JPEG bytes -> uint8 [3, 32, 32]."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
            if image.size != (32, 32) or image.mode != "RGB":
                width, height = image.size
                raise CourseError(
                    f"{what} is {width}×{height} {image.mode}: CIFAR-10's images are 32×32 RGB."
                )
            return np.asarray(image).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        raise CourseError(f"{what} cannot be read as PNG or JPEG: replace or remove it.") from None


def _archive_files(archive):
    """(name, bytes) of the images in an archive, all names checked before the first is read."""
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as bundle:
                infos = [info for info in bundle.infolist() if not info.is_dir()]
                _refuse_unsafe([(info.filename, info.file_size, True) for info in infos], archive)
                for info in infos:
                    yield info.filename, bundle.read(info)
        else:
            with tarfile.open(archive) as bundle:
                members = [member for member in bundle if not member.isdir()]
                bundle.fileobj.seek(bundle.offset)
                if len(bundle.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
                    raise EOFError("no end mark")
                _refuse_unsafe([(m.name, m.size, m.isreg()) for m in members], archive)
                for member in members:
                    yield member.name, bundle.extractfile(member).read()
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        raise CourseError(f"{archive} is damaged or cut short: fetch it again.") from None


def _refuse_unsafe(entries, archive):
    for name, size, regular in entries:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not regular:
            raise CourseError(f"{archive} is refused: {name!r} would reach outside its folder.")
        if size > LARGEST_IMAGE_FILE:
            raise CourseError(f"{archive} is refused: {name!r} is too large for a small image.")


def _read_classes(files, place):
    classes = SPECS["cifar10"].classes
    found = {"train": ([], []), "test": ([], [])}
    for name, content in files:
        parts = name.split("/")
        if len(parts) < 3 or not name.lower().endswith(IMAGE_ENDINGS) or parts[-1].startswith("."):
            continue
        part, label = parts[-3], parts[-2]
        if part not in found:
            continue
        if label not in classes:
            raise CourseError(f"{place} has a class folder {label!r}: known are {', '.join(classes)}.")
        found[part][0].append(_decode(content, f"{name} in {place}"))
        found[part][1].append(classes.index(label))
    for part, (_, labels) in found.items():
        for index in sorted(set(range(len(classes))) - set(labels)):
            raise CourseError(f"{place} has no images in {part}/{classes[index]}: add that class folder.")
    return [(np.array(pixels), labels) for pixels, labels in found.values()]


def _read_idx(raw, name, checksums):
    plain, packed = raw / name, raw / f"{name}.gz"
    if packed.exists():
        if md5(packed) != checksums[packed.name]:
            raise CourseError(f"{packed} is damaged (its checksum differs): delete it, then run again.")
        content = gzip.decompress(packed.read_bytes())
    else:
        content = plain.read_bytes()
    dimensions = 3 if "images" in name else 1
    shape = np.frombuffer(content, ">i4", dimensions, offset=4) if len(content) >= 16 else (-1,)
    body = content[4 + 4 * dimensions :]
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(body) != np.prod(shape):
        raise CourseError(f"{plain} is damaged: delete it, then run again.")
    return np.frombuffer(body, np.uint8).reshape(shape)
