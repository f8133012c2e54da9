"""Train a recipe, show its epochs, keep the run."""

import os
import shlex
import subprocess
from functools import partial

from .. import recipes
from . import words
from .evaluate import print_mean


def add_arguments(command):
    """What can be written after the name of the command."""
    words.add_recipe(command, help=words.RECIPE)
    words.add_seeds(command)
    command.add_argument("--device", help=words.DEVICE)
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


def run(arguments, output):
    """Train each seed and keep its run."""
    recipe = recipes.get(arguments.recipe)
    recipe = recipes.under_own_name(recipe.replace(**words.changes(arguments.set, recipe)))
    seeds = words.seeds(arguments.seeds)
    from .. import data, runs, training
    from ..system import distributed

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
    print_mean(recipe.name, found, output)


def _stopped(arguments, recipe, dataset, seed, done):
    """What is kept of a training that was stopped, and what to type to go on."""
    from .. import runs, training

    checkpoint = runs.checkpoint_file(training.RunKey(recipe, dataset.key, seed))
    if not checkpoint.exists():
        return "stopped before the end of the first epoch: nothing of this run is kept."
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join
    after = f"after epoch {done} of {recipe.epochs}" if done else "while it went on from its checkpoint"
    return (
        f"stopped {after}, which is kept in {checkpoint}. To go on from there: "
        f"python -m cifar_lib {join(arguments.words)}"
    )
