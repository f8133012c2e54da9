"""Image files -> pixels, where nothing of the picture is lost on the way; limits on what is read at all."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from .. import CourseError
from .specs import Spec

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # what Pillow may take a file for
LOSSLESS_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # eight bits a channel, none of them invented
LARGEST_IMAGE_FILE = 1_000_000  # bytes; an image of 32×32 has 3,072 and its file perhaps some metadata
LARGEST_IN_ALL = 1_000_000_000
MOST_FILES = 150_000  # 60,000 images, and the second file that macOS packs with each

# Images as a reader hands them out, one or more: which of PARTS they belong to, their pixels, their labels.
Chunk = tuple[str, bytes | memoryview, list[int]]


def decode(content: bytes | None, what: str, spec: Spec) -> bytes:
    """The bytes of an image file -> those of its pixels: channel by channel, row by row.

    Palettes, grey images in place of coloured ones and an alpha channel without transparency are read,
    because the pixels that they stand for are known.

    Args:
        what: which image it is, for the sentence.

    Raises:
        CourseError: it cannot be read, has another size, or cannot be had without a loss.
    """
    if content is None:
        raise CourseError(f"{what} is only named, not stored, in its file: save the images themselves.")
    channels, height, width = spec.shape
    wanted = "RGB" if channels == 3 else "L"
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            wide, high = image.size
            if getattr(image, "n_frames", 1) > 1:
                raise CourseError(f"{what} holds several images: keep the one that is meant.")
            fits = (wide, high) == (width, height)
            if fits and image.mode == wanted:
                pixels = np.asarray(image)
                return (pixels.transpose(2, 0, 1) if channels == 3 else pixels).tobytes()
            if fits and image.mode in LOSSLESS_MODES:
                *colours, alpha = np.asarray(image.convert("RGBA")).transpose(2, 0, 1)
                if alpha.min() < 255:
                    raise CourseError(f"{what} is partly transparent: give it the background that is meant.")
                if channels == 3 or all(np.array_equal(colours[0], colour) for colour in colours[1:]):
                    return np.stack(colours[:channels]).tobytes()
            raise CourseError(
                f"{what} is {wide}×{high} {image.mode}: {spec.title}'s images are {width}×{height} {wanted}."
            )
    except CourseError:
        raise
    except Exception:  # damaged files make Pillow raise nearly anything
        raise CourseError(
            f"{what} cannot be read as PNG or JPEG, nor as WebP, BMP or TIFF: replace or remove it."
        ) from None


@contextmanager
def damage_in_words(path: Path, sentence: str, *kinds: type[Exception]) -> Iterator[None]:
    """A context for what reads a file that may be damaged.

    Args:
        sentence: what to say of a damaged file.
        kinds: the errors, beside `OSError`, that mean damage.

    Raises:
        CourseError: the file is damaged, or the system does not let it be read, which says nothing about its
            content.
    """
    try:
        yield
    except OSError as error:
        # Readers raise it without a number for content that makes no sense. The system gives a number, but
        # EINVAL is its answer to a place before the file's beginning, to which only wrong content leads.
        if error.errno in (None, errno.EINVAL):
            raise CourseError(sentence) from None
        raise CourseError(f"{path} cannot be read: {os.strerror(error.errno)}.") from None
    except kinds:
        raise CourseError(sentence) from None


def content_of(path: Path, largest: int) -> bytes:
    """The bytes of a file, if they are no more than `largest`."""
    size = path.stat().st_size
    if size > largest:
        raise CourseError(f"{path} is too large ({size:,} bytes): remove it, or replace it.")
    return path.read_bytes()
