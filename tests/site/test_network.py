"""The page on which readers try the networks: it answers as PyTorch does, stays small, and all can use it."""

import base64
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import drive, missing
from pages import SITE
from PIL import Image

from cifar_lib import data, models, recipes

ROOT = Path(__file__).parents[2]
NETWORK = ROOT / "book" / "_static" / "live" / "network"
COUNT = 200  # images on which the page and PyTorch are compared

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import live_network  # noqa: E402
import network_steps  # noqa: E402

in_a_browser = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def compare(network, steps, images):
    """The largest difference between a network and its steps, computed by PyTorch from the written file."""
    written = steps.weights()
    halves = np.frombuffer(written, "<f2", steps.counts[0])
    singles = np.frombuffer(written, "<f4", offset=2 * len(halves) + 2 * len(halves) % 4)
    values = [images]
    for step in steps.steps:
        first = values[step["from"][0]]
        if step["op"] == "conv":
            outputs, size = step["shape"][2], step["kernel"]
            inputs = first.shape[1]
            start, beside = step["weights"], step["channels"]
            weight = torch.tensor(halves[start : start + size * size * inputs * outputs].astype(np.float32))
            weight = (
                weight.view(-1, size, size, inputs, network_steps.BLOCK).permute(0, 4, 3, 1, 2).flatten(0, 1)
            )
            scale, bias = torch.tensor(singles[beside : beside + 2 * outputs]).view(2, 1, outputs, 1, 1)
            out = torch.nn.functional.conv2d(first, weight, None, step["stride"], step["pad"]) * scale + bias
        elif step["op"] == "max":
            out = torch.nn.functional.max_pool2d(first, step["kernel"])
        elif step["op"] == "concat":
            out = torch.cat([values[i] for i in step["from"]], 1)
        else:
            out = getattr(torch.nn.functional, step["op"])(first)
        assert [*out.shape[2:], out.shape[1]] == step["shape"]
        values.append(out)
    with torch.no_grad():
        right = network.eval()(images)
    return float((values[-1].flatten(1)[:, : right.shape[1]] - right).abs().max())


def trained_a_little(name):
    """A network whose weights are float16 and whose batch norm has seen images, so that it is no identity."""
    torch.manual_seed(0)
    network = models.build(recipes.get(name), (3, 32, 32))
    images = torch.randn(64, 3, 32, 32)
    if isinstance(network, models.FastCNN):
        network.prepare(images)
    network.train()(images)
    for parameter in network.parameters():
        parameter.data = (parameter + 0.1 * torch.randn_like(parameter)).detach().half().float()
    return network


@pytest.mark.parametrize("name", ["mlp", "study", "fast72"])
def test_the_steps_compute_what_the_network_computes(name):
    network = trained_a_little(name)
    assert compare(network, network_steps.steps_of(network), torch.randn(8, 3, 32, 32)) < 1e-4


def test_tiny_weights_that_batch_norm_makes_large_survive_float16():
    network = trained_a_little("study")
    with torch.no_grad():
        network.conv3.weight *= 2.0**-40
        network.bn_conv3.running_mean *= 2.0**-40
        network.bn_conv3.running_var *= 2.0**-80
        network.bn_conv3.eps = 0
    assert compare(network, network_steps.steps_of(network), torch.randn(8, 3, 32, 32)) < 1e-4


def test_a_network_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="cannot run a LeNet5"):
        network_steps.steps_of(models.LeNet5())


def test_the_order_of_shuffled_pixels_is_that_of_the_data_set():
    numbers = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    shuffled = data.shuffle_pixels(data.Images(numbers, torch.zeros(1).long())).pixels
    assert torch.equal(numbers.flatten(2)[:, :, live_network.order()], shuffled.flatten(2))


def test_the_images_of_the_page_are_few_and_small():
    assert live_network.read_sprite().shape == (len(live_network.SHOWN), 3, 32, 32)
    assert 12 <= len(live_network.SHOWN) <= 20
    assert live_network.SPRITE.stat().st_size < 30_000


def test_the_images_are_the_first_of_their_classes_and_written_without_loss(toy_images, tmp_path):
    images, labels = toy_images.test.pixels, toy_images.test.labels
    chosen = live_network.sprite(toy_images.test)
    birds = (labels == 2).nonzero().flatten()
    assert torch.equal(chosen[[2, 10]], images[birds[:2]])
    assert torch.equal(chosen[9], images[(labels == 9).nonzero()[0, 0]])
    live_network.write_sprite(chosen, tmp_path / "images.webp")
    assert torch.equal(live_network.read_sprite(tmp_path / "images.webp"), chosen)


def zig():
    """The compiler that conv.c names, or None."""
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang"]
    return ["zig"] if shutil.which("zig") else None


