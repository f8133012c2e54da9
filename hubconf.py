"""The trained networks for PyTorch Hub: torch.hub.load(FOLDER, "paper", source="local").

Each takes float32 [N, 3, 32, 32], which is (x / 255 - 0.5) / 0.25 for pixels x from 0 to 255, and returns
logits [N, 10]. Divided by the attribute `temperature` and sent through softmax, these are calibrated
probabilities. The attribute `classes` has the names of the ten outputs in order.
"""

from cifar_lib import runs as _runs

dependencies = [
    "torch",
    "numpy",
    "scipy",
    "safetensors",
    "filelock",
    "PIL",
    "tqdm",
    "psutil",
    "pydantic",
]


def _network(name):
    found = _runs.load_pretrained(name)
    found.network.temperature, found.network.classes = found.temperature, found.classes
    return found.network


def fast_lean():
    """The most accurate of the four: its first layer whitens the image; trained for ten epochs."""
    return _network("fast-lean")


def study():
    """A narrower form of the paper's network, trained for eight epochs."""
    return _network("study")


def paper():
    """The network of the paper: a small CNN with one skip connection, trained for 70 epochs."""
    return _network("paper")


def mlp():
    """A fully connected network with one hidden layer, for comparison."""
    return _network("mlp")
