"""The training loop: exact, repeatable, and documented by its history."""

import math
import time
import weakref
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from trainings import DEVICES, assert_same

from cifar_lib import CourseError, data, evaluate, models, recipes, training
from cifar_lib.system import device
from cifar_lib.training import make_optimizer, train_epoch


@pytest.mark.parametrize("place", DEVICES)
def test_the_same_seed_gives_the_same_bits(place, tiny, toy_images):
    one = training.train(tiny, toy_images, 3, device=place)
    torch.rand(5)
    assert_same(one, training.train(tiny, toy_images, 3, device=place))


def test_another_seed_gives_another_network(tiny, toy_images):
    recipe = tiny.replace(epochs=1)
    losses = {training.train(recipe, toy_images, seed).history[0]["train_loss"] for seed in range(3)}
    assert len(losses) == 3


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


def test_the_seconds_of_an_epoch_include_its_validation(tiny, toy_images, monkeypatch):
    validate = training.validate
    monkeypatch.setattr(training.loop, "validate", lambda *a: time.sleep(0.05) or validate(*a))
    (entry,) = training.train(tiny.replace(epochs=1), toy_images).history
    assert entry["seconds"] - entry["training_seconds"] > 0.04


@pytest.mark.parametrize("schedule", recipes.SCHEDULES)
def test_each_step_has_the_rate_of_its_moment(schedule, tiny, toy_images, monkeypatch):
    recipe = tiny.replace(schedule=schedule, decay_every=2)
    model, rates = models.build(recipe, (3, 32, 32)), []
    optimizer = make_optimizer(recipe, model)
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    for epoch in (1, 4):
        train_epoch(recipe, model, optimizer, toy_images.train[:100], 0, epoch)
    assert rates == [recipe.rate_at(start + step / 3) for start in (0, 3) for step in range(3)]


def test_training_learns_the_toy_images(toy_images):
    recipe = recipes.get("study-quick").replace(batch_size=32, options={"width": 8}, epochs=6)
    assert training.train(recipe, toy_images).history[-1]["val_accuracy"] > 0.5


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


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_any_number_that_is_not_finite_stops_an_epoch(number, tiny, toy_images, monkeypatch):
    monkeypatch.setattr(training.loop, "training_loss", lambda _, logits, labels: logits.sum() * 0 + number)
    setup = training.set_up(tiny, toy_images)
    with pytest.raises(CourseError, match=f"became {number} in epoch 1"):
        train_epoch(tiny, setup.model, setup.optimizer, setup.training[:32], 0, 1)


def test_a_gpu_without_enough_memory_is_a_sentence_and_holds_nothing(tiny, toy_images, monkeypatch):
    models_seen = []

    def full(recipe, model, *_):
        models_seen.append(weakref.ref(model))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. And much more.")

    monkeypatch.setattr(training.loop, "train_epoch", full)
    with pytest.raises(CourseError, match=r"^The GPU has too little free memory for this: .*batch_size"):
        training.train(tiny, toy_images)
    assert models_seen[0]() is None


@pytest.mark.cuda
def test_the_gpu_agrees_with_the_cpu(float32, tiny, toy_images):
    recipe = tiny.replace(rate=1e-3, epochs=1)
    here, there = (training.train(recipe, toy_images, device=name) for name in ("cpu", "cuda"))
    assert there.history[0]["train_loss"] == pytest.approx(here.history[0]["train_loss"], rel=1e-2)


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


def test_without_a_compiler_compile_is_refused_in_one_sentence(tiny, toy_images, monkeypatch):
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(
        CourseError, match=r"^torch\.compile does not work here \(.*\): leave out --compile\.$"
    ):
        training.train(tiny, toy_images, device="cpu", compiled=True)


def test_without_a_holdout_all_images_train_and_none_is_validated(tiny, toy_images, monkeypatch):
    seen, epoch = [], training.train_epoch
    monkeypatch.setattr(training.loop, "train_epoch", lambda *a: seen.append(len(a[3])) or epoch(*a))
    trained = training.train(tiny.replace(holdout=False, epochs=1), toy_images)
    assert seen == [len(toy_images.train)]
    assert trained.history[0]["val_loss"] is trained.history[0]["val_accuracy"] is None


