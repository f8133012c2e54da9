"""Where the images are, seen without reading them."""

from .. import CourseError
from . import layouts
from .generated import GENERATORS
from .loading import Root, data_folder, prepared_file
from .specs import SPECS


def whereabouts(name: str, root: Root = None) -> str:
    """Where a data set is, in words: generated, prepared, to be prepared from originals, or not here.

    Nothing is read or checked: `load` does both.

    Args:
        name: "cifar10", "mnist", "toy" or "digits".
        root: as in `load`.

    Raises:
        CourseError: there is no such data set.
    """
    _check_name(name)
    if name in GENERATORS:
        return "generated, needs no files"
    prepared, folder = prepared_file(name, root), data_folder(root)
    if prepared.exists():
        return f"prepared in {prepared}"
    found = layouts.find(name, folder)
    if found is not None:
        return f"not prepared yet; the originals are in {found.place}"
    return f"not in {folder}: python -m cifar_lib data {name} downloads it"


def at_hand(name: str, root: Root = None) -> bool:
    """Whether `load` needs no download for a data set or a variant of it; nothing is read or checked.

    Args:
        name, root: as in `load`.

    Raises:
        CourseError: there is no such data set.
    """
    base = name.partition("/")[0]
    _check_name(base)
    if base in GENERATORS or prepared_file(base, root).exists():
        return True
    return layouts.find(base, data_folder(root)) is not None


def _check_name(name):
    if name not in (*SPECS, *GENERATORS):
        raise CourseError(f"There is no data set {name!r}: choose one of {', '.join((*SPECS, *GENERATORS))}.")
