"""Images come in alike from every layout; splits, batches and augmentation are what they say."""

import hashlib
import os
import time
import tracemalloc

import fakes
import numpy as np
import pyarrow.parquet
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import datasets

from cifar_lib import CourseError, data
from cifar_lib.data import generated, layouts

WAYS = {
    "parquet": lambda folder, parts, patch: fakes.write_parquet(folder, parts),
    "parquet, one shard": lambda folder, parts, patch: fakes.write_parquet(folder, parts, 1, "plain_text"),
    "parquet, no folder": lambda folder, parts, patch: fakes.write_parquet(folder, parts, 3, "."),
    "batches": fakes.write_batches,
    "batches.tar.gz": fakes.write_batches_archive,
} | {
    f"classes{ending}": lambda folder, parts, patch, ending=ending: fakes.write_classes(
        folder, fakes.class_files(parts), ending
    )
    for ending in ("", ".zip", ".tar", ".tgz", ".tar.gz")
}


def same(one, other):
    return torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", WAYS)
def test_the_way_and_the_order_in_which_images_arrive_change_nothing(way, folder, cache, monkeypatch):
    parts = fakes.cifar()
    fingerprint = fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    reference = data.load("cifar10")
    for path in (*folder.rglob("*.parquet"), *cache.iterdir()):
        path.unlink()

    WAYS[way](folder, fakes.shuffled(parts), monkeypatch)
    loaded = data.load("cifar10")
    assert loaded.fingerprint == reference.fingerprint == fingerprint
    assert same(loaded.train, reference.train)
    assert same(loaded.test, reference.test)
    assert loaded.train.pixels.shape == (40, 3, 32, 32)
    assert loaded.train.pixels.dtype == torch.uint8
    assert loaded.train.labels.dtype == torch.int64


