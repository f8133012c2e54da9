"""An exported network computes what PyTorch computes."""

import json
import sys

import pytest
import torch
from refusals import refusal

from cifar_lib import runs


@pytest.fixture
def kept(tiny, tmp_path, toy_images):
    runs.train_and_keep(tiny.replace(epochs=1), toy_images, 3, folder=tmp_path, progress=False)
    return runs.find_runs("tiny", tmp_path)[3]


def test_an_exported_network_gives_the_logits_of_pytorch(kept, toy_images, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    found = runs.export_onnx(kept, toy_images, tmp_path / "out.onnx")
    assert found.images == found.same == 100 and found.largest < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    pixels = toy_images.test.pixels[:7]
    (logits,) = session.run(None, {"pixels": pixels.numpy()})
    expected = kept.network()((pixels.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(torch.from_numpy(logits), expected.detach(), atol=1e-4, rtol=1e-4)
    notes = session.get_modelmeta().custom_metadata_map
    assert (notes["recipe"], notes["seed"]) == ("tiny", "3")
    assert json.loads(notes["classes"]) == list(toy_images.classes)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_package_that_is_not_installed_is_named(package, kept, toy_images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", sys)
    monkeypatch.setitem(sys.modules, "onnxscript", sys)
    monkeypatch.setitem(sys.modules, package, None)
    text = refusal(runs.export_onnx, kept, toy_images, tmp_path / "out.onnx")
    assert f"needs the package {package}, which is not installed: pip install" in text
    assert not (tmp_path / "out.onnx").exists()


def test_without_the_images_it_is_compared_on_random_ones(tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    found = runs.export_onnx(runs.load_runs("small")[0], None, tmp_path / "out.onnx")
    assert (found.images, found.kind) == (1_000, "random") and found.largest < 1e-3
    assert "1,000 random images" in str(found)


def test_without_the_images_the_classes_are_those_of_the_record(kept, toy_images, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runs.export_onnx(kept, None, tmp_path / "out.onnx")
    notes = {entry.key: entry.value for entry in onnx.load(tmp_path / "out.onnx").metadata_props}
    assert json.loads(notes["classes"]) == list(toy_images.classes)
