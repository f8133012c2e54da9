"""The command line: python -m cifar_lib train · evaluate · record · data."""

import argparse
import os
import sys
from contextlib import nullcontext
from functools import partial

from . import CourseError, recipes
from .files import explain

MOST_SEEDS = 10_000

# Importing torch takes a second or more. So each command reads its words first, to answer a wrong one at
# once, and then imports the modules that need torch.


def main(arguments=None):
    """Run one command; an error that the reader can put right becomes one sentence and exit code 2."""
    parsed = _parser().parse_args(arguments)
    try:
        with _joined():
            parsed.command(parsed)
    except CourseError as error:
        _say(f"cifar_lib: {error}")
        return 2
    except OSError as error:
        _say(f"cifar_lib: {explain(error, error.filename or 'a file')}")
        return 2
    except KeyboardInterrupt:
        _say("cifar_lib: stopped; a recording goes on where it stopped when run again.")
        return 130
    return 0


def _joined():
    """`distributed.joined()`, for which one process alone need not import torch."""
    if _alone():
        return nullcontext()
    from . import distributed

    return distributed.joined()


def _say(text):
    """`distributed.say_once`, for which one process alone need not import torch."""
    if _alone():
        print(text, file=sys.stderr, flush=True)
    else:
        from . import distributed

        distributed.say_once(text)


def _alone():
    """Whether `torchrun` did not start this process."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def _parser():
    parser = argparse.ArgumentParser(prog="python -m cifar_lib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("train", help="train a recipe and print each epoch")
    one.add_argument("recipe", help="paper, study, … (a name of recipes.RECIPES)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", help="cpu, cuda, cuda:1; by default the best there is")
    one.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change the recipe")
    one.add_argument("--compile", action="store_true", help="quicker steps, after a minute of compilation")
    one.set_defaults(command=_train)

    one = commands.add_parser("evaluate", help="accuracy of recorded weights, with intervals")
    one.add_argument("recipe")
    one.add_argument("--seed", type=int, default=0)
    one.set_defaults(command=_evaluate)

    one = commands.add_parser(
        "record", help="train and keep one JSON a seed; goes on when stopped, shares the work"
    )
    one.add_argument("recipes", nargs="+")
    one.add_argument("--seeds", default="0", help="as 0-4 or 0,2,5")
    one.add_argument("--device")
    one.add_argument("--folder", help="where the JSON goes, by default cifar_lib/recorded")
    one.add_argument("--keep-weights", action="store_true", help="keep the trained weights too")
    one.set_defaults(command=_record)

    one = commands.add_parser("data", help="find, check and prepare the images; say where they are")
    one.add_argument("names", nargs="*", default=["cifar10", "mnist"])
    one.set_defaults(command=_data)
    return parser


def _train(arguments):
    recipe = recipes.get(arguments.recipe)
    recipe = recipe.but(**dict(_change(text, recipe) for text in arguments.set))
    from . import data, train

    dataset = data.load(recipe.data)
    print(dataset)
    options = {"device": arguments.device, "compiled": arguments.compile}
    trained = train.train(recipe, dataset, arguments.seed, progress=True, **options)
    for entry in trained.history:
        line = f"epoch {entry['epoch']:3}  rate {entry['rate']:.5f}  loss {entry['train_loss']:.4f}"
        if recipe.holdout:
            line += f"  validation loss {entry['val_loss']:.4f}  accuracy {entry['val_accuracy']:.1%}"
        print(line)
    print(f"{trained.seconds:.0f} s on {trained.device}")


def _evaluate(arguments):
    recipe = recipes.get(arguments.recipe)
    from . import data, evaluate, runs

    chosen = {run.seed: run for run in runs.recorded(recipe.name)}.get(arguments.seed)
    if chosen is None:
        raise CourseError(f"Seed {arguments.seed} of {recipe.name!r} is not recorded: record it first.")
    if not runs.weights_file(recipe.name, chosen.seed).exists():
        raise CourseError(
            f"The weights of {recipe.name!r}, seed {chosen.seed}, were not kept: move "
            f"{runs.record_file(recipe.name, chosen.seed)} away and record it with --keep-weights."
        )
    dataset = data.load(recipe.data)
    print(f"{recipe.name}, seed {arguments.seed}. {dataset}")
    parts = {"validation": data.split(dataset.train)[1], "test": dataset.test}
    if not recipe.holdout:  # it was trained on them
        del parts["validation"]
    for part, images in parts.items():
        outputs = evaluate.logits(chosen.network(), images.pixels)
        share = evaluate.accuracy(outputs, images.labels)
        low, high = evaluate.interval(share, len(images))
        print(f"{part:>10}: {share:.1%} of {len(images):,} images (95 % interval {low:.1%} to {high:.1%})")


def _record(arguments):
    """Two rounds: what another process is at is left to it, and waited for only at the end."""
    wanted = [(recipes.get(name), seed) for name in arguments.recipes for seed in _seeds(arguments.seeds)]
    from . import distributed, runs

    options = {name: getattr(arguments, name) for name in ("folder", "device", "keep_weights")}
    failed = []
    for wait in (False, True):
        left = []
        for recipe, seed in wanted:
            print(f"{recipe.name}, seed {seed}", flush=True)
            try:
                path = runs.record(recipe, seed, wait=wait, **options)
            except CourseError as error:
                if distributed.count() > 1:
                    raise  # the other processes may be in the middle of this run
                print(f"  {error}", flush=True)
                failed.append(f"{recipe.name} seed {seed}")
                continue
            if path is None:
                left.append((recipe, seed))
                print("  another process is at it", flush=True)
            else:
                print(distributed.from_first(partial(runs.load_record, path)), flush=True)
        wanted = left
    if failed:
        raise CourseError(f"These runs were not recorded, for the reasons above: {', '.join(failed)}.")


def _data(arguments):
    from . import data

    for name in arguments.names:
        dataset = data.load(name)
        print(dataset)
        print(f"  fingerprint of the training images {dataset.fingerprint[:16]}")
        print(f"  originals in {data.data_folder()}, prepared file in {data.cache_folder()}")


def _change(text, recipe):
    name, _, value = text.partition("=")
    current = recipe.as_dict().get(name)
    try:
        if isinstance(current, bool):
            return name, {"true": True, "false": False}[value.lower()]
        return name, type(current)(value) if isinstance(current, int | float | str) else value
    except (ValueError, KeyError):
        raise CourseError(f"{name} is of type {type(current).__name__}, not {value!r}.") from None


def _seeds(text):
    try:
        if "-" in text:
            first, last = (int(part) for part in text.split("-"))
            seeds = list(range(first, min(last + 1, first + MOST_SEEDS)))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or len(seeds) == MOST_SEEDS:
        raise CourseError(f"Seeds are written 0-4 or 0,2,5, not {text!r}.")
    return seeds


if __name__ == "__main__":
    sys.exit(main())
