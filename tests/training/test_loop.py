"""The training loop: exact, repeatable, and able to stop and go on."""

import importlib
import math
import random
import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partialmethod

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cifar_lib import CourseError, data, evaluate, models, recipes, training
from cifar_lib.system import device
from cifar_lib.training import make_optimizer, train_epoch

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]


class Killed(Exception):
    pass


def killed_after(epochs, monkeypatch):
    """The next training stops right after it saved this many checkpoints."""
    save, saved = training.save_checkpoint, []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == epochs:
            raise Killed

    monkeypatch.setattr(training.loop, "save_checkpoint", save_and_die)


def without_time(history):
    times = ("seconds", "training_seconds")
    return [{name: value for name, value in entry.items() if name not in times} for entry in history]


def assert_same(one, other):
    assert without_time(one.history) == without_time(other.history)
    weights = other.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in one.model.state_dict().items())


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float32)


@pytest.mark.parametrize("place", DEVICES)
def test_the_same_seed_gives_the_same_bits(place, tiny, toy_images):
    one = training.train(tiny, toy_images, 3, device=place)
    torch.rand(5)
    assert_same(one, training.train(tiny, toy_images, 3, device=place))


def test_another_seed_gives_another_network(tiny, toy_images):
    recipe = tiny.replace(epochs=1)
    losses = {training.train(recipe, toy_images, seed).history[0]["train_loss"] for seed in range(3)}
    assert len(losses) == 3


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize(("optimizer", "epochs"), [("adam", 1), ("adam", 4), ("adamw", 2), ("sgd", 3)])
def test_killed_and_resumed_is_bit_for_bit_uninterrupted(
    place, optimizer, epochs, tiny, toy_images, tmp_path, monkeypatch
):
    recipe = tiny.replace(optimizer=optimizer)
    straight = training.train(recipe, toy_images, device=place)
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(epochs, patch)
        training.train(recipe, toy_images, device=place, checkpoint=path)
    resumed = training.train(recipe, toy_images, device=place, checkpoint=path)
    assert_same(straight, resumed)
    assert resumed.seconds == pytest.approx(sum(entry["seconds"] for entry in resumed.history), abs=0.01)
    assert not resumed.model.training


def test_killed_while_writing_goes_on_from_the_checkpoint_before(tiny, toy_images, tmp_path, monkeypatch):
    path, saves = tmp_path / "tiny.safetensors", []

    def half(tensors, aside, notes):
        saves.append(aside)
        if len(saves) == 3:
            aside.write_bytes(b"half")
            raise Killed
        original(tensors, aside, notes)

    original = training.checkpoint.save_file
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training.checkpoint, "save_file", half)
        training.train(tiny, toy_images, checkpoint=path)
    assert [file.name for file in tmp_path.glob("*tiny*")] == [path.name]
    assert_same(training.train(tiny, toy_images), training.train(tiny, toy_images, checkpoint=path))


ONCE = []


class Saved:
    """A checkpoint of `tiny` after one epoch, and how to read it."""

    def __init__(self, path, recipe, dataset):
        self.path, self.recipe, self.dataset = path, recipe.replace(epochs=1), dataset
        if not ONCE:
            training.train(self.recipe, dataset, checkpoint=path)
            ONCE.append(path.read_bytes())
        (self.content,) = ONCE
        path.write_bytes(self.content)

        model = models.build(self.recipe, (3, 32, 32)).to(memory_format=torch.channels_last)
        self.state, self.optimizer = training.Trained(model), make_optimizer(self.recipe, model)

    def load(self):
        key = training.RunKey(self.recipe, self.dataset.key, 0)
        training.load_checkpoint(self.path, key, self.state, self.optimizer)
        return self.state

    def refusal(self):
        """The sentence with which it is refused; any other exception fails the test."""
        with pytest.raises(CourseError) as caught:
            self.load()
        text = str(caught.value)
        assert str(self.path) in text and "delete it to start anew" in text and "\n" not in text
        return text


@pytest.fixture
def saved(tmp_path, tiny, toy_images):
    return Saved(tmp_path / "saved.safetensors", tiny, toy_images)


EVERY = [499, pytest.param(7, marks=pytest.mark.long)]


