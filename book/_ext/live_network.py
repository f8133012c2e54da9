"""Sphinx extension: the page on which readers try trained networks, see `book/_static/live/network.js`.

The directive `live-network` sets the page's still form. When the site is built, the networks are written
beside it as `network_steps` describes them.
"""

from functools import cache
from html import escape
from pathlib import Path

import numpy as np
import torch
from docutils import nodes
from live import write_json
from network_steps import IMAGE, steps_of
from PIL import Image
from sphinx.util.docutils import SphinxDirective

from cifar_lib import data, evaluate, runs

NETWORKS = {  # by recipe
    "mlp": "Fully connected",
    "paper": "The paper’s network",
    "fast-lean": "The quick network",
}
LIKELIEST = 5
SPRITE = Path(__file__).parent.parent / "_static" / "live" / "network" / "images.webp"
CLASSES = data.SPECS["cifar10"].classes
ANIMALS = [CLASSES.index(name) for name in ("bird", "cat", "deer", "dog", "frog", "horse")]
SHOWN = [*range(len(CLASSES)), *ANIMALS]  # the classes of the test images in the sprite, in its order
FIRST = 8  # the one that stands in the page before the reader chooses: a ship, on which the networks differ


def sprite(test):
    """The test images of the page, uint8 [N, 3, 32, 32]: the first of each class, and of the animals, which
    networks confuse most, the second too. The order is that of the loaded data set, so it follows from the
    images' content."""
    members = [iter((test.labels == label).nonzero().flatten()) for label in range(len(CLASSES))]
    return test.pixels[torch.stack([next(members[label]) for label in SHOWN])]


def write_sprite(pixels, path=SPRITE):
    """Write uint8 images [N, 3, 32, 32] side by side, without loss. The page's own were made by
    `write_sprite(sprite(data.load("cifar10").test))`."""
    Image.fromarray(torch.cat([*pixels], 2).permute(1, 2, 0).numpy()).save(path, lossless=True, method=6)


def read_sprite(path=SPRITE):
    """The images in the sprite, uint8 [N, 3, 32, 32]."""
    pixels = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)
    return torch.stack(pixels.split(pixels.shape[1], 2))


@cache
def network(name):
    """A network that comes with the library, as `runs.Pretrained`."""
    return runs.load_pretrained(name)


def order():
    """Which pixel each pixel of a shuffled image comes from, as in the data set `cifar10/shuffled`."""
    rows, columns, _ = IMAGE
    numbers = torch.arange(rows * columns).view(1, 1, rows, columns)
    halves = torch.cat([numbers // 256, numbers % 256], 1).byte()  # a pixel holds a byte
    images = data.Images(halves, torch.zeros(1, dtype=torch.int64))
    high, low = data.shuffle_pixels(images).pixels[0].flatten(1).long()
    return (high * 256 + low).tolist()


def export(folder):
    """Write what the page fetches: `networks.json`, and the weights of each network."""
    folder.mkdir(parents=True, exist_ok=True)
    described = []
    for name, title in NETWORKS.items():
        pretrained = network(name)
        steps = steps_of(pretrained.network)
        weights = steps.weights()
        (folder / f"{name}.bin").write_bytes(weights)
        described.append(
            {
                "name": name,
                "title": title,
                "temperature": pretrained.temperature,
                "bytes": len(weights),
                "model": steps.model(),
            }
        )
    content = {"classes": CLASSES, "shown": SHOWN, "order": order(), "networks": described}
    write_json(folder / "networks.json", content)


class LiveNetwork(SphinxDirective):
    """The still form of the page: what each network says to one picture. The page's JavaScript brings it to
    life."""

    def run(self):
        return [nodes.raw("", still(), format="html")]


class LivePictures(SphinxDirective):
    """The test images in a row, each a link to the page on which the networks look at it."""

    def run(self):
        links = "".join(
            f'<a class="net-thumb" style="--at: {place}" href="try-the-network.html#picture-{place}" '
            f'aria-label="{CLASSES[label]}{", another" if label in SHOWN[:place] else ""}"></a>'
            for place, label in enumerate(SHOWN)
        )
        return [
            nodes.raw(
                "", f'<nav class="front-pictures" aria-label="Test images">{links}</nav>', format="html"
            )
        ]


def still():
    name = CLASSES[SHOWN[FIRST]]
    cards = "".join(card(recipe, title) for recipe, title in NETWORKS.items())
    return (
        f'<div data-live="network" data-first="{FIRST}" class="net"><div class="net-stage">'
        f'<figure class="net-picture"><span class="net-image" role="img" style="--at: {FIRST}" '
        f'aria-label="A photo of a {name}, 32 by 32 pixels"></span>'
        f"<figcaption>A test image: {name}, 32 × 32 pixels</figcaption></figure></div>"
        f'<h2 class="visually-hidden">What each network answers</h2>'
        f'<div class="net-cards">{cards}</div></div>'
    )


def card(recipe, title):
    """What a network says to the first picture: the likeliest classes with their probabilities."""
    pretrained = network(recipe)
    top = pretrained.classify(read_sprite()[FIRST : FIRST + 1])[0].topk(LIKELIEST)
    bars = "".join(
        bar(CLASSES[label], share, label == SHOWN[FIRST])
        for share, label in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    )
    described = pretrained.card
    facts = (
        f"{described.parameters:,} weights; right on "
        f"{evaluate.format_percent([described.test_accuracy])} of test images"
    )
    return (
        f'<section class="net-card" data-network="{recipe}"><h3>{escape(title)}</h3>'
        f'<ol>{bars}</ol><p>{facts}<span class="net-time"></span></p></section>'
    )


def bar(name, share, right):
    percent = "<1" if share < 0.01 else ">99" if share > 0.99 else f"{100 * share:.0f}"
    mark = ' class="right"' if right else ""
    return (
        f'<li{mark} style="--share: {share:.4f}"><span>{name}</span><span class="net-bar"></span>'
        f"<span>{escape(percent)} %</span></li>"
    )


def write_models(app, error):
    if error is None and app.builder.format == "html":
        export(Path(app.outdir) / "_static" / "live" / "models")


def setup(app):
    app.add_directive("live-network", LiveNetwork)
    app.add_directive("live-pictures", LivePictures)
    app.connect("build-finished", write_models)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
