"""Small random images, written in each layout that a person may have at home."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import scipy.io
import torch
from PIL import Image

from cifar_lib import data, runs
from cifar_lib.data import SPECS, layouts
from cifar_lib.system.files import md5

CLASSES = SPECS["cifar10"].classes
(ARCHIVE,) = SPECS["cifar10"].downloads


def change_spec(monkeypatch, name, **changes):
    """Make other files, mirrors or images the known ones of a data set."""
    monkeypatch.setitem(SPECS, name, replace(SPECS[name], **changes))


def images(n, shape=(3, 32, 32), seed=0):
    """(pixels uint8 [n, *shape], labels [n]), every class in turn."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)
    return pixels, [i % 10 for i in range(n)]


def cifar(n_train=40, n_test=10):
    return {"train": images(n_train, seed=1), "test": images(n_test, seed=2)}


def mnist(n_train=40, n_test=10):
    return {"train": images(n_train, (1, 28, 28), seed=3), "t10k": images(n_test, (1, 28, 28), seed=4)}


def expect(monkeypatch, name, parts):
    """Make these images the known ones, so that they load without a warning."""
    fingerprint = data.fingerprint(as_images(parts["train"]))
    change_spec(monkeypatch, name, fingerprint=fingerprint)
    return fingerprint


def same(one, other):
    """Whether these are the same images in the same order."""
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)


def read(name, folder):
    """The training images, the test images and the layout that lie in a folder."""
    found = layouts.find(name, folder)
    return (*found.read(), found.layout.words)


def as_images(part):
    return data.Images(torch.from_numpy(part[0]), torch.tensor(part[1]))


def shuffled(parts, seed=5):
    order = {part: np.random.default_rng(seed).permutation(len(parts[part][1])) for part in parts}
    return {
        part: (pixels[order[part]], [labels[i] for i in order[part]])
        for part, (pixels, labels) in parts.items()
    }


def encoded(pixels, kind="png"):
    """One image uint8 [C, H, W] as the bytes of a PNG or JPEG file."""
    array = pixels.transpose(1, 2, 0)
    return saved(Image.fromarray(array[..., 0] if array.shape[2] == 1 else array), kind)


def saved(image, kind="png", **options):
    """A picture of Pillow's as the bytes of a file: "png", "jpg", "webp", "bmp" or "tiff"."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if kind == "jpg" else kind.upper(), quality=95, lossless=True, **options)
    return buffer.getvalue()


def chunk(kind, content):
    """A part of a PNG file."""
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def png(width, height, extra=b"", body=b""):
    """A PNG that claims to be an RGB image of this size, whatever its body holds."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def write_parquet(folder, parts, shards=2, place="cifar10"):
    (folder / place).mkdir(parents=True, exist_ok=True)
    paths = []
    for part, (pixels, labels) in parts.items():
        for shard, members in enumerate(np.array_split(np.arange(len(labels)), shards)):
            rows = [{"bytes": encoded(pixels[i]), "path": f"{i}.png"} for i in members]
            table = pyarrow.table({"img": rows, "label": [labels[i] for i in members]})
            path = folder / place / f"{part}-{shard:05}-of-{shards:05}.parquet"
            pyarrow.parquet.write_table(table, path)
            paths.append(path)
    return paths


def write_batches(folder, parts, monkeypatch):
    """torchvision's `cifar-10-batches-py/`, its checksums listed as if they were the real ones."""
    place = folder / "cifar-10-batches-py"
    place.mkdir(parents=True)
    listed = {"train": {}, "test": {}}
    for part, (pixels, labels) in parts.items():
        pieces = np.array_split(np.arange(len(labels)), 2 if part == "train" else 1)
        for number, members in enumerate(pieces, 1):
            name = f"data_batch_{number}" if part == "train" else "test_batch"
            rows = pixels[members].reshape(len(members), -1)
            content = pickle.dumps({"data": rows, "labels": [labels[i] for i in members]})
            (place / name).write_bytes(content)
            listed[part][name] = hashlib.md5(content).hexdigest()
    change_spec(monkeypatch, "cifar10", members=listed)
    return place


def write_batches_archive(folder, parts, monkeypatch):
    aside = folder.parent / "aside"
    place = write_batches(aside, parts, monkeypatch)
    archive = folder / ARCHIVE
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(place, place.name)
    change_spec(monkeypatch, "cifar10", downloads={ARCHIVE: md5(archive)})
    return archive