@pytest.mark.parametrize("every", EVERY)
def test_a_checkpoint_cut_at_any_byte_is_refused(every, saved):
    for length in [*range(20), *range(20, len(saved.content), every), len(saved.content) - 1]:
        saved.path.write_bytes(saved.content[:length])
        assert "is damaged" in saved.refusal()
    saved.path.write_bytes(saved.content + b"x")
    assert "is damaged" in saved.refusal()
    saved.path.write_bytes(saved.content)
    assert len(saved.load().history) == 1


@pytest.mark.parametrize("every", EVERY)
def test_a_checkpoint_with_any_byte_changed_is_refused(every, saved):
    """In the header or in the numbers, one bit or all of them."""
    draws = random.Random(0)
    for place in [*range(20), *range(20, len(saved.content), every), len(saved.content) - 1]:
        content = bytearray(saved.content)
        content[place] ^= draws.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        saved.path.write_bytes(content)
        text = saved.refusal()
        assert any(words in text for words in ("is damaged", "belongs to another run", "another version"))


FOREIGN = {
    "nothing": lambda tensors: {},
    "other names": lambda tensors: {f"x.{name}": value for name, value in tensors.items()},
    "another shape": lambda tensors: tensors | {"model.linear.bias": torch.zeros(3)},
    "a part is missing": lambda tensors: {n: t for n, t in tensors.items() if n != "model.linear.bias"},
    "a part too many": lambda tensors: tensors | {"model.more": torch.zeros(3)},
    "another shape in the optimizer": lambda tensors: tensors | {"optimizer.0.exp_avg": torch.zeros(3)},
    "a weight that there is not": lambda tensors: tensors | {"optimizer.99.exp_avg": torch.zeros(3)},
    "no number": lambda tensors: tensors | {"optimizer.x.exp_avg": torch.zeros(3)},
    "no optimizer": lambda tensors: {n: t for n, t in tensors.items() if n.startswith("model.")},
    "a slot is missing": lambda tensors: {n: t for n, t in tensors.items() if n != "optimizer.0.exp_avg"},
    "another optimizer's": lambda tensors: {
        n.replace("exp_avg_sq", "momentum_buffer"): t for n, t in tensors.items() if not n.endswith("step")
    },
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(
    "notes", ["none", "of this run", "of this run, with their checksum", "of this run, without"]
)
def test_a_foreign_file_in_place_of_a_checkpoint_is_refused(kind, notes, saved):
    tensors = load_file(saved.path)
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    tensors = FOREIGN[kind](tensors)
    if notes.endswith(("checksum", "without")):  # as another version of the library might write it
        del written["checksum"]
    if notes.endswith("checksum"):
        written["checksum"] = training.checkpoint._checksum(tensors, written)
    save_file(tensors, saved.path, None if notes == "none" else written)
    expected = {"none": "another version", "of this run": "is damaged"}.get(notes, "another version")
    assert expected in saved.refusal()


def test_a_checkpoint_that_goes_while_it_is_opened_is_none(saved):
    """A recording of the same run into another folder removes it when it is done."""
    saved.path.unlink()
    assert saved.load().history == []


def reference_epochs(recipe, images, seed, epochs):
    """The same training in plain PyTorch: contiguous float32, unfused optimizer."""
    torch.manual_seed(seed)
    model = models.build(recipe, tuple(images.pixels.shape[1:]))
    kinds = {
        "adam": lambda p: torch.optim.Adam(p, weight_decay=recipe.weight_decay),
        "adamw": lambda p: torch.optim.AdamW(p, weight_decay=recipe.weight_decay),
        "sgd": lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=recipe.weight_decay, nesterov=True),
    }
    optimizer = kinds[recipe.optimizer](model.parameters())
    augmentation = data.Augmentation(flip=recipe.flip, shift=recipe.shift)
    for epoch in range(1, epochs + 1):
        found = list(
            data.batches(images, recipe.batch_size, seed=seed, epoch=epoch, augmentation=augmentation)
        )
        losses = []
        for step, (inputs, labels) in enumerate(found):
            optimizer.param_groups[0]["lr"] = recipe.rate_at(epoch - 1 + step / len(found))
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs.contiguous()), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return model, sum(losses) / len(losses)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])  # for muon see test_muon
def test_training_is_the_plain_loop(optimizer, float32, tiny, toy_images):
    """Weights and loss within float32's rounding of the reference, after one step and after two epochs."""
    recipe = tiny.replace(optimizer=optimizer, rate=1e-3, options={"width": 4, "batch_norm": False})
    for images, epochs in ((toy_images.train[:32], 1), (toy_images.train, 2)):
        expected, expected_loss = reference_epochs(recipe, images, 0, epochs)
        torch.manual_seed(0)
        model = models.build(recipe, (3, 32, 32)).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(recipe, model)
        for epoch in range(1, epochs + 1):
            loss = train_epoch(recipe, model, optimizer, images, 0, epoch)
        assert loss == pytest.approx(expected_loss, rel=1e-4)
        for one, other in zip(model.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-5)


