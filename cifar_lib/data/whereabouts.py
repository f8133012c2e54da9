"""Where the images are, seen without reading them."""

from pathlib import Path

from .generated import GENERATORS
from .loading import Root, base_and_variant, data_folder, taken_from


def whereabouts(name: str, root: Root = None) -> str:
    """Where a data set is, in words: generated, prepared, to be prepared from originals, or not here.

    No image is read or checked: `load` does both.

    Args:
        name, root: as in `load`; a variant is where its data set is.

    Raises:
        CourseError: the name is unknown, or a folder cannot be read.
    """
    name, _ = base_and_variant(name)
    if name in GENERATORS:
        return "generated, needs no files"
    found = taken_from(name, root)
    if found is None:
        return f"not in {data_folder(root)}: python -m cifar_lib data {name} downloads it"
    if isinstance(found, Path):
        return f"prepared in {found}"
    return f"not prepared yet; the originals are in {found.place}"


def at_hand(name: str, root: Root = None) -> bool:
    """Whether `load` needs no download for a data set or a variant of it; no image is read or checked.

    Args:
        name, root: as in `load`.

    Raises:
        CourseError: as `whereabouts`.
    """
    base, _ = base_and_variant(name)
    return base in GENERATORS or taken_from(base, root) is not None
