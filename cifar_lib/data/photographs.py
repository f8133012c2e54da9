"""A photograph of any size and kind -> one image of CIFAR-10's size."""

import io
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import CourseError

SIDE = 32
# Decoded, a copy takes 256 MB. Pillow itself opens no file of more than 179 million.
MOST_PIXELS = 64_000_000
LARGEST_FILE = 2**29  # bytes
DECODED = 512  # pixels, below which the decoder of a JPEG shrinks no side
# Pillow decodes these by itself; for some others it would start another program.
FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
SPOKEN = "JPEG, PNG, GIF, WebP, BMP, TIFF, PPM and AVIF"
ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .gif .webp .bmp .tif .tiff "
    ".ppm .pgm .pbm .pnm .avif .heic .heif".split()
)
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

File = str | os.PathLike[str] | bytes | BinaryIO


def photograph(file: File, fit: bool = False) -> Tensor:
    """A photograph as an image of CIFAR-10's size.

    It is turned as its EXIF data says, made RGB, shrunk with antialiasing (Lanczos), and laid on white where
    it is transparent. Of an animation the first frame is taken. Colour profiles are not applied.

    Args:
        file: the name of a file, its content as bytes, or an open binary file.
        fit: keep the whole photograph, with white beside it or above and below, instead of the square in its
            middle.

    Returns:
        uint8 [3, 32, 32].

    Raises:
        CourseError: there is no such file, it is no photograph, or it is too small or too large.
    """
    name = spoken_name(file)
    content = _content(file, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of odd metadata
            with Image.open(io.BytesIO(content), formats=_formats(content)) as image:
                if image.format == "PNG":
                    _check_sums(content)
                image.draft("RGB", (DECODED, DECODED))  # a large JPEG is decoded at a half, quarter or eighth
                _check_size(image.size, name)
                image.load()
                small = _fitted if fit else _cropped
                pixels = np.array(_on_white(small(_in_colour(_turned(image), name))))
    except Image.DecompressionBombError:  # Pillow's, or that of `_check_size`
        raise CourseError(
            f"{name} has too many pixels to be opened: make the photograph smaller first."
        ) from None
    except Image.UnidentifiedImageError:
        raise CourseError(_unknown(content, name)) from None
    except MemoryError:
        raise CourseError(f"{name} needs more memory than there is: make it smaller first.") from None
    except CourseError:
        raise
    except Exception:  # damaged files make Pillow raise nearly anything
        raise CourseError(f"{name} is damaged or cut short: fetch that file again.") from None
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def photographs_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The photographs in a folder, sorted by name: the files whose names end as photographs' do.

    Folders within it are left out.

    Raises:
        CourseError: there are none, or the folder cannot be read.
    """
    try:
        found = [path for path in Path(folder).iterdir() if path.suffix.lower() in ENDINGS and path.is_file()]
    except OSError as error:
        raise CourseError(f"The folder {spoken_name(folder)} cannot be read: {error.strerror}.") from None
    found = sorted(path for path in found if not path.name.startswith("."))
    if not found:
        raise CourseError(f"The folder {spoken_name(folder)} has no photographs in it ({SPOKEN}).")
    return found


def spoken_name(file: object) -> str:
    """What messages call a file; control characters, which a name may have, stay out of them."""
    given = file if isinstance(file, str | os.PathLike) else getattr(file, "name", None)
    if not isinstance(given, str | os.PathLike):
        return "The photograph"
    return "".join(letter if letter.isprintable() else "?" for letter in os.fspath(given))


def _content(file, name):
    """The bytes of a file."""
    if isinstance(file, bytes):
        content = file
    elif isinstance(file, str | os.PathLike):
        if not os.fspath(file):
            raise CourseError("The name of the photograph is empty: name a file.")
        content = _read(Path(file), name)
    elif not hasattr(file, "read") or isinstance(file, io.TextIOBase):
        raise CourseError(
            f"A photograph is the name of a file, its bytes, or a file opened with 'rb', not "
            f"{type(file).__name__}."
        )
    else:
        content = file.read(LARGEST_FILE + 1)
    if not content:
        raise CourseError(f"{name} is empty: fetch that file again.")
    if len(content) > LARGEST_FILE:
        raise CourseError(
            f"{name} has more than {LARGEST_FILE // 2**20} MB: make the photograph smaller first."
        )
    return content


def _read(path, name):
    try:
        if path.is_dir():
            raise CourseError(f"{name} is a folder: name the photographs in it.")
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device has no end
            raise CourseError(f"{name} is not a file.")
        with open(path, "rb") as opened:
            return opened.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise CourseError(f"{name} was not found: check its name and its folder.") from None
    except OSError as error:
        raise CourseError(f"{name} cannot be read: {error.strerror or error}.") from None
    except ValueError:  # a byte that no name may have
        raise CourseError(f"{name} cannot be the name of a file.") from None


def _formats(content):
    """Those of `FORMATS` that are at hand here."""
    if _is_heif(content):
        with suppress(ImportError):
            import pillow_heif

            pillow_heif.register_heif_opener()
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _is_heif(content):
    return content[4:8] == b"ftyp" and content[8:12] in HEIF_BRANDS


def _unknown(content, name):
    if _is_heif(content):
        return f"{name} is a HEIC photograph: save it as JPEG, or pip install pillow-heif."
    return f"{name} is no photograph that can be opened: take {SPOKEN}."


def _check_sums(content):
    """Make sure that a PNG's parts have their checksums, which Pillow skips where it decodes the pixels."""
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        image.verify()


def _check_size(size, name):
    width, height = size
    if width * height > MOST_PIXELS:
        raise Image.DecompressionBombError
    if min(size) < SIDE:
        raise CourseError(
            f"{name} has {width}×{height} pixels, but the network needs {SIDE} each way: take a larger one."
        )


def _turned(image):
    """An image the right way up. Some formats are turned when they are decoded, and then say so."""
    orientation = None
    with suppress(Exception):  # what other programs wrote there may be anything, and the pixels are good
        orientation = image.getexif().get(ORIENTATION)
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def _in_colour(image, name):
    """An image as RGB, or as RGBA where some of it may be transparent."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65_535:
            raise CourseError(
                f"{name} holds measurements rather than colours: save it as a 16-bit or 8-bit image."
            )
        # Pillow would cut off at 255; 257 makes 65,535 white.
        return Image.fromarray((values / 257 + 0.5).astype(np.uint8)).convert("RGB")
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    wanted = "RGBA" if transparent else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _cropped(image):
    """The square in the middle of an image, 32×32."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # Cut first: the filter would otherwise see a little of what lies beyond the square.
    square = image.crop((left, top, left + side, top + side))
    # When 1,250 validation images were enlarged to 250×250 and shrunk again, fast-lean's accuracy of 0.928
    # fell to 0.912 with Pillow's box filter, 0.910 with Lanczos, 0.901 bicubic, 0.880 bilinear. Lanczos came
    # nearest to the pixels.
    return square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _fitted(image):
    """The whole of an image, in the middle of 32×32."""
    width, height = (max(1, round(SIDE * side / max(image.size))) for side in image.size)
    whole = Image.new("RGBA", (SIDE, SIDE))
    small = image.resize((width, height), Image.Resampling.LANCZOS)
    whole.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
    return whole


def _on_white(image):
    """A small image as RGB; what is transparent becomes white."""
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