def test_the_test_images_have_no_part_in_training(tiny, toy_images, monkeypatch):
    recipe = tiny.replace(epochs=1)
    one = training.train(recipe, toy_images)
    changed = data.Dataset(
        "toy", toy_images.train, toy_images.test[:0], toy_images.classes, "", toy_images.fingerprint
    )
    assert_same(one, training.train(recipe, changed))


def test_validation_images_are_measured_but_not_trained_on(tiny, toy_images, monkeypatch):
    seen = []

    def watched(images, *arguments, **options):
        seen.append(images)
        return data.batches(images, *arguments, **options)

    monkeypatch.setattr(training.loop, "batches", watched)
    trained = training.train(tiny, toy_images, device="cpu")
    kept, validation = data.split(toy_images.train)
    assert all(torch.equal(images.pixels, kept.pixels) for images in seen)
    share = (trained.model(data.normalize(validation.pixels)).argmax(1) == validation.labels).float().mean()
    assert trained.history[-1]["val_accuracy"] == pytest.approx(share.item())


def test_history_has_the_documented_entries(tiny, toy_images):
    trained = training.train(tiny, toy_images)
    assert [entry["epoch"] for entry in trained.history] == [1, 2, 3, 4]
    assert [entry["rate"] for entry in trained.history] == [tiny.rate_at(epoch) for epoch in range(4)]
    for entry in trained.history:
        expected = ["epoch", "rate", "train_loss", "val_loss", "val_accuracy", "seconds", "training_seconds"]
        assert list(entry) == expected
        assert 0 < entry["training_seconds"] <= entry["seconds"]
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]
    assert 0 < sum(entry["seconds"] for entry in trained.history) == pytest.approx(trained.seconds, abs=0.01)


def test_training_learns_the_toy_images(toy_images):
    recipe = recipes.get("study-quick").replace(batch_size=32, options={"width": 8}, epochs=6)
    assert training.train(recipe, toy_images).history[-1]["val_accuracy"] > 0.5


def test_every_gradient_is_cleared_before_the_next_step(float32, tiny, toy_images):
    recipe = tiny.replace(schedule="constant", rate=0.0)
    model = models.build(recipe, (3, 32, 32))
    train_epoch(recipe, model, make_optimizer(recipe, model), toy_images.train[:32], 0, 1)
    once = [p.grad.clone() for p in model.parameters()]
    train_epoch(recipe, model, make_optimizer(recipe, model), toy_images.train[:32], 0, 1)
    for before, parameter in zip(once, model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, before)


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.01), ("muon", 0.002)])
def test_float16_trains_with_the_gradient_scaler(optimizer, rate, tiny, toy_images, monkeypatch):
    scales, scale = [], torch.amp.GradScaler.scale

    def watched(self, loss):
        scales.append(self.get_scale() if self.is_enabled() else None)
        return scale(self, loss)

    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float16)
    monkeypatch.setattr(torch.amp.GradScaler, "scale", watched)
    images = replace(toy_images, train=toy_images.train[:100])
    recipe = tiny.replace(epochs=3, rate=rate, batch_size=15, optimizer=optimizer)
    trained = training.train(recipe, images, device="cpu")
    losses = [entry["train_loss"] for entry in trained.history]
    assert losses[-1] < losses[0]
    assert all(scale > 1 for scale in scales)
    assert all(p.dtype == torch.float32 for p in trained.model.parameters())
    assert all(p.isfinite().all() for p in trained.model.parameters())


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_the_gradient_scaler_skips_a_step_that_overflows(optimizer, tiny, toy_images, monkeypatch):
    """Weights and momentum stay; the next step is taken again."""
    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float16)
    recipe, images = tiny.replace(optimizer=optimizer, schedule="constant"), toy_images.train[:32]
    model = models.build(recipe, (3, 32, 32))
    maker = make_optimizer(recipe, model)
    train_epoch(recipe, model, maker, images, 0, 1)

    def kept():
        moments = [value for slots in maker.state.values() for value in slots.values()]
        return [value.detach().clone() for value in (*model.parameters(), *moments)]

    before = kept()
    fault = model.linear.weight.register_hook(lambda gradient: gradient * math.inf)
    train_epoch(recipe, model, maker, images, 0, 1)
    assert all(map(torch.equal, kept(), before))
    fault.remove()
    train_epoch(recipe, model, maker, images, 0, 1)
    assert not any(map(torch.equal, model.parameters(), before))


