"""The published fast recipe in plain PyTorch, against the library's `fast-published`, in turn.

The plain program is what a reader of the publication would write: the network in bfloat16 with its batch
norms in float32, PyTorch's own layers, Muon filter by filter, the images of an epoch moved and mirrored at
once. Neither is compiled; both run in one process in which freed memory is kept, on the same images, and
take turns epoch by epoch. Only training is timed. Losses are shown to see that both learn.

python benchmarks/plain.py --images 20000 --epochs 2
"""

import argparse
import statistics
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from cifar_lib import data, recipes, training
from cifar_lib.system import device as devices

RATE, MOMENTUM, SMOOTHING, SHIFT = 0.24, 0.6, 0.2, 2


class Network(nn.Sequential):
    """A whitened first layer, three blocks of two convolutions, a linear layer."""

    def __init__(self, images, widths=(64, 256, 256)):
        first = nn.Conv2d(3, 24, 2, bias=False)
        first.weight.data, first.weight.requires_grad = whitening(images), False
        blocks = [Block(*sizes) for sizes in zip((24, *widths), widths, strict=False)]
        super().__init__(
            first, nn.SiLU(), *blocks, nn.MaxPool2d(3), nn.Flatten(), nn.Linear(widths[-1], 10, bias=False)
        )
        for layer in self.modules():
            if not isinstance(layer, nn.BatchNorm2d) and not list(layer.children()):
                layer.bfloat16()

    def forward(self, x):
        return super().forward(x) / 16


class Block(nn.Sequential):
    def __init__(self, inputs, outputs):
        layers = []
        for before, pool in ((inputs, [nn.MaxPool2d(2)]), (outputs, [])):
            conv = nn.Conv2d(before, outputs, 3, padding=1, bias=False)
            nn.init.dirac_(conv.weight[:before])
            norm = nn.BatchNorm2d(outputs, momentum=0.4)
            norm.weight.requires_grad = False
            layers += [conv, *pool, norm, nn.SiLU()]
        super().__init__(*layers)


def whitening(images):
    """The 24 filters whose outputs are uncorrelated and equally loud, with either sign."""
    patches = F.unfold(images, 2).transpose(1, 2).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    return torch.cat([filters, -filters])


class Plain:
    """The plain program: `epoch` trains once over the images and returns the mean loss."""

    def __init__(self, dataset, epochs, batch):
        images, self.batch = dataset.train, batch
        self.images = data.normalize(images.pixels).bfloat16().to(memory_format=torch.channels_last)
        self.labels = images.labels
        self.network = Network(self.images[:5000].float()).to(memory_format=torch.channels_last)
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.filters = [weight for weight in trained if weight.ndim == 4]
        self.buffers = [torch.zeros_like(weight) for weight in self.filters]
        groups = [{"params": [weight for weight in trained if weight.ndim == n]} for n in (2, 1)]
        groups[0]["scale"], groups[1]["scale"] = 11, 220
        self.sgd = torch.optim.SGD(groups, lr=RATE, momentum=0.85, nesterov=True)
        self.steps, self.step = epochs * (len(images) // batch), 0

    def augmented(self, epoch):
        padded = F.pad(self.images, (SHIFT,) * 4, mode="reflect")
        places = torch.randint(2 * SHIFT + 1, (len(padded), 2))
        result = torch.empty_like(self.images)
        for down in range(2 * SHIFT + 1):
            for right in range(2 * SHIFT + 1):
                chosen = (places == torch.tensor([down, right])).all(1)
                result[chosen] = padded[chosen][:, :, down : down + 32, right : right + 32]
        turned = (torch.arange(len(result)) + epoch) % 2 == 0
        result[turned] = result[turned].flip(3)
        return result

    def epoch(self, epoch):
        self.network.train()
        images, order = self.augmented(epoch), torch.randperm(len(self.images))
        losses = []
        for index in order[: len(order) // self.batch * self.batch].split(self.batch):
            logits = self.network(images[index])
            loss = F.cross_entropy(logits.float(), self.labels[index], label_smoothing=SMOOTHING)
            loss.backward()
            self.update(RATE * (1 - self.step / self.steps))
            self.network.zero_grad()
            self.step += 1
            losses.append(loss.item())
        return statistics.fmean(losses)

    @torch.no_grad()
    def update(self, rate):
        for group in self.sgd.param_groups:
            group["lr"] = rate * group["scale"]
        self.sgd.step()
        for weight, buffer in zip(self.filters, self.buffers, strict=True):
            buffer.mul_(MOMENTUM).add_(weight.grad)
            step = orthogonalize(weight.grad.add(buffer, alpha=MOMENTUM).flatten(1))
            weight.mul_(len(weight) ** 0.5 / weight.norm())
            weight.sub_(step.view_as(weight), alpha=rate)


def orthogonalize(matrix):
    x = matrix / (matrix.norm() + 1e-7)
    turned = len(x) > x.shape[1]
    x = x.T if turned else x
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x.T if turned else x


class Library:
    """`fast-published` as the library trains it."""

    def __init__(self, dataset, epochs, batch):
        published = recipes.get("fast-published")
        self.recipe = published.replace(epochs=epochs, batch_size=batch, holdout=False)
        self.setup = training.set_up(self.recipe, dataset, device="cpu")

    def epoch(self, epoch):
        setup = self.setup
        return training.train_epoch(self.recipe, setup.model, setup.optimizer, setup.training, 0, epoch)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10", help="cifar10, or toy where there are no images")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=2_000, help="the published recipe has 2,000")
    parser.add_argument("--epochs", type=int, default=3, help="2 or more, because the first is not counted")
    arguments = parser.parse_args()
    devices.keep_freed_memory()
    torch.manual_seed(0)
    dataset = data.load(arguments.data)
    dataset = replace(dataset, train=dataset.train[: arguments.images])
    machine = devices.describe(devices.select_device("cpu"))
    print(f"{machine}; {len(dataset.train):,} images an epoch, batch {arguments.batch}")
    programs = {kind.__name__: kind(dataset, arguments.epochs, arguments.batch) for kind in (Plain, Library)}
    seconds = {name: [] for name in programs}
    for epoch in range(1, arguments.epochs + 1):
        for name, program in programs.items():
            start = time.perf_counter()
            loss = program.epoch(epoch)
            seconds[name].append(time.perf_counter() - start)
            print(f"  epoch {epoch}  {name:8} {seconds[name][-1]:6.1f} s  loss {loss:.3f}", flush=True)
    plain, library = (statistics.median(seconds[name][1:]) for name in ("Plain", "Library"))
    print(f"an epoch takes {plain:.1f} s plainly and {library:.1f} s here: {library / plain:.2f} of the time")


if __name__ == "__main__":
    main()
