"""Evaluate kept weights on the images at hand."""

from . import words


def add_arguments(command):
    """What can be written after the name of the command."""
    words.add_recipe(command, help=words.KEPT)
    words.add_seeds(command)
    place = command.add_mutually_exclusive_group()
    place.add_argument("--folder", help=words.FOLDER)
    place.add_argument("--weights", metavar="FILE", help="evaluate this safetensors file instead")


def run(arguments, output):
    """Print the scores of kept weights, or of one file of weights."""
    recipe, seeds = words.recipe_if_known(arguments.recipe, arguments.folder), words.seeds(arguments.seeds)
    from .. import data, runs

    if arguments.weights:
        recipe = recipe or next(iter(runs.find_runs(arguments.recipe).values())).recipe
        runs.weights.check_weights(arguments.weights, recipe)  # before the images, which take longer
        dataset = data.load(recipe.data)
        output(f"{recipe.name}, weights from {arguments.weights}. {dataset}")
        network = runs.load_network(arguments.weights, recipe, dataset.shape, len(dataset.classes))
        output("validation: left out, because a file of weights does not say which images it was trained on")
        for score in runs.new_scores(network, recipe, dataset, ("test",)):
            output(score, "score", recipe=recipe.name, weights=arguments.weights, **score.as_dict())
        return
    kept = words.kept_runs(arguments, seeds)
    recipe = kept[seeds[0]].recipe
    networks = {seed: run.network() for seed, run in kept.items()}
    dataset = data.load(recipe.data)
    found = {}
    for seed, run in kept.items():
        output(f"{recipe.name}, seed {seed}. {dataset}")
        parts = ("val", "test")
        if dataset.key != run.key.images:
            output(
                "validation: left out, because the network was trained on other images than those found here"
            )
            parts = ("test",)
        found[seed] = runs.new_scores(networks[seed], recipe, dataset, parts)
        for score in found[seed]:
            output(score, "score", recipe=recipe.name, seed=seed, **score.as_dict())
    print_mean(recipe.name, found, output)


def print_mean(name, found, output):
    """For several seeds, the mean of each part with an interval over seeds and images."""
    if len(found) < 2:
        return
    from .. import runs

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
