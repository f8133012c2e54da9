"""Train recipes for the course's records."""

from .. import CourseError, recipes
from . import words


def add_arguments(command):
    """What can be written after the name of the command."""
    words.add_recipe(command, "recipes", nargs="*", help=words.RECIPE)
    command.add_argument("--seeds", default="0", help="as 3, 0-4 or 0,2,5; by default 0")
    command.add_argument(
        "--plan",
        nargs="?",
        const="book/computing-plan.csv",
        metavar="CSV",
        help="work through book/computing-plan.csv, or this plan, instead: the most important runs first",
    )
    command.add_argument(
        "--renew", action="store_true", help="replace records without predictions; kept weights are used"
    )
    command.add_argument("--device", help=words.DEVICE)
    command.add_argument(
        "--folder",
        help="where the JSON goes; by default cifar_lib/recorded, or, where the library is installed without "
        "its repository or cannot be written, runs in the cache folder",
    )
    command.add_argument("--keep-weights", action="store_true", help="keep the trained weights too")
    command.set_defaults(stopped="stopped; a recording goes on where it stopped when run again.")


def run(arguments, output):
    """Record what is named, or what the plan still wants."""
    if not arguments.recipes and not arguments.plan:
        raise CourseError("Name the recipes to record, or take --plan.")
    if arguments.recipes and arguments.plan:
        raise CourseError("The plan names its own recipes: leave out --plan, or the recipes.")
    wanted = [
        (recipes.get(name), seed) for name in arguments.recipes for seed in words.seeds(arguments.seeds)
    ]
    from .. import runs, training

    if arguments.plan:
        wanted, seconds = runs.runs_left(runs.read_plan(arguments.plan), arguments.folder)
        output(
            f"{len(wanted):,} runs are left, about {seconds / 3600:,.1f} hours of one process",
            "plan",
            runs=len(wanted),
            seconds=seconds,
        )
    runs.record_all(
        wanted,
        folder=arguments.folder,
        device=arguments.device,
        keep_weights=arguments.keep_weights,
        renew=arguments.renew or bool(arguments.plan),
        progress=[training.EpochObjects()] if arguments.json else True,
        say=output,
    )
