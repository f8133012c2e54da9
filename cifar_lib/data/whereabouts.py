"""Where the images are, seen without reading them."""

from . import layouts
from .generated import GENERATORS
from .loading import Root, base_and_variant, data_folder, prepared_file


def whereabouts(name: str, root: Root = None) -> str:
    """Where a data set is, in words: generated, prepared, to be prepared from originals, or not here.

    Nothing is read or checked: `load` does both.

    Args:
        name, root: as in `load`; a variant is where its data set is.

    Raises:
        CourseError: the name is unknown, or a folder cannot be read.
    """
    name, _ = base_and_variant(name)
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
        CourseError: as `whereabouts`.
    """
    base, _ = base_and_variant(name)
    if base in GENERATORS or prepared_file(base, root).exists():
        return True
    return layouts.find(base, data_folder(root)) is not None
