"""Images on disk or from a mirror -> verified uint8 tensors -> batches on the device.

`load` finds a data set, checks it, and keeps it as one prepared file. Training images are put
in an order that depends on their content alone, so a run does not depend on the way or the order
in which they arrived.
"""

import hashlib
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from . import CourseError, distributed, sources, toy
from .files import written_aside
from .sources import SPECS

VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Images:
    """Pixels, uint8 [N, C, H, W], and their labels, int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """The images at `index` (a slice, a mask or a tensor of positions), as `Images`."""
        return Images(self.pixels[index], self.labels[index])

    def to(self, device):
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training and test images, the ten class names, where they came from.

    `fingerprint` is a SHA-256 over the training images and labels, in hexadecimal, the same in
    whatever order and format they arrived.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    source: str
    fingerprint: str

    def __str__(self):
        shape = "×".join(str(n) for n in self.train.pixels.shape[1:])
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} test images, "
            f"{shape}, from {self.source}"
        )


def load(name, root=None):
    """A data set by name: "cifar10", "mnist", "toy" or "digits", or a variant as "cifar10/shuffled".

    The first of these that works: the prepared file in the cache folder; the layouts of
    torchvision, Hugging Face (parquet) or class folders under `root`; a download into `root`.

    Args:
        root: folder of the original files; by default `$CIFAR_DATA`, else the user's cache
            folder. The prepared file goes to `$CIFAR_CACHE`, else beside the original files, else
            (when that is read-only) into the user's cache folder.

    Raises:
        CourseError: unknown name, damaged files, or nothing found and no mirror reachable.
    """
    base, _, variant = name.partition("/")
    if base not in (*SPECS, *toy.GENERATORS) or (variant and variant not in VARIANTS):
        known = [*SPECS, *toy.GENERATORS, *(f"cifar10/{v}" for v in VARIANTS)]
        raise CourseError(f"There is no data set {name!r}: choose one of {', '.join(known)}.")
    # One of several processes downloads and prepares; the others find what it left.
    real = base in SPECS
    try:
        dataset = distributed.in_turns(lambda: _real(base, root)) if real else _generated(base)
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be used: {error.strerror}.") from None
    if real and dataset.fingerprint != SPECS[base].fingerprint:
        warnings.warn(
            f"The training images found in {data_folder(root)} are not those of {base} (fingerprint "
            f"{dataset.fingerprint[:12]}): they can be used, but no recorded run speaks of them.",
            stacklevel=2,
        )
    if variant:
        changed = {part: VARIANTS[variant](getattr(dataset, part)) for part in ("train", "test")}
        fingerprint = f"{dataset.fingerprint}/{variant}"
        dataset = replace(dataset, name=name, fingerprint=fingerprint, **changed)
    return dataset


def split(images):
    """Training images -> (training, validation): the fixed, stratified 90 % / 10 %.

    Validation is the first tenth of each class in the stored order, which is an order by content:
    the same images for everyone.
    """
    mask = torch.zeros(len(images), dtype=torch.bool)
    for label in images.labels.unique():
        members = (images.labels == label).nonzero().flatten()
        mask[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return images[~mask], images[mask]


def normalize(pixels):
    """uint8 pixels of 0..255 -> float32 of about -2..2: (x / 255 - 0.5) / 0.25.

    The constants serve every data set here (CIFAR-10's own channel means are 0.49, 0.48, 0.45,
    its deviations 0.25, 0.24, 0.26), so a network needs no statistics beside its weights.
    """
    return (pixels.float() / 255 - 0.5) / 0.25


def batches(
    images, size, *, seed, epoch, flip=False, crop=0, border="black", side=None, cut=False, part=slice(None)
):
    """One epoch of shuffled (inputs, labels): float32 [B, C, H, W] channels-last, int64 [B].

    Order and augmentation depend on `seed` and `epoch` alone, so a training that stopped goes
    on with the very same batches. The last, incomplete batch is left out.

    Args:
        images: uint8 images, already on the device that trains.
        flip: mirror each image left to right in every second epoch; chance decides in which it
            begins. So two epochs show each image both ways, which a coin an epoch would not
            (Jordan 2024, section 3.6).
        crop, border: shift each image by up to this many pixels each way; see `augment` for what comes in.
        side: shrink the images to this height and width, by averaging.
        cut: cut a window of `side` from each image instead: anywhere in it, at least `crop` about its middle.
        part: give only this slice of each batch; the draws are those of the whole batch.
    """
    # Drawn for the whole epoch and sent at once: no step waits for the CPU.
    steps, device = len(images) // size, images.labels.device
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator)[: steps * size].view(steps, size)[:, part]
    window = side if cut else None
    reach = max(crop, (images.pixels.shape[-1] - window) // 2) if window else crop
    shifts = turned = [None] * steps
    if reach:
        shifts = draw_shifts(size, reach, generator, steps)[..., part].to(device, non_blocking=True)
    if flip:
        draws = torch.Generator().manual_seed(seed)
        mirrored = (torch.rand(len(images), generator=draws) < 0.5) ^ bool(epoch % 2)
        turned = mirrored[order].to(device, non_blocking=True)
    order = order.to(device, non_blocking=True)
    for index, shift, mirror in zip(order, shifts, turned, strict=True):
        batch = images[index]
        pixels = batch.pixels
        if flip or reach or window:
            pixels = augment(pixels, shift, mirrored=mirror, border=border, side=window)
        inputs = normalize(pixels).contiguous(memory_format=torch.channels_last)
        if side not in (None, inputs.shape[-1]):
            inputs = F.interpolate(inputs, size=side, mode="bilinear", antialias=True, align_corners=False)
        yield inputs, batch.labels


def draw_shifts(n, crop, generator, *batches):
    """How far the view of each of n images moves down and right: int64 [2, n], from -crop to crop.

    With a number of batches int64 [batches, 2, n], the draws that as many calls would give in turn.
    """
    return torch.randint(0, 2 * crop + 1, (*batches, 2, n), generator=generator) - crop


def augment(pixels, shifts=None, *, mirrored=None, border="black", side=None):
    """Shift each image by its own draw, and mirror some; uint8 [N, C, H, W] in and out.

    Args:
        shifts: int64 [2, N] on the images' device, see `draw_shifts`. None moves no image.
        mirrored: bool [N] on the images' device, the images to mirror; None for no image.
        border: what comes in where an image moves away: "black", or the "mirror" image of its border.
        side: height and width of what comes out, from the middle before the shift; None for all of it.
    """
    n, _, height, width = pixels.shape
    device = pixels.device
    rows = torch.arange(height, device=device).expand(n, -1)
    columns = torch.arange(width, device=device).expand(n, -1)
    if mirrored is not None:
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    if side is not None:
        rows = rows[:, (height - side) // 2 :][:, :side]
        columns = columns[:, (width - side) // 2 :][:, :side]
    if shifts is not None:
        down, right = shifts[:, :, None]
        rows, columns = rows + down, columns + right
        if border == "mirror":
            rows, columns = _reflected(rows, height), _reflected(columns, width)
        else:  # one black pixel at each side stands for all beyond it, however far a shift goes
            pixels = F.pad(pixels, (1,) * 4)
            rows, columns = (rows + 1).clamp(0, height + 1), (columns + 1).clamp(0, width + 1)
    image = torch.arange(n, device=device)[:, None, None]
    rows, columns = rows[:, :, None], columns[:, None, :]
    return pixels.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def _reflected(places, length):
    """Places beyond either end counted back from there: -1 is 1, and `length` is `length` - 2."""
    period = max(1, 2 * (length - 1))
    places = places % period
    return torch.minimum(places, period - places)


def shift(images, right=0, down=0):
    """The images moved by whole pixels; black comes in at the border."""
    moved = torch.zeros_like(images.pixels)
    height, width = images.pixels.shape[2:]
    to_rows, from_rows = _overlap(down, height)
    to_columns, from_columns = _overlap(right, width)
    moved[..., to_rows, to_columns] = images.pixels[..., from_rows, from_columns]
    return Images(moved, images.labels)


def shuffle_pixels(images, seed=0):
    """Every image with its pixel positions shuffled, in one and the same way for all."""
    n, channels, height, width = images.pixels.shape
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    return Images(images.pixels.flatten(2)[:, :, order].view(n, channels, height, width), images.labels)


def grey(images):
    """Colour to one channel: the brightness that the eye sees (ITU-R BT.601)."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    pixels = [(part * weights).sum(1, keepdim=True).round().byte() for part in images.pixels.split(5_000)]
    return Images(torch.cat(pixels), images.labels)


