"""CIFAR-10 as its authors give it out: six files for Python, C or Matlab, in a folder or in an archive."""

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import CourseError
from ..system.files import md5
from .decoding import as_pixels, content_of
from .folders import Part, entries
from .specs import SPECS, Spec

# MD5s of https://www.cs.toronto.edu/~kriz/cifar.html; that of the version for Python is in `SPECS`.
OTHER_ARCHIVES = {
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-matlab.tar.gz": "70270af85842c9e89bb428ec9976c926",
}
LARGEST_BATCH = 100_000_000  # bytes; 10,000 images have 31 million
MATLAB_HEADER = 128  # bytes
MATRIX, COMPRESSED = 14, 15  # types of a Matlab file's elements; the second holds one of the first

Read = Callable[[str], bytes]  # name of a file -> its bytes


def files_in(place: Path, ending: str) -> list[Path]:
    """Those of the six files, with this ending, that lie in a folder."""
    there = entries(place)
    names = [f"{name}{ending}" for listed in SPECS["cifar10"].members.values() for name in listed]
    return [there[name] for name in names if name in there]


def read_python(files: list[Path], spec: Spec) -> list[Part]:
    """Pickles, each opened only after its checksum has matched."""
    place, read = _reader(files)
    return _parts(place, read, spec, _unpickle)


def read_binary(files: list[Path], spec: Spec) -> list[Part]:
    """The version for programs in C."""
    place, read = _reader(files)
    if len({path.stat().st_size for path in files}) > 1:
        raise CourseError(
            f"The .bin files in {place} are not equally long: one is cut short, fetch it again."
        )
    return _parts(place, read, spec, _split_records, ".bin")


def read_matlab(files: list[Path], spec: Spec) -> list[Part]:
    """The version for Matlab."""
    place, read = _reader(files)
    return _parts(place, read, spec, _read_matlab, ".mat")


def archives_in(place: Path) -> list[Path]:
    """The first of the three archives."""
    there = entries(place)
    return [there[name] for name in (*SPECS["cifar10"].downloads, *OTHER_ARCHIVES) if name in there][:1]


def read_archive(files: list[Path], spec: Spec) -> list[Part]:
    """One of the three archives, opened only after its checksum has matched."""
    (archive,) = files
    kind = archive.name.lower()
    if md5(archive) != (spec.downloads | OTHER_ARCHIVES)[kind]:
        raise CourseError(f"{archive} is damaged (its checksum differs): delete it, then run again.")
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}

        def read(name: str) -> bytes:
            content = tar.extractfile(members[name])
            return content.read() if content else b""

        if kind == "cifar-10-binary.tar.gz":
            return _parts(archive, read, spec, _split_records, ".bin")
        if kind == "cifar-10-matlab.tar.gz":
            return _parts(archive, read, spec, _read_matlab, ".mat")
        return _parts(archive, read, spec, _unpickle)


def _reader(files: list[Path]) -> tuple[Path, Read]:
    by_name = {path.name.lower(): path for path in files}
    return files[0].parent, lambda name: content_of(by_name[name], LARGEST_BATCH)


Open = Callable[[bytes, str, str], tuple[bytes, list[int]]]  # bytes, name, MD5 -> pixels, labels


def _parts(place: Path, read: Read, spec: Spec, open_batch: Open, ending: str = "") -> list[Part]:
    parts = list[Part]()
    for checksums in spec.members.values():
        pixels, labels = bytearray(), list[int]()
        for name, checksum in checksums.items():
            try:
                content = read(f"{name}{ending}")
            except KeyError:
                raise CourseError(f"{place} lacks {name}{ending}: delete it, then run again.") from None
            more_pixels, more_labels = open_batch(content, f"{name}{ending} in {place}", checksum)
            pixels += more_pixels
            labels += more_labels
        parts.append((as_pixels(pixels, spec), labels))
    return parts


def _unpickle(content: bytes, what: str, checksum: str) -> tuple[bytes, list[int]]:
    if hashlib.md5(content).hexdigest() != checksum:
        raise CourseError(f"{what} is damaged (its checksum differs): delete it.")
    batch = pickle.loads(content, encoding="latin1")
    return batch["data"].tobytes(), batch["labels"]


def _split_records(content: bytes, what: str, checksum: str) -> tuple[bytes, list[int]]:
    """Records of one byte for the label and 3,072 for the image."""
    if not content or len(content) % 3073:
        raise CourseError(f"{what} is damaged or cut short: fetch it again.")
    records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    return records[:, 1:].tobytes(), records[:, 0].tolist()


def _read_matlab(content: bytes, what: str, checksum: str) -> tuple[bytes, list[int]]:
    """The variables `data`, uint8 [N, 3072], and `labels`, uint8 [N, 1], of a Matlab file."""
    import scipy.io  # here, because it takes a tenth of a second

    try:
        file = io.BytesIO(_unpacked(content))
        claimed = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(file)}
        (n, width), kind = claimed["data"]
        # Only such arrays are read. Others may be nested as deeply as a file likes.
        if kind == "uint8" and width == 3072 and claimed["labels"] == ((n, 1), "uint8"):
            file.seek(0)
            found: dict[str, Any] = scipy.io.loadmat(file, variable_names=["data", "labels"])
            return np.ascontiguousarray(found["data"]).tobytes(), found["labels"].ravel().tolist()
        raise ValueError("no such arrays")
    except NotImplementedError:
        raise CourseError(f"{what} is of Matlab's version 7.3: save it with -v7.") from None
    except Exception:  # damaged files make scipy raise nearly anything
        raise CourseError(f"{what} is damaged or not CIFAR-10: fetch it again.") from None


def _unpacked(content: bytes) -> bytes:
    """The same Matlab file without compression, so that nothing in it is larger than it seems.

    Raises:
        ValueError: it is no Matlab file, or would have more than LARGEST_BATCH bytes.
        NotImplementedError: it is of Matlab's version 7.3, which is HDF5.
    """
    head, place = content[:MATLAB_HEADER], MATLAB_HEADER
    order: Literal["little", "big"] = "little" if head[126:128] == b"IM" else "big"
    version = head[124:126] if order == "big" else head[125:123:-1]
    if version == b"\2\0":
        raise NotImplementedError
    plain = bytearray(head)
    while place < len(content):
        kind, size = (int.from_bytes(content[i : i + 4], order) for i in (place, place + 4))
        element = content[place : place + 8 + size]
        if kind == COMPRESSED:
            element = zlib.decompressobj().decompress(element[8:], LARGEST_BATCH)
        if version != b"\1\0" or int.from_bytes(element[:4], order) != MATRIX or len(plain) > LARGEST_BATCH:
            raise ValueError
        plain += element
        place += 8 + size
    return bytes(plain)