def test_a_loss_that_is_no_number_stops_with_a_sentence(tiny, toy_images, tmp_path):
    recipe = tiny.replace(name="steep", rate=1e30, schedule="constant", optimizer="sgd")
    path = tmp_path / "steep.safetensors"
    with pytest.raises(CourseError, match=r"The loss of 'steep' became (nan|inf) in epoch 1 at rate 1e\+30"):
        training.train(recipe, toy_images, checkpoint=path)
    assert not path.exists()


class Traffic(TorchDispatchMode):
    """Counts what passes between the CPU and the device `meta`, which computes nothing, in place of a GPU.

    `sent` counts operations that take a tensor from the CPU there: `.to(device)`, `copy_`, an index left
    on the CPU. `waits` counts those that ask for values, so that the CPU would have to wait: `.item()`,
    `int`, `bool`, `.cpu()`. Of what has a size that depends on values, as `nonzero` or a mask as an
    index, `meta` refuses to say the result, which fails the test.

    It cannot see numbers that PyTorch sends without an operation, as in `torch.tensor(…, device=…)` or
    with a list as an index; nor what a kernel does on a real GPU. Nor is there autocast on `meta`.
    """

    def __init__(self):
        super().__init__()
        self.sent = self.waits = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        def places(values):
            return {leaf.device.type for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)}

        name, kwargs, before = str(function), kwargs or {}, places((args, kwargs))
        if name.startswith("aten._local_scalar_dense") and before == {"meta"}:
            self.waits += 1
            return 0.5
        if name.startswith("aten._to_copy") and before == {"meta"} and str(kwargs.get("device")) == "cpu":
            self.waits += 1
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype", args[0].dtype))
        if "_fused_" in name:  # torch's optimizers; `meta` has no such kernel, and need not
            return None
        result = function(*args, **kwargs)
        self.sent += before | places(result) == {"cpu", "meta"}
        return result


@pytest.fixture
def traffic(monkeypatch):
    """A function: what passes during an epoch of so many steps, (sent, waits)."""
    monkeypatch.setattr(device, "autocast", lambda *_: nullcontext())
    torch_optimizer = importlib.import_module("torch.optim.optimizer")
    monkeypatch.setattr(torch_optimizer, "_get_fused_kernels_supported_devices", lambda: ["meta"])

    def counted(recipe, steps):
        model = models.build(recipe, (3, 32, 32)).to("meta", memory_format=torch.channels_last)
        pixels = torch.zeros(steps * recipe.batch_size, 3, 32, 32, dtype=torch.uint8, device="meta")
        images = data.Images(pixels, torch.zeros(len(pixels), dtype=torch.long, device="meta"))
        optimizer = make_optimizer(recipe, model)
        with Traffic() as counts:
            train_epoch(recipe, model, optimizer, images, 0, 1)
        return counts.sent, counts.waits

    return counted


FAST = {"model": "fast-cnn", "options": {"widths": [8, 16, 16]}, "optimizer": "muon", "label_smoothing": 0.2}


