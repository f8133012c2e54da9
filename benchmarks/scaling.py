"""How many images a second several processes train, against one: the paper's network, generated images.

One process with one thread, one process with all threads, several processes that share them. They
take turns, and the median of the rounds counts. What the processes tell each other is counted where
they tell it, and timed once more with nothing to compute in between.

python benchmarks/scaling.py --rounds 3
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import torch

from cifar_lib import data, models, recipes, training
from cifar_lib.system import device as devices
from cifar_lib.system import distributed
from cifar_lib.system.threads import available_cores


def worker(batch, threads, steps):
    """Train some steps, in each of the processes; the first prints what was measured, as JSON."""
    with distributed.process_group():
        device = devices.select_device()
        if distributed.world_size() == 1:
            torch.set_num_threads(threads)
        if device.type == "cpu":
            devices.keep_freed_memory()
        recipe = recipes.get("paper").replace(batch_size=batch, rate=0.001, holdout=False)
        toy = data.load("toy")
        enough = torch.arange(batch * steps) % len(toy.train)  # some of them more than once
        setup = training.set_up(recipe, replace(toy, train=toy.train[enough]))
        model, images = setup.model, setup.training
        training.train_epoch(recipe, model, setup.optimizer, images[: 4 * batch], 0, 1)
        sizes, exchange = [], distributed.exchange

        def counted(function, *arguments, **options):
            sizes.append(arguments[-1].nbytes)
            return exchange(function, *arguments, **options)

        distributed.exchange = counted
        start = time.perf_counter()
        training.train_epoch(recipe, model, setup.optimizer, images, 0, 2)
        seconds = time.perf_counter() - start
        distributed.exchange = exchange

        gradients = [weight.grad for weight in model.parameters()]
        begin = time.perf_counter()
        for _ in range(steps):
            distributed.all_reduce(gradients)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
        found = {
            "rate": len(images) / seconds,
            "step": 1000 * seconds / steps,
            "gradients": 1000 * (time.perf_counter() - begin) / steps,
            "messages": len(sizes) // steps,
            "bytes": sum(sizes) // steps,
            "device": devices.describe(device),
        }
        print("measured " + json.dumps(found), flush=True)


def turn(batch, steps, processes, threads):
    """What one set of processes measured."""
    command = [sys.executable]
    if processes > 1:
        command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += [__file__, "--worker", str(batch), str(threads), "--steps", str(steps)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("measured ")]
    if not lines:
        sys.exit(done.stderr)
    return json.loads(lines[0].removeprefix("measured "))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--steps", type=int, default=12, help="of training, in each turn")
    parser.add_argument("--worker", nargs=2, type=int, metavar=("BATCH", "THREADS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(*arguments.worker, arguments.steps)

    places = torch.cuda.device_count() or len(available_cores())
    several = [n for n in (2, 4, 8) if n <= places]
    ways = [(1, 1), *((n, places // n) for n in several)]
    if not torch.cuda.is_available():
        ways.insert(1, (1, places))
    model = models.build(recipes.get("paper"), (3, 32, 32))
    weights, forward = models.count_parameters(model), models.count_flops(model)
    print(f"the paper's network: {weights:,} weights, {weights * 4 / 1e6:.2f} MB of gradients")
    print(f"arithmetic of one image: {forward / 1e6:.1f} million operations forward, three times that in all")

    for batch in arguments.batches:
        turns = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way in ways:
                turns[way].append(turn(batch, arguments.steps, *way))
        middle = {
            way: {name: statistics.median(t[name] for t in found) for name in found[0] if name != "device"}
            for way, found in turns.items()
        }
        one = middle[ways[0]]["rate"]
        print(f"\nbatch {batch}: {3 * batch * forward / 1e9:.1f} billion operations a step")
        for way in ways:
            found, (processes, threads) = middle[way], way
            text = f"{found['rate']:6,.0f} images/s, {found['rate'] / one:.2f} times the first"
            if processes > 1:
                text += (
                    f"; {found['messages']:.0f} messages of together {found['bytes'] / 1e6:.2f} MB a step; "
                    f"adding up the gradients {found['gradients']:.1f} ms of {found['step']:.0f} ms"
                )
            print(f"  {processes} × {threads} thread{'s' if threads > 1 else ' '}  {text}")
    machine = turns[ways[-1]][0]["device"]
    print(f"\n{machine}; {arguments.steps} steps a turn, median of {arguments.rounds} turns")
    print(f"load of the machine at the end, in processes: {psutil.getloadavg()[0]:.1f}")
    return None


if __name__ == "__main__":
    main()
