"""Find, check and prepare the images."""


def add_arguments(command):
    """What can be written after the name of the command."""
    command.add_argument(
        "names",
        nargs="*",
        default=["cifar10", "mnist"],
        help="data sets or their variants, as cifar10/grey; by default cifar10 and mnist",
    )


def run(arguments, output):
    """Load each data set, and print what was found."""
    from .. import data

    for name in arguments.names:
        dataset = data.load(name)
        lines = [str(dataset), f"  fingerprint of the training images {dataset.fingerprint[:16]}"]
        originals = prepared = None
        if dataset.place is not None:
            originals, prepared = dataset.place, data.prepared_file(name.partition("/")[0])
            lines.append(f"  originals {originals}{_but(originals, data.data_folder().absolute())}")
            prepared = prepared if prepared.exists() else None
            lines.append(f"  prepared file {prepared or 'not kept'}")
        output(
            "\n".join(lines),
            "images",
            name=name,
            training=len(dataset.train),
            test=len(dataset.test),
            shape=dataset.shape,
            classes=dataset.classes,
            source=dataset.source,
            fingerprint=dataset.fingerprint,
            originals=originals and str(originals),
            prepared=prepared and str(prepared),
        )


def _but(place, folder):
    """What else is true of the originals of a prepared file that is used although `folder` holds none."""
    if not place.exists():
        return ", which are no longer there"
    near = place.absolute().is_relative_to(folder) or place.absolute() == folder.parent
    return "" if near else f", because {folder} holds none"
