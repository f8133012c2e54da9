"""How fast cifar_lib trains, against the usual tutorial loop: same network, recipe and images.

(a) is the tutorial's way: a torchvision-style data set of single images, transforms an image, a
DataLoader with workers, float32. (b) is `cifar_lib.training`: images on the device as uint8, whole
batches, the device's training precision. Both start from the same seeds and end with the same
evaluation, in one process. (a) runs first as everybody has it. On a CPU, `device.keep_freed_memory` then sets
the allocator for the whole process, and (a), which gains from that too, takes turns with (b).

python benchmarks/loop.py --images 10000 --epochs 2 --rounds 3
"""

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cifar_lib import data, evaluate, models, recipes, training
from cifar_lib.system import device as devices


class SingleImages(Dataset):
    """One PIL image at a time through transforms, as torchvision's CIFAR10 gives them."""

    def __init__(self, images):
        self.arrays = images.pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = images.labels.tolist()
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))]
        )

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.arrays[index])), self.labels[index]


def tutorial_loop(recipe, dataset, seed, device):
    """The usual loop; returns the network and the seconds."""
    images = dataset.train
    torch.manual_seed(seed)
    model = models.build(recipe, tuple(images.pixels.shape[1:])).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    loader = DataLoader(
        SingleImages(images), batch_size=recipe.batch_size, shuffle=True, num_workers=2, drop_last=True
    )
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        for inputs, labels in loader:
            loss = F.cross_entropy(model(inputs.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model, _seconds_since(start, device)


def course_loop(recipe, dataset, seed, device):
    """The library's epochs without its validation; returns the network and the seconds."""
    setup = training.set_up(recipe, dataset, seed, str(device))
    start = time.perf_counter()
    for epoch in range(1, recipe.epochs + 1):
        training.train_epoch(recipe, setup.model, setup.optimizer, setup.training, seed, epoch)
    return setup.model, _seconds_since(start, device)


def compare(dataset, device, images, epochs, rounds):
    """Both loops in turn; returns the images a second and the validation accuracy of each turn, by loop."""
    learning, validation = data.split(dataset.train)
    dataset = replace(dataset, train=learning[:images])
    first = replace(dataset, train=learning[:640])  # a first turn, not measured, loads what is needed
    recipe = recipes.get("paper").replace(
        epochs=epochs, rate=0.001, weight_decay=0.0, schedule="constant", holdout=False
    )
    seen = len(dataset.train) // recipe.batch_size * recipe.batch_size * recipe.epochs
    print(f"{devices.describe(device)}; {seen:,} images a turn, batch {recipe.batch_size}")
    results = {}

    def turn(name, loop, seed):
        model, seconds = loop(recipe, dataset, seed, device)
        accuracy = evaluate.accuracy(evaluate.predict(model, validation.pixels), validation.labels)
        results.setdefault(name, []).append((seen / seconds, accuracy))
        print(f"  seed {seed}  {name:15}  {seen / seconds:7,.0f} images/s  {accuracy:.1%}", flush=True)

    tutorial_loop(recipe.replace(epochs=1), first, 0, device)
    for seed in range(rounds):
        turn("tutorial", tutorial_loop, seed)
    if device.type == "cpu":
        devices.keep_freed_memory()
    course_loop(recipe.replace(epochs=1), first, 0, device)
    for seed in range(rounds):
        if device.type == "cpu":
            turn("tutorial, tuned", tutorial_loop, seed)
        turn("cifar_lib", course_loop, seed)
    return results


def peak_memory(device):
    """The most memory that was held at a time, in bytes: by the tensors on a GPU; on a CPU by the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # here, because Windows does not have it

    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def worker(name, device):
    """Train the paper's network for an epoch, and print how much memory this process held at most."""
    training.train(recipes.get("paper").replace(epochs=1), data.load(name), device=device)
    peak = peak_memory(torch.device("cpu"))
    print(f"peak memory of training the paper's network, whole process: {peak / 1e9:.2f} GB")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(arguments.data, arguments.device)

    device = devices.select_device(arguments.device)
    dataset = data.load(arguments.data)
    results = compare(dataset, device, arguments.images, arguments.epochs, arguments.rounds)
    ours = statistics.median(rate for rate, _ in results["cifar_lib"])
    for name, turns in results.items():
        rate = statistics.median(rate for rate, _ in turns)
        accuracy = statistics.fmean(accuracy for _, accuracy in turns)
        print(
            f"{name:15}  {rate:7,.0f} images/s  validation accuracy {accuracy:.1%}  "
            f"cifar_lib is {ours / rate:.2f} times as fast"
        )
    command = [sys.executable, __file__, "--worker", "--data", arguments.data, "--device", str(device)]
    subprocess.run(command, check=True)
    return None


def _seconds_since(start, device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
