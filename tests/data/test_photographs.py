"""Photographs of every kind become images of CIFAR-10's size; what is none is named in one sentence."""

import io
import os
import struct
import zlib

import fakes
import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refusal

from cifar_lib import CourseError, data
from cifar_lib.data import photographs

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def corners(width=64, height=64):
    """A picture whose quarters are red and green above, blue and black below."""
    image = Image.new("RGB", (width, height))
    for place, colour in {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE}.items():
        image.paste(colour, (place[0] * width // 2, place[1] * height // 2, *_end(place, width, height)))
    return image


def _end(place, width, height):
    return (place[0] + 1) * width // 2, (place[1] + 1) * height // 2


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def at(pixels, row, column):
    return tuple(pixels[:, row, column].tolist())


def quarters(pixels):
    """The colours in the middles of the quarters: top left, top right, bottom left, bottom right."""
    return [at(pixels, row, column) for row in (8, 24) for column in (8, 24)]


UPRIGHT = [RED, GREEN, BLUE, BLACK]


def test_an_image_of_the_right_size_is_left_alone():
    (image, *_), _ = fakes.images(1)
    assert torch.equal(data.photograph(fakes.encoded(image)), torch.from_numpy(image))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG"])
def test_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    pixels = data.photograph(saved(corners(), kind, **options))
    assert (pixels.dtype, pixels.shape) == (torch.uint8, (3, 32, 32))
    difference = torch.tensor(quarters(pixels)) - torch.tensor(UPRIGHT)
    assert difference.abs().max() <= (6 if kind == "JPEG" else 0)


def test_a_name_an_open_file_and_bytes_are_the_same(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(corners()))
    with open(path, "rb") as opened:
        found = [data.photograph(given) for given in (path, str(path), opened, path.read_bytes())]
    assert all(torch.equal(found[0], other) for other in found)


# How a camera that was turned stores the picture, by EXIF's number: the inverse of what puts it right.
TURNED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_turned_photograph_is_put_upright(orientation, kind):
    upright = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation](upright)))
    found = data.photograph(saved(stored, kind, exif=exif))
    assert torch.equal(found, data.photograph(saved(Image.fromarray(upright))))