@pytest.mark.parametrize("crop", [False, True])
def test_every_epoch_sees_images_of_its_own_side(crop, tiny, toy_images, monkeypatch):
    recipe = tiny.replace(
        model="fast-cnn", options={"widths": [4, 4, 4]}, sides=[[0, 20], [0.5, 24], [0.75, 32]], crop=crop
    )
    shapes = []

    def watched(model, inputs):
        if model.training and torch.is_grad_enabled():
            shapes.append((len(epochs), tuple(inputs[0].shape)))

    epochs, epoch = [], training.train_epoch

    def counted(recipe, model, *arguments):
        epochs.append(model)
        handle = model.register_forward_pre_hook(watched)
        try:
            return epoch(recipe, model, *arguments)
        finally:
            handle.remove()

    monkeypatch.setattr(training.loop, "train_epoch", counted)
    training.train(recipe, toy_images, device="cpu")
    assert set(shapes) == {(n, (32, 3, side, side)) for n, side in enumerate((20, 20, 24, 32), 1)}
    assert len(shapes) == 4 * (360 // 32)


def test_dropout_draws_anew_in_each_epoch_and_the_same_after_a_resume(tiny, toy_images, monkeypatch):
    """What PyTorch's generator gives at the start of each epoch."""
    draws = []
    monkeypatch.setattr(training.loop, "train_epoch", lambda *_: draws.append(torch.rand(1).item()) or 1.0)
    for seed in (0, 0, 1):
        training.train(tiny, toy_images, seed)
    assert draws[:4] == draws[4:8]
    assert len(set(draws)) == 8


def test_dropout_draws_differ_between_processes(monkeypatch):
    draws = []
    for rank in (0, 1):
        monkeypatch.setattr(training.loop.distributed, "rank", lambda rank=rank: rank)
        training.loop._seed_dropout(0, 1)
        draws.append(torch.rand(1).item())
    assert draws[0] != draws[1]


def test_the_training_loss_is_the_mean_over_the_batches(float32, tiny, toy_images):
    """At rate 0, where nothing changes, and without batch norm, it is the loss of all images."""
    recipe = tiny.replace(
        rate=0.0, batch_size=40, flip=False, shift=0, options={"width": 4, "batch_norm": False}
    )
    setup = training.set_up(recipe.replace(holdout=False), toy_images)
    found = train_epoch(recipe, setup.model, setup.optimizer, setup.training, 0, 1)
    outputs = evaluate.predict(setup.model, toy_images.train.pixels)
    assert found == pytest.approx(evaluate.loss(outputs, toy_images.train.labels), rel=1e-4)


def test_something_may_be_done_before_each_step(tiny, toy_images):
    setup, calls = training.set_up(tiny, toy_images), []

    def before_step():
        calls.append(setup.model.training)

    setup.model.eval()  # as after an evaluation
    train_epoch(tiny, setup.model, setup.optimizer, setup.training[:100], 0, 1, before_step)
    assert calls == [True] * 3


def test_a_training_adapts_its_threads_before_each_step_and_names_them(tiny, toy_images, monkeypatch):
    steps = []
    monkeypatch.setattr(training.loop.Threads, "__call__", lambda self: steps.append(self))
    monkeypatch.setattr(training.loop.Threads, "describe", lambda self, device: f"{device}, adapted")
    trained = training.train(tiny.replace(epochs=1), toy_images)
    assert len(steps) == 360 // 32
    assert trained.device.endswith(", adapted")


def test_a_training_on_the_cpu_keeps_freed_memory_until_its_end(tiny, toy_images, monkeypatch):
    events, epoch = [], training.train_epoch
    monkeypatch.setattr(device, "give_back_memory", lambda: events.append("given back"))
    monkeypatch.setattr(device, "keep_freed_memory", lambda: events.append("kept"))
    monkeypatch.setattr(training.loop, "train_epoch", lambda *a: events.append("trained") or epoch(*a))
    training.train(tiny.replace(epochs=1), toy_images, device="cpu")
    assert events == ["given back", "kept", "trained", "given back"]


def test_a_training_shows_its_progress_if_asked(tiny, toy_images, capsys):
    training.train(tiny.replace(epochs=1), toy_images, progress=True)
    shown = capsys.readouterr().err
    assert "1/1" in shown and "loss=" in shown and "%" in shown
    training.train(tiny.replace(epochs=1), toy_images)
    assert capsys.readouterr().err == ""
