"""Say what photographs show."""

import os

from .. import CourseError
from . import console


def add_arguments(command):
    """What can be written after the name of the command."""
    command.add_argument("files", nargs="+", metavar="FILE", help="a photograph, or a folder of photographs")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME", help="fast-lean (the default), study, paper or mlp")
    which.add_argument("--weights", metavar="FILE", help="weights of your own, with their record beside them")
    command.add_argument("--fit", action="store_true", help="keep all of a photograph, on white, uncropped")


def run(arguments, output):
    """Print the likeliest classes of each photograph."""
    from .. import data, runs

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
    answered = refused = 0
    for name, pixels in _photographs(arguments.files, arguments.fit):
        if isinstance(pixels, CourseError):
            if lone:
                raise pixels
            console.say(f"cifar_lib: {pixels}")
            output(None, "refused", file=name, reason=str(pixels))
            refused += 1
            continue
        if not answered:
            _introduce(chosen, output)
        likeliest = _likeliest(chosen, pixels)
        rows = "\n".join(f"  {one['probability']:6.1%}  {one['class']}" for one in likeliest)
        output(
            f"{data.photographs.spoken_name(name)} ({part}):\n{rows}",
            "prediction",
            file=name,
            fit=arguments.fit,
            network=chosen.name,
            likeliest=likeliest,
        )
        answered += 1
    if answered:
        output(
            f"The network knows {len(chosen.classes)} classes and has no name for anything else: whatever a "
            f"photograph shows, it answers with one of them."
        )
    if refused:
        raise CourseError(f"{refused} of {refused + answered} got no answer, for the reasons above.")


def _photographs(files, fit):
    """The name of each photograph, and its pixels or the error in their place; folders are opened."""
    from .. import data

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


def _introduce(chosen, output):
    """Say what is known of a network's answers."""
    found, looks = chosen.measured(chosen.views), ""
    if chosen.views > 1:
        looks = f"the mean over {chosen.views} views of each image; "
    known = {"name": chosen.name, "views": chosen.views, "calibrated": found is not None}
    if found is None:
        about = "its probabilities are not calibrated, so they may be too high or too low."
    else:
        low, high = found.test_interval
        about = (
            f"right about {found.test_accuracy:.1%} of the {chosen.card.data['n_test']:,} test images of "
            f"CIFAR-10 (95 % interval {low:.1%} to {high:.1%}), its probabilities calibrated on others."
        )
        known |= {"test_accuracy": found.test_accuracy, "test_interval": found.test_interval}
    output(f"{chosen.name}: {looks}{about}", "network", **known)


def _likeliest(chosen, pixels, count=5):
    """The likeliest classes and their probabilities."""
    best = chosen.classify(pixels[None], chosen.views)[0].topk(min(count, len(chosen.classes)))
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [{"class": chosen.classes[index], "probability": share} for share, index in pairs]
