"""Predictions are kept for each run, and results come from them."""

import gzip
import json
from dataclasses import replace

import fakes
import pytest
import torch

from cifar_lib import CourseError, data, evaluate, models, runs
from cifar_lib.data.variants import OTHER_LABELS
from cifar_lib.runs import predictions

LOGITS = torch.tensor([[0.0, 2.0, 1.0], [3.0, 1.0, 0.0], [0.0, 0.1, 0.2], [9.0, 0.0, 8.0]])
LABELS = torch.tensor([1, 2, 1, 2])  # right, neither, second, second


def of_the_example():
    return predictions.predictions_of(LOGITS)


def test_the_two_likeliest_classes_come_with_their_probabilities():
    found = of_the_example()
    assert found.classes.tolist() == [[1, 2], [0, 1], [2, 1], [0, 2]]
    shares = LOGITS.exp() / LOGITS.exp().sum(1, keepdim=True)
    assert found.probabilities[0].tolist() == pytest.approx(shares[0, [1, 2]].tolist(), abs=0.5 / 255)
    assert found.probabilities[3].tolist() == pytest.approx(shares[3, [0, 2]].tolist(), abs=0.5 / 255)


def test_what_is_right_is_counted():
    found = of_the_example()
    assert found.right(LABELS).tolist() == [True, False, False, False]
    assert found.accuracy(LABELS) == 0.25
    assert found.top2(LABELS) == 0.75


@pytest.mark.parametrize("labels", [LABELS[:, None], LABELS[:1], LABELS[:3]])
def test_labels_that_are_not_one_for_each_image_are_not_counted(labels):
    for count in (of_the_example().right, of_the_example().accuracy, of_the_example().top2):
        with pytest.raises(CourseError, match=r"There are 4 images, but labels of the shape \["):
            count(labels)


def test_predictions_are_not_read_as_labels(tmp_path):
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"test": of_the_example()}, {})
    with pytest.raises(CourseError, match=r"The labels .* are damaged"):
        predictions.load_labels(path)


def test_predictions_survive_their_file(tmp_path):
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"val": of_the_example(), "test_views": of_the_example()}, {"a": "b"})
    found, notes = predictions.load_predictions(path)
    assert notes["a"] == "b" and set(found) == {"val", "test_views"}
    for kept in found.values():
        assert torch.equal(kept.classes, of_the_example().classes)
        assert torch.equal(kept.probabilities, of_the_example().probabilities)
    again = tmp_path / "again.predictions.gz"
    predictions.save_predictions(again, found, {"a": "b"})
    assert again.read_bytes() == path.read_bytes()
    assert path.read_bytes()[3:8] == bytes(5)  # gzip's flags and time: no name, no time


def test_more_than_sixteen_classes_survive_their_file(tmp_path):
    first = torch.arange(256).byte()
    every = predictions.Predictions(torch.stack([first, first.flip(0)], 1), torch.zeros(256, 2))
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"test": every, "val": of_the_example()}, {})
    found, _ = predictions.load_predictions(path)
    assert torch.equal(found["test"].classes, every.classes)
    assert torch.equal(found["val"].classes, of_the_example().classes)


def test_sixteen_classes_and_every_step_of_a_probability_survive_their_file(tmp_path):
    classes = torch.arange(256).byte()
    steps = torch.arange(256) / 255
    every = predictions.Predictions(
        torch.stack([classes // 16, classes % 16], 1), torch.stack([steps, steps.flip(0)], 1)
    )
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"test": every}, {})
    found, _ = predictions.load_predictions(path)
    assert torch.equal(found["test"].classes, every.classes)
    assert torch.equal(found["test"].probabilities, every.probabilities)