def other_batches(parts):
    """What the versions for C and Matlab have: {"data_batch_1": (rows uint8 [N, 3072], labels)} and so on."""
    pieces = [(part, each) for part, n in (("train", 5), ("test", 1)) for each in _pieces(parts[part], n)]
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    return {
        name: (parts[part][0][members].reshape(len(members), -1), np.array(parts[part][1], np.uint8)[members])
        for name, (part, members) in zip(names, pieces, strict=True)
    }


def _pieces(part, n):
    return np.array_split(np.arange(len(part[1])), n)


def binary_files(parts):
    """The version for C, {path: bytes}."""
    return {
        f"cifar-10-batches-bin/{name}.bin": np.hstack([labels[:, None], rows]).tobytes()
        for name, (rows, labels) in other_batches(parts).items()
    }


def matlab_files(parts, **options):
    """The version for Matlab, {path: bytes}."""
    files = {}
    for name, (rows, labels) in other_batches(parts).items():
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {"data": rows, "labels": labels[:, None], "batch_label": "one"}, **options)
        files[f"cifar-10-batches-mat/{name}.mat"] = buffer.getvalue()
    return files


def npz(parts, **changes):
    """Keras's `mnist.npz`."""
    arrays = {}
    for part, (pixels, labels) in zip(("train", "test"), parts.values(), strict=True):
        arrays |= {f"x_{part}": pixels[:, 0], f"y_{part}": np.array(labels, np.uint8)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(arrays | changes))
    return buffer.getvalue()


def arrow_file(part):
    """A stream of one table, as `datasets` writes it."""
    pixels, labels = part
    rows = [{"bytes": encoded(image), "path": None} for image in pixels]
    table = pyarrow.table({"img": rows, "label": labels})
    buffer = io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table, 20)
    return buffer.getvalue()


def class_files(parts, kind="png"):
    """{"train/cat/12.png": bytes} for all images."""
    return {
        f"{part}/{CLASSES[label]}/{i}.{kind}": encoded(image, kind)
        for part, (pixels, labels) in parts.items()
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True))
    }


def write_classes(folder, files, ending=""):
    """Class folders as `cifar10/` or as the archive `cifar10` + ending."""
    place = folder / f"cifar10{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(place, "w") as bundle:
            for name, content in files.items():
                bundle.writestr(f"cifar10/{name}", content)
    elif ending:
        with tarfile.open(place, "w:gz" if ending in (".tgz", ".tar.gz") else "w") as bundle:
            for name, content in files.items():
                add_to_tar(bundle, f"cifar10/{name}", content)
    else:
        for name, content in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return place


def add_to_tar(bundle, name, content=b"", kind=tarfile.REGTYPE, target=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, target
    bundle.addfile(member, io.BytesIO(content))


def write_mnist(folder, parts, monkeypatch, packed):
    """torchvision's `MNIST/raw/`; returns the paths of the four files."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    checksums, paths = {}, []
    for part, (pixels, labels) in parts.items():
        for kind, values in (("images-idx3", pixels[:, 0]), ("labels-idx1", np.array(labels, np.uint8))):
            head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
            content, name = head + values.tobytes(), f"{part}-{kind}-ubyte"
            squeezed = gzip.compress(content, mtime=0)
            checksums[f"MNIST/raw/{name}.gz"] = hashlib.md5(squeezed).hexdigest()
            paths.append(raw / (f"{name}.gz" if packed else name))
            paths[-1].write_bytes(squeezed if packed else content)
    change_spec(monkeypatch, "mnist", downloads=checksums)
    return paths


def record(recipe, seed=0, *, folder=None, **options):
    """Train and record a run; returns the path of its JSON."""
    runs.train_and_record(recipe, seed, folder=folder, progress=False, **options)
    return runs.record_file(recipe.name, seed, folder)


def recorded_names(*names, seeds=(0,), endings=(".json", ".predictions.gz")):
    """The names of the files that recordings of these recipes on `toy` leave."""
    return {f"{name}-seed{seed}{ending}" for name in names for seed in seeds for ending in endings} | {
        "toy.labels.gz"
    }


def cut(path, share=0.5):
    """Keep this share of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def damage(path):
    """Change the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def snapshot(folder):
    """{path: bytes} of all files under a folder."""
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}
