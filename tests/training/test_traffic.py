"""Nothing in a step waits for the CPU: what passes between it and the device is counted."""

import importlib
from contextlib import nullcontext

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cifar_lib import data, evaluate, models, recipes, training
from cifar_lib.system import device
from cifar_lib.training import make_optimizer, train_epoch


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


def asked_for_numbers(monkeypatch, epoch):
    """How many `.item()` an epoch asks for, the epoch being a function."""
    asked, item = [], torch.Tensor.item
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "item", lambda tensor: asked.append(tensor) or item(tensor))
        epoch()
    return len(asked)


@pytest.mark.cuda
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
