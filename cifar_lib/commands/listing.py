"""List the recipes, the images and the runs that there are."""

import os
import textwrap

from .. import CourseError, recipes


def add_arguments(command):
    """What can be written after the name of the command."""
    command.add_argument(
        "what", nargs="?", choices=["recipes", "data", "runs"], help="by default all of them"
    )
    command.add_argument("--folder", help="list the runs that lie here")


def run(arguments, output):
    """Print what there is."""
    what = {arguments.what} if arguments.what else {"recipes", "data", "runs"}
    if "recipes" in what:
        names = textwrap.fill(", ".join(recipes.RECIPES), 98, break_on_hyphens=False)
        names = textwrap.indent(names, "  ")
        output(f"{len(recipes.RECIPES)} recipes; NAME-quick is a small form of each\n{names}")
        for recipe in recipes.RECIPES.values():
            output(None, "recipe", **recipe.as_dict())
    if what == {"recipes"}:
        return
    from .. import data, runs

    if "data" in what:
        output("images")
        for name in (*data.SPECS, *data.GENERATORS):
            place = data.whereabouts(name)
            output(f"  {name:8} {place}", "data", name=name, place=place)
    if "runs" in what:
        if arguments.folder and not os.path.isdir(arguments.folder):
            raise CourseError(f"There is no folder {arguments.folder}: check its name.")
        for folder in [arguments.folder] if arguments.folder else runs.run_folders():
            summaries = runs.summaries(folder)
            output(f"runs in {folder}" + ("" if summaries else ": none"))
            for summary in summaries:
                output(f"  {summary}", "runs", **summary.as_dict())
