"""The command line: train, evaluate, compare and export networks, record runs, list what there is."""

import argparse
import codecs
import errno
import json
import os
import shlex
import subprocess
import sys
import textwrap
from contextlib import nullcontext, suppress
from functools import partial

from . import CourseError, __version__, recipes

MOST_SEEDS = 10_000
PLAIN = {"×": "x", "·": ".", "…": "...", "–": "-", "−": "-", "±": "+/-", "²": "2", "³": "3", "’": "'"}
EXIT_CODES = """\
exit codes:
  0    done
  2    something that you can put right; one sentence on stderr says what
  130  stopped with Ctrl-C; the finished epochs of a training are kept
  141  whoever read the output closed it, as `| head` does

With --json a command prints one JSON object per line. Its "event" says what it is."""
FOLDER = "where the run lies; by default where train keeps runs, then the course's records"

# Importing torch takes a second or more. So each command reads its words first, to answer a wrong one at
# once, and then imports the modules that need torch.


def main(arguments=None):
    """Run one command and return its exit code, see `EXIT_CODES`; a reader's error becomes one sentence."""
    _never_fail_to_print()
    words = sys.argv[1:] if arguments is None else arguments
    parsed = _parser().parse_args(words)
    parsed.words = words
    try:
        with _process_group():
            parsed.run(parsed, _Output(getattr(parsed, "json", False)))
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where an output that is closed can still be caught
    except CourseError as error:
        _say(f"cifar_lib: {error}")
        return 2
    except OSError as error:
        if _is_closed_output(error):
            _discard_output()
            return 141
        from .system.files import explain_os_error

        _say(f"cifar_lib: {explain_os_error(error, error.filename or 'a file')}")
        return 2
    except KeyboardInterrupt as error:
        _say(f"cifar_lib: {str(error) or parsed.stopped}")
        return 130
    return 0


class _Output:
    """Prints text, or with --json the same as one JSON object per line and nothing else."""

    def __init__(self, as_json):
        self.as_json = as_json

    def __call__(self, text, event=None, **fields):
        """Print a text; with --json print the event, if it is one."""
        if not self.as_json:
            print(text, flush=True)
        elif event:
            print(json.dumps({"event": event} | fields), flush=True)


def _never_fail_to_print():
    """Let a console or a pipe of any encoding take every character: those it lacks get a plain spelling."""
    codecs.register_error("plain", _in_plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's streams are others, and take all characters
            stream.reconfigure(errors="plain")


def _in_plain(error):
    """A handler of encoding errors (`codecs.register_error`)."""
    characters = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in characters), error.end


def _is_closed_output(error):
    """Whether whoever read the output has closed it, as head does once it has enough."""
    return isinstance(error, BrokenPipeError) or (
        os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    )


