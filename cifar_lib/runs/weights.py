"""A file of weights becomes a network: the one place where such a file is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model
from torch import nn

from .. import CourseError, models
from ..recipes import Recipe
from ..system.files import reading


def load_network(file: Path | str, recipe: Recipe, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A recipe's network with the weights of a safetensors file, in evaluation mode on the CPU.

    Its weights are float32, even if the file holds fp16.

    Args:
        shape: channels, height, width of the images that it takes.
        classes: the number of its outputs.

    Raises:
        CourseError: the file is missing, damaged, cannot be read, or has the weights of another network.
    """
    network = models.build(recipe, shape, classes)
    with _refusals(file, recipe):
        load_model(network, str(file))
    return network.eval()


def check_weights(file: Path | str, recipe: Recipe) -> None:
    """Make sure that a file of weights can be opened, before anything that takes long.

    Raises:
        CourseError: as `load_network`, but weights of another network are not noticed.
    """
    with _refusals(file, recipe), safe_open(str(file), "pt"):
        pass


@contextmanager
def _refusals(file: Path | str, recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, RuntimeError, OSError):
        if not Path(file).exists():
            raise CourseError(
                f"{file} does not exist: name the file of weights that train or record kept."
            ) from None
        with reading(file), open(file, "rb"):  # safetensors calls a file missing that may not be opened
            pass
        raise CourseError(
            f"The weights in {file} are damaged, or not those of {recipe.name!r}: fetch that file again, or "
            f"name another one."
        ) from None
