"""The command line: python -m cifar_lib train · evaluate · record · data."""

import argparse
import json
import os
import sys
from contextlib import nullcontext

from . import CourseError, recipes

MOST_SEEDS = 10_000

# Importing torch takes a second or more. So each command reads its words first, to answer a wrong one at
# once, and then imports the modules that need torch.


def main(arguments=None):
    """Run one command; an error that the reader can put right becomes one sentence and exit code 2."""
    _print_in_any_encoding()
    parsed = _parser().parse_args(arguments)
    try:
        with _process_group():
            parsed.run(parsed)
    except CourseError as error:
        _say(f"cifar_lib: {error}")
        return 2
    except OSError as error:
        from .system.files import explain_os_error

        _say(f"cifar_lib: {explain_os_error(error, error.filename or 'a file')}")
        return 2
    except KeyboardInterrupt:
        _say("cifar_lib: stopped; a recording goes on where it stopped when run again.")
        return 130
    return 0


def _print_in_any_encoding():
    """Let a console or a file whose encoding lacks a character, such as ×, show another one in its place."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not when another program has put its own there
            stream.reconfigure(errors="replace")


def _process_group():
    """`distributed.process_group()`, for which one process alone need not import torch."""
    if _alone():
        return nullcontext()
    from .system import distributed

    return distributed.process_group()


def _say(text):
    """`distributed.print_once`, for which one process alone need not import torch."""
    if _alone():
        print(text, file=sys.stderr, flush=True)
    else:
        from .system import distributed

        distributed.print_once(text)


def _alone():
    """Whether `torchrun` did not start this process."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def _parser():
    parser = argparse.ArgumentParser(prog="python -m cifar_lib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("train", help="train a recipe and print each epoch")
    command.add_argument("recipe", help="paper, study, … (a name of recipes.RECIPES)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", help="cpu, cuda, cuda:1; by default the best there is")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change the recipe, as epochs=3, options.width=16 or sides=[[0,24]]",
    )
    command.add_argument("--compile", action="store_true", help="faster steps, after a minute of compilation")
    command.set_defaults(run=_train)

    command = commands.add_parser("evaluate", help="accuracy of recorded weights, with intervals")
    command.add_argument("recipe")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_evaluate)

    command = commands.add_parser(
        "record", help="train and keep one JSON a seed; goes on when stopped, shares the work"
    )
    command.add_argument("recipes", nargs="*")
    command.add_argument("--seeds", default="0", help="as 0-4 or 0,2,5")
    command.add_argument(
        "--plan",
        nargs="?",
        const="book/computing-plan.csv",
        metavar="CSV",
        help="work through the plan instead, the most important runs first",
    )
    command.add_argument(
        "--renew", action="store_true", help="replace records without predictions; kept weights are used"
    )
    command.add_argument("--device")
    command.add_argument(
        "--folder",
        help="where the JSON goes; by default cifar_lib/recorded, or, where the library is installed without "
        "its repository, runs in the cache folder",
    )
    command.add_argument("--keep-weights", action="store_true", help="keep the trained weights too")
    command.set_defaults(run=_record)

    command = commands.add_parser("data", help="find, check and prepare the images; say where they are")
    command.add_argument("names", nargs="*", default=["cifar10", "mnist"])
    command.set_defaults(run=_data)

    _add_predict(commands)
    _add_publish(commands)
    return parser


def _add_predict(commands):
    command = commands.add_parser(
        "predict", help="say what photographs of your own show, without any data set"
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="a photograph, or a folder of photographs")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME", help="fast-lean (the default), study, paper or mlp")
    which.add_argument("--weights", metavar="FILE", help="weights of your own, with their record beside them")
    command.add_argument("--fit", action="store_true", help="keep all of a photograph, on white, uncropped")
    command.set_defaults(run=_predict)


def _add_publish(commands):
    command = commands.add_parser(
        "publish", help="make the fp16 weights that come with the library, and their model cards"
    )
    command.add_argument("names", nargs="+", metavar="RECIPE")
    command.add_argument("--records", help="folder of the recorded runs, by default cifar_lib/recorded")
    command.add_argument("--folder", help="where the files go, by default cifar_lib/pretrained")
    command.set_defaults(run=_publish)


def _train(arguments):
    recipe = recipes.get(arguments.recipe)
    recipe = recipe.replace(**_changes(arguments.set, recipe))
    from . import data
    from .training import train

    dataset = data.load(recipe.data)
    print(dataset)
    trained = train(
        recipe,
        dataset,
        arguments.seed,
        device=arguments.device,
        compiled=arguments.compile,
        progress=True,
    )
    for entry in trained.history:
        line = f"epoch {entry['epoch']:3}  rate {entry['rate']:.5f}  loss {entry['train_loss']:.4f}"
        if recipe.holdout:
            line += f"  validation loss {entry['val_loss']:.4f}  accuracy {entry['val_accuracy']:.1%}"
        print(line)
    print(f"{trained.seconds:.0f} s on {trained.device}")


