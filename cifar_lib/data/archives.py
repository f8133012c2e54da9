"""Archives of class folders, read in memory; the first entry that could do harm ends the reading."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import PureWindowsPath

from .. import CourseError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
LARGEST_IMAGE_FILE = 1_000_000  # bytes
LARGEST_IN_ALL = 1_000_000_000
MOST_FILES = 150_000  # 60,000 images, and the second file that macOS packs with each
LARGEST_ZIP_DIRECTORY = 20_000_000
LARGEST_TAR_HEADER = 32_000  # in all its blocks; Python 3.11 searches it in quadratic time
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)


def archive_files(archive):
    """(name, bytes) of the images in an archive; the first entry that could do harm ends it."""
    read = _zip_files if archive.suffix == ".zip" else _tar_files
    try:
        yield from read(archive)
    except DAMAGED_ARCHIVE:
        raise CourseError(f"{archive} is damaged or cut short: fetch it again.") from None


def _zip_files(archive):
    with _LimitedReader(io.FileIO(archive), LARGEST_ZIP_DIRECTORY) as file, zipfile.ZipFile(file) as bundle:
        file.limit = LARGEST_IN_ALL
        for info in list(_safe_images(map(_zip_entry, bundle.infolist()), archive)):
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Python's zipfile unpacks these without a limit, whatever size the entry claims.
                raise CourseError(f"{archive} is packed in an unusual way: pack it as an ordinary zip file.")
            with bundle.open(info) as entry:
                yield info.filename, entry.read(info.file_size)


def _zip_entry(info):
    kind = stat.S_IFMT(info.external_attr >> 16)
    is_regular = info.is_dir() or kind in (0, stat.S_IFREG)
    return info, info.filename, info.file_size, is_regular


def _tar_files(archive):
    with open(archive, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    raw = gzip.GzipFile(archive) if packed else io.FileIO(archive)
    with _LimitedReader(raw, LARGEST_TAR_HEADER) as file, tarfile.open(fileobj=file, mode="r:") as bundle:
        for member in _safe_images(_tar_entries(bundle, file), archive):
            if member.isreg():
                file.limit = member.size
                yield member.name, bundle.extractfile(member).read()
        file.limit = tarfile.BLOCKSIZE
        file.seek(bundle.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("no end mark")


def _tar_entries(bundle, file):
    while True:
        file.limit = LARGEST_TAR_HEADER
        member = bundle.next()
        if member is None:
            return
        yield member, member.name, member.size, member.isreg() or member.isdir()


class _LimitedReader(io.BufferedReader):
    """A file of which only so many bytes may be read until the limit is set anew.

    The readers of archives take a header's word for the length of what follows it.
    """

    def __init__(self, raw, limit):
        super().__init__(raw)
        self.limit = limit

    def read(self, size=-1):
        if not -1 <= size <= self.limit:
            raise CourseError(f"{self.name} is refused: its list of files is far too long for CIFAR-10.")
        content = super().read(size)
        self.limit -= len(content)
        return content


def _safe_images(entries, archive):
    """Of (entry, name, bytes, whether a file or a folder): the entries that are images, if all are safe."""
    total = 0
    for number, (entry, name, size, is_regular) in enumerate(entries, 1):
        path = PureWindowsPath(name)  # it knows drives and both kinds of slash
        if path.anchor or ".." in path.parts or not is_regular:
            raise CourseError(f"{archive} is refused: {name!r} would reach outside its folder.")
        if not 0 <= size <= LARGEST_IMAGE_FILE:
            raise CourseError(f"{archive} is refused: {name!r} is too large for a small image.")
        total += size
        if number > MOST_FILES or total > LARGEST_IN_ALL:
            raise CourseError(f"{archive} is refused: it holds far more than CIFAR-10's images.")
        if class_of(name):
            yield entry


def class_of(name):
    """("train" or "test", class) of an image from the end of its path; None for any other file."""
    parts = name.split("/")
    image = name.lower().endswith(IMAGE_ENDINGS) and not parts[-1].startswith(".")
    return tuple(parts[-3:-1]) if image and len(parts) >= 3 and parts[-3] in ("train", "test") else None