@pytest.mark.parametrize("orientation", [0, 9, 60_000])
def test_an_orientation_that_there_is_not_is_passed_over(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert quarters(data.photograph(saved(corners(), exif=exif))) == UPRIGHT


def test_exif_data_that_cannot_be_read_do_not_cost_the_photograph():
    rubbish = b"Exif\x00\x00II*\x00\xff\xff\xff\xff"
    assert quarters(data.photograph(saved(corners(), exif=rubbish))) == UPRIGHT


@pytest.mark.parametrize(("width", "height"), [(96, 48), (48, 96), (97, 48)])
def test_the_square_in_the_middle_is_taken(width, height):
    """Nothing is seen of the grey beside it, not even at its edge."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    image.paste(corners(48, 48), ((width - 48) // 2, (height - 48) // 2))
    pixels = data.photograph(saved(image))
    assert quarters(pixels) == UPRIGHT
    if (width - height) % 2 == 0:
        assert [at(pixels, *place) for place in ((0, 0), (0, 31), (31, 0), (31, 31))] == UPRIGHT


def test_fitted_all_of_it_is_kept_on_white():
    pixels = data.photograph(saved(corners(96, 48)), fit=True)
    assert at(pixels, 7, 16) == at(pixels, 24, 16) == WHITE
    assert [at(pixels, *place) for place in ((8, 0), (8, 31), (23, 0), (23, 31))] == UPRIGHT
    upright = data.photograph(saved(corners(48, 96)), fit=True)
    assert at(upright, 16, 7) == WHITE and at(upright, 0, 8) == RED


def test_fitted_a_strip_keeps_one_row():
    pixels = data.photograph(saved(Image.new("RGB", (4_000, 40), RED)), fit=True)
    assert (pixels == torch.tensor(RED)[:, None, None]).all(0).sum() == 32


def test_shrinking_averages_fine_stripes():
    """Every second column is white: without antialiasing some columns would be lost."""
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = data.photograph(saved(Image.fromarray(stripes)))
    assert pixels.min() >= 120 and pixels.max() <= 135


def test_a_large_jpeg_is_what_it_would_be_without_its_decoder_shrinking_it(monkeypatch):
    photo = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    content = saved(
        Image.fromarray(photo).resize((2_400, 2_400), Image.Resampling.BICUBIC), "JPEG", quality=95
    )
    found = data.photograph(content).int()
    monkeypatch.setattr(photographs, "DECODED", 100_000)
    assert (found - data.photograph(content).int()).abs().max() <= 2


def rgba():
    """Quarters that are red, half red, transparent red, and black."""
    image = Image.new("RGBA", (64, 64), (*BLACK, 255))
    image.paste((*RED, 255), (0, 0, 32, 32))
    image.paste((*RED, 128), (32, 0, 64, 32))
    image.paste((*RED, 0), (0, 32, 32, 64))
    return image


@pytest.mark.parametrize("fit", [False, True])
def test_what_is_transparent_is_laid_on_white(fit):
    assert quarters(data.photograph(saved(rgba()), fit)) == [RED, (255, 127, 127), WHITE, BLACK]


def test_hidden_colours_of_transparent_pixels_do_not_leak_into_their_neighbours():
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, ::2] = (255, 0, 0, 255)
    image[:, 1::2] = (0, 0, 255, 0)  # blue, and invisible
    pixels = data.photograph(saved(Image.fromarray(image)))
    assert (pixels[2].int() - pixels[1].int()).abs().max() <= 2  # red on white, and nothing of the blue


def test_a_palette_with_a_transparent_colour():
    image = corners().quantize(4, dither=Image.Dither.NONE)
    green = image.getpixel((48, 16))
    assert quarters(data.photograph(saved(image, "PNG", transparency=green))) == [RED, WHITE, BLUE, BLACK]
    assert quarters(data.photograph(saved(image, "GIF"))) == UPRIGHT


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("L", (40, 40), 100), (100, 100, 100)),
        (Image.new("LA", (40, 40), (0, 0)), WHITE),
        (Image.new("1", (40, 40), 1), WHITE),
        (Image.new("P", (40, 40), 0), BLACK),
    ],
)
def test_grey_and_black_and_white(image, colour):
    assert at(data.photograph(saved(image)), 9, 9) == colour


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_brightness(kind):
    ramp = np.linspace(0, 65_535, 256, dtype=np.uint16).repeat(2)[None].repeat(512, 0)
    found = data.photograph(saved(Image.fromarray(ramp), kind))
    expected = data.photograph(saved(Image.fromarray((ramp // 257).astype(np.uint8))))
    assert (found.int() - expected.int()).abs().max() <= 1
    assert found[0, 0, 0] < 10 and found[0, 0, 31] > 245


@pytest.mark.parametrize("value", [-1.0, 0.5, 70_000.0])
def test_measurements_are_no_colours(value):
    image = Image.fromarray(np.full((40, 40), value, np.float32))
    with pytest.raises(CourseError, match="measurements rather than colours"):
        data.photograph(saved(image, "TIFF"))


def test_cmyk():
    image = Image.new("CMYK", (40, 40), (0, 255, 255, 0))
    red, green, blue = at(data.photograph(saved(image, "JPEG", quality=95)), 9, 9)
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN)]
    content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert at(data.photograph(content), 9, 9) == RED


def test_a_photograph_of_a_hundred_million_pixels_from_a_telephone():
    """As PNG it would be refused; as JPEG the decoder makes it small."""
    content = saved(Image.new("L", (12_000, 9_000), 77), "JPEG")
    assert at(data.photograph(content), 9, 9) == (77, 77, 77)


# What is refused


def refused(given, **options):
    with pytest.raises(CourseError) as caught:
        data.photograph(given, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


def test_a_missing_file_and_a_folder(tmp_path):
    assert (
        refused(tmp_path / "no.jpg") == f"{tmp_path / 'no.jpg'} was not found: check its name and its folder."
    )
    assert "is a folder: name the photographs in it" in refused(tmp_path)


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 300 + ".jpg"])
def test_names_that_no_file_can_have(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(name).isprintable()


def test_an_open_file_is_named_if_it_has_a_name(tmp_path):
    path = tmp_path / "no.jpg"
    path.write_bytes(b"no photograph")
    with open(path, "rb") as named, open(os.open(path, os.O_RDONLY), "rb") as nameless:
        assert refused(named).startswith(f"{path} is no photograph")
        assert refused(nameless).startswith("The photograph is no photograph")  # its name is a number


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "is not a file" in refused(tmp_path / "pipe.jpg")


def test_contents_that_are_no_photograph():
    assert "is empty" in refused(b"")
    assert "is no photograph that can be opened" in refused(b"%PDF-1.7 and so on")
    assert "is no photograph that can be opened" in refused(b"%!PS-Adobe-3.0 EPSF-3.0\n")


def test_formats_for_which_pillow_starts_another_program_stay_closed():
    eps = saved(Image.new("RGB", (40, 40)), "EPS")
    assert "is no photograph that can be opened" in refused(eps)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_a_photograph_that_is_cut_short(kind, share):
    (image, *_), _ = fakes.images(1, (3, 64, 64))
    content = saved(Image.fromarray(image.transpose(1, 2, 0)), kind)
    sentence = refused(content[: int(share * len(content))])
    assert "is damaged or cut short" in sentence or "is no photograph" in sentence


@pytest.mark.parametrize("size", [(31, 400), (400, 31), (1, 1)])
def test_a_photograph_that_is_too_small(size):
    width, height = size
    assert f"has {width}×{height} pixels, but the network needs 32" in refused(saved(Image.new("RGB", size)))


@pytest.mark.parametrize("side", [8_001, 14_000, 65_000])
def test_a_photograph_that_claims_to_be_huge_is_refused_before_it_is_decoded(side):
    """8,001² is above our limit, 14,000² above Pillow's own, 65,000² a bomb."""
    assert "has too many pixels to be opened" in refused(fakes.png(side, side))


def test_a_text_that_unpacks_to_gigabytes_is_refused():
    text = b"note\x00\x00" + zlib.compress(bytes(80_000_000))
    bomb = fakes.png(40, 40, fakes.chunk(b"zTXt", text), zlib.compress(bytes(40 * 121)))
    assert "is damaged or cut short" in refused(bomb)


def test_a_file_that_is_too_large(monkeypatch):
    monkeypatch.setattr(photographs, "LARGEST_FILE", 100)
    assert "make the photograph smaller" in refused(saved(corners()))


def test_a_heic_photograph_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)  # to import it now fails
    head = struct.pack(">I", 24) + b"ftypheic" + bytes(12)
    assert "HEIC photograph: save it as JPEG, or pip install pillow-heif" in refused(head)


