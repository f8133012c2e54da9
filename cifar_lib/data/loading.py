"""Images on disk or from a mirror -> a verified `Dataset`.

`load` finds a data set, checks it, and keeps it as one prepared file, which opens fast. The images are
sorted by their content, so a run does not depend on the layout or the order in which they arrived.
"""

import os
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .. import CourseError
from ..system import distributed
from ..system.files import atomic_write, reading
from . import generated, layouts
from .images import Dataset, Images, fingerprint, put_in_content_order
from .specs import SPECS, Spec
from .variants import VARIANTS

Root = str | os.PathLike[str] | None


def load(name: str, root: Root = None) -> Dataset:
    """A data set by name: "cifar10", "mnist", "toy" or "digits", or a variant such as "cifar10/shuffled".

    "toy" and "digits" are generated. The others are looked for under `root` in every layout of the page
    *What you can give it*, and downloaded into `root` where nothing is. What was read is kept as a prepared
    file, which is taken the next time if the originals still have the same paths, sizes and times of change.
    Where `root` holds no originals, a prepared file is taken if it was made from this `root`, or if its
    training images are those of the recorded runs.

    Args:
        root: folder of the original files; by default `$CIFAR_DATA`, else the user's cache folder.
            The prepared file goes to `$CIFAR_CACHE`, else beside the original files, or into the
            user's cache folder if theirs is read-only.

    Raises:
        CourseError: the name is unknown; a file is damaged; what lies there is in no known layout; or nothing
            was found and no mirror answers.

    Warns:
        UserWarning: the images are not those of the recorded runs, or the prepared file was not kept.
    """
    base, variant = base_and_variant(name)
    # One of several processes downloads and prepares; the others find what it left.
    real = base in SPECS
    try:
        dataset = distributed.one_by_one(lambda: _real(base, root)) if real else generated.GENERATORS[base]()
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be used: {error.strerror}.") from None
    if real and dataset.fingerprint != SPECS[base].fingerprint:
        warnings.warn(
            f"The training images found in {dataset.place} are not those of {base} (fingerprint "
            f"{dataset.fingerprint[:12]}): they can be used, but no recorded run was trained on them.",
            stacklevel=2,
        )
    if variant:
        change = VARIANTS[variant]
        changed = replace(dataset, name=name, train=change(dataset.train), test=change(dataset.test))
        dataset = changed.with_fingerprint(f"{dataset.fingerprint}/{variant}")
    return dataset


def base_and_variant(name: str) -> tuple[str, str]:
    """The data set that a name stands for, and the variant of it; "" where it names none.

    Raises:
        CourseError: there is no such data set, or no such variant.
    """
    base, _, variant = name.partition("/")
    if base not in (*SPECS, *generated.GENERATORS) or (variant and variant not in VARIANTS):
        known = [*SPECS, *generated.GENERATORS, *(f"cifar10/{v}" for v in VARIANTS)]
        raise CourseError(f"There is no data set {name!r}: choose one of {', '.join(known)}.")
    return base, variant


def cache_folder(root: Root = None) -> Path:
    """The folder of the prepared files, which need not exist yet.

    Args:
        root: as in `load`.

    Raises:
        CourseError: the folder begins with an unknown home folder, or lies on a drive that is not there.
    """
    if os.environ.get("CIFAR_CACHE"):
        return _expanded(os.environ["CIFAR_CACHE"])
    folder = data_folder(root)
    # A folder that is not there yet can be made if the nearest one above it may be written.
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), None)
    if there is None:  # on Windows alone, where each drive has a root of its own
        raise CourseError(
            f"{folder} cannot be used, because there is no {folder.absolute().anchor}: connect that drive, "
            f"or set CIFAR_DATA to another folder."
        )
    return folder if os.access(there, os.W_OK) else _user_folder()


def data_folder(root: Root = None) -> Path:
    """The folder of the original files, which need not exist yet.

    Args:
        root: as in `load`.

    Raises:
        CourseError: the folder begins with an unknown home folder, or there is no home folder.
    """
    return _expanded(root or os.environ.get("CIFAR_DATA") or _user_folder())


def prepared_file(name: str, root: Root = None) -> Path:
    """The path of a data set's prepared file, which `load` makes anew when the originals change.

    Args:
        name: "cifar10" or "mnist". Variants and generated images have no such file.
        root: as in `load`.

    Raises:
        CourseError: as `cache_folder`.
    """
    return cache_folder(root) / f"prepared-{name}.safetensors"