WRONG = {
    "nothing": {},
    "no probabilities": {"test.classes": torch.zeros(4).byte()},
    "numbers that are no bytes": {
        "test.classes": torch.zeros(4),
        "test.probabilities": torch.zeros(2, 4).byte(),
    },
    "probabilities that are no bytes": {
        "test.classes": torch.zeros(4).byte(),
        "test.probabilities": torch.zeros(2, 4),
    },
    "one image too few": {
        "test.classes": torch.zeros(4).byte(),
        "test.probabilities": torch.zeros(2, 3).byte(),
    },
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_with_other_tensors_is_damaged(kind, tmp_path):
    path = tmp_path / "any.predictions.gz"
    predictions._save(path, WRONG[kind], {})
    with pytest.raises(CourseError, match="are damaged"):
        predictions.load_predictions(path)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_losses_are_those_of_the_plain_view(views, tiny, toy_images):
    model = models.build(tiny, (3, 32, 32))
    found, losses = predictions.predict_parts(model, {"test": toy_images.test}, views)
    assert set(found) == ({"test"} if views == 1 else {"test", "test_views"})
    plain = evaluate.predict(model, toy_images.test.pixels)
    assert losses == {"test": pytest.approx(evaluate.loss(plain, toy_images.test.labels))}


@pytest.mark.parametrize("damage", ["cut", "not gzip", "not safetensors", "a bomb", "missing"])
def test_a_damaged_file_is_one_sentence(damage, tmp_path):
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"val": of_the_example()}, {})
    if damage == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(
            {
                "cut": content[:-9],
                "not gzip": b"text",
                "not safetensors": gzip.compress(b"text"),
                "a bomb": gzip.compress(bytes(predictions.LARGEST + 1)),
            }[damage]
        )
    with pytest.raises(CourseError, match="missing" if damage == "missing" else "damaged") as caught:
        predictions.load_predictions(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_with_any_byte_changed_is_refused_or_harmless(tmp_path):
    path = tmp_path / "any.predictions.gz"
    predictions.save_predictions(path, {"val": of_the_example()}, {})
    content, refused = path.read_bytes(), 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            predictions.load_predictions(path)
        except CourseError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 0.9 * len(content)


def test_a_later_version_is_named(tmp_path, monkeypatch):
    path = tmp_path / "any.predictions.gz"
    monkeypatch.setattr(predictions, "VERSION", "2")
    predictions.save_predictions(path, {"val": of_the_example()}, {})
    monkeypatch.undo()
    with pytest.raises(CourseError, match="version '2', but this library reads 1"):
        predictions.load_predictions(path)


def test_a_recorded_run_has_the_predictions_of_its_network(recorded_folder, tiny, toy_images):
    recipe = tiny.replace(epochs=1, views=6)
    kept = runs.load_record(fakes.record(recipe, keep_weights=True))
    labels, _ = runs.load_labels(runs.labels_file("toy"))
    assert torch.equal(labels["test"], toy_images.test.labels) and labels["test"].dtype == torch.int64
    assert torch.equal(labels["val"], data.split(toy_images.train)[1].labels)
    plain, mean = evaluate.predict_plain_and_mean(kept.network(), toy_images.test.pixels, 6)
    assert torch.equal(kept.predictions().classes[:, 0], plain.argmax(1))
    assert torch.equal(kept.predictions("test_views").classes[:, 0], mean.argmax(1))
    assert kept.predictions("val").accuracy(labels["val"]) == kept.result["val_accuracy"]
    assert kept.predictions("val").top2(labels["val"]) == kept.result["val_top2"]
    assert kept.predictions("test_views").accuracy(labels["test"]) == kept.result["test_accuracy_views"]
    with pytest.raises(CourseError, match="no predictions of 'train': choose one of "):
        kept.predictions("train")


@pytest.mark.parametrize("first", ["toy", "toy/random-labels"])
def test_a_variant_with_other_labels_keeps_its_own(recorded_folder, tiny, first):
    second = {"toy": "toy/random-labels", "toy/random-labels": "toy"}[first]
    for seed, name in enumerate((first, second)):  # whichever comes first, its labels are not the other's
        kept = runs.load_record(fakes.record(tiny.replace(epochs=1, data=name), seed=seed))
        right = runs.right_answers([kept]).double().mean().item()
        assert right == pytest.approx(kept.result["test_accuracy"])


def test_labels_that_are_kept_are_not_replaced_by_those_of_other_images(tiny, toy_images, tmp_path):
    """Else no earlier run of the folder could be compared any more."""
    recipe = tiny.replace(epochs=1)
    first, _ = runs.train_and_keep(recipe, toy_images, 0, folder=tmp_path, progress=False)
    others = replace(toy_images, test=data.Images(toy_images.test.pixels, toy_images.test.labels.flip(0)))
    runs.train_and_keep(recipe, others, 1, folder=tmp_path, progress=False)
    assert runs.right_answers([first]).double().mean().item() == pytest.approx(first.result["test_accuracy"])


def test_every_variant_that_changes_labels_is_named(toy_images):
    labels = {name: vary(toy_images.test).labels for name, vary in data.VARIANTS.items()}
    changed = {name for name, own in labels.items() if not torch.equal(own, toy_images.test.labels)}
    assert changed == OTHER_LABELS


def test_predictions_of_other_images_are_refused(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1))
    found = runs.load_record(path).all_predictions()
    predictions.save_predictions(runs.predictions_file("tiny", 0), found, {"images": "others"})
    run = runs.load_record(path)
    for _ in range(2):  # also when they are asked for again
        with pytest.raises(CourseError, match="are of other images"):
            run.predictions()


