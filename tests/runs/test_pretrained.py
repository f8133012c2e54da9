"""The networks that come with the library open in every way that is offered, and their cards are true."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
import systems
import torch
from safetensors.torch import load_file, save_file

from cifar_lib import CourseError, data, evaluate, models, recipes, runs
from cifar_lib.runs import pretrained

REPOSITORY = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in pretrained.PRETRAINED.glob("*.json"))
LABELS = runs.labels_file("cifar10")


def test_these_come_with_the_library():
    assert set(NAMES) == set(pretrained.ABOUT) == {"fast-lean", "study", "paper", "mlp"}
    assert runs.pretrained_names() == ["fast-lean", "study", "paper", "mlp"]


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in pretrained.PRETRAINED.iterdir()) < 5 * 2**20


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_is_the_catalogue_s_and_the_seed_is_0(name):
    card = runs.load_card(name)
    assert recipes.Recipe.from_record(card.recipe, runs.record.SCHEMA) == recipes.get(name)
    assert card.seed == 0 and "Seed 0" in card.seed_rule
    assert tuple(card.classes) == data.SPECS["cifar10"].classes
    assert card.data["fingerprint"] == data.SPECS["cifar10"].fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_the_accuracies_are_those_of_the_stored_predictions(name):
    card, found = runs.load_card(name), runs.load_pretrained_predictions(name)
    labels, _ = runs.load_labels(LABELS)
    assert (
        (len(found["val"]), len(found["test"]))
        == (card.data["n_val"], card.data["n_test"])
        == (5_000, 10_000)
    )
    assert card.val_accuracy == found["val"].accuracy(labels["val"])
    assert card.test_accuracy == found["test"].accuracy(labels["test"])
    assert card.test_interval == pytest.approx(evaluate.wilson_interval(card.test_accuracy, 10_000))
    right = found["test"].right(labels["test"])
    for label, recall in enumerate(card.test_recall):
        assert recall == pytest.approx(right[labels["test"] == label].double().mean().item())


def test_the_quick_network_s_accuracy_over_views_is_that_of_the_stored_predictions():
    card, found = runs.load_card("fast-lean"), runs.load_pretrained_predictions("fast-lean")
    labels, _ = runs.load_labels(LABELS)
    assert card.views.number == recipes.get("fast-lean").views == 6
    assert card.views.val_accuracy == found["val_views"].accuracy(labels["val"])
    assert card.views.test_accuracy == found["test_views"].accuracy(labels["test"]) > 0.93
    assert card.views.test_interval == pytest.approx(
        evaluate.wilson_interval(card.views.test_accuracy, 10_000)
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_calibration_error_is_that_of_the_stored_probabilities(name):
    """They are kept in steps of 1/255, and those of images near a limit of two bins may change their bin."""
    card, found = runs.load_card(name), runs.load_pretrained_predictions(name)["test"]
    labels, _ = runs.load_labels(LABELS)
    confidence, right = found.probabilities[:, 0].double(), found.right(labels["test"]).double()
    place = (confidence * 10).long().clamp(max=9)
    gaps = [(confidence - right)[place == level].sum().abs() for level in range(10)]
    assert sum(gaps).item() / len(found) == pytest.approx(card.test_ece[1], abs=0.003)
    assert card.test_ece[1] <= card.test_ece[0] + 0.001 and card.test_loss[1] <= card.test_loss[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_those_of_the_card(name):
    path = pretrained.PRETRAINED / f"{name}.safetensors"
    card, weights = runs.load_card(name), load_file(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card.sha256
    assert {value.dtype for value in weights.values()} <= {torch.float16, torch.int64}
    assert all(value.isfinite().all() for value in weights.values())
    network = models.build(recipes.get(name), card.shape)
    assert models.count_parameters(network) == card.parameters
    network.load_state_dict(weights)  # what a program without this library's functions would do
    pixels = torch.from_numpy(fakes.images(5)[0])
    loaded = runs.load_pretrained(name)
    assert torch.equal(evaluate.predict(network, pixels), evaluate.predict(loaded.network, pixels))
    assert loaded.temperature == card.temperature


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fast-lean"])
def test_the_weights_are_the_recorded_ones_rounded(name):
    exact = load_file(runs.weights_file(name, 0))
    for key, value in load_file(pretrained.PRETRAINED / f"{name}.safetensors").items():
        assert torch.equal(value, exact[key].to(value.dtype)), key


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fast-lean"])
def test_as_many_predictions_as_the_card_says_differ_from_the_recorded_network_s(name):
    kept = runs.load_record(runs.record_file(name, 0, LABELS.parent)).predictions("test")
    found = runs.load_pretrained_predictions(name)["test"]
    assert (found.classes[:, 0] != kept.classes[:, 0]).sum() == runs.load_card(name).changed


def test_a_loaded_network_is_ready_to_classify():
    found = runs.load_pretrained("study")
    assert not found.network.training
    assert all(value.dtype is torch.float32 for value in found.network.parameters())
    pixels = torch.from_numpy(fakes.images(3)[0])
    expected = (evaluate.predict(found.network, pixels) / 1.4146).softmax(1)
    assert torch.allclose(found.classify(pixels), expected)


@pytest.mark.parametrize("name", ["mlp", "fast-lean"])
@pytest.mark.parametrize("shape", [(3, 28, 28), (3, 64, 64), (1, 32, 32)])
def test_images_of_another_shape_are_not_classified(name, shape):
    with pytest.raises(CourseError, match="was trained on images of 3×32×32, not "):
        runs.load_pretrained(name).classify(torch.zeros(2, *shape, dtype=torch.uint8))


def test_views_have_a_temperature_of_their_own():
    found, pixels = runs.load_pretrained("fast-lean"), torch.from_numpy(fakes.images(3)[0])
    assert found.views == 6 and found.card.views.temperature != found.temperature
    # The card says nothing of two views, for which the temperature of a single one comes nearest.
    assert found.measured(2) is None
    for views, temperature in (
        (6, found.card.views.temperature),
        (1, found.temperature),
        (2, found.temperature),
    ):
        expected = (evaluate.predict(found.network, pixels, views) / temperature).softmax(1)
        assert torch.allclose(found.classify(pixels, views), expected)


def test_publish_measures_the_mean_over_the_recipe_s_views(recorded_folder, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(pretrained.ABOUT, "tiny", "A small one.")
    path = fakes.record(tiny.replace(views=6), folder=recorded_folder, keep_weights=True)
    card = runs.publish("tiny", recorded_folder, tmp_path)
    network, images = runs.load_weights(tmp_path / "tiny.safetensors").network, data.load("toy")
    logits = evaluate.predict(network, images.test.pixels, 6)
    assert card.views.test_accuracy == evaluate.accuracy(logits, images.test.labels)
    assert card.test_accuracy == evaluate.accuracy(
        evaluate.predict(network, images.test.pixels), images.test.labels
    )
    val = data.split(images.train)[1]
    best = evaluate.fit_temperature(evaluate.predict(network, val.pixels, 6), val.labels)
    assert card.views.temperature == round(best, 4)
    assert runs.load_record(path).recipe.views == card.views.number == 6
    assert runs.load_weights(path.with_suffix(".safetensors")).views == 6
    kept, _ = runs.load_predictions(tmp_path / "tiny.predictions.gz")
    expected = (logits / card.views.temperature).softmax(1).topk(2)
    assert torch.equal(kept["test_views"].classes, expected.indices.byte())
    assert torch.allclose(kept["test_views"].probabilities, expected.values, atol=0.51 / 255)


def test_a_record_with_weights_opens_too(recorded_folder, tiny):
    path = fakes.record(tiny, folder=recorded_folder, keep_weights=True)
    found = runs.load_weights(path.with_suffix(".safetensors"))
    assert (found.name, found.temperature, found.card) == ("tiny", 1.0, None)
    pixels = torch.from_numpy(fakes.images(3)[0])
    kept = runs.load_record(path).network()
    assert torch.equal(evaluate.predict(found.network, pixels), evaluate.predict(kept, pixels))


def test_classes_of_one_s_own_keep_their_names(tiny, toy_images, tmp_path):
    recipe = tiny.replace(data="cifar10", epochs=1)  # as a recipe says that does not name the images
    names = tuple("jihgfedcba")
    mine = replace(toy_images, name="mine", classes=names)
    runs.train_and_keep(recipe, mine, 0, folder=tmp_path, progress=False)
    weights, record = tmp_path / "tiny-seed0.safetensors", tmp_path / "tiny-seed0.json"
    assert runs.load_weights(weights).classes == names
    content = json.loads(record.read_text())
    del content["data"]["classes"]  # as in a record of an earlier version
    record.write_text(json.dumps(content))
    assert runs.load_weights(weights).classes == tuple(f"class {i}" for i in range(10))


def test_a_name_that_there_is_not():
    with pytest.raises(CourseError, match="No weights of 'papr' come with the library; did you mean 'paper'"):
        runs.load_pretrained("papr")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the smallest network's files."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    for path in pretrained.PRETRAINED.glob("study.*"):
        shutil.copy(path, folder)
    monkeypatch.setattr(pretrained, "PRETRAINED", folder)
    return folder


def test_files_that_are_missing_or_damaged_are_named(copied):
    weights, card = copied / "study.safetensors", copied / "study.json"
    fakes.cut(weights)
    with pytest.raises(CourseError, match=r"study\.safetensors are damaged"):
        runs.load_pretrained("study")
    shutil.copy(REPOSITORY / "cifar_lib" / "pretrained" / "mlp.safetensors", weights)
    with pytest.raises(CourseError, match=r"study\.safetensors are damaged, or not those of 'study'"):
        runs.load_pretrained("study")
    weights.unlink()
    with pytest.raises(CourseError, match=r"study\.safetensors was not found"):
        runs.load_pretrained("study")
    card.write_text("{}")
    with pytest.raises(CourseError, match=r"model card .*study\.json is damaged"):
        runs.load_pretrained("study")
    with pytest.raises(CourseError, match=r"study\.json is not a recorded run"):
        weights.write_bytes(b"")
        runs.load_weights(weights)


def test_weights_that_are_not_those_of_the_card_are_refused(copied):
    """Those of another training fit the same network, and the card's accuracies are not theirs."""
    path = copied / "study.safetensors"
    save_file({key: torch.zeros_like(value) for key, value in load_file(path).items()}, path)
    for open_them in (lambda: runs.load_pretrained("study"), lambda: runs.load_weights(path)):
        with pytest.raises(CourseError, match=r"study\.safetensors are damaged, or not .* fetch both files"):
            open_them()


