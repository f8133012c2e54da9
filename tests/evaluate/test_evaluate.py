"""Measures on logits made by hand, and arithmetic in bfloat16 against float32."""

import math

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import data, evaluate, models, recipes, runs, training
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


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [
        (0.5, 10, 0.23659, 0.76341),
        (0.0, 10, 0.0, 0.27753),
        (1.0, 10, 0.72247, 1.0),
        (0.1, 100, 0.05523, 0.17437),
        (0.72, 10_000, 0.71112, 0.72871),
    ],
)
def test_wilsons_interval(share, n, low, high):
    assert evaluate.interval(share, n) == pytest.approx((low, high), abs=2e-5)


def test_wilsons_interval_is_its_formula():
    z, p, n = 2.5758293, 0.3, 50
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert evaluate.interval(p, n, 0.99) == pytest.approx((middle - half, middle + half))


def test_calibration():
    def confident(share):
        return [math.log(share), math.log(1 - share)]

    logits = torch.tensor([confident(0.95)] * 4 + [confident(0.65)] * 2 + [[0.0, 500.0]])
    labels = torch.tensor([0, 0, 0, 1, 0, 1, 1])
    confidence, right, count, error = evaluate.calibration(logits, labels)
    assert count.tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 5]
    assert confidence[[6, 9]].tolist() == pytest.approx([0.65, 0.96])
    assert right[[6, 9]].tolist() == pytest.approx([0.5, 0.8])
    assert right[:6].isnan().all()
    assert error == pytest.approx((2 * 0.15 + 5 * 0.16) / 7, rel=1e-5)


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


@pytest.mark.parametrize("views", [1, 2, 6])
def test_the_results_are_those_of_both_ways_to_look_and_no_view_is_computed_twice(views, toy_images):
    torch.manual_seed(0)
    model, seen = models.SkipCNN(width=4), []
    model.register_forward_hook(lambda _, inputs, outputs: seen.append(len(outputs)))
    images = toy_images.test
    found = runs.replay._results(model, {"test": images}, views)
    assert sum(seen) == views * len(images)
    plain, mean = (evaluate.predict(model, images.pixels, n) for n in (1, views))
    assert found["test_accuracy"] == evaluate.accuracy(plain, images.labels)
    assert found["test_loss"] == evaluate.loss(plain, images.labels)
    assert found.get("test_accuracy_views") == (evaluate.accuracy(mean, images.labels) if views > 1 else None)


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_outputs_on_a_gpu_agree_with_the_cpu(toy_images):
    model = models.SkipCNN(width=16).eval()
    here = evaluate.predict(model, toy_images.test.pixels)
    there = evaluate.predict(model.cuda(), toy_images.test.pixels)
    assert there.device.type == "cpu"
    torch.testing.assert_close(there, here, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_views_are_weighted_and_see_the_image_from_all_sides(views):
    image = torch.arange(48.0).view(1, 3, 4, 4)
    seen = evaluate.weighted_views(image, views)
    assert len(seen) == views
    assert sum(weight for weight, _ in seen) == 1
    assert torch.equal(seen[0][1], image)
    if views == 6:
        assert torch.equal(seen[2][1][..., 1:, 1:], image[..., :3, :3])  # moved down and right
        assert torch.equal(seen[4][1][..., :3, :3], image[..., 1:, 1:])