def old(path):
    """Take away what a record of an earlier version has not, and let it speak of fewer test images."""
    path.with_suffix(".predictions.gz").unlink()
    content = json.loads(path.read_text())
    del content["model"]["classes"], content["data"]["test_fingerprint"]
    content["data"]["n_test"] = 7
    path.write_text(json.dumps(content))


def test_a_record_without_predictions_is_evaluated_anew_from_its_weights(recorded_folder, tiny, monkeypatch):
    path = fakes.record(tiny.replace(epochs=1), keep_weights=True)
    before = json.loads(path.read_text())
    old(path)
    monkeypatch.setattr(runs.queue, "train", lambda *_, **__: pytest.fail("it trained"))
    assert runs.train_and_record(tiny.replace(epochs=1), 0, progress=False) is runs.Claim.DONE
    assert runs.train_and_record(tiny.replace(epochs=1), 0, renew=True, progress=False) is runs.Claim.MINE
    assert json.loads(path.read_text()) == before
    assert len(runs.load_record(path).predictions()) == 100
    assert runs.train_and_record(tiny.replace(epochs=1), 0, renew=True, progress=False) is runs.Claim.DONE


def test_a_record_is_not_evaluated_anew_with_other_images(recorded_folder, tiny, toy_images):
    path = fakes.record(tiny.replace(epochs=1), keep_weights=True)
    old(path)
    before = fakes.snapshot(recorded_folder)
    others = replace(toy_images, train=toy_images.train[:300])  # of whose held-out tenth it knows some
    with pytest.raises(CourseError, match="'tiny', seed 0, was trained on other images than those found"):
        runs.train_and_record(tiny.replace(epochs=1), 0, renew=True, progress=False, dataset=others)
    (recorded_folder / "tiny-seed0.lock").unlink()  # which nobody holds
    assert fakes.snapshot(recorded_folder) == before


def test_without_weights_it_is_trained_again(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1))
    result = runs.load_record(path).result
    old(path)
    runs.record_all([(tiny.replace(epochs=1), 0)], renew=True)
    assert runs.load_record(path).data["n_test"] == 100 and runs.load_record(path).result == result


def test_weights_without_a_record_do_not_keep_a_run_from_being_trained(recorded_folder, tiny):
    """The record is written last, so weights alone are of a recording that was killed."""
    path = fakes.record(tiny.replace(epochs=1), keep_weights=True)
    before = runs.load_record(path).result
    path.unlink()
    path.with_suffix(".safetensors").write_bytes(b"of another recording")
    assert runs.train_and_record(tiny.replace(epochs=1), 0, progress=False) is runs.Claim.MINE
    assert runs.load_record(path).result == before
    runs.load_record(path).network()  # its own weights have taken the place of the others
