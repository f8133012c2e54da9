"""How fast cifar_lib trains, against the usual tutorial loop: same network, recipe and images.

(a) is the tutorial's way: a torchvision-style data set of single images, transforms an image, a
DataLoader with workers, float32. (b) is `cifar_lib.training`: images on the device as uint8, whole
batches, the device's training precision. Both start from the same seeds and end with the same
evaluation, in one process. (a) runs first as everybody has it. Then `device.keep_freed_memory` sets the
allocator for the whole process, and (a), which gains from that too, takes turns with (b).

python benchmarks/loop.py --images 10000 --epochs 2 --rounds 3
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cifar_lib import data, evaluate, models, recipes, training
from cifar_lib.models import kernels
from cifar_lib.system import device as devices

MEMORY = """
import resource
from cifar_lib import data, recipes, training
recipe = recipes.get("paper").replace(epochs=1)
training.train(recipe, data.load({name!r}))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"peak memory of training the paper's network, whole process: {{peak:.2f}} GB")
"""


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


def tutorial_loop(recipe, images, seed, device):
    """The usual loop; returns the network and the seconds."""
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


def course_loop(recipe, images, seed, device):
    """The library's epochs without its validation; returns the network and the seconds."""
    images = images.to(device)
    torch.manual_seed(seed)
    model = models.build(recipe, tuple(images.pixels.shape[1:]))
    model = kernels.quicken(model.to(device=device, memory_format=torch.channels_last))
    optimizer = training.make_optimizer(recipe, model)
    start = time.perf_counter()
    for epoch in range(1, recipe.epochs + 1):
        training.train_epoch(recipe, model, optimizer, images, seed, epoch)
    return model, _seconds_since(start, device)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device")
    arguments = parser.parse_args()

    device = devices.select_device(arguments.device)
    training, validation = data.split(data.load(arguments.data).train)
    training = training[: arguments.images]
    recipe = recipes.get("paper").replace(
        epochs=arguments.epochs, rate=0.001, weight_decay=0.0, schedule="constant"
    )
    seen = len(training) // recipe.batch_size * recipe.batch_size * recipe.epochs
    print(f"{devices.describe(device)}; {seen:,} images a turn, batch {recipe.batch_size}")

    results = {"tutorial": [], "tutorial, tuned": [], "cifar_lib": []}

    def turn(name, loop, seed):
        model, seconds = loop(recipe, training, seed, device)
        accuracy = evaluate.accuracy(evaluate.predict(model, validation.pixels), validation.labels)
        results[name].append((seen / seconds, accuracy))
        print(f"  seed {seed}  {name:15}  {seen / seconds:7,.0f} images/s  {accuracy:.1%}", flush=True)

    tutorial_loop(recipe.replace(epochs=1), training[:640], 0, device)
    for seed in range(arguments.rounds):
        turn("tutorial", tutorial_loop, seed)
    if device.type == "cpu":
        devices.keep_freed_memory()
    course_loop(recipe.replace(epochs=1), training[:640], 0, device)
    for seed in range(arguments.rounds):
        turn("tutorial, tuned", tutorial_loop, seed)
        turn("cifar_lib", course_loop, seed)

    ours = statistics.median(rate for rate, _ in results["cifar_lib"])
    for name, turns in results.items():
        rate = statistics.median(rate for rate, _ in turns)
        accuracy = statistics.fmean(accuracy for _, accuracy in turns)
        print(
            f"{name:15}  {rate:7,.0f} images/s  validation accuracy {accuracy:.1%}  "
            f"cifar_lib is {ours / rate:.2f} times as fast"
        )
    subprocess.run([sys.executable, "-c", MEMORY.format(name=arguments.data)], check=True)


def _seconds_since(start, device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
