"""MNIST: the four files of its authors under their several names, and Keras's `mnist.npz`."""

import gzip
import io
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import CourseError
from ..system.files import md5
from .archives import DAMAGED_ARCHIVE
from .decoding import LARGEST_IN_ALL, Chunk, content_of, damage_in_words
from .folders import entries, named_in
from .specs import PARTS, Spec

FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
NPY_KINDS = {"x": "|u1", "y": "|u1 <i4 <i8"}  # of the images and of the labels, in NumPy's words


def idx_files_in(place: Path, spec: Spec) -> list[Path]:
    """The four files if all are there, packed or not, with `-` or `.` before `idx`."""
    there = {_usual_name(name): path for name, path in entries(place).items() if path.is_file()}
    found = [there.get(f"{name}.gz", there.get(name)) for name in FILES]
    return [path for path in found if path] if all(found) else []  # what is missing can be downloaded


def _usual_name(name: str) -> str:
    return name.replace(".idx", "-idx").replace("_idx", "-idx")


def read_idx_files(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """Images and labels of both parts, one file each; packed ones only after their checksum has matched."""
    return _in_parts([_read_idx(path, spec) for path in files], spec)


def _in_parts(arrays: list[npt.NDArray], spec: Spec) -> Iterator[Chunk]:
    """Images and labels of both parts, an array each."""
    for part, images, labels in zip(PARTS, arrays[::2], arrays[1::2], strict=True):
        shape = (1, *images.shape[1:])
        if shape != spec.shape:
            raise CourseError(f"The images are {shape}, but {spec.shape} is needed.")
        yield part, images.data, labels.tolist()


def _read_idx(path: Path, spec: Spec) -> npt.NDArray[np.uint8]:
    name = _usual_name(path.name.lower())
    if name.endswith(".gz"):
        checksum = md5(path)
        if checksum in spec.look_alikes:
            raise CourseError(
                f"{path} is {spec.look_alikes[checksum]}, not {spec.title}: fetch {spec.title}."
            )
        if checksum != {Path(known).name: sum_ for known, sum_ in spec.downloads.items()}[name]:
            raise CourseError(f"{path} is damaged (its checksum differs): delete it, then run again.")
        content = gzip.decompress(path.read_bytes())
    else:
        content = content_of(path, LARGEST_IN_ALL)
    dimensions = 3 if "images" in name else 1
    head = content[: 4 + 4 * dimensions]
    shape = [int.from_bytes(head[i : i + 4]) for i in range(4, len(head), 4)]
    if head[:4] != bytes([0, 0, 8, dimensions]) or not 0 < math.prod(shape) == len(content) - len(head):
        raise CourseError(f"{path} is damaged: delete it, then run again.")
    return np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)


def npz_files_in(place: Path, spec: Spec) -> list[Path]:
    """`mnist.npz`."""
    return named_in(place, ["mnist.npz"])


def read_npz(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """The arrays `x_train` and `x_test`, uint8, and `y_train` and `y_test`, whole numbers."""
    (path,) = files
    sentence = f"{path} is damaged or not Keras's {path.name}: fetch it again."
    kinds = (*DAMAGED_ARCHIVE, KeyError, SyntaxError, TypeError, AttributeError, MemoryError, RecursionError)
    with (
        damage_in_words(path, sentence, *kinds),
        zipfile.ZipFile(io.BytesIO(content_of(path, LARGEST_IN_ALL))) as bundle,
    ):
        arrays = list[npt.NDArray]()
        for name in (f"{kind}_{part}" for part in PARTS for kind in "xy"):
            info = bundle.getinfo(f"{name}.npy")
            if info.file_size > LARGEST_IN_ALL or info.compress_type not in (0, zipfile.ZIP_DEFLATED):
                raise ValueError
            with bundle.open(info) as entry:
                arrays.append(_read_npy(entry.read(info.file_size), NPY_KINDS[name[0]]))
    return _in_parts(arrays, spec)


def _read_npy(content: bytes, kinds: str) -> npt.NDArray[np.integer]:
    """An array of numbers in NumPy's format. Its header is read alone, so no object that may follow it is.

    Raises:
        ValueError: it is no such array.
    """
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError
    shape, fortran_order, kind = np.lib.format.read_array_header_1_0(file)
    body = content[file.tell() :]
    if (
        not shape
        or fortran_order
        or kind.str not in kinds.split()
        or not 0 < math.prod(shape) * kind.itemsize == len(body)
    ):
        raise ValueError
    return np.frombuffer(body, kind).reshape(shape)
