"""Images on disk or from a mirror -> verified uint8 tensors -> batches on the device.

`load` finds a data set, checks it, and keeps it as one prepared file. Training images are put
in an order that depends on their content alone, so a run does not depend on the way or the order
in which they arrived.
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
from ..system.files import atomic_write
from . import generated, layouts
from .images import Dataset, Images, fingerprint, put_in_content_order
from .specs import SPECS
from .variants import VARIANTS


def load(name, root=None):
    """A data set by name: "cifar10", "mnist", "toy" or "digits", or a variant as "cifar10/shuffled".

    The first of these that works: the prepared file in the cache folder; the layouts of
    torchvision, Hugging Face (parquet) or class folders under `root`; a download into `root`.

    Args:
        root: folder of the original files; by default `$CIFAR_DATA`, else the user's cache
            folder. The prepared file goes to `$CIFAR_CACHE`, else beside the original files, else
            (when that is read-only) into the user's cache folder.

    Raises:
        CourseError: unknown name, damaged files, or nothing found and no mirror reachable.
    """
    base, _, variant = name.partition("/")
    if base not in (*SPECS, *generated.GENERATORS) or (variant and variant not in VARIANTS):
        known = [*SPECS, *generated.GENERATORS, *(f"cifar10/{v}" for v in VARIANTS)]
        raise CourseError(f"There is no data set {name!r}: choose one of {', '.join(known)}.")
    # One of several processes downloads and prepares; the others find what it left.
    real = base in SPECS
    try:
        dataset = distributed.one_by_one(lambda: _real(base, root)) if real else _generated(base)
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be used: {error.strerror}.") from None
    if real and dataset.fingerprint != SPECS[base].fingerprint:
        warnings.warn(
            f"The training images found in {data_folder(root)} are not those of {base} (fingerprint "
            f"{dataset.fingerprint[:12]}): they can be used, but no recorded run speaks of them.",
            stacklevel=2,
        )
    if variant:
        changed = {part: VARIANTS[variant](getattr(dataset, part)) for part in ("train", "test")}
        fingerprint = f"{dataset.fingerprint}/{variant}"
        dataset = replace(dataset, name=name, fingerprint=fingerprint, **changed)
    return dataset


def cache_folder(root=None):
    """The folder of the prepared files (see `load`)."""
    if os.environ.get("CIFAR_CACHE"):
        return _expanded(os.environ["CIFAR_CACHE"])
    root = data_folder(root)
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    return root if os.access(there, os.W_OK) else _user_folder()


def data_folder(root=None):
    """The folder of the original files (see `load`)."""
    return _expanded(root or os.environ.get("CIFAR_DATA") or _user_folder())


def prepared_file(name, root=None):
    """The path of the prepared file of one data set; delete it to have the originals read again."""
    return cache_folder(root) / f"prepared-{name}.safetensors"


def _user_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cifar10-by-experiment"


def _expanded(folder):
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise CourseError(
            f"{folder} begins with a home folder that is not there: write it in full."
        ) from None


def _real(name, root):
    prepared = prepared_file(name, root)
    if prepared.exists():
        return _open_prepared(prepared, name)
    folder = data_folder(root)
    found = layouts.find(name, folder)
    if found is None:
        from . import download

        download.fetch(name, folder)
        found = layouts.find(name, folder)
    train, test, source = found
    train, test = Images(*train), Images(*test)
    mark, test_mark = put_in_content_order(train), put_in_content_order(test)
    dataset = Dataset(name, train, test, SPECS[name].classes, source, mark)
    _save_prepared(prepared, dataset, test_mark)
    return dataset


def _generated(name):
    (train, test), classes = generated.GENERATORS[name]()
    train, test = Images(*train), Images(*test)
    return Dataset(name, train, test, classes, "generator", fingerprint(train))


def _save_prepared(path, dataset, test_mark):
    tensors = {
        f"{part}.{field}": getattr(getattr(dataset, part), field).contiguous()
        for part in ("train", "test")
        for field in ("pixels", "labels")
    }
    try:
        with atomic_write(path) as aside:
            notes = {
                "source": dataset.source,
                "fingerprint": dataset.fingerprint,
                "test_fingerprint": test_mark,
            }
            save_file(tensors, aside, notes)
    except CourseError as error:
        warnings.warn(
            f"The prepared images were not kept, so the next start is slow again: {error}", stacklevel=4
        )


def _open_prepared(path, name):
    try:
        with safe_open(path, "pt") as file:
            part = {key: file.get_tensor(key) for key in file.keys()}
            notes = file.metadata()
        # Copies of the labels: a variant that keeps them must not keep the whole file in memory.
        train = Images(part["train.pixels"], part["train.labels"].clone())
        test = Images(part["test.pixels"], part["test.labels"].clone())
        promised = [(train, notes["fingerprint"])]
        if "test_fingerprint" in notes:  # earlier versions wrote none
            promised.append((test, notes["test_fingerprint"]))
        fits = all(_fits(images, SPECS[name]) for images in (train, test))
        if fits and all(fingerprint(images) == mark for images, mark in promised):
            return Dataset(name, train, test, SPECS[name].classes, notes["source"], notes["fingerprint"])
    except (SafetensorError, KeyError, TypeError, OSError):
        pass
    raise CourseError(f"The prepared file {path} is damaged: delete it, then run again.")


def _fits(images, spec):
    pixels, labels = images.pixels, images.labels
    return (
        (pixels.dtype, labels.dtype) == (torch.uint8, torch.int64)
        and labels.ndim == 1
        and len(labels) > 0
        and pixels.shape == (len(labels), *spec.shape)
        and labels.min() >= 0
        and labels.max() < len(spec.classes)
    )