def _evaluate(arguments):
    recipe = recipes.get(arguments.recipe)
    from . import data, evaluate, runs

    chosen = {run.seed: run for run in runs.load_runs(recipe.name)}.get(arguments.seed)
    if chosen is None:
        raise CourseError(f"Seed {arguments.seed} of {recipe.name!r} is not recorded: record it first.")
    if not runs.weights_file(recipe.name, chosen.seed).exists():
        raise CourseError(
            f"The weights of {recipe.name!r}, seed {chosen.seed}, were not kept: move "
            f"{runs.record_file(recipe.name, chosen.seed)} away and record it with --keep-weights."
        )
    dataset = data.load(recipe.data)
    print(f"{recipe.name}, seed {arguments.seed}. {dataset}")
    parts = {"test": dataset.test}
    if dataset.key != chosen.key.images:
        print("validation: left out, because the network was trained on other images than those found here")
    elif recipe.holdout:
        parts = {"validation": data.split(dataset.train)[1]} | parts
    for part, images in parts.items():
        outputs = evaluate.predict(chosen.network(), images.pixels)
        share = evaluate.accuracy(outputs, images.labels)
        low, high = evaluate.interval(share, len(images))
        print(f"{part:>10}: {share:.1%} of {len(images):,} images (95 % interval {low:.1%} to {high:.1%})")


def _record(arguments):
    if bool(arguments.recipes) == bool(arguments.plan):
        raise CourseError("Name the recipes to record, or take --plan.")
    wanted = [(recipes.get(name), seed) for name in arguments.recipes for seed in _seeds(arguments.seeds)]
    from . import runs

    if arguments.plan:
        wanted, seconds = runs.runs_left(runs.read_plan(arguments.plan), arguments.folder)
        print(f"{len(wanted):,} runs are left, about {seconds / 3600:,.1f} hours of one process", flush=True)
    runs.record_all(
        wanted,
        folder=arguments.folder,
        device=arguments.device,
        keep_weights=arguments.keep_weights,
        renew=arguments.renew or bool(arguments.plan),
    )


def _data(arguments):
    from . import data

    for name in arguments.names:
        dataset = data.load(name)
        print(dataset)
        print(f"  fingerprint of the training images {dataset.fingerprint[:16]}")
        print(f"  originals in {data.data_folder()}, prepared file in {data.cache_folder()}")


def _predict(arguments, out=print):
    from . import data, runs

    if arguments.weights:
        chosen = runs.load_weights(arguments.weights)
    else:
        chosen = runs.load_pretrained(arguments.model or runs.pretrained.DEFAULT)
    if chosen.shape != (3, data.photographs.SIDE, data.photographs.SIDE):
        taken = "×".join(map(str, chosen.shape))
        raise CourseError(
            f"{chosen.name!r} takes images of {taken}, not photographs: choose another network."
        )
    part = "all of it, on white" if arguments.fit else "the square in its middle"
    lone = len(arguments.files) == 1 and not os.path.isdir(arguments.files[0])
    answered, refused = 0, 0
    for name, pixels in _photographs(arguments.files, arguments.fit):
        if not isinstance(pixels, CourseError):
            if not answered:
                out(_introduction(chosen))
            out(f"{name} ({part}):\n{_likeliest(chosen, pixels)}")
            answered += 1
        elif lone:
            raise pixels
        else:
            _say(f"cifar_lib: {pixels}")
            refused += 1
    if answered:
        out(
            f"The network knows {len(chosen.classes)} classes and has no name for anything else: whatever a "
            f"photograph shows, it answers with one of them."
        )
    if refused:
        raise CourseError(f"{refused} of {refused + answered} got no answer, for the reasons above.")


def _photographs(files, fit):
    """The name of each photograph, and its pixels or the error in their place; folders are opened."""
    from . import data

    for file in files:
        try:
            paths = data.photographs_in(file) if os.path.isdir(file) else [file]
        except CourseError as error:
            yield file, error
            continue
        for path in paths:
            try:
                pixels = data.photograph(path, fit)
            except CourseError as error:
                pixels = error
            yield str(path), pixels


def _introduction(chosen):
    """What is known of a network's answers, in a sentence."""
    if chosen.card is None:
        return f"{chosen.name}: its probabilities are not calibrated, so they may be too high or too low."
    card = chosen.card
    low, high = card.test_interval
    return (
        f"{card.name}: right about {card.test_accuracy:.1%} of the {card.data['n_test']:,} test images of "
        f"CIFAR-10 (95 % interval {low:.1%} to {high:.1%}), its probabilities calibrated on others."
    )


def _likeliest(chosen, pixels, count=5):
    """A line for each of the likeliest classes."""
    best = chosen.classify(pixels[None])[0].topk(min(count, len(chosen.classes)))
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return "\n".join(f"  {share:6.1%}  {chosen.classes[index]}" for share, index in pairs)


def _publish(arguments, out=print):
    from . import runs

    for name in arguments.names:
        card = runs.publish(name, arguments.records, arguments.folder)
        low, high = card.test_interval
        out(
            f"{name}: {card.test_accuracy:.1%} of {card.data['n_test']:,} test images right, "
            f"95 % interval {low:.1%} to {high:.1%}; temperature {card.temperature}; "
            f"fp16 changes {card.changed} predictions"
        )


def _changes(texts, recipe):
    """The changes of `--set`: FIELD=VALUE, or options.NAME=VALUE for one option of the network."""
    changes = {}
    for text in texts:
        name, _, value = text.partition("=")
        field, dot, option = name.partition(".")
        if field == "options" and dot:
            changes["options"] = changes.get("options", recipe.options) | {option: _value(value)}
        else:
            # A field of text takes its value as it is written, even if that looks like a number.
            is_text = isinstance(recipe.as_dict().get(name), str)
            changes[name] = value if is_text else _value(value)
    return changes


def _value(text):
    """What a value on the command line means: JSON, true and false in any case, else the text itself."""
    try:
        return json.loads(text.lower() if text.lower() in ("true", "false") else text)
    except ValueError:
        return text


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
