"""The layouts in which a person may already have the images, each read into `Images`.

`find` looks into a folder, and into those around it that the images are likely to lie in, for each layout of
the table in turn. A layout that is there but damaged is an error and never passed over,
because what the reader put there is what they mean to use. Pickles are opened only after their checksum has
matched; archives are read in memory, and nothing is unpacked to disk. What a header claims is checked before
memory or time is spent on it.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from .. import CourseError
from ..system.files import reading
from . import digits, folders, tables, toronto
from .archives import ARCHIVE_ENDINGS
from .decoding import IMAGE_ENDINGS, Chunk
from .folders import entries
from .images import Images
from .specs import PARTS, SPECS, Spec

ALSO_AT_THE_TOP = {"plain_text"}  # what Hugging Face calls the one form of its CIFAR-10
DEEPEST = 4  # folders below one whose name says the data set; Hugging Face's cache has three
MOST_FOLDERS = 1_000
# Files that hold images as a rule, in whatever layout.
DATA_ENDINGS = (*IMAGE_ENDINGS, *ARCHIVE_ENDINGS, *".parquet .arrow .bin .mat .npz .npy .pkl .pickle".split())
DATA_ENDINGS += tuple(".h5 .hdf5 .mdb .tfrecord .tfrecords .rec .beton .7z .rar .bz2 .xz .zst .pt".split())
SAYS_PART = re.compile(r"(?<![a-z])(train|training|test|val|data|images)(?![a-z])")


@dataclass(frozen=True)
class Layout:
    """One way in which the files of a data set lie in a folder.

    Args:
        words: what it is called.
        files_in: the files of this layout in a folder; none where it is another one.
        read: these files -> their images, not checked yet.
        is_sure: whether these files are the data set's wherever they lie. Where the reader points to their
            folder, or its name says the data set, they are taken to be, so that a damaged one is named.
    """

    words: str
    files_in: Callable[[Path, Spec], list[Path]]
    read: Callable[[list[Path], Spec], Iterator[Chunk]]
    is_sure: Callable[[list[Path], Spec], bool] = lambda files, spec: True


def _is_never_sure(files: list[Path], spec: Spec) -> bool:
    return False


TABLES = [
    Layout(
        f"Hugging Face {kind} files",
        partial(tables.files_in, ending=f".{kind}"),
        tables.read,
        is_sure=tables.name_the_classes,
    )
    for kind in ("parquet", "arrow")
]
LAYOUTS = {
    "cifar10": [
        Layout("torchvision's files", partial(toronto.files_in, ending=""), toronto.read_files),
        Layout("the binary version's files", partial(toronto.files_in, ending=".bin"), toronto.read_files),
        Layout("the Matlab version's files", partial(toronto.files_in, ending=".mat"), toronto.read_files),
        Layout("the archive of its authors", toronto.archives_in, toronto.read_archive),
        *TABLES,
        Layout(
            "Kaggle's files, a tenth of whose training images stand in for the test images",
            folders.kaggle_files_in,
            folders.read_kaggle,
            is_sure=_is_never_sure,
        ),
        Layout("class folders", folders.class_images_in, partial(folders.read_images, above=2)),
        Layout("numbered images", folders.numbered_images_in, partial(folders.read_images, above=1)),
        Layout("an archive of images", folders.archives_in, folders.read_image_archive),
    ],
    "mnist": [
        Layout("torchvision's files", digits.idx_files_in, digits.read_idx_files, is_sure=_is_never_sure),
        Layout("Keras's mnist.npz", digits.npz_files_in, digits.read_npz),
        *TABLES,
    ],
}


@dataclass(frozen=True)
class Found:
    """Files of one layout, not opened yet.

    Args:
        place: the folder that they lie in, or the archive.
    """

    spec: Spec
    layout: Layout
    place: Path
    files: list[Path]

    def state(self) -> str:
        """SHA-256 of path, size and time of change of every file: another one when any of them changes."""
        digest = hashlib.sha256()
        with reading(self.place):
            for path in self.files:
                stat = path.stat()
                digest.update(
                    os.fsencode(path.absolute()) + f"\0{stat.st_size} {stat.st_mtime_ns}\n".encode()
                )
        return digest.hexdigest()

    def read(self) -> tuple[Images, Images]:
        """The training and the test images.

        Raises:
            CourseError: a file is missing or damaged, or does not hold what it should.
        """
        # A bytearray grows in place where a list of images would have to be copied into one array.
        pixels = {part: bytearray() for part in PARTS}
        labels = {part: list[int]() for part in PARTS}
        with reading(self.place):
            for part, more_pixels, more_labels in self.layout.read(self.files, self.spec):
                pixels[part] += more_pixels
                labels[part] += more_labels
        train, test = (self._checked(pixels[part], np.asarray(labels[part])) for part in PARTS)
        return train, test

    def _checked(self, content: bytearray, labels: npt.NDArray[np.int64]) -> Images:
        spec, words = self.spec, self.layout.words
        count = len(content) // math.prod(spec.shape)
        if len(labels) == 0:
            raise CourseError(f"No images in {words}: put them there, or remove the folder.")
        if len(labels) != count:
            raise CourseError(f"{words} hold {count} images, but {len(labels)} labels.")
        if labels.ndim != 1 or labels.min() < 0 or labels.max() >= len(spec.classes):
            raise CourseError(
                f"A label is {labels.min()} or {labels.max()}, but labels go from 0 to "
                f"{len(spec.classes) - 1}: these are not the expected images."
            )
        if spec is SPECS["mnist"] and np.bincount(labels).tolist() == [6_000] * 10:
            raise CourseError(
                "There are exactly 6,000 images of each class, as Fashion-MNIST and KMNIST have them under "
                "the same file names: fetch MNIST, which has other numbers of each digit."
            )
        pixels = np.ndarray((count, *spec.shape), np.uint8, content)
        return Images(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))


def find(name: str, folder: str | Path) -> Found | None:
    """Where the images of "cifar10" or "mnist" lie in `folder` or near it; None when no layout is there.

    Raises:
        CourseError: a folder cannot be read.
    """
    folder, spec = Path(folder), SPECS[name]
    with reading(folder):
        for place, is_said in _places(spec.says, folder):
            for layout in LAYOUTS[name]:
                files = layout.files_in(place, spec)
                if files and (is_said or layout.is_sure(files, spec)):
                    return Found(spec, layout, files[0] if len(files) == 1 else place, files)
    return None


def refuse_look_alikes(name: str, folder: Path) -> None:
    """Make sure that nothing in `folder` looks like the data set, so that a download brings nothing twice.

    Raises:
        CourseError: something does, in a layout that is not read.
    """
    with reading(folder):
        suspect = next(_look_alikes(SPECS[name].says, folder), None)
    if suspect is not None:
        title, known = SPECS[name].title, ", ".join(layout.words for layout in LAYOUTS[name])
        raise CourseError(
            f"{suspect} looks like {title}, but is in none of the layouts that are read ({known}): unpack or "
            f"convert it, or set CIFAR_DATA to another folder, into which {title} is then downloaded."
        )


def _look_alikes(says: re.Pattern[str], folder: Path) -> Iterator[Path]:
    """Files of the data set to judge by their names and by those of the folders above them."""
    for path in (folder, *entries(folder).values()):
        if not says.search(path.name.lower()):
            continue
        if path.is_dir():
            for file in _files_below(path):
                inside = file.relative_to(path).as_posix().lower()
                if SAYS_PART.search(inside) and inside.endswith(DATA_ENDINGS):
                    yield file
        elif path.name.lower().endswith(DATA_ENDINGS):
            rest = says.sub("", path.stem.lower())
            if not rest or SAYS_PART.search(rest):
                yield path


def _places(says: re.Pattern[str], folder: Path) -> Iterator[tuple[Path, bool]]:
    """Folders to look into, the likeliest first, and whether the reader or their name says the data set."""
    if not folder.is_dir():
        return
    yield folder, True
    inside = [path for path in entries(folder).values() if path.is_dir()]
    # The reader may have named the folder itself, one above it or one of its parts.
    said = [path for path in inside if says.search(path.name.lower()) or path.name in ALSO_AT_THE_TOP]
    for place in said if not says.search(folder.name.lower()) else inside:
        for below in _folders_below(place):
            yield below, True
    for place in inside:
        if place not in said:
            yield place, False
            for below in _folders_of(place):
                if says.search(below.name.lower()):
                    yield below, True
    if folder.name.lower() in PARTS:
        yield folder.parent, True


def _folders_of(place: Path) -> list[Path]:
    try:
        return [path for path in entries(place).values() if path.is_dir()]
    except OSError:  # a folder of somebody else's beside the images
        return []


def _folders_below(place: Path) -> Iterator[Path]:
    """A folder and those in it, the nearest first; not the images' own."""
    level = [place]
    for _ in range(DEEPEST):
        yield from level
        below = [folder for each in level for folder in _folders_of(each)]
        level = [folder for folder in below if folder.name.lower() not in PARTS][:MOST_FOLDERS]


def _files_below(place: Path) -> Iterator[Path]:
    for folder in _folders_below(place):
        for path in entries(folder).values():
            if path.is_file():
                yield path
            elif path.name.lower() in PARTS:
                yield from (below for each in _folders_below(path) for below in entries(each).values())
