"""What training costs as the work grows: batch size, width, number of images, threads.

Each row trains one epoch of the paper's network in a process of its own and prints seconds,
seconds relative to the first row of its table, and the peak memory (of the process on a CPU, of the
tensors on a GPU). The last table prepares CIFAR-10: from the files as they came, then from the cache.

python benchmarks/growth.py --images 5000
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import loop
import torch

from cifar_lib import data, recipes, training
from cifar_lib.system import device as devices

TABLES = {
    "batch": (16, 64, 256, 1024),
    "width": (8, 16, 32, 64),
    "images": (1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
    "threads": (1, 2),
}


def one_epoch(batch, width, images, threads, device, dataset):
    """Train an epoch of the paper's network; returns its seconds and the peak of the memory, in bytes."""
    torch.set_num_threads(threads)
    given = data.load(dataset)
    recipe = recipes.get("paper").replace(epochs=1, batch_size=batch, options={"width": width}, holdout=False)
    trained = training.train(recipe, replace(given, train=given.train[:images]), device=device)
    return trained.history[0]["training_seconds"], loop.peak_memory(devices.select_device(device))


def prepare(dataset):
    """Load a data set; returns the seconds."""
    start = time.perf_counter()
    data.load(dataset)
    return time.perf_counter() - start


WORKERS = {"one_epoch": one_epoch, "prepare": prepare}


def in_a_new_process(worker, given, **environment):
    """What the worker of this name returns for these arguments."""
    command = [sys.executable, __file__, "--worker", worker, json.dumps(given)]
    done = subprocess.run(
        command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument(
        "--images", type=int, default=5_000, help="images where the table varies something else"
    )
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=[*TABLES], help="which to measure")
    parser.add_argument("--device")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "ARGUMENTS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, given = arguments.worker
        print(json.dumps(WORKERS[name](**json.loads(given))))
        return
    available = len(data.load(arguments.data).train)

    print(devices.describe(devices.select_device(arguments.device)))
    usual = {
        "batch": 64,
        "width": recipes.get("paper").options.get("width", 32),
        "images": arguments.images,
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "dataset": arguments.data,
    }
    for name in arguments.tables:
        others = ", ".join(f"{key} {usual[key]:,}" for key in TABLES if key != name)
        print(f"\n{name:>8} seconds  images/s  relative  peak GB   ({others})")
        first = None
        for value in TABLES[name]:
            given = usual | {name: value}
            if given["images"] > available or given["batch"] > given["images"]:
                continue
            seconds, peak = in_a_new_process("one_epoch", given)
            first = first or seconds
            pace = given["images"] / seconds
            print(
                f"{value:8,} {seconds:7.2f} {pace:9,.0f} {seconds / first:9.2f} {peak / 1e9:8.2f}", flush=True
            )
    if arguments.data == "cifar10":
        with tempfile.TemporaryDirectory() as cache:
            print("\npreparing CIFAR-10 (a process of its own, without the start of Python)")
            for what in ("from the files", "from the cache"):
                seconds = in_a_new_process("prepare", {"dataset": "cifar10"}, CIFAR_CACHE=cache)
                print(f"{what}: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
