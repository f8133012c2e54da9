"""What several processes do for test_distributed, and one process for comparison.

torchrun --nproc-per-node=2 tests/support/together.py basics FOLDER
torchrun --nproc-per-node=2 tests/support/together.py more FOLDER
torchrun --nproc-per-node=2 tests/support/together.py FAULT,RANK,EPOCH FOLDER record NAME …

The first two compute what one process computes too; the third runs a command of cifar_lib, with a
fault. Each process writes what it found to FOLDER/RANK.json.
"""

import hashlib
import io
import json
import os
import signal
import sys
import time
from contextlib import contextmanager, redirect_stderr
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from torch import nn

from cifar_lib import CourseError, data, models, recipes, training
from cifar_lib.__main__ import main
from cifar_lib.data import generated
from cifar_lib.system import device, distributed

TINY = recipes.Recipe(
    "tiny",
    data="toy",
    options={"width": 8},
    epochs=2,
    batch_size=31,  # parts of 15 and 16
    rate=0.005,
    weight_decay=0.001,
    schedule="one-cycle",
    flip=True,
    shift=2,
)
FAST = TINY.replace(
    name="fast",
    model="fast-cnn",
    options={"widths": [8, 16, 16]},
    batch_size=45,
    optimizer="muon",
    rate=0.2,
    schedule="linear",
    label_smoothing=0.2,
    sides=[[0, 24], [0.5, 32]],
)
RECIPES = (TINY, FAST)
OTHERS = (
    TINY.replace(name="resnet", model="resnet", options={}, loss="squared-error"),
    TINY.replace(
        name="factorised", model="googlenet", options={"factorised": True}, optimizer="sgd", rate=0.1
    ),
    TINY.replace(name="vgg", model="vgg", options={}, optimizer="adamw", rate=0.001, holdout=False),
)
NUMBERS = ("train_loss", "val_loss", "val_accuracy")


@contextmanager
def everything_in(dtype):
    """Train in this precision throughout; float64 leaves rounding no room to hide a mistake."""
    before = torch.Tensor.float, device.training_dtype
    if dtype == torch.float64:
        torch.set_default_dtype(dtype)
        torch.Tensor.float = torch.Tensor.double
        device.training_dtype = lambda place: torch.float32  # so autocast does nothing
    else:
        device.training_dtype = lambda place: dtype
    try:
        yield
    finally:
        torch.Tensor.float, device.training_dtype = before
        torch.set_default_dtype(torch.float32)


def curve(recipe, dataset, dtype, nudge=0):
    """The history's numbers, a list per epoch, and a hash of the final weights.

    Where `nudge` is not 0, it seeds a change of the first weights by about one rounding of float32.
    """

    def nudged(model):
        generator = torch.Generator().manual_seed(nudge)
        for weight in model.parameters():
            draw = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
            weight.data *= 1 + 6e-8 * draw
        return shared(model)

    shared = models.replicate
    with everything_in(dtype):
        models.replicate = nudged if nudge else shared
        trained = training.train(recipe, dataset, device="cpu")
        models.replicate = shared
    content = b"".join(value.numpy().tobytes() for value in trained.model.state_dict().values())
    numbers = [[entry[name] for name in NUMBERS] for entry in trained.history]
    return {"curve": numbers, "weights": hashlib.sha256(content).hexdigest()}


def without_shared_batch_norm(recipe, dataset):
    """The curve where each process normalises its own part."""
    shared, models.replicate = models.replicate, lambda model: model
    try:
        return curve(recipe, dataset, torch.float64)
    finally:
        models.replicate = shared


def normalised(dtype):
    """Outputs, gradients and averages of a batch norm over one batch, as lists; rows of all processes."""
    torch.manual_seed(0)
    x, gradient = torch.randn(7, 3, 4, 5) * 2 + 30, torch.randn(7, 3, 4, 5)
    layer = nn.BatchNorm2d(3, momentum=0.4)
    layer.weight.data.uniform_(), layer.bias.data.normal_()
    layer = models.replicate(layer)
    mine = distributed.shard(7)
    inputs = x[mine].to(dtype).requires_grad_()
    outputs = layer(inputs)
    outputs.backward(gradient[mine].to(dtype))
    rows = torch.zeros(2, *x.shape)
    rows[0, mine], rows[1, mine] = outputs.detach().float(), inputs.grad.float()
    distributed.all_reduce([rows, layer.weight.grad, layer.bias.grad])
    found = {"outputs": rows[0], "inputs": rows[1], "weight": layer.weight.grad, "bias": layer.bias.grad}
    found |= {"mean": layer.running_mean, "variance": layer.running_var, "type": outputs.dtype}
    return {name: str(value) if name == "type" else value.tolist() for name, value in found.items()}


def overflow(dataset):
    """Whether all processes skip a step whose gradients overflow in the last one only."""
    with everything_in(torch.float16):
        torch.manual_seed(0)
        model = models.replicate(models.build(TINY, (3, 32, 32)))
        before = [weight.detach().clone() for weight in model.parameters()]
        if distributed.rank() == distributed.world_size() - 1:
            model.linear.weight.register_hook(lambda gradient: gradient * float("inf"))
        training.train_epoch(TINY, model, training.make_optimizer(TINY, model), dataset.train[:31], 0, 1)
        return all(map(torch.equal, before, model.parameters()))