def test_each_image_keeps_its_label(folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_classes(folder, fakes.class_files(parts))
    loaded = data.load("cifar10").train
    labels = {image.tobytes(): label for image, label in zip(*parts["train"], strict=True)}
    pairs = zip(loaded.pixels.numpy(), loaded.labels.tolist(), strict=True)
    assert all(labels[image.tobytes()] == label for image, label in pairs)


@pytest.mark.filterwarnings("ignore:The training images")
def test_jpeg_class_folders_and_archives_hold_the_same_images(folder, cache):
    files = fakes.class_files(fakes.cifar(), "jpg")
    found = []
    for ending in ("", ".zip", ".tgz"):
        place = fakes.write_classes(folder, files, ending)
        found.append(data.load("cifar10", folder))
        place.rename(folder / f"seen{ending}")
        data.prepared_file("cifar10").unlink()
    assert len({dataset.fingerprint for dataset in found}) == 1
    assert same(found[0].train, found[1].train)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_loads_raw_or_packed(packed, folder, monkeypatch):
    parts = fakes.mnist()
    fingerprint = fakes.expect(monkeypatch, "mnist", parts)
    fakes.write_mnist(folder, fakes.shuffled(parts), monkeypatch, packed)
    loaded = data.load("mnist")
    assert loaded.fingerprint == fingerprint
    assert loaded.train.pixels.shape == (40, 1, 28, 28)
    assert data.fingerprint(loaded.test) == data.fingerprint(fakes.as_images(parts["t10k"]))


def test_images_of_parquet_files_with_several_groups_of_rows(folder, monkeypatch):
    parts = fakes.cifar()
    paths = fakes.write_parquet(folder, parts)
    for path in paths:
        table = pyarrow.parquet.read_table(path)
        pyarrow.parquet.write_table(table, path, row_group_size=3)
    found = layouts.find("cifar10", folder)
    for part, (pixels, labels) in zip(("train", "test"), found, strict=False):
        assert torch.equal(pixels, torch.from_numpy(parts[part][0]))
        assert labels.tolist() == parts[part][1]


@pytest.mark.parametrize("way", ["parquet", "batches", "classes"])
def test_images_are_read_into_one_array_and_not_copied(way, folder, monkeypatch):
    images = 1_500
    WAYS[way](folder, fakes.cifar(images, 10), monkeypatch)
    layouts.find("cifar10", folder)  # once, for what is imported or compiled at the first call
    tracemalloc.start()
    found = layouts.find("cifar10", folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = found[0][0].numel() + found[1][0].numel()
    assert size == (images + 10) * 3 * 32 * 32
    assert size < peak < (3 if way == "batches" else 1.6) * size  # a batch is held as bytes and unpickled


def test_the_order_and_the_fingerprint_are_those_of_the_digests():
    images = fakes.as_images(fakes.images(30))
    images = images[torch.arange(60) % 30]  # each twice
    digests = [
        hashlib.sha256(bytes([label]) + pixels.numpy().tobytes()).digest()
        for pixels, label in zip(images.pixels, images.labels.tolist(), strict=True)
    ]
    expected = images[torch.tensor(sorted(range(60), key=digests.__getitem__))]
    fingerprint = data.fingerprint(images)
    assert data.images.put_in_content_order(images) == fingerprint
    assert fingerprint == hashlib.sha256(b"".join(sorted(digests))).hexdigest()
    assert same(images, expected)


def test_names_and_checksums_are_those_of_torchvision():
    listed = {"train": datasets.CIFAR10.train_list, "test": datasets.CIFAR10.test_list}
    assert {part: dict(names) for part, names in listed.items()} == data.SPECS["cifar10"].members
    assert {f"MNIST/raw/{n}": md5 for n, md5 in datasets.MNIST.resources} == data.SPECS["mnist"].downloads
    assert {datasets.CIFAR10.filename: datasets.CIFAR10.tgz_md5} == data.SPECS["cifar10"].downloads


def test_the_prepared_file_is_reused_and_opens_fast(folder, monkeypatch):
    parts = fakes.cifar(n_train=5_000)
    fakes.expect(monkeypatch, "cifar10", parts)
    paths = fakes.write_parquet(folder, parts)
    moments = [time.perf_counter()]
    first = data.load("cifar10")
    for path in paths:
        path.unlink()
    moments.append(time.perf_counter())
    again = data.load("cifar10")
    moments.append(time.perf_counter())
    assert moments[2] - moments[1] < (moments[1] - moments[0]) / 5
    assert same(again.train, first.train)
    assert same(again.test, first.test)
    assert (again.fingerprint, again.source, again.classes) == (
        first.fingerprint,
        first.source,
        first.classes,
    )


def test_other_images_are_used_with_a_warning(folder):
    fakes.write_parquet(folder, fakes.cifar())
    with pytest.warns(UserWarning, match="are not those of cifar10") as caught:
        loaded = data.load("cifar10")
    assert loaded.fingerprint[:12] in str(caught[0].message)
    assert len(loaded.train) == 40
    with pytest.warns(UserWarning, match="are not those of cifar10"):
        data.load("cifar10")  # from the prepared file


@pytest.mark.filterwarnings("error")
def test_fewer_test_images_are_accepted(folder, monkeypatch):
    parts = fakes.cifar(n_test=10)
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts | {"test": fakes.images(4)}, shards=1)
    assert len(data.load("cifar10").test) == 4


def test_fingerprint_sees_pixels_and_labels_but_not_order():
    part = fakes.as_images(fakes.images(20))
    reference = data.fingerprint(part)
    assert data.fingerprint(part[torch.randperm(20)]) == reference
    pixels, labels = part.pixels.clone(), part.labels.clone()
    pixels[3, 0, 0, 0] ^= 1
    labels[5] = (labels[5] + 1) % 10
    assert data.fingerprint(data.Images(pixels, part.labels)) != reference
    assert data.fingerprint(data.Images(part.pixels, labels)) != reference


@pytest.mark.parametrize("name", ["cifar11", "", "cifar10/turned", "toy/grey/moved", "CIFAR10"])
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(CourseError, match=r"choose one of cifar10, mnist, toy, digits, cifar10/shuffled"):
        data.load(name)


def test_the_prepared_file_lies_beside_the_originals_or_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_CACHE", "")  # as if it were not set
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path / "not" / "yet"))
    before = data.prepared_file("cifar10")
    (tmp_path / "not" / "yet").mkdir(parents=True)
    assert data.prepared_file("cifar10") == before == tmp_path / "not/yet/prepared-cifar10.safetensors"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert tmp_path / "xdg" in data.prepared_file("cifar10").parents


