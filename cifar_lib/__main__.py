"""The command line: train, evaluate, compare, export and ask networks, record runs, list what there is."""

import argparse
import sys

from . import __version__
from .commands import compare, console, data, evaluate, export, listing, predict, publish, record, train

COMMANDS = {
    "train": (train, "train a recipe and keep the run; goes on from its last epoch when stopped"),
    "evaluate": (evaluate, "accuracy of kept weights, with intervals"),
    "compare": (compare, "the difference of two recipes' accuracies, and where they disagree"),
    "predict": (predict, "say what photographs of your own show, without any data set"),
    "export": (export, "write a trained network as ONNX, and check it"),
    "list": (listing, "the recipes, the images and the runs that there are"),
    "data": (data, "find, check and prepare the images; say where they are"),
    "record": (record, "train and keep one JSON a seed; goes on when stopped, shares the work"),
    "publish": (publish, "make the fp16 weights that come with the library, and their model cards"),
}


def main(arguments=None):
    """Run one command and return its exit code, see `console.EXIT_CODES`."""
    return console.run(parser(), arguments)


def parser():
    """The parser of all commands; what it has parsed says with `run` what to call."""
    made = argparse.ArgumentParser(
        prog="python -m cifar_lib",
        description=__doc__,
        epilog=console.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"cifar_lib {__version__}")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, purpose) in COMMANDS.items():
        one = commands.add_parser(name, help=purpose)
        one.set_defaults(run=command.run, stopped="stopped.")
        command.add_arguments(one)
        one.add_argument("--json", action="store_true", help="print one JSON object per line")
    return made


if __name__ == "__main__":
    sys.exit(main())