def test_a_card_whose_recipe_has_no_name_is_damaged(copied):
    path = copied / "study.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    del card["recipe"]["name"]
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(CourseError, match=r"model card .*study\.json is damaged: .* The recipe has no name"):
        runs.load_weights(copied / "study.safetensors")


def test_a_card_is_read_once(copied, monkeypatch):
    read, paths = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: paths.append(path.name) or read(path))
    assert runs.load_pretrained("study").card.name == "study"
    assert paths.count("study.json") == 1


@pytest.mark.parametrize("ending", [".json", ".safetensors"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(ending, copied, monkeypatch):
    systems.close_to_readers(copied / f"study{ending}", monkeypatch)
    with pytest.raises(CourseError, match=rf"study\{ending} cannot be read: Permission denied\.$"):
        runs.load_pretrained("study")


def test_weights_that_may_not_be_read_are_not_called_damaged(tiny, tmp_path, monkeypatch):
    def missing(*_):
        raise FileNotFoundError("No such file or directory")  # as safetensors says it

    file = tmp_path / "any.safetensors"
    file.touch()
    systems.close_to_readers(file, monkeypatch)
    monkeypatch.setattr(runs.weights, "load_model", missing)
    with pytest.raises(CourseError, match=r"any\.safetensors cannot be read: Permission denied\.$"):
        runs.load_network(file, tiny, (3, 32, 32), 10)


def test_publish_measures_the_rounded_weights(recorded_folder, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(pretrained.ABOUT, "tiny", "A small one.")
    path = fakes.record(tiny, folder=recorded_folder, keep_weights=True)
    card = runs.publish("tiny", recorded_folder, tmp_path / "out")
    assert card == pretrained._read_card(tmp_path / "out" / "tiny.json")
    found = runs.load_weights(tmp_path / "out" / "tiny.safetensors")
    images = data.load("toy")
    logits = evaluate.predict(found.network, images.test.pixels)
    assert card.test_accuracy == evaluate.accuracy(logits, images.test.labels)
    val = data.split(images.train)[1]
    best = evaluate.fit_temperature(evaluate.predict(found.network, val.pixels), val.labels)
    assert card.temperature == round(best, 4)
    plain, labels = evaluate.predict(found.network, val.pixels), images.test.labels
    assert card.val_accuracy == evaluate.accuracy(plain, val.labels)
    right = logits.argmax(1) == labels
    assert card.test_recall == pytest.approx([right[labels == k].double().mean().item() for k in range(10)])
    for place, scaled in enumerate((logits, logits / card.temperature)):
        assert card.test_loss[place] == pytest.approx(evaluate.loss(scaled, labels), abs=1e-4)
        assert card.test_ece[place] == pytest.approx(evaluate.calibration(scaled, labels)[3], abs=1e-4)
    assert [card.data[name] for name in ("n_train", "n_val", "n_test")] == [360, 40, 100]
    kept, _ = runs.load_predictions(tmp_path / "out" / "tiny.predictions.gz")
    for part, several in {"val": plain, "test": logits}.items():
        expected = (several / card.temperature).softmax(1).topk(2)
        assert torch.equal(kept[part].classes, expected.indices.byte())
        assert torch.allclose(kept[part].probabilities, expected.values, atol=0.51 / 255)
    exact = evaluate.predict(runs.load_record(path).network(), images.test.pixels)
    assert card.changed == int((exact.argmax(1) != logits.argmax(1)).sum())


def test_publish_measures_no_network_with_other_images(recorded_folder, tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(pretrained.ABOUT, "tiny", "A small one.")
    fakes.record(tiny.replace(epochs=1), folder=recorded_folder, keep_weights=True)
    others = replace(data.load("toy"), train=data.load("toy").train[:300])
    monkeypatch.setattr(data, "load", lambda name: others)
    with pytest.raises(CourseError, match="'tiny' was trained on other images than those found here"):
        runs.publish("tiny", recorded_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_publish_says_what_is_missing(recorded_folder, tiny, monkeypatch):
    with pytest.raises(CourseError, match="'tiny' is not published"):
        runs.publish("tiny")
    monkeypatch.setitem(pretrained.ABOUT, "tiny", "A small one.")
    fakes.record(tiny, folder=recorded_folder)
    with pytest.raises(CourseError, match="record 'tiny' with --keep-weights"):
        runs.publish("tiny")


def test_pytorch_hub_gives_them_from_any_folder(tmp_path):
    program = (
        "import json, sys, torch\n"
        "folder = sys.argv[1]\n"
        "found = {name: torch.hub.load(folder, name, source='local') for name in json.loads(sys.argv[2])}\n"
        "print(json.dumps({name: [n.temperature, list(n.classes), n(torch.zeros(2, 3, 32, 32)).tolist()]\n"
        "                  for name, n in found.items()}))"
    )
    names = {name.replace("-", "_"): name for name in NAMES}
    words = [sys.executable, "-c", program, str(REPOSITORY), json.dumps(list(names))]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    for entry, name in names.items():
        expected = runs.load_pretrained(name)
        temperature, classes, logits = found[entry]
        assert (temperature, tuple(classes)) == (expected.temperature, expected.classes)
        with torch.no_grad():
            ours = expected.network(torch.zeros(2, 3, 32, 32))
        assert torch.allclose(torch.tensor(logits), ours, atol=1e-4)


def test_the_entry_points_of_pytorch_hub_say_what_they_are():
    names = {}
    exec((REPOSITORY / "hubconf.py").read_text(encoding="utf-8"), names)
    entries = {name: thing for name, thing in names.items() if callable(thing) and not name.startswith("_")}
    assert {name.replace("_", "-") for name in entries} == set(NAMES)
    assert all(thing.__doc__ for thing in entries.values())
