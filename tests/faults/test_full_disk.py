"""A disk that is really full: one sentence, the last good file stays, and it goes on when there is room."""

import hashlib
import json
import os
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fakes
import pytest
import torch
from processes import TOY
from refusals import refusal

from cifar_lib import data, runs, training
from cifar_lib.data import download, generated

BYTES = 4 << 20


class Disk:
    def __init__(self, place):
        self.place, self.filler = place, place / "filler"

    def fill(self, left=0):
        """Write until only so many bytes are left, in whole blocks."""
        free = os.statvfs(self.place)
        self.filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))

    def empty(self):
        self.filler.unlink()

    def files(self):
        """{name: bytes} of all that is there."""
        found = fakes.snapshot(self.place)
        return {str(path.relative_to(self.place)): found[path] for path in found if path != self.filler}


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", place]
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield Disk(place)
    subprocess.run(["umount", place], check=True)


def no_space(path):
    return f"No space is left on the disk to write {path}: free some, then run again."


@pytest.fixture
def small(tiny, monkeypatch):
    """A recipe for few images."""
    monkeypatch.setitem(generated.GENERATORS, "toy", TOY)
    return tiny.replace(options={"width": 8}, epochs=3)


@pytest.mark.parametrize("left", [0, 40_000])
def test_a_checkpoint(left, disk, small, monkeypatch):
    dataset = data.load("toy")
    path, save = disk.place / "small.safetensors", training.save_checkpoint

    def full_at_the_second(*arguments):
        if len(arguments[2].history) == 2:
            kept.update(disk.files())
            disk.fill(left)
        save(*arguments)

    kept = {}
    with monkeypatch.context() as patch:
        patch.setattr(training.loop, "save_checkpoint", full_at_the_second)
        assert refusal(training.train, small, dataset, checkpoint=path) == no_space(path)
    assert disk.files() == kept and list(kept) == [path.name]
    disk.empty()
    resumed, straight = training.train(small, dataset, checkpoint=path), training.train(small, dataset)
    assert resumed.history[0] == history(kept[path.name])[0]  # times too: it was not trained again
    weights = straight.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in resumed.model.state_dict().items())


def history(content):
    """The history that stands in the header of a checkpoint."""
    size = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["history"])


@pytest.mark.parametrize("failing", ["weights", "predictions", "record"])
def test_a_record(failing, disk, small, monkeypatch):
    other = small.replace(name="other", epochs=1)
    runs.train_and_record(other, 0, folder=disk.place, keep_weights=True, progress=False)
    kept, as_run = disk.files(), runs.queue.as_run
    endings = {"weights": [], "predictions": [".safetensors"], "record": [".safetensors", ".predictions.gz"]}
    # Room for the files that are written before the one that fails, in blocks of the disk.
    room = sum(-(-len(kept[f"other-seed0{ending}"]) // 4096) * 4096 for ending in endings[failing])

    def full_after_training(*arguments):
        disk.fill(room)
        return as_run(*arguments)

    path, weights = runs.record_file("tiny", 0, disk.place), runs.weights_file("tiny", 0, disk.place)
    predictions = runs.predictions_file("tiny", 0, disk.place)
    record = partial(fakes.record, small, 0, folder=disk.place, keep_weights=True)
    with monkeypatch.context() as patch:
        patch.setattr(runs.queue, "as_run", full_after_training)
        files = {"weights": weights, "predictions": predictions, "record": path}
        assert refusal(record) == no_space(files[failing])
    found = disk.files()
    assert set(found) - set(kept) == {"tiny-seed0.lock", *(f"tiny-seed0{end}" for end in endings[failing])}
    assert kept.items() <= found.items()
    disk.empty()
    with monkeypatch.context() as patch:
        patch.setattr(training.loop, "train_epoch", lambda *_: pytest.fail("it trained"))
        assert record() == path
    assert set(disk.files()) - set(kept) == {path.name, weights.name, predictions.name}
    assert runs.load_record(path).recipe == small


@pytest.mark.parametrize("left", [0, 8192])
def test_a_prepared_file(left, disk, folder, monkeypatch):
    """The images are there all the same; only the next start is slow again."""
    monkeypatch.setenv("CIFAR_CACHE", str(disk.place))
    fakes.expect(monkeypatch, "cifar10", fakes.cifar())
    fakes.write_classes(folder, fakes.class_files(fakes.cifar()))
    fakes.expect(monkeypatch, "mnist", fakes.mnist())
    fakes.write_mnist(folder, fakes.mnist(), monkeypatch, packed=False)
    data.load("mnist")
    kept = disk.files()
    disk.fill(left)
    path = data.prepared_file("cifar10")
    with pytest.warns(UserWarning, match="was not kept|were not kept") as warned:
        images = data.load("cifar10")
    assert str(warned[0].message).endswith(no_space(path))
    assert len(images.train) == 40
    assert disk.files() == kept and list(kept) == ["prepared-mnist.safetensors"]
    disk.empty()
    assert torch.equal(data.load("cifar10").train.pixels, images.train.pixels)
    assert set(disk.files()) == {*kept, path.name}


def test_a_download(disk, tmp_path, monkeypatch):
    content = os.urandom(1_000_000)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "file.bin").write_bytes(content)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path / "served"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fakes.change_spec(monkeypatch, "cifar10", mirrors=[f"http://127.0.0.1:{server.server_port}"])
    fakes.change_spec(monkeypatch, "cifar10", downloads={"file.bin": hashlib.md5(content).hexdigest()})
    disk.fill(400_000)
    assert refusal(download.fetch, "cifar10", disk.place) == no_space(disk.place / "file.bin")
    part = disk.files()["file.bin.part"]
    assert "file.bin" not in disk.files() and len(part) > 300_000 and content.startswith(part)
    disk.empty()
    download.fetch("cifar10", disk.place)
    assert disk.files() == {"file.bin": content}
    server.shutdown()
    server.server_close()
