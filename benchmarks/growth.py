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

import torch

from cifar_lib import data, recipes
from cifar_lib.system import device as devices

ONE_EPOCH = """
import json, resource, sys
from dataclasses import replace
import torch
from cifar_lib import data, recipes, training
from cifar_lib.system import device
given = json.loads(sys.argv[1])
torch.set_num_threads(given["threads"])
on = device.select_device(given["device"])
images = data.load(given["data"])
part = replace(images, train=images.train[: given["images"]])
options = {"width": given["width"]}
recipe = recipes.get("paper").replace(epochs=1, batch_size=given["batch"], options=options, holdout=False)
seconds = training.train(recipe, part, device=on).history[0]["training_seconds"]
process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
peak = torch.cuda.max_memory_allocated(on) if on.type == "cuda" else process
print(json.dumps([seconds, peak]))
"""
PREPARE = """
import json, time
from cifar_lib import data
start = time.perf_counter()
data.load("cifar10")
print(json.dumps(time.perf_counter() - start))
"""
TABLES = {
    "batch": (16, 64, 256, 1024),
    "width": (8, 16, 32, 64),
    "images": (1_000, 2_000, 5_000, 10_000, 20_000, 50_000),
    "threads": (1, 2),
}


def in_a_new_process(program, *arguments, **environment):
    """What a program prints in its last line, read as JSON."""
    command = [sys.executable, "-c", program, *arguments]
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
    parser.add_argument("--device")
    arguments = parser.parse_args()
    available = len(data.load(arguments.data).train)

    print(devices.describe(devices.select_device(arguments.device)))
    usual = {
        "batch": 64,
        "width": recipes.get("paper").options.get("width", 32),
        "images": arguments.images,
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "data": arguments.data,
    }
    for name, values in TABLES.items():
        others = ", ".join(f"{key} {usual[key]:,}" for key in TABLES if key != name)
        print(f"\n{name:>8} seconds  images/s  relative  peak GB   ({others})")
        first = None
        for value in values:
            given = usual | {name: value}
            if given["images"] > available or given["batch"] > given["images"]:
                continue
            seconds, peak = in_a_new_process(ONE_EPOCH, json.dumps(given))
            first = first or seconds
            pace = given["images"] / seconds
            print(
                f"{value:8,} {seconds:7.2f} {pace:9,.0f} {seconds / first:9.2f} {peak / 1e9:8.2f}", flush=True
            )
    if arguments.data == "cifar10":
        with tempfile.TemporaryDirectory() as cache:
            print("\npreparing CIFAR-10 (a process of its own, without the start of Python)")
            for what in ("from the files", "from the cache"):
                print(f"{what}: {in_a_new_process(PREPARE, CIFAR_CACHE=cache):.2f} s", flush=True)


if __name__ == "__main__":
    main()
