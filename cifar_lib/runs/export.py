"""A trained network as an ONNX file, which other programs can run."""

import contextlib
import importlib
import io
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import CourseError
from ..data import Dataset, normalize
from ..evaluate import predict
from ..system.errors import first_line
from ..system.files import atomic_write
from .record import Run

OPSET = 20  # the version of ONNX's operators that the file asks for
CHECKED = 1_000  # images on which the file is compared with PyTorch


@dataclass(frozen=True)
class Exported:
    """An ONNX file and how it compares with PyTorch.

    Args:
        file: where it lies.
        opset: the version of ONNX's operators that it asks for.
        images: on how many images it was compared; 0 where ONNX Runtime is not installed.
        kind: of the images, "test" or "random".
        same: on how many of them both predict the same class.
        largest: the largest absolute difference of a logit.
    """

    file: Path
    opset: int
    images: int = 0
    kind: str = "test"
    same: int = 0
    largest: float = 0.0

    def __str__(self) -> str:
        head = f"{self.file}: ONNX, opset {self.opset}; input pixels uint8 [N, C, H, W], output logits"
        if not self.images:
            return f"{head}. Not compared with PyTorch: pip install onnxruntime does that on the next export."
        return (
            f"{head}. ONNX Runtime predicts the same class as PyTorch for {self.same:,} of {self.images:,} "
            f"{self.kind} images; the largest difference of a logit is {self.largest:.1e}."
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, as it is printed as JSON."""
        return vars(self) | {"file": str(self.file)}


class _FromPixels(nn.Module):
    """A network that takes pixels as they are, so that nobody who uses the file can scale them otherwise."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network(normalize(pixels))


def export_onnx(run: Run, dataset: Dataset | None, file: Path | str) -> Exported:
    """Write a run's network as ONNX with PyTorch's own exporter, and compare it with PyTorch.

    The file's input is "pixels", uint8 [N, C, H, W]; its output is "logits", float32 [N, classes], of the
    images as they are, without a mean over views. Its notes name the recipe, the seed and the classes, these
    as a list in JSON.

    Args:
        dataset: its first 1,000 test images are those on which ONNX Runtime, where it is installed, is
            compared with PyTorch. Without it they are compared on as many random images.

    Raises:
        CourseError: a package that the exporter needs is not installed, the run's weights were not kept, the
            exporter cannot write this network, or the file cannot be written.
    """
    for package in ("onnx", "onnxscript"):
        _needed(package)
    network = run.network()
    if dataset is None:
        kind, classes, pixels = "random", run.class_names, _random(run)
    else:
        kind, classes, pixels = "test", dataset.classes, dataset.test.pixels[:CHECKED]
    file = Path(file)
    try:
        with _silence():
            program = torch.onnx.export(
                _FromPixels(network).eval(),
                (pixels[:2],),
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
        assert program is not None  # noqa: S101  the type says that other forms of the call return none
        notes = {"recipe": run.recipe.name, "seed": str(run.seed), "classes": json.dumps(list(classes))}
        program.model.metadata_props.update(notes)
    except torch.onnx.errors.OnnxExporterError as error:
        raise CourseError(
            f"PyTorch {torch.__version__} cannot write {run.recipe.model!r} as ONNX ({first_line(error)})."
        ) from error
    with atomic_write(file) as aside:
        program.save(str(aside), external_data=False)
    opset = program.model.opset_imports[""]
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        return Exported(file, opset)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    there = torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])
    here = predict(network, pixels)
    same = int((there.argmax(1) == here.argmax(1)).sum())
    return Exported(file, opset, len(pixels), kind, same, (there - here).abs().max().item())


def _random(run):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (CHECKED, *run.model["shape"]), generator=generator, dtype=torch.uint8)


def _needed(package):
    try:
        importlib.import_module(package)
    except ImportError:
        raise CourseError(
            f"Exporting needs the package {package}, which is not installed: "
            f"pip install onnx onnxscript onnxruntime"
        ) from None


@contextlib.contextmanager
def _silence():
    """The exporter reports its steps, and warns of its own deprecations; an error is still raised."""
    logger = logging.getLogger("torch.onnx")
    before, said = logger.level, io.StringIO()
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
