"""What training costs in company: alone, beside one busy program, and beside a second training.

Each training is a process of its own that loads its images, waits until all are ready, trains for a
number of rounds, and tells the median time of one. The times of the last two columns are multiples of
the time alone: half of two cores would be 2. With --fixed the number of threads is not adapted to what
other programs leave (`cifar_lib.system.threads`), which is what the library's way is compared with.

python benchmarks/company.py fast72 study --rounds 5
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from cifar_lib import data, recipes, training
from cifar_lib.system import device as devices
from cifar_lib.system.threads import Threads

BUSY = "while True: pass"


def worker(name, arguments):
    """Train in rounds; print "ready", wait for a line, then print the seconds of the median round."""
    devices.keep_freed_memory()
    recipe, dataset = recipes.get(name).replace(holdout=False), data.load(arguments.data)
    setup = training.set_up(recipe, replace(dataset, train=dataset.train[: arguments.images]), device="cpu")
    threads = None if arguments.fixed else Threads(setup.device)

    def round_seconds():
        start = time.perf_counter()
        training.train_epoch(recipe, setup.model, setup.optimizer, setup.training, 0, 1, threads)
        return time.perf_counter() - start

    round_seconds()  # the first is slower than those that are measured
    print("ready", flush=True)
    sys.stdin.readline()
    print(statistics.median(round_seconds() for _ in range(arguments.rounds)), flush=True)


def trainings(count, arguments, name, fixed):
    """The seconds of a round in each of several trainings that run at the same time."""
    command = [sys.executable, __file__, "--worker", name, "--data", arguments.data]
    command += ["--images", str(arguments.images), "--rounds", str(arguments.rounds)]
    command += ["--fixed"] * fixed
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(count)]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [float(process.communicate()[0]) for process in started]


def row(arguments, name, fixed=False):
    (alone,) = trainings(1, arguments, name, fixed)
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        (beside,) = trainings(1, arguments, name, fixed)
    finally:
        busy.kill()
        busy.wait()
    pair = max(trainings(2, arguments, name, fixed))
    how = "fixed" if fixed else "adapted"
    return f"{name:14} {how:10} {alone:7.2f} {beside / alone:12.2f} {pair / alone:12.2f}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", default=["fast72"])
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fixed", action="store_true", help="measure a fixed number of threads too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.worker, arguments)

    print(f"{devices.describe(devices.select_device('cpu'))}; {arguments.images:,} images a round")
    print("recipe         threads    alone s  busy beside  two trainings, the slower")
    for name in arguments.recipes:
        print(row(arguments, name), flush=True)
        if arguments.fixed:
            print(row(arguments, name, fixed=True), flush=True)
    return None


if __name__ == "__main__":
    main()