def _user_folder() -> Path:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # as for a user whom the system does not know, in some containers
        raise CourseError(
            "There is no home folder here: set CIFAR_CACHE and CIFAR_DATA to folders that you may write to."
        ) from None
    return Path(base) / "cifar10-by-experiment"


def _expanded(folder: str | os.PathLike[str]) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise CourseError(f"{folder} begins with an unknown home folder: write it in full.") from None


def taken_from(name: str, root: Root = None) -> Path | layouts.Found | None:
    """What `load` takes a data set of `SPECS` from: its prepared file, the originals, or None for a download.

    Raises:
        CourseError: a folder cannot be read.
    """
    folder, prepared = data_folder(root), prepared_file(name, root)
    found = layouts.find(name, folder)
    if not prepared.exists():
        return found
    try:
        with safe_open(prepared, "pt") as file:
            notes = file.metadata()
        mark = notes["fingerprint"]
    except (SafetensorError, OSError, KeyError, TypeError):
        return prepared  # `load` says what is wrong with it
    if found is not None:
        return prepared if notes.get("state") == found.state() else found
    of_this_root = notes.get("root") == _in_full(folder)
    as_downloaded = mark == SPECS[name].fingerprint
    return prepared if of_this_root or as_downloaded else None


def _real(name: str, root: Root) -> Dataset:
    folder, found = data_folder(root), taken_from(name, root)
    if isinstance(found, Path):
        return _open_prepared(found, name)
    if found is None:
        found = _download(name, folder)
    state = found.state()  # before the reading, so that what changes during it counts as changed
    train, test = found.read()
    mark, test_mark = put_in_content_order(train), put_in_content_order(test)
    dataset = Dataset(name, train, test, SPECS[name].classes, found.layout.words, found.place)
    dataset = dataset.with_fingerprint(mark)
    notes = {"root": _in_full(folder), "place": _in_full(found.place), "state": state}
    _save_prepared(prepared_file(name, root), dataset, notes | {"test_fingerprint": test_mark})
    return dataset


def _download(name: str, folder: Path) -> layouts.Found:
    from . import download  # here, because most starts need no network library

    layouts.refuse_look_alikes(name, folder)
    download.fetch(name, folder)
    found = layouts.find(name, folder)
    if found is None:
        raise CourseError(f"{folder} was changed during the download: run again.")
    return found


def _in_full(path: Path) -> str:
    """A path that means the same from every working directory, as text that any file may hold."""
    return os.fsencode(path.absolute()).decode(errors="replace")


def _save_prepared(path: Path, dataset: Dataset, notes: dict[str, str]) -> None:
    tensors = {
        "train.pixels": dataset.train.pixels,
        "train.labels": dataset.train.labels,
        "test.pixels": dataset.test.pixels,
        "test.labels": dataset.test.labels,
    }
    notes = notes | {"source": dataset.source, "fingerprint": dataset.fingerprint}
    try:
        with atomic_write(path) as aside:
            save_file(tensors, aside, notes)
    except CourseError as error:
        warnings.warn(
            f"The prepared images were not kept, so the next start is slow again: {error}", stacklevel=6
        )


def _open_prepared(path: Path, name: str) -> Dataset:
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata()
            part = {key: file.get_tensor(key) for key in file.keys()}
        # Copied, because the labels of a variant would keep the whole file in memory as a view into it.
        train = Images(part["train.pixels"], part["train.labels"].clone())
        test = Images(part["test.pixels"], part["test.labels"].clone())
        mark, test_mark = fingerprint(train), fingerprint(test)
        # Earlier versions wrote neither the second fingerprint nor the place.
        promised = notes["fingerprint"], notes.get("test_fingerprint", test_mark)
        if (mark, test_mark) == promised and all(_fits(images, SPECS[name]) for images in (train, test)):
            place = Path(notes.get("place", path))
            dataset = Dataset(name, train, test, SPECS[name].classes, notes["source"], place)
            return dataset.with_fingerprint(mark)
    except (SafetensorError, CourseError, KeyError, TypeError, AttributeError, OSError):
        with reading(path), open(path, "rb"):  # safetensors calls a file missing that may not be opened
            pass
    raise CourseError(f"The prepared file {path} is damaged: delete it, then run again.")


def _fits(images: Images, spec: Spec) -> bool:
    pixels, labels = images.pixels, images.labels
    return (
        len(labels) > 0
        and pixels.dtype == torch.uint8
        and pixels.shape[1:] == spec.shape
        and 0 <= int(labels.min()) <= int(labels.max()) < len(spec.classes)
    )