@pytest.mark.parametrize(
    "changes",
    [
        *({"optimizer": name} for name in recipes.OPTIMIZERS),
        {"loss": "squared-error", "weight_decay": 0.0, "flip": False, "shift": 0},
        FAST | {"border": "mirror", "sides": [[0, 20]]},
        FAST | {"sides": [[0, 24]], "crop": True},
    ],
)
def test_a_step_needs_nothing_from_the_cpu(changes, tiny, traffic):
    """Twice as many steps send no more, and the CPU waits once, for the loss of the whole epoch."""
    recipe = tiny.replace(**changes)
    sent, waits = traffic(recipe, 4)
    assert waits == 1
    assert sent <= 4  # the order, the flips, the shifts, the rates
    assert traffic(recipe, 8) == (sent, waits)


FAULTS = {
    "a number": lambda logits: logits.sum().item(),
    "a question": lambda logits: bool(logits.isnan().any()),
    "a whole number": lambda logits: int(logits[0, 0]),
    "values": lambda logits: logits.cpu(),
    "a tensor": lambda logits: torch.ones(10).to(logits.device),
    "a tensor that does not wait": lambda logits: torch.ones(10).to(logits.device, non_blocking=True),
    "a copy": lambda logits: torch.empty_like(logits).copy_(torch.ones(10)),
    "an index": lambda logits: logits[torch.arange(3)],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_step_that_needs_something_from_the_cpu_would_be_seen(fault, tiny, traffic, monkeypatch):
    usual, loss = traffic(tiny, 4), training.training_loss

    def with_a_fault(recipe, logits, labels):
        FAULTS[fault](logits.detach())
        return loss(recipe, logits, labels)

    monkeypatch.setattr(training.loop, "training_loss", with_a_fault)
    assert sum(traffic(tiny, 4)) == sum(usual) + 4


@pytest.mark.parametrize("fault", [torch.nonzero, lambda logits: logits[logits > 0]])
def test_a_size_that_depends_on_values_would_be_seen(fault, tiny, traffic, monkeypatch):
    monkeypatch.setattr(training.loop, "training_loss", lambda recipe, logits, labels: fault(logits).sum())
    with pytest.raises(NotImplementedError):
        traffic(tiny, 4)


@pytest.mark.parametrize("views", [1, 6])
def test_evaluation_brings_the_outputs_back_at_once(views, tiny, monkeypatch):
    monkeypatch.setitem(evaluate.predictions.BATCH, "meta", 10)
    model = models.build(tiny, (3, 32, 32)).to("meta")
    for n in (20, 60):
        with Traffic() as counts:
            assert evaluate.predict(model, torch.zeros(n, 3, 32, 32, dtype=torch.uint8), views).shape == (
                n,
                10,
            )
        assert (counts.sent, counts.waits) == (1, 2)  # the images; the plain view and the mean


def asked_for_numbers(monkeypatch, epoch):
    """How many `.item()` an epoch asks for, the epoch being a function."""
    asked, item = [], torch.Tensor.item
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "item", lambda tensor: asked.append(tensor) or item(tensor))
        epoch()
    return len(asked)


@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_in_float16_the_gradient_scaler_does_not_wait_either(optimizer, tiny, toy_images, monkeypatch):
    """On the CPU, for the scaler knows no `meta`. It asks with `.item()` where it has to ask itself."""
    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float16)
    recipe = tiny.replace(optimizer=optimizer)
    model = models.build(recipe, (3, 32, 32))
    maker = make_optimizer(recipe, model)
    assert (
        asked_for_numbers(monkeypatch, lambda: train_epoch(recipe, model, maker, toy_images.train, 0, 1)) == 1
    )


@pytest.mark.parametrize("schedule", recipes.SCHEDULES)
def test_each_step_has_the_rate_of_its_moment(schedule, tiny, toy_images, monkeypatch):
    recipe = tiny.replace(schedule=schedule, decay_every=2)
    model, rates = models.build(recipe, (3, 32, 32)), []
    optimizer = make_optimizer(recipe, model)
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    for epoch in (1, 4):
        train_epoch(recipe, model, optimizer, toy_images.train[:100], 0, epoch)
    assert rates == [recipe.rate_at(start + step / 3) for start in (0, 3) for step in range(3)]


