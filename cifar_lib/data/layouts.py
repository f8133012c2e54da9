"""The layouts in which a person may already have the images, each read into `Images`.

`find` tries them in turn. A layout that is there but damaged is an error and never passed over, because
what the reader put there is what they mean to use. Pickles are opened only after their checksum has
matched; archives are read in memory, and nothing is unpacked to disk. What a header claims is checked
before memory or time is spent on it.
"""

import gzip
import hashlib
import io
import math
import pickle
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from .. import CourseError
from ..system.files import md5
from .archives import LARGEST_IMAGE_FILE, LARGEST_IN_ALL, MOST_FILES, archive_files, is_class_image
from .images import Images
from .specs import SPECS, Spec

ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz")

Part = tuple[npt.NDArray[np.uint8], npt.ArrayLike]  # pixels [N, C, H, W] and labels [N], not checked yet


def find(name: str, folder: str | Path) -> tuple[Images, Images, str] | None:
    """The images of "cifar10" or "mnist" under `folder`, or None when no layout is there.

    Returns:
        The training images, the test images, and the layout in words.

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
            train, test = found
            return _checked(train, SPECS[name], layout), _checked(test, SPECS[name], layout), layout
    return None


def read_torchvision_cifar(folder: Path) -> list[Part] | None:
    """`cifar-10-batches-py/` or the archive it comes in, each file checked against its MD5."""
    ((name, checksum),) = SPECS["cifar10"].downloads.items()
    unpacked, archive = folder / "cifar-10-batches-py", folder / name
    if unpacked.is_dir():
        return _read_batches(lambda name: (unpacked / name).read_bytes(), unpacked)
    if not archive.exists():
        return None
    if md5(archive) != checksum:
        raise CourseError(f"{archive} is damaged (its checksum differs): delete it, then run again.")
    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            content = tar.extractfile(f"cifar-10-batches-py/{name}")
            if content is None:
                raise KeyError(name)  # a folder
            return content.read()

        return _read_batches(read, archive)


def read_parquet(folder: Path) -> list[Part] | None:
    """Hugging Face's layout: `cifar10/train-00000-of-00003.parquet`, columns img{bytes}, label."""
    for place in (folder / "cifar10", folder / "plain_text", folder):
        shards = {part: sorted(place.glob(f"{part}-*-of-*.parquet")) for part in ("train", "test")}
        if any(shards.values()):
            return [_read_shards(shards[part], part, place) for part in ("train", "test")]
    return None


def read_class_folders(folder: Path) -> list[Part] | None:
    """`cifar10/train/<class>/*.png` (or JPEG), as a folder or a .zip, .tar, .tgz archive."""
    place = folder / "cifar10"
    if (place / "train").is_dir():
        names = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        files = ((name, _content(place / name, LARGEST_IMAGE_FILE)) for name in names if is_class_image(name))
        return _read_classes(files, place)
    for ending in ARCHIVE_ENDINGS:
        archive = folder / f"cifar10{ending}"
        if archive.exists():
            return _read_classes(archive_files(archive), archive)
    return None


def read_mnist(folder: Path) -> list[Part] | None:
    """torchvision's layout: `MNIST/raw/*-ubyte`, or the same files with `.gz`."""
    packed = [folder / name for name in SPECS["mnist"].downloads]
    if not all(path.exists() or path.with_suffix("").exists() for path in packed):
        return None  # what is missing can be downloaded
    return [
        (
            _read_idx(folder, f"{part}-images-idx3-ubyte")[:, None],
            _read_idx(folder, f"{part}-labels-idx1-ubyte"),
        )
        for part in ("train", "t10k")
    ]


LAYOUTS: dict[str, dict[str, Callable[[Path], list[Part] | None]]] = {
    "cifar10": {
        "torchvision's files": read_torchvision_cifar,
        "Hugging Face parquet files": read_parquet,
        "class folders": read_class_folders,
    },
    "mnist": {"torchvision's files": read_mnist},
}


