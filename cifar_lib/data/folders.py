"""Images as files of their own: in class folders, numbered, in Kaggle's way, or packed into an archive."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import CourseError
from .archives import ARCHIVE_ENDINGS, archive_files, is_hidden, labelled
from .decoding import IMAGE_ENDINGS, LARGEST_IMAGE_FILE, Chunk, content_of, decode
from .specs import PARTS, Spec

LARGEST_LIST = 10_000_000  # bytes; Kaggle's list of labels has 600,000
HELD_OUT = 10  # one in so many of Kaggle's training images stands in for a test image


def entries(place: Path) -> dict[str, Path]:
    """What lies in a folder and is not hidden, by its name in lower case; {} where there is no folder."""
    if not place.is_dir():
        return {}
    with os.scandir(place) as found:
        names = sorted(entry.name for entry in found if not is_hidden(entry.name))
    return {name.lower(): place / name for name in names}


def images_in(place: Path) -> list[Path]:
    """The image files in a folder, links followed.

    Raises:
        CourseError: a link leads to no file.
    """
    found = [path for name, path in entries(place).items() if name.endswith(IMAGE_ENDINGS)]
    for path in found:
        if path.is_symlink() and not path.exists():
            raise CourseError(f"{path} is a link to a file that is not there: fetch that file.")
    return found


def named_in(place: Path, names: Iterable[str]) -> list[Path]:
    """Those of these files or folders that lie in a folder."""
    there = entries(place)
    return [there[name] for name in names if name in there]


# Class folders


def class_images_in(place: Path, spec: Spec) -> list[Path]:
    """`train/<class>/*.png` and `test/<class>/*.png`, if one of the folders is named for a class."""
    folders = [
        (name, folder)
        for part in named_in(place, PARTS)
        for name, folder in entries(part).items()
        if folder.is_dir()
    ]
    if all(spec.label(name) is None for name, _ in folders):
        return []
    return [path for _, folder in folders for path in images_in(folder)]


# Numbered images with the class in their name


def numbered_images_in(place: Path, spec: Spec) -> list[Path]:
    """`train/<number>_<class>.png` and `test/<number>_<class>.png`."""
    folders = named_in(place, PARTS)
    first = next((path for folder in folders for path in _some_images(folder)), None)
    name = first and labelled(f"{first.parent.name}/{first.name}")
    if not name or spec.label(name[1]) is None:
        return []
    return [path for folder in folders for path in images_in(folder)]


def _some_images(folder: Path) -> Iterator[Path]:
    """The images of a folder, which may hold millions of other files, one after the other."""
    if folder.is_dir():
        with os.scandir(folder) as found:
            for entry in found:
                if entry.name.lower().endswith(IMAGE_ENDINGS) and not is_hidden(entry.name):
                    yield folder / entry.name


# Archives of both


def archives_in(place: Path, spec: Spec) -> list[Path]:
    """The first archive whose name says the data set."""
    return [
        path
        for name, path in entries(place).items()
        if name.endswith(ARCHIVE_ENDINGS) and (spec.says.search(name) or name.split(".")[0] == "cifar")
    ][:1]


# The readers of all three


def read_images(files: list[Path], spec: Spec, above: int) -> Iterator[Chunk]:
    """The images of class folders, or numbered ones.

    Args:
        above: how many folders of a path say its part and its class.
    """
    place = files[0].parents[above]
    return _labelled_images(((path.relative_to(place).as_posix(), path) for path in files), place, spec)


def read_image_archive(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """Class folders or numbered images in an archive, read in memory."""
    (archive,) = files
    return _labelled_images(archive_files(archive), archive, spec)


def _labelled_images(files: Iterable[tuple[str, bytes | Path]], place: Path, spec: Spec) -> Iterator[Chunk]:
    """Images whose paths say part and class, one after the other."""
    trees, seen = set[str](), set[tuple[str, int]]()
    for name, content in files:
        said = labelled(name)
        if said is None:
            raise CourseError(f"{place} has {name}, whose name says no class: remove it, or rename it.")
        part, class_name, tree = said
        trees.add(tree)
        if len(trees) > 1:
            one, other = sorted(f"{each}train" for each in trees)
            raise CourseError(f"{place} holds images twice, in {one} and {other}: keep one of them.")
        label = spec.label(class_name)
        if label is None:
            known = ", ".join(spec.classes)
            raise CourseError(f"{place} has a class folder {class_name!r}: known are {known}.")
        if isinstance(content, Path):
            content = content_of(content, LARGEST_IMAGE_FILE)
        seen.add((part, label))
        yield part, decode(content, f"{name} in {place}", spec), [label]
    for part in PARTS:
        for label, class_name in enumerate(spec.classes):
            if (part, label) not in seen:
                others = _other_files(place, part)
                raise CourseError(
                    f"{place} has no images in {part}/{class_name}{others}: add that class folder."
                )


def _other_files(place: Path, part: str) -> str:
    """What else lies in the class folders, in words, where no images do."""
    paths = [path for folder in entries(place / part).values() for path in entries(folder).values()]
    endings = Counter(path.suffix for path in paths if path.suffix.lower() not in IMAGE_ENDINGS)
    told = [f"{count:,} {ending} files" for ending, count in endings.most_common(1) if ending]
    return f" (images are {', '.join(IMAGE_ENDINGS)}; {told[0]} are there)" if told else ""


# Kaggle


def kaggle_files_in(place: Path, spec: Spec) -> list[Path]:
    """`trainLabels.csv`, and `train/1.png` and so on, also as `train/train/1.png`."""
    there = entries(place)
    if "trainlabels.csv" not in there:
        return []
    train = there.get("train", place / "train")
    inner = entries(train).get("train", train)
    return [there["trainlabels.csv"], *images_in(inner if inner.is_dir() else train)]


def read_kaggle(files: list[Path], spec: Spec) -> Iterator[Chunk]:
    """Kaggle gives no labels for its test images, so a tenth of each class's training images stands in."""
    listed, *images = files
    if not images:
        raise CourseError(f"{listed.parent} has {listed.name}, but no train/1.png: unpack train.7z there.")
    by_number = {path.stem: path for path in images}
    seen = Counter[int]()
    for number, name in _rows(listed):
        label = spec.label(name)
        if label is None or number not in by_number:
            wrong = f"the class {name!r}" if label is None else f"image {number}, which is not there"
            raise CourseError(f"{listed} names {wrong}: fetch the files of Kaggle's {spec.title} again.")
        seen[label] += 1
        path = by_number.pop(number)
        part = "train" if seen[label] % HELD_OUT else "test"
        yield part, decode(content_of(path, LARGEST_IMAGE_FILE), str(path), spec), [label]


def _rows(listed: Path) -> Iterator[tuple[str, str]]:
    """The rows `id,label` of Kaggle's list."""
    try:
        text = content_of(listed, LARGEST_LIST).decode("utf-8-sig")
        for number, row in enumerate(csv.reader(io.StringIO(text))):
            if number and row:
                image, label = row
                yield image, label
    except (ValueError, csv.Error):
        raise CourseError(f"{listed} is damaged: its rows are not `id,label`, fetch it again.") from None
