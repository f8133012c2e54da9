"""What a trained network predicts, and how often it is right."""

import torch
import torch.nn.functional as F

from ..data import normalize

BATCH = {"cpu": 250, "cuda": 2_000}  # larger ones overflow a CPU's cache, smaller ones leave a GPU idle


def predict(model, pixels, views=1):
    """Outputs of `model` in evaluation mode, always in float32.

    Args:
        pixels: uint8 [N, C, H, W], on any device.
        views: 1 looks at each image once; 2 adds its mirror image; 6 adds both of them moved by one
            pixel up and left, and down and right. The moved ones weigh half as much.

    Returns:
        float32 [N, classes] on the CPU, the mean over the views.
    """
    return predict_plain_and_mean(model, pixels, views)[1]


@torch.no_grad()
def predict_plain_and_mean(model, pixels, views):
    """The outputs for the images as they are, and their mean over the views, both as in `predict`."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    parts = []
    for part in pixels.to(device).split(BATCH[device.type]):
        inputs = normalize(part).contiguous(memory_format=torch.channels_last)
        outputs = [(weight, model(view).float()) for weight, view in weighted_views(inputs, views)]
        parts.append((outputs[0][1], sum(weight * output for weight, output in outputs)))
    model.train(training)
    return tuple(torch.cat(outputs).cpu() for outputs in zip(*parts, strict=True))


def weighted_views(inputs, views):
    """The weights and views that are averaged for one image, itself first, the weights adding up to one."""
    if views == 1:
        return [(1, inputs)]
    if views == 2:
        return [(0.5, inputs), (0.5, inputs.flip(3))]
    height, width = inputs.shape[2:]
    framed = F.pad(inputs, (1,) * 4, mode="reflect")
    moved = [framed[..., :height, :width], framed[..., 2:, 2:]]
    return [
        (share / 2, view)
        for share, image in zip((0.5, 0.25, 0.25), (inputs, *moved), strict=True)
        for view in (image, image.flip(3))
    ]


def top_k(logits, labels, k):
    """Share of images whose true label is among the k largest logits, 0 to 1."""
    best = logits.topk(k, dim=1).indices
    return (best == labels[:, None]).any(1).double().mean().item()


def accuracy(logits, labels):
    """Share of images whose largest logit is the true label's, 0 to 1."""
    return top_k(logits, labels, 1)


def loss(logits, labels):
    """Mean cross entropy in nats."""
    return F.cross_entropy(logits, labels).item()


def confusion(logits, labels):
    """Counts as int64 [true class, predicted class]."""
    from sklearn.metrics import confusion_matrix  # it brings 20 MB along

    classes = range(logits.shape[1])
    return confusion_matrix(labels.numpy(), logits.argmax(1).numpy(), labels=list(classes))


def calibration(logits, labels, bins=10):
    """How often the network is right at each level of confidence, in bins of equal width.

    Returns:
        mean confidence [bins], accuracy [bins] (nan where a bin is empty), images [bins], and the
        expected calibration error (Guo et al. 2017, equation 3), 0 to 1.
    """
    confidence, predicted = logits.softmax(1).max(1)
    right = (predicted == labels).float()
    place = (confidence * bins).long().clamp(max=bins - 1)
    count = torch.bincount(place, minlength=bins)
    mean_confidence = torch.bincount(place, confidence, bins) / count
    mean_right = torch.bincount(place, right, bins) / count
    gap = (mean_confidence - mean_right).abs().nan_to_num()
    return mean_confidence, mean_right, count, (gap * count).sum().item() / len(labels)