def test_labels_that_stay_do_not_keep_the_prepared_file_in_memory(folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    data.load("cifar10")
    again = data.load("cifar10")
    for images in (again.train, again.test):
        assert images.labels.untyped_storage().nbytes() == 8 * len(images)


def test_a_variant_has_its_own_name_and_fingerprint(toy_images):
    changed = data.load("toy/shuffled")
    assert changed.name == "toy/shuffled"
    assert changed.fingerprint == f"{toy_images.fingerprint}/shuffled"
    assert same(changed.train, data.shuffle_pixels(toy_images.train))
    assert same(changed.test, data.shuffle_pixels(toy_images.test))


@pytest.mark.parametrize(("name", "shape"), [("toy", (3, 32, 32)), ("digits", (1, 28, 28))])
def test_generated_images_are_the_same_each_time(name, shape):
    one, other = generated.GENERATORS[name](), generated.GENERATORS[name]()
    for (pixels, labels), (pixels_again, labels_again) in zip(one[0], other[0], strict=True):
        assert pixels.shape == (len(labels), *shape)
        assert torch.equal(pixels, pixels_again)
        assert torch.equal(labels, labels_again)
        assert set(labels.tolist()) == set(range(10))
    assert not {image.numpy().tobytes() for image in one[0][0][0]} & {
        image.numpy().tobytes() for image in one[0][1][0]
    }


def test_the_split_is_fixed_stratified_and_complete(toy_images):
    images = toy_images.train
    training, validation = data.split(images)
    again = data.split(images)
    assert same(training, again[0])
    assert same(validation, again[1])
    assert validation.labels.bincount().tolist() == [4] * 10
    assert training.labels.bincount().tolist() == [36] * 10
    together = data.Images(
        torch.cat([training.pixels, validation.pixels]), torch.cat([training.labels, validation.labels])
    )
    assert data.fingerprint(together) == data.fingerprint(images)


def test_normalize_puts_grey_at_zero():
    values = data.normalize(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(values, torch.tensor([-2.0, -1.2, 2.0]))


def test_batches_depend_on_seed_and_epoch_alone(toy_images):
    def epoch(seed, epoch):
        torch.rand(seed + epoch)
        changes = data.Augmentation(flip=True, shift=4)
        return list(data.batches(toy_images.train, 64, seed=seed, epoch=epoch, augmentation=changes))

    def equal(one, other):
        return all(
            torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)
        )

    reference = epoch(0, 1)
    assert equal(reference, epoch(0, 1))
    assert not equal(reference, epoch(0, 2))
    assert not equal(reference, epoch(1, 1))


def drawn_step_by_step(images, size, seed, epoch, augmentation):
    """The batches as they were first defined: each step draws its shifts, each image is moved by itself."""
    generator, coins = torch.Generator().manual_seed(seed * 1_000_003 + epoch), torch.Generator()
    order = torch.randperm(len(images), generator=generator)
    heads = torch.rand(len(images), generator=coins.manual_seed(seed)) < 0.5
    middle = (32 - augmentation.window) // 2 if augmentation.window else 0
    reach = max(augmentation.shift, middle)
    for start in range(0, len(images) - size + 1, size):
        chosen, found = order[start : start + size], []
        moves = (
            torch.randint(0, 2 * reach + 1, (2, size), generator=generator).T if reach else [(0, 0)] * size
        )
        for place, (down, right) in zip(chosen.tolist(), moves, strict=True):
            image = images.pixels[place].float()
            mode = {"black": "constant", "mirror": "reflect"}[augmentation.border]
            framed = F.pad(image[None], (reach,) * 4, mode=mode)[0] if reach else image
            length = augmentation.window or 32
            top, left = down + middle, right + middle
            window = framed[:, top : top + length, left : left + length]
            turned = augmentation.flip and bool(heads[place]) != bool(epoch % 2)
            found.append(window.flip(2) if turned else window)
        yield data.normalize(torch.stack(found)), images.labels[chosen]


@pytest.mark.parametrize("border", ["black", "mirror"])
@pytest.mark.parametrize(
    ("flip", "shift", "window"),
    [(False, 0, None), (True, 0, None), (False, 3, None), (True, 2, None), (True, 1, 26), (False, 5, 30)],
)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (7, 4)])
def test_an_epoch_drawn_at_once_has_the_draws_of_its_steps(
    border, flip, shift, window, seed, epoch, toy_images
):
    augmentation = data.Augmentation(flip=flip, shift=shift, border=border, window=window)
    choices = {"seed": seed, "epoch": epoch, "augmentation": augmentation}
    images = toy_images.train[:100]
    expected = list(drawn_step_by_step(images, 30, **choices))
    for part in (slice(None), slice(11, 20)):
        found = list(data.batches(images, 30, shard=part, **choices))
        assert len(found) == len(expected) == 3
        for (inputs, labels), (all_inputs, all_labels) in zip(found, expected, strict=True):
            assert torch.equal(inputs, all_inputs[part]) and torch.equal(labels, all_labels[part])


