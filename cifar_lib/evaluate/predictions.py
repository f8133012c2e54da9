"""What a trained network predicts, and how often it is right."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import CourseError
from ..data import normalize
from ..data.images import check_form, check_range
from ..models.modes import device_of, evaluation_mode
from ..system.errors import first_line

# Images per forward pass: larger parts overflow the cache of a CPU, smaller ones do not keep a GPU busy.
# On another device, as a Mac's "mps", that of a CPU fits too.
BATCH = {"cpu": 250, "cuda": 2_000}


def predict(model: nn.Module, pixels: Tensor, views: int = 1) -> Tensor:
    """The logits of `model` in evaluation mode, computed in float32.

    Afterwards each layer is in the mode in which it was before.

    Args:
        pixels: uint8 [N, C, H, W], on any device.
        views: 1 takes each image as it is; 2 averages it with its mirror image; 6 adds both of them shifted
            by one pixel up and left and by one pixel down and right. Each shifted view counts half as much as
            one that is not shifted (Jordan 2024, section 3.5).

    Returns:
        float32 [N, classes] on the CPU, the weighted mean over the views.

    Raises:
        CourseError: the pixels are no whole numbers [N, C, H, W] from 0 to 255, there is no such number of
            views, or the network stops at them, as at images of another shape than its own.
    """
    return predict_plain_and_mean(model, pixels, views)[1]


@torch.no_grad()
def predict_plain_and_mean(model: nn.Module, pixels: Tensor, views: int) -> tuple[Tensor, Tensor]:
    """The logits for the images as they are, and their mean over the views; all else as in `predict`."""
    check_form(pixels)
    check_range(pixels)
    device = device_of(model)
    parts = []
    with evaluation_mode(model):
        for part in pixels.to(device).split(BATCH.get(device.type, BATCH["cpu"])):
            inputs = normalize(part).contiguous(memory_format=torch.channels_last)
            outputs = [(weight, _logits(model, view)) for weight, view in weighted_views(inputs, views)]
            parts.append((outputs[0][1], sum(weight * output for weight, output in outputs)))
    plain, mean = (torch.cat(outputs).cpu() for outputs in zip(*parts, strict=True))
    return plain, mean


def _logits(model: nn.Module, inputs: Tensor) -> Tensor:
    try:
        return model(inputs).float()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise CourseError(
            f"The network stopped at images of {'×'.join(map(str, inputs.shape[1:]))} ({first_line(error)}): "
            f"if it was made for another shape, give it images of that one."
        ) from error


def weighted_views(inputs: Tensor, views: int) -> list[tuple[float, Tensor]]:
    """The views of `predict` with their weights, which add up to one; the images as they are come first.

    Args:
        inputs: normalised images [N, C, H, W].

    Raises:
        CourseError: there is no such number of views.
    """
    if views not in (1, 2, 6):
        raise CourseError(f"There are 1, 2 or 6 views, not {views}.")
    if views == 1:
        return [(1, inputs)]
    if views == 2:
        return [(0.5, inputs), (0.5, inputs.flip(3))]
    framed = F.pad(inputs, (1,) * 4, mode="reflect")
    moved = [framed[..., :-2, :-2], framed[..., 2:, 2:]]
    return [
        (share / 2, view)
        for share, image in zip((0.5, 0.25, 0.25), (inputs, *moved), strict=True)
        for view in (image, image.flip(3))
    ]


def top_k(logits: Tensor, labels: Tensor, k: int) -> float:
    """Share of the images whose true class is among the k with the largest logits, 0 to 1.

    Args:
        logits: [N, classes].
        labels: int64 [N], on the device of the logits.
        k: from 1 to the number of classes.

    Raises:
        CourseError: there are no images, there is not one label for each, a label is not that of a class, or
            there are not so many classes.
    """
    check_labels(logits, labels)
    if not 1 <= k <= logits.shape[1]:
        raise CourseError(f"k is a whole number from 1 to the {logits.shape[1]} classes, not {k}.")
    best = logits.topk(k, dim=1).indices
    return (best == labels[:, None]).any(1).double().mean().item()


def check_labels(logits: Tensor, labels: Tensor) -> None:
    """Make sure that there are logits [N, classes] and for each of the N images the label of a class.

    Raises:
        CourseError: there are not. PyTorch would stretch other shapes to fit, leave out images with the label
            -100, and find numbers for no images at all.
    """
    if not isinstance(logits, Tensor) or not isinstance(labels, Tensor):
        raise CourseError(
            f"Logits and labels are tensors, not {type(logits).__name__} and {type(labels).__name__}: "
            f"convert them with torch.as_tensor."
        )
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise CourseError(
            f"Logits are [N, classes] and labels [N], not {list(logits.shape)} and {list(labels.shape)}: use "
            f"flatten() for labels of a column, and argmax(1) for one-hot rows."
        )
    if labels.dtype != torch.int64:
        kind = str(labels.dtype).removeprefix("torch.")
        raise CourseError(f"Labels are int64, not {kind}: use labels.long().")
    if not len(labels):
        raise CourseError("There are no images to be right or wrong about: take at least one.")
    low, high, classes = int(labels.min()), int(labels.max()), logits.shape[1]
    if not 0 <= low <= high < classes:
        raise CourseError(
            f"The labels go from {low} to {high}, but {classes} classes have 0 to {classes - 1}: "
            f"count the classes from 0."
        )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of the images whose largest logit is that of the true class, 0 to 1.

    Arguments and errors as in `top_k`.
    """
    return top_k(logits, labels, 1)


def loss(logits: Tensor, labels: Tensor) -> float:
    """Mean cross entropy in nats per image; arguments and errors as in `top_k`."""
    check_labels(logits, labels)
    return F.cross_entropy(logits, labels).item()


def confusion(logits: Tensor, labels: Tensor) -> np.ndarray:
    """How many images of each class the network takes for which class.

    Arguments, on the CPU, and errors as in `top_k`.

    Returns:
        int64 [true class, predicted class].
    """
    from sklearn.metrics import confusion_matrix  # here, because scikit-learn takes 20 MB of memory

    check_labels(logits, labels)
    classes = range(logits.shape[1])
    return confusion_matrix(labels.numpy(), logits.argmax(1).numpy(), labels=list(classes))


def calibration(logits: Tensor, labels: Tensor, bins: int = 10) -> tuple[Tensor, Tensor, Tensor, float]:
    """How often the network is right at each level of confidence, in bins of equal width.

    The confidence in an image is the largest probability. A bin includes its lower limit; the last bin
    includes 1 as well.

    Args:
        logits, labels: as in `top_k`.
        bins: how many, at least one.

    Returns:
        Mean confidence float32 [bins], accuracy float32 [bins] (both nan where a bin is empty), number of
        images int64 [bins], and the expected calibration error (Guo et al. 2017, equation 3), 0 to 1.

    Raises:
        CourseError: as `top_k`, or there is no bin.
    """
    check_labels(logits, labels)
    if bins < 1:
        raise CourseError(f"bins is a whole number of at least 1, not {bins}.")
    confidence, predicted = logits.softmax(1).max(1)
    right = (predicted == labels).float()
    place = (confidence * bins).long().clamp(max=bins - 1)
    count = torch.bincount(place, minlength=bins)
    mean_confidence = torch.bincount(place, confidence, bins) / count
    mean_right = torch.bincount(place, right, bins) / count
    gap = (mean_confidence - mean_right).abs().nan_to_num()
    return mean_confidence, mean_right, count, (gap * count).sum().item() / len(labels)
