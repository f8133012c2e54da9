"""CIFAR-10 as its authors give it out: six files for Python, C or Matlab, in a folder or in an archive."""

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np

from .. import CourseError
from ..system.files import md5
from .decoding import Chunk, content_of
from .folders import named_in
from .specs import Spec

# MD5s of https://www.cs.toronto.edu/~kriz/cifar.html; that of the version for Python is in `SPECS`.
OTHER_ARCHIVES = {
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-matlab.tar.gz": "70270af85842c9e89bb428ec9976c926",
}
ENDINGS = {
    "cifar-10-binary.tar.gz": ".bin",
    "cifar-10-matlab.tar.gz": ".mat",
}  # of the files in them; else none
LARGEST_BATCH = 100_000_000  # bytes; 10,000 images have 31 million
MATLAB_HEADER = 128  # bytes
MATRIX, COMPRESSED = 14, 15  # types of a Matlab file's elements; the second holds one of the first

Contents = dict[str, Callable[[], bytes]]  # name of a file -> what reads it


def files_in(place: Path, spec: Spec, ending: str) -> list[Path]:
    """Those of the six files, with this ending, that lie in a folder."""
    return named_in(place, [f"{name}{ending}" for listed in spec.members.values() for name in listed])


def read_files(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """The six files of one version."""
    place, ending = files[0].parent, files[0].suffix.lower()
    if ending == ".bin" and len({path.stat().st_size for path in files}) > 1:
        raise CourseError(
            f"The .bin files in {place} are not equally long: one is cut short, fetch it again."
        )
    contents: Contents = {path.name.lower(): partial(content_of, path, LARGEST_BATCH) for path in files}
    return _batches(place, contents, ending, spec)


def archives_in(place: Path, spec: Spec) -> list[Path]:
    """The first of the three archives."""
    return named_in(place, [*spec.downloads, *OTHER_ARCHIVES])[:1]


def read_archive(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """One of the three archives, opened only after its checksum has matched."""
    (archive,) = files
    kind = archive.name.lower()
    if md5(archive) != (spec.downloads | OTHER_ARCHIVES)[kind]:
        raise CourseError(f"{archive} is damaged (its checksum differs): delete it, then run again.")
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: tar.extractfile(member) for member in tar if member.isfile()}
        contents: Contents = {name: cast(IO[bytes], file).read for name, file in members.items()}
        yield from _batches(archive, contents, ENDINGS.get(kind, ""), spec)


def _batches(place: Path, contents: Contents, ending: str, spec: Spec) -> Iterator[Chunk]:
    open_batch = {"": _unpickle, ".bin": _split_records, ".mat": _read_matlab}[ending]
    for part, checksums in spec.members.items():
        for name, checksum in checksums.items():
            file = f"{name}{ending}"
            if file not in contents:
                raise CourseError(f"{place} lacks {file}: delete it, then run again.")
            yield part, *open_batch(contents[file](), f"{file} in {place}", checksum)


def _unpickle(content: bytes, what: str, checksum: str) -> tuple[bytes, list[int]]:
    """A pickle, opened only after its checksum has matched."""
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