def test_fewer_images_than_a_batch_give_none(toy_images):
    augmentation = data.Augmentation(flip=True, shift=2)
    assert list(data.batches(toy_images.train[:9], 10, seed=0, epoch=1, augmentation=augmentation)) == []


def test_batches_are_full_and_hold_each_image_at_most_once():
    images = data.Images(torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1), torch.arange(50))
    found = list(data.batches(images, 16, seed=0, epoch=1))
    assert [len(labels) for _, labels in found] == [16, 16, 16]
    labels = torch.cat([labels for _, labels in found])
    assert len(labels.unique()) == 48
    torch.testing.assert_close(torch.cat([x for x, _ in found]).flatten(), data.normalize(labels))


def test_batches_come_as_channels_last_floats(toy_images):
    inputs, _ = next(data.batches(toy_images.train, 8, seed=0, epoch=1))
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("flip", "crop"), [(True, 0), (False, 3), (True, 4)])
@pytest.mark.parametrize("border", ["black", "mirror"])
def test_augment_agrees_with_a_loop_over_images(flip, crop, border, toy_images):
    pixels = toy_images.train.pixels[:40]
    mirrored = torch.arange(40) % 3 == 0 if flip else torch.zeros(40, dtype=torch.bool)
    shifts = data.draw_shifts(40, crop, torch.Generator().manual_seed(7)) if crop else None
    changed = data.augment(pixels, shifts, mirrored=mirrored if flip else None, border=border)

    draws = torch.Generator().manual_seed(7)
    offsets = (
        torch.randint(0, 2 * crop + 1, (2, 40, 1), generator=draws).flatten(1).T if crop else [(0, 0)] * 40
    )
    for image, turned, (top, left), result in zip(pixels, mirrored, offsets, changed, strict=True):
        mode = {"black": "constant", "mirror": "reflect"}[border]
        framed = F.pad(image.float(), (crop,) * 4, mode=mode).to(torch.uint8)
        window = framed[:, top : top + 32, left : left + 32]
        assert torch.equal(result, window.flip(2) if turned else window)


def test_augment_shifts_each_image_by_its_own_draw():
    image = torch.arange(1, 65, dtype=torch.uint8).view(1, 1, 8, 8).expand(200, -1, -1, -1)
    shifts = data.draw_shifts(200, 1, torch.Generator().manual_seed(0))
    assert len(data.augment(image, shifts).flatten(1).unique(dim=0)) == 9


def test_a_shift_of_more_than_the_image_is_mirrored_again():
    image = torch.arange(3, dtype=torch.uint8).expand(1, 1, 3, 3)
    moved = data.augment(image, torch.tensor([[0], [5]]), border="mirror")
    assert moved[0, 0, 0].tolist() == [1, 2, 1]
    assert data.augment(image[..., :1, :1], torch.tensor([[1], [1]]), border="mirror").item() == 0


def test_each_image_is_mirrored_in_every_second_epoch(toy_images):
    images = toy_images.train[:100]
    images = data.Images(images.pixels, torch.arange(100))

    def epoch(number):
        parts = list(
            data.batches(images, 50, seed=3, epoch=number, augmentation=data.Augmentation(flip=True))
        )
        inputs, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return inputs[labels.argsort()]

    first, second, third = (epoch(number) for number in (1, 2, 3))
    assert torch.equal(first, third) and torch.equal(first, second.flip(3))
    as_they_are = data.normalize(images.pixels)
    unmirrored = sum(torch.equal(one, other) for one, other in zip(first, as_they_are, strict=True))
    assert 30 < unmirrored < 70


def test_batches_shrink_the_images(toy_images):
    inputs, _ = next(
        data.batches(toy_images.train, 8, seed=0, epoch=1, augmentation=data.Augmentation(side=16))
    )
    assert inputs.shape == (8, 3, 16, 16) and inputs.is_contiguous(memory_format=torch.channels_last)
    plain, _ = next(data.batches(toy_images.train, 8, seed=0, epoch=1))
    assert inputs.mean().item() == pytest.approx(plain.mean().item(), abs=0.01)
    same, _ = next(
        data.batches(toy_images.train, 8, seed=0, epoch=1, augmentation=data.Augmentation(side=32))
    )
    assert torch.equal(same, plain)


