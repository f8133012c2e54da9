"""The command that answers about one's own photographs."""

import json

import fakes
import pytest
from PIL import Image

from cifar_lib import data, runs
from cifar_lib.__main__ import main

WARNING = "The network knows 10 classes and has no name for anything else"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "dot.png"
    path.parent.mkdir()
    Image.new("RGB", (50, 40), (90, 120, 200)).save(path)
    return path


def rows(out):
    return [line.split() for line in out.splitlines() if line.startswith("  ")]


def test_five_classes_with_calibrated_probabilities(photo, capsys):
    assert main(["predict", str(photo), "--model", "study"]) == 0
    out = capsys.readouterr().out
    first, named, *_, last = out.splitlines()
    assert first.startswith("study: right about 79.2% of the 10,000 test images of CIFAR-10")
    assert named == f"{photo} (the square in its middle):"
    assert last.startswith(WARNING)
    shares = runs.load_pretrained("study").classify(data.photograph(photo)[None])[0]
    best = shares.topk(5)
    names = data.SPECS["cifar10"].classes
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    assert rows(out) == [[f"{share:.1%}", names[index]] for share, index in pairs]


def test_json_has_a_line_for_each_photograph(photo, capsys):
    (photo.parent / "bad.jpg").write_bytes(b"no photograph")
    assert main(["predict", str(photo.parent), "--model", "study", "--json"]) == 2
    refused, network, answer = map(json.loads, capsys.readouterr().out.splitlines())
    assert refused["event"] == "refused" and refused["file"] == str(photo.parent / "bad.jpg")
    assert "is no photograph that can be opened" in refused["reason"]
    card = runs.load_card("study")
    assert (network["event"], network["name"], network["test_accuracy"]) == (
        "network",
        "study",
        card.test_accuracy,
    )
    assert (answer["event"], answer["file"], answer["fit"]) == ("prediction", str(photo), False)
    shares = runs.load_pretrained("study").classify(data.photograph(photo)[None])[0]
    assert {one["class"]: pytest.approx(one["probability"]) for one in answer["likeliest"]} == {
        card.classes[index]: shares[index].item() for index in shares.topk(5).indices
    }


def test_without_a_name_the_most_accurate_network_answers(photo, capsys):
    pixels = fakes.images(1)[0][0]  # not plain, so that its views differ
    Image.fromarray(pixels.transpose(1, 2, 0)).save(photo)
    assert main(["predict", str(photo)]) == 0
    out = capsys.readouterr().out
    best = runs.load_pretrained(runs.pretrained_names()[0])
    assert out.startswith(f"{best.name}: the mean over 6 views of each image; right about")
    assert f"{best.card.views.test_accuracy:.1%}" in out
    shares = best.classify(data.photograph(photo)[None], 6)[0]
    assert rows(out)[0] == [f"{shares.max():.1%}", best.classes[shares.argmax()]]


def test_fit_is_said_and_done(photo, capsys, monkeypatch):
    asked = []
    photograph = data.photograph
    monkeypatch.setattr(data, "photograph", lambda *given: asked.append(given) or photograph(*given))
    assert main(["predict", str(photo), "--model", "mlp", "--fit"]) == 0
    assert "(all of it, on white):" in capsys.readouterr().out
    assert asked == [(str(photo), True)]


def test_others_are_answered_beside_files_that_cannot_be(photo, tmp_path, capsys):
    bad = photo.parent / "bad.jpg"
    bad.write_bytes(b"no photograph")
    words = ["predict", "missing.png", str(photo.parent), str(photo), "--model", "mlp"]
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out.count(f"{photo} (") == 2 and WARNING in said.out
    assert [line.split(": ", 1)[0] for line in said.err.splitlines()] == ["cifar_lib"] * 3
    missing, damaged, summary = said.err.splitlines()
    assert "missing.png was not found" in missing
    assert "bad.jpg is no photograph that can be opened" in damaged
    assert summary == "cifar_lib: 2 of 4 got no answer, for the reasons above."


def test_one_file_that_cannot_be_answered_is_one_sentence(capsys):
    assert main(["predict", "missing.png", "--model", "mlp"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1


def test_an_empty_folder_is_named(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert main(["predict", str(tmp_path / "none"), "--model", "mlp"]) == 2
    assert "has no photographs in it" in capsys.readouterr().err


def test_weights_of_one_s_own(photo, recorded_folder, tiny, capsys):
    path = fakes.record(tiny, folder=recorded_folder, keep_weights=True).with_suffix(".safetensors")
    assert main(["predict", str(photo), "--weights", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("tiny: its probabilities are not calibrated")
    assert len(rows(out)) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "papr"], "did you mean 'paper'"),
        (["--weights", "none.safetensors"], "none.safetensors was not found: weights are two files"),
    ],
)
def test_networks_that_there_are_not(words, said, photo, capsys):
    assert main(["predict", str(photo), *words]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_network_of_other_images_is_refused(photo, recorded_folder, capsys):
    assert main(["record", "mlp-mnist-quick", "--keep-weights"]) == 0
    weights = runs.weights_file("mlp-mnist-quick", 0)
    assert main(["predict", str(photo), "--weights", str(weights)]) == 2
    assert "'mlp-mnist-quick' takes images of 1×28×28, not photographs" in capsys.readouterr().err