@pytest.mark.skipif(zig() is None or not shutil.which("node"), reason="no compiler: pip install ziglang")
def test_the_compiled_convolution_is_made_from_its_source(tmp_path):
    """The compiler's version may differ, so the unit tests judge what it makes."""
    made = tmp_path / "conv.wasm"
    lines = (NETWORK / "conv.c").read_text().split("python -m ziglang ")[1].split("\n\n")[0]
    options = lines.replace("//", "").replace("\\\n", " ").split()
    options[options.index("conv.wasm")] = str(made)
    subprocess.run([*zig(), *options], cwd=NETWORK, check=True, timeout=300)
    environment = {**os.environ, "KERNEL": str(made)}
    subprocess.run(
        ["node", "--test", "network.test.mjs"], cwd=Path(__file__).parent, env=environment, check=True
    )


@cache
def used(folder):
    """What `network.mjs` found."""
    photo = folder / "photo.png"
    Image.new("RGB", (90, 60), (200, 40, 40)).save(photo)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (COUNT // 2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    images = torch.cat([data.load("toy").test.pixels[: COUNT - len(noise)], noise])
    probabilities = {}
    for name in live_network.NETWORKS:
        probabilities[name] = live_network.network(name).classify(images).tolist()
    pixels = data.normalize(images).permute(0, 2, 3, 1).contiguous().numpy().astype("<f4").tobytes()
    content = {"pixels": base64.b64encode(pixels).decode(), "probabilities": probabilities}
    (folder / "images.json").write_text(json.dumps(content))
    return drive("network.mjs", str(photo), str(folder / "images.json"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return used(tmp_path_factory.mktemp("network"))


@in_a_browser
def test_the_page_answers_as_pytorch_does(page):
    assert len(page["differences"]) == 2 * len(live_network.NETWORKS)
    assert {name: worst for name, worst in page["differences"].items() if worst > 1e-3} == {}


@in_a_browser
def test_without_javascript_the_page_shows_what_it_first_shows_with_it(page):
    assert [card["bars"] for card in page["still"]] == [card["bars"] for card in page["first"]]


@in_a_browser
def test_nothing_large_is_fetched_before_the_reader_asks(page):
    assert not any(entry["url"].endswith((".bin", ".wasm")) for entry in page["before"])
    assert sum(entry["bytes"] for entry in page["before"]) < 200_000
    assert page["fetched"] == len(live_network.NETWORKS)
    assert page["elsewhere"] == [] and page["noise"] == []


@in_a_browser
def test_an_answer_takes_less_than_300_milliseconds(page):
    assert sum(statistics.median(times) for times in page["times"].values()) < 300


@in_a_browser
def test_the_picture_can_be_changed(page):
    assert page["permutation"] and page["undone"]
    assert page["patch"] == [8, 17, 17]  # rows and columns count from 1, as in the sentences
    answers = [page[name] for name in ("first", "shuffled", "covered")]
    assert len({json.dumps([card["bars"] for card in answer]) for answer in answers}) == 3


@in_a_browser
def test_own_pictures_are_taken(page):
    assert page["photo"] == [200, 40, 40] * 1024
    assert page["small"] == 0, "a picture of 32 × 32 pixels is changed on its way to the networks"
    assert all(card["answered"] for card in page["camera"])
    assert page["ink"] > 100
    assert "notes.txt" in page["unreadable"]


@in_a_browser
def test_the_layers_and_the_evidence_are_shown(page):
    for name in live_network.NETWORKS:
        labels = [
            step["label"]
            for step in network_steps.steps_of(live_network.network(name).network).steps
            if "label" in step
        ]
        assert page["inside"][name][:-1] == labels
        assert "Map" in page["inside"][name][-1] or "Unit" in page["inside"][name][-1]
    assert "ship" in page["evidence"]


@in_a_browser
def test_a_picture_of_the_first_page_leads_to_its_answers(page):
    front = page["front"]
    assert front["links"] == len(live_network.SHOWN) == len(set(front["names"]))
    assert front["chosen"] == 11


@in_a_browser
def test_on_a_phone_the_answers_stay_in_view_while_the_sliders_move(page):
    front = page["front"]
    assert all(front["seen"]) and len(front["seen"]) == len(live_network.NETWORKS)
    for short, first in zip(front["glance"], front["cards"], strict=True):
        assert short.split() == [word for word in first.split() if word != "✓"]


@in_a_browser
def test_the_keyboard_suffices_and_answers_are_told(page):
    keyboard = page["keyboard"]
    assert keyboard["picture"] == live_network.FIRST + 1
    assert keyboard["next"] == "row"
    assert keyboard["enlarged"] == 1
    assert all(title in keyboard["told"] for title in live_network.NETWORKS.values())


@in_a_browser
def test_without_webassembly_and_with_a_network_missing_the_others_answer(page):
    assert page["troubled"] == {"machine": "JavaScript", "missing": 0, "bars": live_network.LIKELIEST}


@in_a_browser
def test_the_part_in_use_breaks_no_rule_of_accessibility(page):
    assert page["violations"] == []


@in_a_browser
def test_the_site_has_the_networks_that_the_extension_writes():
    content = json.loads((SITE / "_static" / "live" / "models" / "networks.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in content["networks"]] == list(live_network.NETWORKS)