@pytest.mark.parametrize(("side", "crop", "places"), [(28, 0, 25), (28, 3, 49), (31, 0, 1), (32, 1, 9)])
def test_batches_cut_a_window_at_any_place_of_the_image(side, crop, places, toy_images):
    images = data.Images(toy_images.train.pixels[:1].expand(400, -1, -1, -1), torch.arange(400))
    augmentation = data.Augmentation(window=side, shift=crop, border="mirror")
    inputs, _ = next(data.batches(images, 400, seed=0, epoch=1, augmentation=augmentation))
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    reach = max(crop, (32 - side) // 2)
    framed = F.pad(data.normalize(images.pixels[:1]), (crop,) * 4, mode="reflect")
    first = (32 - side) // 2 - reach + crop
    windows = framed.unfold(2, side, 1).unfold(3, side, 1)[0, :, first:, first:]
    windows = windows[:, : 2 * reach + 1, : 2 * reach + 1].permute(1, 2, 0, 3, 4).flatten(0, 1)
    found = inputs.contiguous().unique(dim=0)
    assert len(windows) == places and torch.equal(found, windows.contiguous().unique(dim=0))


def test_a_window_is_cut_and_then_mirrored(toy_images):
    pixels, shifts = toy_images.train.pixels[:4], torch.tensor([[0, 1, -2, 2], [2, 0, 1, -2]])
    mirrored = torch.tensor([True, False, True, True])
    found = data.augment(pixels, shifts, mirrored=mirrored, side=28)
    for image, turned, (down, right), window in zip(pixels, mirrored, shifts.T, found, strict=True):
        cut = image[:, 2 + down : 30 + down, 2 + right : 30 + right]
        assert torch.equal(window, cut.flip(2) if turned else cut)


def test_without_augmentation_batches_leave_images_alone(toy_images):
    known = {image.numpy().tobytes() for image in data.normalize(toy_images.train.pixels)}
    for inputs, _ in data.batches(toy_images.train, 100, seed=0, epoch=1):
        assert all(image.contiguous().numpy().tobytes() in known for image in inputs)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (-2, 1), (0, -5), (31, 31)])
def test_shift_moves_every_pixel_and_fills_with_black(right, down):
    images = fakes.as_images(fakes.images(2))
    moved = data.shift(images, right, down)
    for y in range(32):
        for x in range(32):
            inside = 0 <= y - down < 32 and 0 <= x - right < 32
            expected = images.pixels[:, :, y - down, x - right] if inside else torch.zeros(2, 3)
            assert torch.equal(moved.pixels[:, :, y, x].float(), expected.float())
    assert torch.equal(moved.labels, images.labels)


def test_shuffle_pixels_moves_every_position_once_and_alike_for_all():
    numbered = torch.arange(1024).view(1, 1, 32, 32)
    images = data.Images(numbered.expand(3, 2, 32, 32).contiguous(), torch.zeros(3, dtype=torch.long))
    shuffled = data.shuffle_pixels(images).pixels.flatten(2)
    assert shuffled[0, 0].sort().values.tolist() == list(range(1024))
    assert torch.equal(shuffled, shuffled[:1, :1].expand(3, 2, -1))
    assert shuffled[0, 0].tolist() != list(range(1024))
    assert torch.equal(data.shuffle_pixels(images).pixels.flatten(2), shuffled)
    assert not torch.equal(data.shuffle_pixels(images, seed=1).pixels.flatten(2), shuffled)


def test_grey_is_the_brightness_of_each_pixel():
    pixels = torch.tensor([[200, 100, 50], [255, 255, 255], [0, 0, 7]], dtype=torch.uint8).view(3, 3, 1, 1)
    turned = data.grey(data.Images(pixels, torch.arange(3)))
    assert turned.pixels.shape == (3, 1, 1, 1)
    assert turned.pixels.dtype == torch.uint8
    # 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2
    assert turned.pixels.flatten().tolist() == [124, 255, 1]
    assert turned.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [0, 77, 255])
def test_resizing_keeps_a_constant_image_constant(value):
    images = data.Images(torch.full((2, 3, 32, 32), value, dtype=torch.uint8), torch.arange(2))
    small = data.resize(images)
    assert small.pixels.shape == (2, 3, 28, 28)
    assert small.pixels.dtype == torch.uint8
    assert set(small.pixels.flatten().tolist()) == {value}