# Folders


def test_the_photographs_in_a_folder(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "c.png").mkdir()
    assert [path.name for path in data.photographs_in(tmp_path)] == ["a.png", "b.JPG"]


def test_a_folder_without_photographs(tmp_path):
    with pytest.raises(CourseError, match="has no photographs in it"):
        data.photographs_in(tmp_path)
    with pytest.raises(CourseError, match="cannot be read"):
        data.photographs_in(tmp_path / "missing")


@pytest.mark.parametrize("ending", ["jfif", "JPE", "pbm", "pnm", "apng"])
def test_photographs_of_rarer_endings_are_found_in_a_folder(ending, tmp_path):
    (tmp_path / f"photo.{ending}").write_bytes(b"any")
    assert data.photographs_in(tmp_path) == [tmp_path / f"photo.{ending}"]


@pytest.mark.parametrize(
    "other", [None, 3, Image.new("RGB", (40, 40)), np.zeros((40, 40, 3)), io.StringIO("a")]
)
def test_what_is_neither_a_name_nor_bytes_nor_a_file_is_refused(other):
    text = refusal(data.photograph, other)
    assert "its bytes" in text and type(other).__name__ in text


def test_a_png_with_a_changed_byte_among_its_pixels_is_refused():
    down, right = np.mgrid[:160, :200]
    colours = np.stack([right * 255 // 199, down * 255 // 159, (right + down) % 256], axis=-1)
    written = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8)).save(written, "PNG")
    content = bytearray(written.getvalue())
    content[200] ^= 0xFF  # of this one Pillow makes pixels, although they are others
    assert "damaged or cut short" in refusal(data.photograph, bytes(content))
