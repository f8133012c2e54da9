"""Find, check and prepare the images."""


def add_arguments(command):
    """What can be written after the name of the command."""
    command.add_argument("names", nargs="*", default=["cifar10", "mnist"])


def run(arguments, output):
    """Load each data set, and print what was found."""
    from .. import data

    for name in arguments.names:
        dataset = data.load(name)
        print(dataset)
        print(f"  fingerprint of the training images {dataset.fingerprint[:16]}")
        if dataset.place is not None:
            print(f"  originals {dataset.place}{_but(dataset.place, data.data_folder().absolute())}")
            prepared = data.prepared_file(name)
            print(f"  prepared file {prepared if prepared.exists() else 'not kept'}")


def _but(place, folder):
    """What else is true of the originals of a prepared file that is used although `folder` holds none."""
    if not place.exists():
        return ", which are no longer there"
    near = folder in (place.absolute(), *place.absolute().parents) or place.absolute() == folder.parent
    return "" if near else f", because {folder} holds none"
