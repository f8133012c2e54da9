"""What each part of the paper's trained network is worth to it: the validation accuracy without that part.

A part is a convolution with its batch norm and ReLU; a channel is one of its outputs. Silencing sets what
batch norm puts out to zero, so ReLU and the skip pass on zero. Nothing is trained again: the numbers say what
a trained network uses, not what a network trained without the part would reach. Measured are every
combination of silent parts, each living channel alone, and all dead channels at once.

python benchmarks/paths.py > book/_static/live/paths.json     two to four minutes for each network
"""

import argparse
import copy
import itertools
import json
import sys

import torch

from cifar_lib import data, evaluate, runs

PARTS = ("conv1", "conv2", "conv3", "skip", "conv4", "conv5")
READS = {
    "conv1": (),
    "conv2": ("conv1",),
    "conv3": ("conv2",),
    "skip": ("conv1",),
    "conv4": ("conv3", "skip"),
    "conv5": ("conv4",),
}
DEAD = 1e-3  # a channel whose batch norm has a smaller scale; chapters 5 and 7 count with the same limit
NOTHING = 1e-20  # float32 loses what is smaller beside the other channels' outputs, which are near 1
NETWORKS = [f"{recipe}-seed{seed}" for recipe in ("paper", "paper-constant-rate") for seed in (0, 1, 2)]


def prune(network):
    """A copy without the channels that put out nothing, and the numbers of those that are left, by part.

    A part of which nothing is left keeps its first channel.
    """
    smaller, left = copy.deepcopy(network), {}
    for part in PARTS:
        convolution, norm = (getattr(smaller, name) for name in (part, f"bn_{part}"))
        loud = torch.maximum(norm.weight.abs(), norm.bias.abs()) > NOTHING
        loud[0] |= not loud.any()
        left[part] = loud.nonzero()[:, 0]
        weight, places, start = convolution.weight.data[loud], [], 0
        for before in READS[part]:
            places.append(start + left[before])
            start += getattr(network, before).out_channels
        convolution.weight.data = weight[:, torch.cat(places)] if places else weight
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            values.data = values.data[loud]
    linear = smaller.linear
    by_channel = linear.weight.data.unflatten(1, (network.conv5.out_channels, -1))
    linear.weight.data = by_channel[:, left["conv5"]].flatten(1)
    return smaller, left


def scales(network):
    """The absolute scale of each channel's batch norm, by part."""
    return {part: getattr(network, f"bn_{part}").weight.detach().abs() for part in PARTS}


def folded_zeros(network):
    """How many weights of the convolutions are exactly 0 in float32 once batch norm is folded into them."""
    zeros = weights = 0
    for part in PARTS:
        norm, weight = getattr(network, f"bn_{part}"), getattr(network, part).weight.detach()
        scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
        folded = weight * scale[:, None, None, None]
        zeros += int((folded == 0).sum())
        weights += folded.numel()
    return zeros, weights


def experiments(network):
    """Which channels each experiment silences, by its name: silent parts, a living channel, all the dead."""
    every = {part: list(range(len(scale))) for part, scale in scales(network).items()}
    dead = {part: (scale < DEAD).nonzero()[:, 0].tolist() for part, scale in scales(network).items()}
    subsets = itertools.chain(*(itertools.combinations(PARTS, count) for count in range(len(PARTS) + 1)))
    found = {"+".join(off): {part: every[part] for part in off} for off in subsets}
    for part in PARTS:
        for channel in set(every[part]) - set(dead[part]):
            found[f"{part}.{channel}"] = {part: [channel]}
    return found | {"dead": dead}


def answers(smaller, left, silent, pixels):
    """The class for each image with some channels silent, which are numbered as before pruning."""
    network = copy.deepcopy(smaller)
    for part, channels in silent.items():
        norm = getattr(network, f"bn_{part}")
        off = torch.isin(left[part], torch.tensor(channels, dtype=torch.int64))
        norm.weight.data[off] = norm.bias.data[off] = 0
    return evaluate.predict(network, pixels).argmax(1)


def measure(network, images):
    """The entry of one network: accuracies in per cent, of `images`."""
    whole = evaluate.predict(network, images.pixels).argmax(1)
    pruned, percent, changed = prune(network), {}, 0
    for name, silent in experiments(network).items():
        found = answers(*pruned, silent, images.pixels) if silent else whole
        percent[name] = round(100 * (found == images.labels).double().mean().item(), 2)
        if name == "dead":
            changed = int((found != whole).sum())
    zeros, weights = folded_zeros(network)
    return {
        "parts": {name: value for name, value in percent.items() if "." not in name and name != "dead"},
        "channels": {
            part: [percent.get(f"{part}.{channel}") for channel in range(len(scale))]
            for part, scale in scales(network).items()
        },
        "dead": {"accuracy": percent["dead"], "changed": changed},
        "folded": {"zeros": zeros, "weights": weights, "percent": round(100 * zeros / weights, 1)},
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS, help="recorded weights, as paper-seed0")
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--images", type=int, help="the first so many of the validation images")
    arguments = parser.parse_args()
    images = data.split(data.load(arguments.data).train)[1][: arguments.images]
    lines = []
    for name in arguments.networks:
        recipe, _, seed = name.rpartition("-seed")
        run = runs.load_record(runs.record_file(recipe, int(seed)))
        entry = {"recipe": recipe, "seed": run.seed, **measure(run.network(), images)}
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}")
        recorded = 100 * run.result["val_accuracy"]
        print(f"{name}: {entry['parts']['']} %, recorded {recorded:.2f} %", file=sys.stderr, flush=True)
    print(f'{{"images": {len(images)}, "networks": {{', ",\n".join(lines), "}}", sep="\n")


if __name__ == "__main__":
    main()