def refused(dataset):
    try:
        training.train(TINY.replace(batch_size=1), dataset, device="cpu")
    except CourseError as error:
        return str(error)


def basics(dataset):
    """What the default suite compares: few steps of two recipes."""
    found = {recipe.name: curve(recipe, dataset, torch.float64) for recipe in RECIPES}
    found["unshared"] = without_shared_batch_norm(TINY, dataset)
    found["norm"] = {str(kind): normalised(kind) for kind in (torch.float32, torch.bfloat16)}
    found["skipped"] = overflow(dataset)
    found["refused"] = refused(dataset)
    found["parts"] = [distributed.shard(total).indices(total)[:2] for total in (31, 2, 1, 0)]
    found["exchanged"] = exchanged()
    return found


def exchanged():
    """What each function that exchanges something gives in this process."""
    rank, seen, calls = distributed.rank(), [], []

    def doubled(rows):
        seen.append(len(rows))
        return 2 * rows

    def fail():
        raise CourseError(f"Process {rank} failed.")

    small, whole = torch.tensor([1.0 + rank]), torch.tensor([[1, 10 * rank], [0, 2]])
    distributed.all_reduce(iter([small, whole]))
    order = Path(os.environ["ORDER"])
    return {
        "sums": [small.tolist(), whole.tolist(), str(whole.dtype)],
        "doubled": distributed.map_shards(doubled, torch.arange(5)[:, None]).tolist(),
        "rows": seen,
        "first": distributed.on_first(lambda: calls.append(rank) or [rank, "an object"]),
        "calls": calls,
        "failure": raised(distributed.on_first, fail),
        "same": raised(distributed.assert_equal, "weights", 7),
        "different": raised(distributed.assert_equal, "weights", rank),
        "turn": distributed.one_by_one(lambda: taken_turn(order, rank)),
    }


def taken_turn(order, rank):
    """Append this process's number to a file, the first one slowly; returns what stood there before."""
    before = order.read_text() if order.exists() else ""
    if rank == 0:
        time.sleep(0.5)
    order.write_text(before + str(rank))
    return before


def raised(function, *arguments):
    """The text of the CourseError that a call raises, or None."""
    try:
        function(*arguments)
    except CourseError as error:
        return str(error)
    return None


def printed_once():
    """What this process prints of a sentence that each of them has."""
    with redirect_stderr(io.StringIO()) as stderr:
        distributed.print_once(f"process {distributed.rank()}")
    return stderr.getvalue()


def more(dataset):
    """More steps, more recipes, other precisions."""
    found = {recipe.name: curve(recipe, dataset, torch.float64) for recipe in (*RECIPES, *OTHERS)}
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        found[str(kind)] = curve(TINY, dataset, kind)
    curve(TINY.replace(model="alexnet", options={}), dataset, torch.float32)
    found["next draw"] = torch.initial_seed()
    return found


def command(words, fault=None):
    """Run a command of cifar_lib; returns its code, the epochs trained, every change of a file."""
    found = {"process": os.getpid(), "epochs": [], "changes": []}
    train_epoch = training.train_epoch
    recipes.recipe.QUICK_EPOCHS = 4  # enough to be killed in the third and go on
    recipes.RECIPES["study"] = recipes.RECIPES["study"].replace(epochs=32)  # the quick form takes an eighth

    def watched(event, arguments):
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or event in ("os.rename", "os.mkdir", "os.remove"):
            found["changes"].append(f"{event} {arguments[0]}")

    def epoch_with_faults(recipe, model, optimizer, images, seed, epoch, before_step=None):
        found["epochs"].append(epoch)
        if fault and (distributed.rank(), epoch) == fault[1:]:
            FAULTS[fault[0]]()
        return train_epoch(recipe, model, optimizer, images, seed, epoch, before_step)

    sys.addaudithook(watched)
    training.loop.train_epoch = epoch_with_faults
    with everything_in(torch.float64 if "WIDE" in os.environ else torch.float32):
        found["code"] = main(words)
    return found | {"changes": list(found["changes"])}


def say_something_is_wrong():
    raise CourseError("This process found something wrong.")


FAULTS = {
    "waits": lambda: time.sleep(3600),
    "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stops": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "complains": say_something_is_wrong,
}

if __name__ == "__main__":
    kind, folder, *words = sys.argv[1:]
    images = 400 if kind == "more" else 150
    generated.GENERATORS["toy"] = partial(generated.toy, images, 100)
    distributed.SILENCE = timedelta(seconds=int(os.environ.get("SILENCE", 120)))
    if os.environ.get("RANK") == "1" and "ELSEWHERE" in os.environ:
        os.environ["CIFAR_CACHE"] = os.environ["ELSEWHERE"]
    if kind in ("basics", "more"):
        dataset = data.load("toy")
        with distributed.process_group():
            found = command(words) if words else {}
            found |= {"basics": basics, "more": more}[kind](dataset)
            found["said"] = printed_once()
        found["left"] = [distributed.world_size(), distributed.rank(), printed_once()]
    else:
        fault, rank, epoch = kind.split(",") if "," in kind else ("", 0, 0)
        found = command(words, (fault, int(rank), int(epoch)))
    Path(folder, f"{os.environ.get('RANK', 0)}.json").write_text(json.dumps(found))
    sys.exit(found.get("code", 0))
