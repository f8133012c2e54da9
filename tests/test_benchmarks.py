"""Every benchmark still measures: what takes the time runs once, on a few generated images."""

import importlib.util
import io
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from cifar_lib import evaluate, models, recipes
from cifar_lib.system import device

FOLDER = Path(__file__).parent.parent / "benchmarks"
TINY = {
    "company": ["study-quick", "--data", "toy", "--images", "128", "--rounds", "1", "--fixed"],
    "false_alarms": ["--experiments", "2", "--images", "20"],
    "gpu": ["--rehearse", "--only", "environment"],
    "growth": ["--data", "toy", "--images", "64", "--tables", "batch", "threads"],
    "loop": ["--data", "toy", "--images", "64", "--epochs", "1", "--rounds", "1"],
    "order": ["--images", "1", "--repeat", "1"],
    "paths": ["small-seed0", "--data", "toy", "--images", "40"],
    "plain": ["--data", "toy", "--images", "100", "--batch", "50", "--epochs", "2"],
    "roofline": ["study-quick", "--data", "toy", "--steps", "1"],
    "scaling": ["--batches", "8", "--steps", "2", "--rounds", "1"],
    "worked_example": ["--images", "100", "--seeds", "2"],
}


@pytest.fixture(autouse=True)
def freed_memory():
    """The benchmarks keep it for their whole process, which here has other tests to run."""
    yield
    device.give_back_memory()


def benchmark(name):
    """A benchmark as a module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_benchmark_has_a_tiny_run():
    """All but `limits`, which reads files that the course does not hold, and the parts of `gpu`."""
    assert sorted([*TINY, "gpu_parts", "limits"]) == sorted(path.stem for path in FOLDER.glob("*.py"))


def test_company_trains_in_rounds(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("go\n"))
    arguments = Namespace(data="toy", images=128, rounds=2, fixed=False)
    benchmark("company").worker("mlp-quick", arguments)
    ready, seconds = capsys.readouterr().out.split()
    assert ready == "ready" and float(seconds) > 0


def test_growth_measures_an_epoch():
    seconds, peak = benchmark("growth").one_epoch(16, 4, 32, torch.get_num_threads(), "cpu", "toy")
    assert seconds > 0 and peak > 1e8


def test_both_loops_train_the_network(toy_images):
    loop = benchmark("loop")
    recipe = recipes.get("study-quick").replace(epochs=1, batch_size=100, holdout=False)
    for way in (loop.tutorial_loop, loop.course_loop):
        model, seconds = way(recipe, toy_images, 0, torch.device("cpu"))
        assert seconds > 0
        assert sum(p.numel() for p in model.parameters() if p.grad is not None) > 0


def test_the_plain_program_learns_as_the_library_does(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plain.py", *TINY["plain"]])
    benchmark("plain").main()
    lines = capsys.readouterr().out.splitlines()
    losses = {(words[2], words[1]): float(words[-1]) for words in map(str.split, lines[1:-1])}
    for name in ("Plain", "Library"):
        assert losses[name, "2"] < losses[name, "1"]


def test_a_pruned_network_answers_as_the_whole_one(toy_images):
    paths = benchmark("paths")
    network = models.SkipCNN((3, 32, 32), width=4)
    for part, dead in (("conv1", [0, 2]), ("conv2", range(8)), ("conv5", range(3, 16))):
        norm = getattr(network, f"bn_{part}")
        norm.weight.data[list(dead)] = norm.bias.data[list(dead)] = 0
    pixels = toy_images.train.pixels[:50]
    smaller, left = paths.prune(network)
    assert [len(left[part]) for part in ("conv1", "conv2", "conv5")] == [2, 1, 3]
    whole = evaluate.predict(network, pixels)
    assert torch.allclose(evaluate.predict(smaller, pixels), whole, atol=1e-5)


def test_a_silenced_part_puts_out_zero(toy_images):
    paths = benchmark("paths")
    network = models.SkipCNN((3, 32, 32), width=4).eval()
    pixels = toy_images.train.pixels[:50]
    found = paths.answers(*paths.prune(network), {"skip": list(range(8))}, pixels)
    network.skip_relu.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output))
    assert torch.equal(found, evaluate.predict(network, pixels).argmax(1))


def test_both_orders_of_memory_are_measured():
    order = benchmark("order")
    for of in (16, 32):
        assert order.norm_backward(torch.nn.BatchNorm2d, 1, 16, of, repeat=1) > 0
    for memory in order.ORDERS.values():
        assert order.convolution(memory, torch.float32, 1, 16, repeat=1) > 0


def test_roofline_finds_a_floor(monkeypatch, capsys):
    roofline = benchmark("roofline")
    monkeypatch.setattr(roofline, "MATRIX", 128)
    monkeypatch.setattr(roofline, "COPIED", 100_000)
    monkeypatch.setattr(sys, "argv", ["roofline.py", "study-quick", "--data", "toy", "--steps", "1"])
    roofline.main()
    assert "the floor is" in capsys.readouterr().out


def test_scaling_measures_a_turn(capsys):
    benchmark("scaling").worker(8, torch.get_num_threads(), 2)
    assert capsys.readouterr().out.startswith('measured {"rate": ')


@pytest.mark.long
@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_runs_as_a_program(name):
    command = [sys.executable, FOLDER / f"{name}.py", *TINY[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2


def test_limits_counts_errors_that_people_make_too(capsys):
    """Image 0 is clear to all, 1 to half of the people; the network gives 1 and its people's other answer."""
    truth = torch.tensor([0, 0, 1, 1])
    counts = torch.tensor([[10, 0], [5, 5], [0, 10], [0, 10]]).double()
    answers = {"net": torch.tensor([[0, 1, 1, 1]])}
    right = {name: (several == truth).double().mean(0) for name, several in answers.items()}
    benchmark("limits").people(counts, truth, answers, right)
    printed = capsys.readouterr().out
    assert "87.50% of the answers are right" in printed
    accuracy = next(line for line in printed.splitlines() if line.startswith("net"))
    assert accuracy.split() == ["net", "0.0%", "nan%", "nan%", "nan%", "100.0%"]
    assert next(line for line in printed.splitlines() if line.startswith("  net")).split()[1] == "100.0%"


