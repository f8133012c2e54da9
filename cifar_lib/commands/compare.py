"""Compare two recipes."""

from . import words


def add_arguments(command):
    """What can be written after the name of the command."""
    words.add_recipe(command, "first", help=words.KEPT)
    words.add_recipe(command, "second", help="another, whose accuracy is subtracted")
    command.add_argument(
        "--part",
        choices=["test", "val", "test_views", "val_views"],
        default="test",
        help="the images, by default test; with _views the mean over the recipes' views",
    )
    command.add_argument("--folder", help=words.FOLDER)


def run(arguments, output):
    """Print how two recipes differ."""
    for name in (arguments.first, arguments.second):
        words.recipe_if_known(name, arguments.folder)
    from .. import runs

    names = arguments.first, arguments.second
    sides = [runs.find_runs(name, arguments.folder).values() for name in names]
    comparison = runs.compare_runs(*sides, arguments.part)
    output(comparison, "comparison", **comparison.as_dict())
