"""Measures on logits made by hand, views, and arithmetic in bfloat16 against float32."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import CourseError, data, evaluate, models, recipes, runs, training
from cifar_lib.system import device

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]])
LABELS = torch.tensor([0, 1, 0, 2])


def test_accuracy_and_top_k():
    assert evaluate.accuracy(LOGITS, LABELS) == 0.5
    assert [evaluate.top_k(LOGITS, LABELS, k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]


def test_loss_is_the_mean_cross_entropy_in_nats():
    total = math.exp(3) + math.exp(2) + math.exp(1)
    expected = math.log(total) - (3 + 2 + 1 + 3) / 4
    assert evaluate.loss(LOGITS, LABELS) == pytest.approx(expected, rel=1e-6)


def test_confusion_counts_true_by_predicted():
    assert evaluate.confusion(LOGITS, LABELS).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    never = evaluate.confusion(torch.eye(10)[:3], torch.tensor([0, 1, 1]))
    assert never.shape == (10, 10)
    assert (never[0, 0], never[1, 1], never[1, 2], never.sum()) == (1, 1, 1, 3)


MEASURES = [
    evaluate.accuracy,
    evaluate.loss,
    evaluate.confusion,
    evaluate.calibration,
    evaluate.fit_temperature,
]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize(
    ("logits", "labels", "words"),
    [
        (LOGITS, LABELS[:1], "not [4, 3] and [1]"),
        (LOGITS, LABELS[:, None], "not [4, 3] and [4, 1]"),
        (LOGITS, F.one_hot(LABELS, 3), "argmax(1) for one-hot rows"),
        (LOGITS[0], LABELS[0], "not [3] and []"),
        (LOGITS, LABELS + 1, "The labels go from 1 to 3"),
        (LOGITS, LABELS - 100, "The labels go from -100 to -98"),
        (LOGITS, LABELS.float(), "Labels are int64, not float32"),
        (LOGITS[:0], LABELS[:0], "There are no images"),
        (LOGITS.numpy(), LABELS.numpy(), "not ndarray and ndarray"),
    ],
)
def test_labels_that_do_not_fit_are_refused_by_every_measure(measure, logits, labels, words):
    with pytest.raises(CourseError, match=re.escape(words)):
        measure(logits, labels)


def test_there_is_at_least_one_bin():
    with pytest.raises(CourseError, match="bins is a whole number of at least 1, not 0"):
        evaluate.calibration(LOGITS, LABELS, bins=0)


def test_a_network_that_is_always_right_and_sure_is_calibrated():
    assert evaluate.calibration(500 * torch.eye(10), torch.arange(10))[3] == 0


def test_logits_are_those_of_evaluation_mode_and_leave_the_mode_alone(toy_images, monkeypatch):
    monkeypatch.setitem(evaluate.predictions.BATCH, "cpu", 7)
    model = models.SkipCNN(width=4)
    pixels = toy_images.test.pixels[:20]
    model(data.normalize(pixels))
    model.eval()
    with torch.no_grad():
        expected = model(data.normalize(pixels))
    model.train()
    before = model.bn_conv1.running_mean.clone()
    outputs = evaluate.predict(model, pixels)
    torch.testing.assert_close(outputs, expected)
    assert outputs.dtype == torch.float32
    assert not outputs.requires_grad
    assert model.training
    assert torch.equal(model.bn_conv1.running_mean, before)
    model.eval()
    evaluate.predict(model, pixels)
    assert not model.training


@pytest.mark.parametrize(("channels", "views"), [(3, 4), (1, 1)])
def test_images_that_are_refused_leave_the_mode_alone(channels, views, toy_images):
    model = models.SkipCNN(width=4).train()
    with pytest.raises(CourseError):
        evaluate.predict(model, toy_images.test.pixels[:2, :channels], views)
    assert model.training


def test_images_of_another_shape_are_refused_with_the_reason(toy_images):
    shape = tuple(toy_images.test.pixels.shape[1:])
    model = models.MLP(shape=(3, 5, 5), classes=4)
    words = f"The network stopped at images of {'×'.join(map(str, shape))} (mat1 and mat2 shapes"
    with pytest.raises(CourseError, match=re.escape(words)):
        evaluate.predict(model, toy_images.test.pixels[:2])


@pytest.mark.parametrize("views", [1, 2, 6])
def test_the_plain_and_the_mean_outputs_come_from_views_that_are_computed_once(views, toy_images):
    torch.manual_seed(0)
    model, seen = models.SkipCNN(width=4), []
    model.register_forward_hook(lambda _, inputs, outputs: seen.append(len(outputs)))
    pixels = toy_images.test.pixels
    plain, mean = evaluate.predict_plain_and_mean(model, pixels, views)
    assert sum(seen) == views * len(pixels)
    assert torch.equal(plain, evaluate.predict(model, pixels))
    assert torch.equal(mean, evaluate.predict(model, pixels, views))
    assert torch.equal(plain, mean) == (views == 1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.2), (torch.float16, 0.1)])
def test_a_training_step_in_half_precision_agrees_with_float32(dtype, tolerance, toy_images):
    """Loss within 0.2 %; the gradient of all weights together within `tolerance` of its length."""
    torch.manual_seed(0)
    model = models.SkipCNN(width=8)
    inputs, labels = next(data.batches(toy_images.train, 16, seed=0, epoch=1))

    def step(dtype):
        model.zero_grad()
        with device.autocast(torch.device("cpu"), dtype):
            loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()])

    loss, gradient = step(torch.float32)
    half_loss, half_gradient = step(dtype)
    assert half_loss == pytest.approx(loss, rel=0.002)
    assert half_loss != loss
    assert (half_gradient - gradient).norm() < tolerance * gradient.norm()


def test_training_in_bfloat16_follows_float32(toy_images, monkeypatch):
    """The mean loss of each of the first epochs is within 5 %."""
    recipe = recipes.get("small-quick").replace(batch_size=60, epochs=3)
    losses = {}
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(device, "training_dtype", lambda device, dtype=dtype: dtype)
        losses[dtype] = [
            entry["train_loss"] for entry in training.train(recipe, toy_images, device="cpu").history
        ]
    assert losses[torch.bfloat16] == pytest.approx(losses[torch.float32], rel=0.05)
    assert losses[torch.bfloat16] != losses[torch.float32]
    assert losses[torch.float32][-1] < losses[torch.float32][0]


@pytest.mark.cuda
def test_outputs_on_a_gpu_agree_with_the_cpu(toy_images):
    model = models.SkipCNN(width=16).eval()
    here = evaluate.predict(model, toy_images.test.pixels)
    there = evaluate.predict(model.cuda(), toy_images.test.pixels)
    assert there.device.type == "cpu"
    torch.testing.assert_close(there, here, rtol=1e-2, atol=1e-2)


def confident(*shares):
    """Logits of two classes, of which the first has these probabilities."""
    return torch.tensor([[math.log(share), math.log(1 - share)] for share in shares])


def test_calibration():
    logits = torch.cat([confident(*[0.95] * 4, *[0.65] * 2), torch.tensor([[0.0, 500.0]])])
    labels = torch.tensor([0, 0, 0, 1, 0, 1, 1])
    confidence, right, count, error = evaluate.calibration(logits, labels)
    assert count.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 5]
    assert confidence[[6, 9]].tolist() == pytest.approx([0.65, 0.96])
    assert right[[6, 9]].tolist() == pytest.approx([0.5, 0.8])
    assert confidence[:6].isnan().all() and right[:6].isnan().all()
    assert error == pytest.approx((2 * 0.15 + 5 * 0.16) / 7, rel=1e-5)


def test_a_confidence_belongs_to_the_bin_whose_lower_limit_it_reached():
    logits, labels = confident(0.87, 0.83, 0.79), torch.tensor([0, 0, 0])
    assert evaluate.calibration(logits, labels)[2].tolist() == [0] * 7 + [1, 2, 0]
    assert evaluate.calibration(logits, labels, bins=4)[2].tolist() == [0, 0, 0, 3]
    halves = torch.zeros(1, 2)  # a confidence of exactly one half
    assert evaluate.calibration(halves, labels[:1], bins=2)[2].tolist() == [0, 1]


@pytest.mark.parametrize("views", [1, 2, 6])
def test_predictions_are_the_weighted_mean_over_the_views(views, toy_images):
    """By hand: the mirror image, and both of them shifted by one pixel with half the weight."""
    torch.manual_seed(0)
    model, pixels = models.SkipCNN(width=4).eval(), toy_images.test.pixels[:5]
    framed = F.pad(data.normalize(pixels), (1,) * 4, mode="reflect")
    places = {1: [(1, 1)], 2: [(1, 1)], 6: [(1, 1), (0, 0), (2, 2)]}[views]
    total, weights = 0, 0
    with torch.no_grad():
        for down, right in places:
            view = framed[..., down : down + 32, right : right + 32]
            for shown in (view, view.flip(3))[:views]:
                weight = 1 if (down, right) == (1, 1) else 0.5
                total, weights = total + weight * model(shown), weights + weight
    torch.testing.assert_close(evaluate.predict(model, pixels, views), total / weights)


def test_images_are_taken_in_parts_that_fit_the_device(toy_images):
    model, sizes = models.SkipCNN(width=4), []
    model.register_forward_hook(lambda _, inputs, outputs: sizes.append(len(outputs)))
    evaluate.predict(model, toy_images.train.pixels)
    assert sizes == [250, 150]


def test_a_network_on_another_accelerator_is_evaluated_there(monkeypatch):
    """On `meta` in the place of a Mac's `mps`."""
    model, sizes = models.SkipCNN(width=4).to("meta"), []
    model.register_forward_hook(lambda _, inputs, outputs: sizes.append(len(outputs)))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: tensor)  # `meta` has no values to give
    outputs = evaluate.predict(model, torch.zeros(300, 3, 32, 32, dtype=torch.uint8))
    assert outputs.shape == (300, 10) and sizes == [250, 50]


@pytest.mark.parametrize("shape", [(4, 1), (1,), (3,), (4, 3)])
def test_labels_of_another_shape_are_refused_and_not_stretched(shape):
    logits = torch.eye(4)[:, :3]
    with pytest.raises(CourseError, match="labels"):
        evaluate.accuracy(logits, torch.zeros(shape, dtype=torch.int64))
    with pytest.raises(CourseError, match="labels"):
        runs.Predictions(torch.zeros(4, 2).byte(), torch.zeros(4, 2)).right(torch.zeros(shape))
    with pytest.raises(CourseError, match="from 1 to the 3 classes, not 5"):
        evaluate.top_k(logits, torch.zeros(4, dtype=torch.int64), 5)
