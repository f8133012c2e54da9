"""Sphinx extension: the model cards of the networks that come with the library."""

from course import Markdown

from cifar_lib import runs


def percent(share):
    return f"{100 * share:.1f} %"


def overview(cards):
    """A table with a row for each network."""
    lines = [
        "| network | test accuracy | 95 % interval | over views | validation | weights | changed by fp16 |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for card in cards:
        low, high = (100 * limit for limit in card.test_interval)
        lines.append(
            f"| `{card.name}` | {percent(card.test_accuracy)} | {low:.1f}\u00a0to\u00a0{high:.1f} "
            f"| {percent(card.views.test_accuracy) if card.views else '–'} | {percent(card.val_accuracy)} "
            f"| {card.parameters:,} | {card.changed} |"
        )
    return lines


def full(card):
    """The card of one network as Markdown, from its second line on."""
    recalls = sorted(zip(card.test_recall, card.classes, strict=True))
    images = card.data
    settings = ", ".join(f"{name} {value}" for name, value in card.recipe.items() if name != "name")
    rows = {
        "trained on": f"{images['n_train']:,} images of {images['name']}, fingerprint "
        f"`{images['fingerprint'][:12]}`; {images['n_val']:,} others were held out for validation",
        "recipe": f"`{card.name}`: {settings}",
        "seed": f"{card.seed}. {card.seed_rule}",
        "trained with": f"{card.environment['device']}, PyTorch {card.environment['torch']}",
        "validation accuracy": percent(card.val_accuracy),
        "test accuracy": f"{percent(card.test_accuracy)} of {images['n_test']:,} images, "
        f"95 % interval {percent(card.test_interval[0])} to {percent(card.test_interval[1])}",
        "least often right": ", ".join(f"{name} {percent(share)}" for share, name in recalls[:3]),
        "most often right": ", ".join(f"{name} {percent(share)}" for share, name in recalls[:-4:-1]),
        **of_views(card),
        "temperature": f"{card.temperature}, fitted on the validation images",
        "calibration error on test": f"{100 * card.test_ece[0]:.1f} points, with the temperature "
        f"{100 * card.test_ece[1]:.1f}",
        "loss on test": f"{card.test_loss[0]:.3f} nats, with the temperature {card.test_loss[1]:.3f}",
        "changed by fp16": f"{card.changed} of {images['n_test']:,} test predictions",
        "file": f"`cifar_lib/pretrained/{card.name}.safetensors`, SHA-256 `{card.sha256[:16]}…`",
        "licence": card.licence,
    }
    table = [
        "| property | this network |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    return [card.about, "", *table]


def of_views(card):
    """The row about the mean over several views, for a network whose recipe takes it."""
    if card.views is None:
        return {}
    found = card.views
    return {
        f"mean over {found.number} views": f"test accuracy {percent(found.test_accuracy)}, 95 % interval "
        f"{percent(found.test_interval[0])} to {percent(found.test_interval[1])}; validation accuracy "
        f"{percent(found.val_accuracy)}; temperature {found.temperature}, with which the calibration error "
        f"on test is {100 * found.test_ece[1]:.1f} points"
    }


class Cards(Markdown):
    """Markdown from the cards: a table of all, what they are not for, or one network's card by name."""

    optional_arguments = 1

    def lines(self):
        cards = [runs.load_card(name) for name in runs.pretrained_names()]
        for card in cards:
            self.env.note_dependency(runs.pretrained.PRETRAINED / f"{card.name}.json")
        if not self.arguments:
            return overview(cards)
        if self.arguments == ["not-for"]:
            return [f"- {line}" for line in cards[0].not_for]
        return full(runs.load_card(self.arguments[0]))


def setup(app):
    app.add_directive("model-cards", Cards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