def test_limits_leaves_out_the_images_whose_label_was_rejected(capsys):
    votes = [{"id": 2, "mturk": {"given": 2}}, {"id": 0, "mturk": {"given": 3}}]
    right = {"net": torch.tensor([1.0, 1.0, 0.0, 0.0])}
    benchmark("limits").label_errors(votes, torch.tensor([3, 1, 2, 0]), right)
    assert capsys.readouterr().out.split()[-4:] == ["net", "50.00%", "0.0%", "66.67%"]


def test_limits_swaps_images_only_within_their_group():
    truth = torch.arange(60) % 3
    swapped = benchmark("limits").within(truth, torch.Generator().manual_seed(0))
    assert sorted(swapped.tolist()) == list(range(60))
    assert torch.equal(truth[swapped], truth) and swapped.tolist() != list(range(60))


def test_the_worked_example_chooses_a_rate_on_validation_images_and_reports_each_difference(
    monkeypatch, capsys
):
    example = benchmark("worked_example")
    monkeypatch.setattr(sys, "argv", ["worked_example.py", *TINY["worked_example"]])
    validation = {0.001: 0.3, 0.003: 0.5, 0.01: 0.4, 0.03: 0.1}
    rates = []

    def trained(recipe, dataset, seed):
        if seed != example.CHOOSING:
            rates.append(recipe.rate)
        model = models.build(recipe.replace(model="mlp", options={"hidden": [4]}), dataset.shape)
        return Namespace(model=model, history=[{"val_accuracy": validation[recipe.rate]}])

    monkeypatch.setattr(example, "train", trained)
    torch.manual_seed(0)
    example.main()
    printed = capsys.readouterr().out
    assert set(rates) == {0.003} and len(rates) == 5 * 2
    differences = printed.partition("differences in points")[2].splitlines()[1:]
    assert [line.split("  ")[1] for line in differences] == [
        "LeNet-5 less MLP",
        "LeNet-5 less MLP, moved",
        "the growth of that lead",
        "LeNet-5 in colour less grey",
    ]


def test_limits_says_how_much_easier_the_first_images_are(capsys):
    original = torch.tensor([3, 0, 2, 1])
    benchmark("limits").first_images(original, {"it": torch.tensor([0.0, 1.0, 0.0, 0.5])}, count=2)
    assert capsys.readouterr().out == "first 2 test images: it +37.5 points against all\n"
