"""Archives of class folders, read in memory; the first entry that could do harm ends the reading.

An archive can claim any size, name any path, and unpack to thousands of times its own size, so every
claim is checked against the limits below before memory or time is spent on it.
"""

import gzip
import io
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import cast

from .. import CourseError
from .decoding import IMAGE_ENDINGS, LARGEST_IMAGE_FILE, LARGEST_IN_ALL, MOST_FILES, damage_in_words
from .specs import PARTS

NUMBERED = re.compile(r"\d+_([A-Za-z]+)")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz")
LARGEST_ZIP_DIRECTORY = 20_000_000  # bytes; about 130 for each of MOST_FILES
LARGEST_TAR_HEADER = 32_000  # in all its blocks; Python 3.11 searches it in quadratic time
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    RuntimeError,
)


def archive_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the bytes of each image in a .zip, .tar or gzipped .tar.

    Raises:
        CourseError: the archive is damaged or cannot be read, or an entry could do harm.
    """
    read = _zip_files if archive.suffix.lower() == ".zip" else _tar_files
    with damage_in_words(archive, f"{archive} is damaged or cut short: fetch it again.", *DAMAGED_ARCHIVE):
        yield from read(archive)


def _zip_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    with _LimitedReader(io.FileIO(archive), LARGEST_ZIP_DIRECTORY) as file, zipfile.ZipFile(file) as bundle:
        file.limit = LARGEST_IN_ALL
        check = _Check(archive)
        for info in [info for info in bundle.infolist() if check.is_image(*_claims_of(info))]:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # Python's zipfile unpacks these without a limit, whatever size the entry claims.
                raise CourseError(f"{archive} is packed in an unusual way: pack it as an ordinary zip file.")
            with bundle.open(info) as entry:
                yield info.filename, entry.read(info.file_size)


def _claims_of(info: zipfile.ZipInfo) -> tuple[str, int, bool]:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was made on Windows
    return info.filename, info.file_size, info.is_dir() or kind in (0, stat.S_IFREG)


def _tar_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    with open(archive, "rb") as start:
        packed = start.read(2) == b"\x1f\x8b"
    raw = gzip.GzipFile(archive) if packed else io.FileIO(archive)
    with _LimitedReader(raw, LARGEST_TAR_HEADER) as file, tarfile.open(fileobj=file, mode="r:") as bundle:
        check = _Check(archive)
        while (member := bundle.next()) is not None:
            is_image = check.is_image(member.name, member.size, member.isreg() or member.isdir())
            if is_image and (content := bundle.extractfile(member)):
                file.limit = member.size
                yield member.name, content.read()
            file.limit = LARGEST_TAR_HEADER
        # tarfile takes a damaged header for the end of the archive; the real end is a block of zeros.
        file.seek(bundle.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("no end mark")


class _LimitedReader(io.BufferedReader):
    """A file of which at most `limit` bytes may be read before the limit is set again.

    Python's readers of archives believe a header that says how many bytes follow it, and ask for all
    of them at once.
    """

    def __init__(self, raw: io.RawIOBase | gzip.GzipFile, limit: int) -> None:
        super().__init__(cast(io.RawIOBase, raw))
        self.limit = limit

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not -1 <= size <= self.limit:
            raise CourseError(f"{self.name} is refused: its list of files is far too long for CIFAR-10.")
        content = super().read(size)
        self.limit -= len(content)
        return content


class _Check:
    """What the entries of one archive claim, entry by entry and in all."""

    def __init__(self, archive: Path) -> None:
        self.archive, self.entries, self.bytes = archive, 0, 0

    def is_image(self, name: str, size: int, is_regular: bool) -> bool:
        """Whether the next entry is an image in a class folder.

        Args:
            is_regular: the entry is a file or a folder, not a link or a device.

        Raises:
            CourseError: the entry could do harm, or is one too many.
        """
        path = PureWindowsPath(name)  # it knows drives and both kinds of slash
        if path.anchor or ".." in path.parts or not is_regular:
            raise CourseError(f"{self.archive} is refused: {name!r} would reach outside its folder.")
        if not 0 <= size <= LARGEST_IMAGE_FILE:
            raise CourseError(f"{self.archive} is refused: {name!r} is too large for a small image.")
        self.entries += 1
        self.bytes += size
        if self.entries > MOST_FILES or self.bytes > LARGEST_IN_ALL:
            raise CourseError(f"{self.archive} is refused: it holds far more than CIFAR-10's images.")
        return labelled(name) is not None


def labelled(name: str) -> tuple[str, str, str] | None:
    """What the path of an image says: part, class, and the folder that both lie in; None if it says neither.

    Paths are `train/<class>/*.png` or `train/<number>_<class>.png`, and the same with `test`.
    """
    *above, file = name.split("/")
    numbered = NUMBERED.fullmatch(file.rpartition(".")[0])
    if not file.lower().endswith(IMAGE_ENDINGS) or any(is_hidden(part) for part in (*above, file)):
        return None
    if numbered and above and above[-1].lower() in PARTS:
        above.append(numbered[1])  # as if it lay in a class folder
    if len(above) < 2 or above[-2].lower() not in PARTS:
        return None
    *tree, part, class_name = above
    return part.lower(), class_name, "".join(f"{folder}/" for folder in tree)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that programs keep for themselves."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")
