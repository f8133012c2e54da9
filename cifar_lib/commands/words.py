"""What the words of several commands mean: seeds, changes of a recipe, runs that were kept."""

import json
from pathlib import Path

from .. import CourseError, recipes
from ..recipes.recipe import nearest

MOST_SEEDS = 10_000
RECIPE = "paper, study, … (python -m cifar_lib list recipes)"
KEPT = "a recipe, or the name of a changed one, as paper+3f2a9c1b"
DEVICE = "cpu, cuda, cuda:1; by default the best there is"
FOLDER = "where the run lies; by default where train keeps runs, then the course's records"


def add_recipe(command, name="recipe", **options):
    """A word that is the name of a recipe, which a shell can complete."""
    command.add_argument(name, **options).completer = lambda **_: recipes.RECIPES


def add_seeds(command):
    """The words for one or more seeds."""
    command.add_argument(
        "--seed", "--seeds", dest="seeds", default="0", help="as 3, 0-4 or 0,2,5; by default 0"
    )


def seeds(text):
    """The seeds of a text such as 3, 0-4 or 0,2,5."""
    try:
        if "-" in text:
            first, last = (int(part) for part in text.split("-"))
            found = list(range(first, min(last + 1, first + MOST_SEEDS)))
        else:
            found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) >= MOST_SEEDS:
        raise CourseError(f"{text} are too many seeds: name fewer than {MOST_SEEDS:,}.")
    if not found:
        raise CourseError(f"Seeds are written 0-4 or 0,2,5, not {text!r}.")
    return found


def changes(texts, recipe):
    """The changes of `--set`: FIELD=VALUE, or options.NAME=VALUE for one option of the network."""
    found, fields = {}, recipe.as_dict()
    for text in texts:
        name, _, value = text.partition("=")
        field, dot, option = name.partition(".")
        if field == "options" and dot:
            before = found.get("options", recipe.options)
            if isinstance(before, dict):  # else the recipe refuses what was given for all options
                found["options"] = before | {option: _value(value)}
        elif name not in fields:
            raise CourseError(
                f"A recipe has no {name!r}{nearest(name, fields)}: its fields are {', '.join(fields)}, and "
                f"an option of the network is written as options.width=16."
            )
        else:
            # A field of text takes its value as it is written, even if that looks like a number.
            found[name] = value if isinstance(fields[name], str) else _value(value)
    return found


def _value(text):
    """What a value on the command line means: JSON, true and false in any case, else the text itself."""
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except (ValueError, RecursionError):
        return text


def recipe_if_known(name, folder=None):
    """The recipe of that name, or None for one that only the folders of runs know.

    That is a changed one, or one of the reader's own of which `folder` has a run. The names of the files say
    so, because reading the runs would take seconds to answer a word that is misspelt.
    """
    if "+" in name:
        return None
    if folder and any(path.name.startswith(f"{name}-seed") for path in Path(folder).glob("*.json")):
        return None
    return recipes.get(name)


def kept_runs(arguments, seeds):
    """The runs of these seeds, whose weights were kept."""
    from .. import runs

    found = runs.find_runs(arguments.recipe, arguments.folder)
    for seed in seeds:
        if seed not in found:
            raise CourseError(
                f"Seed {seed} of {arguments.recipe!r} is not recorded: record it first. "
                f"There {'are' if len(found) > 1 else 'is'} {', '.join(map(str, found))}."
            )
        if not runs.weights_file(arguments.recipe, seed, found[seed].folder).exists():
            raise CourseError(
                f"The weights of {arguments.recipe!r}, seed {seed}, were not kept: move "
                f"{runs.record_file(arguments.recipe, seed, found[seed].folder)} away and record it with "
                f"--keep-weights, or train it."
            )
    return {seed: found[seed] for seed in seeds}