def _discard_output():
    """Send what Python still wants to flush at its end nowhere, because it would report another error."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    parser = argparse.ArgumentParser(
        prog="python -m cifar_lib",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cifar_lib {__version__}")
    parser.set_defaults(stopped="stopped.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "train", help="train a recipe and keep the run; goes on from its last epoch when stopped"
    )
    command.add_argument("recipe", help="paper, study, … (python -m cifar_lib list recipes)")
    _add_seeds(command)
    command.add_argument("--device", help="cpu, cuda, cuda:1; by default the best there is")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change the recipe, as epochs=3, options.width=16 or sides=[[0,24]]",
    )
    command.add_argument("--compile", action="store_true", help="faster steps, after a minute of compilation")
    command.add_argument("--folder", help="where the run is kept, by default trained in the cache folder")
    command.add_argument("--tensorboard", metavar="FOLDER", help="write event files for TensorBoard too")
    _add_json(command)
    command.set_defaults(run=_train)

    command = commands.add_parser("evaluate", help="accuracy of kept weights, with intervals")
    command.add_argument("recipe", help="a recipe, or the name of a changed one, as paper+3f2a9c1b")
    _add_seeds(command)
    place = command.add_mutually_exclusive_group()
    place.add_argument("--folder", help=FOLDER)
    place.add_argument("--weights", metavar="FILE", help="evaluate this safetensors file instead")
    _add_json(command)
    command.set_defaults(run=_evaluate)

    command = commands.add_parser(
        "compare", help="the difference of two recipes' accuracies, and where they disagree"
    )
    command.add_argument("first")
    command.add_argument("second")
    command.add_argument(
        "--part",
        choices=["test", "val", "test_views", "val_views"],
        default="test",
        help="the images; with _views the mean over the recipes' views",
    )
    command.add_argument("--folder", help=FOLDER)
    _add_json(command)
    command.set_defaults(run=_compare)

    command = commands.add_parser("export", help="write a trained network as ONNX, and check it")
    command.add_argument("recipe")
    command.add_argument("file", help="as out.onnx")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--folder", help=FOLDER)
    _add_json(command)
    command.set_defaults(run=_export)

    command = commands.add_parser("list", help="the recipes, the images and the runs that there are")
    command.add_argument(
        "what", nargs="?", choices=["recipes", "data", "runs"], help="by default all of them"
    )
    command.add_argument("--folder", help="list the runs that lie here")
    _add_json(command)
    command.set_defaults(run=_list)

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
    command.set_defaults(run=_record, stopped="stopped; a recording goes on where it stopped when run again.")

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


def _add_seeds(command):
    command.add_argument("--seed", "--seeds", dest="seeds", default="0", help="as 3, 0-4 or 0,2,5")


def _add_json(command):
    command.add_argument("--json", action="store_true", help="print one JSON object per line")


def _train(arguments, output):
    recipe = recipes.get(arguments.recipe)
    recipe = recipes.under_own_name(recipe.replace(**_changes(arguments.set, recipe)))
    seeds = _seeds(arguments.seeds)
    from . import data, runs, training
    from .system import distributed

    watching = [training.TensorBoard(arguments.tensorboard)] if arguments.tensorboard else []
    folder = arguments.folder or runs.trained_folder()
    dataset = data.load(recipe.data)
    output(dataset)
    found = {}
    for seed in seeds:
        output(
            f"{recipe.name}, seed {seed}: will be kept in {folder}; Ctrl-C keeps the finished epochs",
            "start",
            recipe=recipe.as_dict(),
            seed=seed,
            folder=str(folder),
        )
        lines = (training.EpochObjects if arguments.json else training.EpochLines)()
        try:
            run, trained_now = runs.train_and_keep(
                recipe,
                dataset,
                seed,
                folder=folder,
                device=arguments.device,
                progress=[lines, *watching],
                compiled=arguments.compile,
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_stopped(arguments, recipe, dataset, seed, lines.done)) from None
        file = runs.record_file(recipe.name, seed, folder)
        if not trained_now:
            output(f"trained before, and not again: delete {file} or take another --folder to do so")
        found[seed] = distributed.on_first(partial(runs.kept_scores, run, dataset))
        for score in found[seed]:
            output(score)
        output(
            f"{run.seconds:.0f} s on {run.environment['device']}\n"
            f"kept in {file}, weights and predictions beside it",
            "run",
            recipe=recipe.name,
            seed=seed,
            scores=[score.as_dict() for score in found[seed]],
            seconds=run.seconds,
            device=run.environment["device"],
            trained_now=trained_now,
            file=str(file),
        )
    _mean_over_seeds(recipe.name, found, output)


def _stopped(arguments, recipe, dataset, seed, done):
    """What is kept of a training that was stopped, and what to type to go on."""
    from . import runs, training

    checkpoint = runs.checkpoint_file(training.RunKey(recipe, dataset.key, seed))
    if not checkpoint.exists():
        return "stopped before the end of the first epoch: nothing of this run is kept."
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    after = f"after epoch {done} of {recipe.epochs}" if done else "while it went on from its checkpoint"
    return (
        f"stopped {after}, which is kept in {checkpoint}. To go on from there: "
        f"python -m cifar_lib {join(arguments.words)}"
    )


def _mean_over_seeds(name, found, output):
    """For several seeds, the mean of each part with an interval over seeds and images."""
    if len(found) < 2:
        return
    from . import runs

    for part, estimate in runs.mean_scores(found.values()).items():
        output(
            f"mean of {len(found)} seeds, {runs.scores.PARTS[part]}: {estimate.value:.1%} "
            f"(95 % interval over seeds and images {estimate.low:.1%} to {estimate.high:.1%})",
            "mean",
            recipe=name,
            seeds=list(found),
            part=part,
            accuracy=estimate.value,
            interval=[estimate.low, estimate.high],
        )


def _evaluate(arguments, output):
    recipe, seeds = _recipe_or_changed(arguments.recipe), _seeds(arguments.seeds)
    from . import data, runs

    if arguments.weights:
        if recipe is None:
            recipe = next(iter(runs.find_runs(arguments.recipe).values())).recipe
        dataset = data.load(recipe.data)
        output(f"{recipe.name}, weights from {arguments.weights}. {dataset}")
        network = runs.load_network(recipe, dataset, arguments.weights)
        output("validation: left out, because a file of weights does not say which images it was trained on")
        for score in runs.new_scores(network, recipe, dataset, ("test",)):
            output(score, "score", recipe=recipe.name, weights=arguments.weights, **score.as_dict())
        return
    kept = _kept_runs(arguments, seeds)
    recipe = kept[seeds[0]].recipe
    networks = {seed: run.network() for seed, run in kept.items()}
    dataset = data.load(recipe.data)
    found = {}
    for seed, run in kept.items():
        output(f"{recipe.name}, seed {seed}. {dataset}")
        own = dataset.key == run.key.images
        if not own:
            output(
                "validation: left out, because the network was trained on other images than those found here"
            )
        parts = ("val", "test") if own else ("test",)
        found[seed] = runs.new_scores(networks[seed], recipe, dataset, parts)
        for score in found[seed]:
            output(score, "score", recipe=recipe.name, seed=seed, **score.as_dict())
    _mean_over_seeds(recipe.name, found, output)


def _compare(arguments, output):
    for name in (arguments.first, arguments.second):
        _recipe_or_changed(name)
    from . import runs

    sides = [runs.find_runs(name, arguments.folder) for name in (arguments.first, arguments.second)]
    comparison = runs.compare_runs(*sides, arguments.part)
    output(comparison, "comparison", **comparison.as_dict())


def _export(arguments, output):
    _recipe_or_changed(arguments.recipe)
    from . import data, runs

    run = _kept_runs(arguments, [arguments.seed])[arguments.seed]
    run.network()  # before the images, which take longer
    images = data.load(run.recipe.data) if data.at_hand(run.recipe.data) else None
    exported = runs.export_onnx(run, images, arguments.file)
    output(exported, "export", **exported.as_dict())


def _list(arguments, output):
    what = {arguments.what} if arguments.what else {"recipes", "data", "runs"}
    if "recipes" in what:
        names = textwrap.fill(", ".join(recipes.RECIPES), 98, break_on_hyphens=False)
        names = textwrap.indent(names, "  ")
        output(f"{len(recipes.RECIPES)} recipes; NAME-quick is a small form of each\n{names}")
        for recipe in recipes.RECIPES.values() if arguments.json else ():
            output("", "recipe", **recipe.as_dict())
    if what == {"recipes"}:
        return
    from . import data, runs

    if "data" in what:
        output("images")
        for name in (*data.SPECS, *data.GENERATORS):
            place = data.whereabouts(name)
            output(f"  {name:8} {place}", "data", name=name, place=place)
    if "runs" in what:
        for folder in [arguments.folder] if arguments.folder else runs.run_folders():
            summaries = runs.summaries(folder)
            output(f"runs in {folder}" + ("" if summaries else ": none"))
            for summary in summaries:
                output(f"  {summary}", "runs", **summary.as_dict())


def _recipe_or_changed(name):
    """The recipe of that name, or None for a changed one, which only the folders of runs know."""
    return None if "+" in name else recipes.get(name)


def _kept_runs(arguments, seeds):
    """The runs of these seeds, whose weights were kept."""
    from . import runs

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


def _record(arguments, output):
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


def _data(arguments, output):
    from . import data

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


def _predict(arguments, output):
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
                output(_introduction(chosen))
            output(f"{name} ({part}):\n{_likeliest(chosen, pixels)}")
            answered += 1
        elif lone:
            raise pixels
        else:
            _say(f"cifar_lib: {pixels}")
            refused += 1
    if answered:
        output(
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


def _publish(arguments, output):
    from . import runs

    for name in arguments.names:
        card = runs.publish(name, arguments.records, arguments.folder)
        low, high = card.test_interval
        output(
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
