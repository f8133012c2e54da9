"""Where the images are, seen without reading them."""

from .generated import GENERATORS
from .loading import Root, data_folder, prepared_file

# What begins each layout that `layouts.find` reads, by its name in the data folder.
SIGNS = {
    "cifar10": ("cifar-10-batches-py", "cifar-10-python.tar.gz", "cifar10*", "plain_text", "t*-of-*.parquet"),
    "mnist": ("MNIST/raw",),
}


def whereabouts(name: str, root: Root = None) -> str:
    """Where a data set is, in words: generated, prepared, to be prepared from originals, or not here.

    Nothing is read or checked: `load` does both.

    Args:
        name: "cifar10", "mnist", "toy" or "digits".
        root: as in `load`.
    """
    if name in GENERATORS:
        return "generated, needs no files"
    prepared, folder = prepared_file(name, root), data_folder(root)
    if prepared.exists():
        return f"prepared in {prepared}"
    for sign in SIGNS[name]:
        for place in sorted(folder.glob(sign)):
            return f"not prepared yet; {place} seems to have the originals"
    return f"not in {folder}: python -m cifar_lib data {name} downloads it"