def _checked(part: Part, spec: Spec, layout: str) -> Images:
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
    pixels = np.require(pixels, np.uint8, ["C", "W"])  # torch warns of arrays it may not write to
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))


def _read_batches(read: Callable[[str], bytes], place: Path) -> list[Part]:
    return [_read_pickles(read, SPECS["cifar10"].members[part], place) for part in ("train", "test")]


def _read_pickles(read: Callable[[str], bytes], checksums: dict[str, str], place: Path) -> Part:
    pixels, labels = bytearray(), list[int]()
    for name, checksum in checksums.items():
        try:
            content = read(name)
        except (OSError, KeyError):
            raise CourseError(f"{place} lacks {name}: delete it, then run again.") from None
        if hashlib.md5(content).hexdigest() != checksum:
            raise CourseError(f"{name} in {place} is damaged (its checksum differs): delete it.")
        batch = pickle.loads(content, encoding="latin1")
        pixels += batch["data"].tobytes()
        labels += batch["labels"]
    return _as_pixels(pixels), labels


def _read_shards(shards: list[Path], part: str, place: Path) -> Part:
    if not shards:
        raise CourseError(f"{place} has no {part}-*.parquet: add the missing files.")
    digits = re.search(r"-of-(\d+)", shards[0].name)
    expected = int(digits[1]) if digits else 0
    if len(shards) != expected:
        raise CourseError(
            f"{place} has {len(shards)} of {expected} {part} parquet files: add the missing ones."
        )
    pixels, labels = bytearray(), list[int]()
    for shard in shards:
        for i, (content, label) in enumerate(_read_shard(shard)):
            pixels += _decode(content, f"image {i} of {shard}")
            labels.append(label)
    return _as_pixels(pixels), labels


def _read_shard(shard: Path) -> Iterator[tuple[bytes, int]]:
    """The images' bytes and their labels, one after the other.

    Few are held at once, and the bytes stay a dictionary, because a small file can name one large value
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


def _batches(file: Any, groups: range) -> Iterator[Any]:
    """Batches of up to 100 rows, group by group: across groups the dictionary would grow."""
    for group in groups:
        yield from file.iter_batches(100, [group], columns=["img.bytes", "label"], use_threads=False)


def _decode(content: bytes, what: str) -> bytes:
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


def _as_pixels(content: bytearray) -> npt.NDArray[np.uint8]:
    """The bytes of images, one after the other -> uint8 [N, 3, 32, 32] in the same memory.

    A bytearray grows in place where a list of images would have to be copied into one array.
    """
    return np.ndarray((len(content) // (3 * 32 * 32), 3, 32, 32), np.uint8, content)


def _read_classes(files: Iterable[tuple[str, bytes]], place: Path) -> list[Part]:
    classes = SPECS["cifar10"].classes
    found = {part: (bytearray(), list[int]()) for part in ("train", "test")}
    for name, content in files:
        part, label, _ = name.split("/")[-3:]
        if label not in classes:
            raise CourseError(f"{place} has a class folder {label!r}: known are {', '.join(classes)}.")
        pixels, labels = found[part]
        pixels += _decode(content, f"{name} in {place}")
        labels.append(classes.index(label))
    for part, (_, labels) in found.items():
        for index in sorted(set(range(len(classes))) - set(labels)):
            raise CourseError(f"{place} has no images in {part}/{classes[index]}: add that class folder.")
    return [(_as_pixels(pixels), labels) for pixels, labels in found.values()]


def _content(path: Path, largest: int) -> bytes:
    """The bytes of a file, if they are no more than `largest`."""
    if path.stat().st_size > largest:
        raise CourseError(f"{path} is too large ({path.stat().st_size:,} bytes): remove it, or replace it.")
    return path.read_bytes()


def _read_idx(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    plain, packed = folder / "MNIST" / "raw" / name, folder / "MNIST" / "raw" / f"{name}.gz"
    if packed.exists():
        if md5(packed) != SPECS["mnist"].downloads[packed.relative_to(folder).as_posix()]:
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
