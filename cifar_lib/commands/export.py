"""Write a trained network for other programs."""

from . import words


def add_arguments(command):
    """What can be written after the name of the command."""
    words.add_recipe(command, help=words.KEPT)
    command.add_argument("file", help="where the network is written, as out.onnx")
    command.add_argument("--seed", type=int, default=0, help="of the run, by default 0")
    command.add_argument("--folder", help=words.FOLDER)


def run(arguments, output):
    """Write the file, and print how it compares with PyTorch."""
    words.recipe_if_known(arguments.recipe, arguments.folder)
    from .. import data, runs

    run = words.kept_runs(arguments, [arguments.seed])[arguments.seed]
    run.network()  # before the images, which take longer
    name = run.data["name"]
    known = name.partition("/")[0] in (*data.SPECS, *data.GENERATORS)  # no data set of the reader's own
    images = data.load(name) if known and data.at_hand(name) else None
    exported = runs.export_onnx(run, images, arguments.file)
    output(exported, "export", **exported.as_dict())