def test_without_a_holdout_all_images_train_and_none_is_watched(tiny, toy_images, monkeypatch):
    seen, epoch = [], training.train_epoch
    monkeypatch.setattr(training.loop, "train_epoch", lambda *a: seen.append(len(a[3])) or epoch(*a))
    trained = training.train(tiny.replace(holdout=False, epochs=1), toy_images)
    assert seen == [len(toy_images.train)]
    assert trained.history[0]["val_loss"] is trained.history[0]["val_accuracy"] is None
    assert trained.history[0]["train_loss"] > 0


def test_smoothed_labels_mix_the_label_with_all_classes(tiny):
    plain = -F.log_softmax(LOGITS, 1)
    expected = (0.8 * plain[[0, 1], LABELS] + 0.2 * plain.mean(1)).mean()
    found = training.training_loss(tiny.replace(label_smoothing=0.2), LOGITS, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
LABELS = torch.tensor([0, 2])


def test_the_usual_training_loss_is_torchs_cross_entropy(tiny):
    rows = [-math.log(math.exp(2) / (math.exp(2) + math.exp(-1) + math.exp(0.5)))]
    rows.append(-math.log(math.exp(3) / (1 + 1 + math.exp(3))))
    found = training.training_loss(tiny, LOGITS, LABELS)
    assert found.item() == pytest.approx(sum(rows) / 2, rel=1e-6)
    assert torch.equal(found, F.cross_entropy(LOGITS, LABELS))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_squared_error_is_the_distance_from_the_one_hot_label(dtype, tiny):
    rows = [(2 - 1) ** 2 + (-1) ** 2 + 0.5**2, 0 + 0 + (3 - 1) ** 2]
    found = training.training_loss(tiny.replace(loss="squared-error"), LOGITS.to(dtype), LABELS)
    assert found.item() == sum(rows) / 2
    assert found.dtype == torch.float32


def test_training_makes_the_squared_error_smaller(tiny, toy_images):
    recipe = tiny.replace(loss="squared-error")
    trained = training.train(recipe, toy_images, device="cpu")
    losses = [entry["train_loss"] for entry in trained.history]
    assert losses[-1] < losses[0]
    outputs = trained.model(data.normalize(toy_images.train.pixels))
    assert training.training_loss(recipe, outputs, toy_images.train.labels) < losses[0]
    validation = data.split(toy_images.train)[1]
    outputs = evaluate.predict(trained.model, validation.pixels)  # cross entropy, as for every run
    assert trained.history[-1]["val_loss"] == pytest.approx(evaluate.loss(outputs, validation.labels))


@CUDA
def test_the_gpu_agrees_with_the_cpu(float32, tiny, toy_images):
    recipe = tiny.replace(rate=1e-3, epochs=1)
    here, there = (training.train(recipe, toy_images, device=name) for name in ("cpu", "cuda"))
    assert there.history[0]["train_loss"] == pytest.approx(here.history[0]["train_loss"], rel=1e-2)


@CUDA
def test_a_checkpoint_of_the_gpu_goes_on_on_the_cpu(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(2, patch)
        training.train(tiny, toy_images, device="cuda", checkpoint=path)
    assert len(training.train(tiny, toy_images, device="cpu", checkpoint=path).history) == 4


@pytest.mark.long
def test_a_compiled_step_computes_the_same(tiny, float32):
    dataset = data.load("toy")
    one_step = tiny.replace(epochs=1, batch_size=360, schedule="constant", optimizer="sgd")
    usual, compiled = (training.train(one_step, dataset, device="cpu", compiled=c) for c in (False, True))
    assert compiled.history[0]["train_loss"] == pytest.approx(usual.history[0]["train_loss"], rel=1e-5)
    weights = usual.model.state_dict()
    assert weights.keys() == compiled.model.state_dict().keys()
    for name, value in compiled.model.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0.02, atol=2e-4)


WRONG_NOTES = [
    *((name, None) for name in ("history", "seconds", "code", "device")),
    *((name, value) for name in ("history", "seconds") for value in ("no JSON", "[3]", '[{"epoch": 2}]')),
]


@pytest.mark.parametrize(("name", "value"), WRONG_NOTES)
def test_a_checkpoint_with_other_notes_is_refused(name, value, saved):
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    del written["checksum"], written[name]
    tensors = load_file(saved.path)
    written |= {} if value is None else {name: value}
    save_file(tensors, saved.path, written | {"checksum": training.checkpoint._checksum(tensors, written)})
    assert "another version" in saved.refusal()


def test_a_resumed_training_names_all_that_trained_it(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        patch.setattr(device, "describe", lambda device: "a first machine")
        patch.setattr(training.Trained, "__init__", partialmethod(training.Trained.__init__, code="old"))
        training.train(tiny, toy_images, checkpoint=path)
    resumed = training.train(tiny, toy_images, device="cpu", checkpoint=path)
    assert resumed.code == f"old, then {training.CODE_VERSION}"
    assert resumed.device.startswith("a first machine, then ") and "CPU" in resumed.device


def test_two_machines_that_became_one_are_both_named(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        patch.setattr(device, "describe", lambda device: "2 × CPU")
        training.train(tiny, toy_images, checkpoint=path)
    monkeypatch.setattr(device, "describe", lambda device: "CPU")
    assert training.train(tiny, toy_images, checkpoint=path).device == "2 × CPU, then CPU"
    assert training.train(tiny, toy_images, checkpoint=path).device == "2 × CPU, then CPU"


def test_too_few_images_to_hold_any_out_are_refused(tiny, toy_images):
    few = torch.cat([(toy_images.train.labels == label).nonzero()[:4, 0] for label in range(10)])
    part = replace(toy_images, train=toy_images.train[few])
    with pytest.raises(CourseError, match="40 images are too few to hold out a tenth of each class"):
        training.train(tiny, part)
    assert training.train(tiny.replace(holdout=False, epochs=1), part).history[0]["val_accuracy"] is None


def test_without_a_compiler_compile_is_refused_in_one_sentence(tiny, toy_images, monkeypatch):
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(
        CourseError, match=r"^torch\.compile does not work here \(.*\): leave out --compile\.$"
    ):
        training.train(tiny, toy_images, device="cpu", compiled=True)


@CUDA
@pytest.mark.parametrize("optimizer", recipes.OPTIMIZERS)
def test_no_step_waits_for_the_gpu(optimizer, tiny, toy_images, monkeypatch):
    """PyTorch refuses to wait, until the loop asks for the loss of the whole epoch, and that once."""
    recipe, item, asked = tiny.replace(optimizer=optimizer), torch.Tensor.item, []

    def ask(tensor):
        asked.append(tensor)
        torch.cuda.set_sync_debug_mode("default")
        return item(tensor)

    model = models.build(recipe, (3, 32, 32)).to("cuda", memory_format=torch.channels_last)
    maker, images = make_optimizer(recipe, model), toy_images.train.to("cuda")
    train_epoch(recipe, model, maker, images, 0, 1)  # the first steps choose algorithms
    monkeypatch.setattr(torch.Tensor, "item", ask)
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert train_epoch(recipe, model, maker, images, 0, 2) > 0
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sides": [[0, 24]]}, "cannot be trained with images of 24×24 pixels"),
        (
            {"options": {"width": 4, "classes": 3}},
            "classes is no option of 'skip-cnn'",
        ),
        ({"options": {"width": -1}}, "cannot be built with the options"),
        ({"model": "fast-cnn", "options": {"widths": []}}, "cannot be built with the options"),
        ({"model": "fast-cnn", "options": {}, "sides": [[0, 4]]}, "images of 4×4 pixels"),
        ({"sides": [[0, 33]], "crop": True}, "A window of 33 pixels does not fit into images of 32"),
        ({"model": "fast-cnn", "options": {"inner": [4, 8]}}, "cannot be built with the options"),
        ({"shift": 33}, "A shift of up to 33 pixels is more than the images' 32"),
        ({"shift": 10**8}, "more than the images' 32"),
    ],
)
def test_what_cannot_be_trained_is_said_before_the_first_step(changes, words, tiny, toy_images):
    with pytest.raises(CourseError, match=re.escape(words)):
        training.train(tiny.replace(**changes), toy_images)


def test_trying_the_network_out_changes_nothing(tiny):
    model = models.build(tiny, (3, 32, 32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_numbers = torch.get_rng_state()
    models.check_shapes(model, tiny, (3, 32, 32), 10)
    assert torch.equal(torch.get_rng_state(), random_numbers)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