def test_resizing_keeps_the_mean_and_what_is_left_and_right():
    pixels = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    pixels[..., 16:] = 200
    small = data.resize(data.Images(pixels, torch.zeros(1, dtype=torch.long))).pixels[0, 0].float()
    assert small.mean().item() == pytest.approx(100, abs=0.5)
    assert (small[:, :13] == 0).all() and (small[:, -13:] == 200).all()


@pytest.mark.parametrize(
    ("change", "pillow"),
    [
        (data.grey, lambda image: image.convert("L")),
        (data.resize, lambda image: image.resize((28, 28), Image.Resampling.BILINEAR)),
    ],
)
def test_grey_and_resize_agree_with_pillow(change, pillow):
    pixels, labels = fakes.images(8)
    expected = np.stack([np.array(pillow(Image.fromarray(i.transpose(1, 2, 0)))) for i in pixels])
    found = change(fakes.as_images((pixels, labels))).pixels.permute(0, 2, 3, 1).squeeze(3)
    assert np.abs(found.numpy().astype(int) - expected).max() <= 1


def test_every_moved_digit_is_the_digit_shifted_within_reach():
    digits = data.load("digits").test
    moved = data.shift_randomly(digits)
    found = torch.zeros(len(digits), dtype=torch.bool)
    used = set()
    for right in range(-6, 7):
        for down in range(-6, 7):
            same_pixels = (data.shift(digits, right, down).pixels == moved.pixels).flatten(1).all(1)
            found |= same_pixels
            used |= {(right, down)} if same_pixels.any() else set()
    assert found.all()
    assert len(used) > 100  # each image has its own draw
    assert {right for right, _ in used} == {down for _, down in used} == set(range(-6, 7))
    assert torch.equal(moved.labels, digits.labels)


@pytest.mark.parametrize("change", [data.shift_randomly, data.colour_noise])
def test_moves_and_noise_are_the_same_each_time(change):
    digits = data.load("digits").test
    torch.rand(3)
    assert same(change(digits), change(digits))
    assert not torch.equal(change(digits).pixels, change(digits, seed=1).pixels)


def test_noise_paints_the_ink_in_one_colour_and_the_rest_in_many():
    pixels = torch.zeros(20, 1, 28, 28, dtype=torch.uint8)
    pixels[:, :, :14] = 255
    painted = data.colour_noise(data.Images(pixels, torch.arange(20)))
    assert painted.pixels.shape == (20, 3, 28, 28)
    assert painted.pixels.dtype == torch.uint8
    ink, rest = painted.pixels[:, :, :14].flatten(2), painted.pixels[:, :, 14:].flatten(2)
    assert torch.equal(ink, ink[:, :, :1].expand_as(ink))
    assert len({tuple(colour) for colour in ink[:, :, 0].tolist()}) == 20
    assert (rest.double().mean((0, 2)) - 127.5).abs().max() < 3
    assert (rest.double().std((0, 2)) - 255 / 12**0.5).abs().max() < 2
    assert torch.equal(painted.labels, torch.arange(20))


def test_half_ink_is_half_colour_and_half_noise():
    def painted(value):
        pixels = torch.full((1, 1, 4, 4), value, dtype=torch.uint8)
        return data.colour_noise(data.Images(pixels, torch.zeros(1, dtype=torch.long))).pixels.float()

    expected = (51 * painted(255) + 204 * painted(0)) / 255
    assert (painted(51) - expected).abs().max() <= 1


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("toy/grey", (1, 32, 32)),
        ("toy/28x28", (3, 28, 28)),
        ("toy/grey-28x28", (1, 28, 28)),
        ("digits/moved", (1, 28, 28)),
        ("digits/noise", (3, 28, 28)),
        ("digits/moved-noise", (3, 28, 28)),
    ],
)
def test_the_variants_by_their_names(name, shape):
    base, _, variant = name.partition("/")
    original, changed = data.load(base), data.load(name)
    assert (changed.name, changed.fingerprint) == (name, f"{original.fingerprint}/{variant}")
    for one, other in ((original.train, changed.train), (original.test, changed.test)):
        assert other.pixels.shape == (len(one), *shape)
        assert other.pixels.dtype == torch.uint8
        assert torch.equal(other.labels, one.labels)
        assert not torch.equal(other.pixels[0], one.pixels[0])


def test_variants_that_do_two_things_do_them_in_turn():
    toys, digits = data.load("toy"), data.load("digits")
    assert same(data.load("toy/grey-28x28").test, data.resize(data.grey(toys.test)))
    assert same(data.load("digits/moved-noise").test, data.colour_noise(data.shift_randomly(digits.test)))