def resize(images, side=28):
    """The images at MNIST's size, by averaging."""
    pixels = [
        F.interpolate(part.float(), size=side, mode="bilinear", antialias=True, align_corners=False)
        for part in images.pixels.split(5_000)
    ]
    return Images(torch.cat([part.round().byte() for part in pixels]), images.labels)


def move(images, reach=6, seed=0):
    """Each image moved by its own draw of up to `reach` pixels each way; black comes in."""
    generator = torch.Generator().manual_seed(seed)
    return Images(augment(images.pixels, draw_shifts(len(images), reach, generator)), images.labels)


def colour_noise(images, seed=0):
    """Grey images drawn in a random colour each, over a background of coloured noise."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for part in images.pixels.split(5_000):
        n, _, height, width = part.shape
        ink = part / 255
        colour = torch.rand(n, 3, 1, 1, generator=generator)
        noise = torch.rand(n, 3, height, width, generator=generator)
        parts.append((255 * (ink * colour + (1 - ink) * noise)).round().byte())
    return Images(torch.cat(parts), images.labels)


VARIANTS = {
    "shuffled": shuffle_pixels,
    "grey": grey,
    "28x28": resize,
    "grey-28x28": lambda images: resize(grey(images)),
    "moved": move,
    "noise": colour_noise,
    "moved-noise": lambda images: colour_noise(move(images)),
}


def fingerprint(images):
    """SHA-256 in hexadecimal over all images with their labels, whatever their order."""
    return _fingerprint_of(_digests(images))


def cache_folder(root=None):
    """The folder of the prepared files (see `load`)."""
    if os.environ.get("CIFAR_CACHE"):
        return _expanded(os.environ["CIFAR_CACHE"])
    root = data_folder(root)
    there = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    return root if os.access(there, os.W_OK) else _user_folder()


def data_folder(root=None):
    """The folder of the original files (see `load`)."""
    return _expanded(root or os.environ.get("CIFAR_DATA") or _user_folder())


def prepared_file(name, root=None):
    """The path of the prepared file of one data set; delete it to have the originals read again."""
    return cache_folder(root) / f"prepared-{name}.safetensors"


def _user_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cifar10-by-experiment"


def _expanded(folder):
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise CourseError(
            f"{folder} begins with a home folder that is not there: write it in full."
        ) from None


def _real(name, root):
    prepared = prepared_file(name, root)
    if prepared.exists():
        return _open_prepared(prepared, name)
    folder = data_folder(root)
    found = sources.find(name, folder)
    if found is None:
        from . import download

        download.fetch(name, folder)
        found = sources.find(name, folder)
    train, test, source = found
    train, test = Images(*train), Images(*test)
    mark, test_mark = _put_in_content_order(train), _put_in_content_order(test)
    dataset = Dataset(name, train, test, SPECS[name].classes, source, mark)
    _save_prepared(prepared, dataset, test_mark)
    return dataset


def _generated(name):
    (train, test), classes = toy.GENERATORS[name]()
    train, test = Images(*train), Images(*test)
    return Dataset(name, train, test, classes, "generator", fingerprint(train))


def _save_prepared(path, dataset, test_mark):
    tensors = {
        f"{part}.{field}": getattr(getattr(dataset, part), field).contiguous()
        for part in ("train", "test")
        for field in ("pixels", "labels")
    }
    try:
        with written_aside(path) as aside:
            notes = {
                "source": dataset.source,
                "fingerprint": dataset.fingerprint,
                "test_fingerprint": test_mark,
            }
            save_file(tensors, aside, notes)
    except CourseError as error:
        warnings.warn(
            f"The prepared images were not kept, so the next start is slow again: {error}", stacklevel=4
        )


def _open_prepared(path, name):
    try:
        with safe_open(path, "pt") as file:
            part = {key: file.get_tensor(key) for key in file.keys()}
            notes = file.metadata()
        # Copies of the labels: a variant that keeps them must not keep the whole file in memory.
        train = Images(part["train.pixels"], part["train.labels"].clone())
        test = Images(part["test.pixels"], part["test.labels"].clone())
        promised = [(train, notes["fingerprint"])]
        if "test_fingerprint" in notes:  # earlier versions wrote none
            promised.append((test, notes["test_fingerprint"]))
        fits = all(_fits(images, SPECS[name]) for images in (train, test))
        if fits and all(fingerprint(images) == mark for images, mark in promised):
            return Dataset(name, train, test, SPECS[name].classes, notes["source"], notes["fingerprint"])
    except (SafetensorError, KeyError, TypeError, OSError):
        pass
    raise CourseError(f"The prepared file {path} is damaged: delete it, then run again.")


def _fits(images, spec):
    pixels, labels = images.pixels, images.labels
    return (
        (pixels.dtype, labels.dtype) == (torch.uint8, torch.int64)
        and labels.ndim == 1
        and len(labels) > 0
        and pixels.shape == (len(labels), *spec.shape)
        and labels.min() >= 0
        and labels.max() < len(spec.classes)
    )


def _digests(images):
    pixels = images.pixels.numpy()
    return [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for image, label in zip(pixels, images.labels.tolist(), strict=True)
    ]


def _fingerprint_of(digests):
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _put_in_content_order(images):
    """Order the images by their digests, in place; return their fingerprint."""
    digests = _digests(images)
    order = torch.tensor(sorted(range(len(digests)), key=digests.__getitem__))
    images.labels.copy_(images.labels[order])
    for part in images.pixels.view(len(order), -1).split(128, dim=1):  # so few pixels are held twice
        part.copy_(part[order])
    return _fingerprint_of(digests)


def _overlap(offset, size):
    if offset >= 0:
        return slice(offset, size), slice(0, size - offset)
    return slice(0, size + offset), slice(-offset, size)
