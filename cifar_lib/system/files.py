"""Files that are either whole or absent: each is written under another name, then renamed.

Windows refuses some of what other systems allow: a file that is open cannot be removed or replaced, and only
one that is open for writing can be flushed.
"""

import ctypes
import errno
import glob
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock
from safetensors import SafetensorError

from .. import CourseError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
PROCESS_NUMBERS = "/proc/self/ns/pid"  # the process's namespace of process numbers, on Linux alone
OPEN_ELSEWHERE = 32  # ERROR_SHARING_VIOLATION, on Windows alone


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, whose file replaces `path` in one step when the block ends without an error.

    When the block fails, the temporary file is removed and what stood at `path` is untouched. What a
    killed process left beside `path` is removed by the next one that writes there on the same machine, and
    in the same container where there is one.

    Raises:
        CourseError: the folder cannot be written, or the disk is full.
    """
    path, folder = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_behind(path)
        # A folder, because safetensors writes through a temporary file beside the given one, whose name it
        # does not tell. In the folder, what a killed process leaves of that can be found, too.
        folder = tempfile.mkdtemp(".part", f"{_prefix(path)}{os.getpid()}-", path.parent)
        aside = Path(folder) / path.name
        yield aside
        fsync(aside)  # before the rename: a machine that stops must not leave the new name on an empty file
        # safetensors makes its files readable by their owner alone, whatever the user's umask allows.
        usual = aside.with_name("usual")
        usual.touch()
        os.chmod(aside, usual.stat().st_mode & 0o777)
        os.replace(aside, path)
    except OSError as error:
        raise CourseError(explain_os_error(error, path)) from None
    except SafetensorError as error:
        # It passes the number of the system's error on within its text.
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise CourseError(explain_os_error(_os_error(int(number[1])), path)) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def fsync(path: str | Path) -> None:
    """Wait until the content of a file is on the disk."""
    with open(path, "r+b") as file:  # Windows flushes only what is open for writing
        os.fsync(file.fileno())


def remove(path: str | Path) -> None:
    """Remove a file that nobody needs any more; on Windows it stays while a program has it open."""
    with suppress(PermissionError):
        Path(path).unlink(missing_ok=True)


def acquire(lock: BaseFileLock, blocking: bool = True) -> None:
    """Take a lock. On a file system that has none this warns, and the caller goes on without it.

    That loses nothing, because every file is written whole: two processes may only do the same work twice.

    Args:
        blocking: whether to wait while another process holds the lock.

    Raises:
        filelock.Timeout: another process holds the lock, and `blocking` is false.

    Warns:
        UserWarning: the file system has no locks.
    """
    try:
        lock.acquire(blocking=blocking)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"The file system of {Path(lock.lock_file).parent} has no locks: let only one process at a time "
            "write there, or choose a folder on a local disk.",
            stacklevel=2,
        )


def remove_left_behind(path: Path) -> None:
    """Remove the folders that killed processes of this machine or container left beside `path`."""
    for folder in path.parent.glob(f"{glob.escape(_prefix(path))}*.part"):
        number = folder.name.removeprefix(_prefix(path)).partition("-")[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """A context for what reads files: it says that one cannot be read, instead of passing an `OSError` on.

    Args:
        path: what is named where the error names no file.

    Raises:
        CourseError: in the place of each `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise CourseError(f"{error.filename or path} cannot be read: {error.strerror or error}.") from None


def explain_os_error(error: OSError, path: str | Path) -> str:
    """One sentence for an `OSError` raised while writing `path`: what was wrong, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space is left on the disk to write {path}: free some, then run again."
    if getattr(error, "winerror", None) == OPEN_ELSEWHERE:
        return f"{path} cannot be written, because another program has it open: close that, then run again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} cannot be written: choose a folder that you may write to."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path} cannot be written: a file stands where a folder is needed."
    return f"{path} cannot be written: {error.strerror or error}."


def _os_error(number: int) -> OSError:
    """The error of a number that the system gave: one of `errno`, but on Windows one of its own."""
    if sys.platform == "win32":
        return ctypes.WinError(number)  # finds the `errno` that it stands for
    return OSError(number, os.strerror(number))


def md5(path: str | Path) -> str:
    """The MD5 of a file, as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _prefix(path: Path) -> str:
    """How the names of the folders begin in which this machine writes `path`; a process number follows.

    The machine is named because on a disk that several share, a process number says nothing about the others.
    Containers of one machine may have its name, but on Linux each set of process numbers has a number itself.
    """
    try:
        numbers = os.stat(PROCESS_NUMBERS).st_ino
    except OSError:  # other systems
        numbers = 0
    return f".{path.name}.{platform.node()}-{numbers}-"


def _is_alive(process: int) -> bool:
    """Whether a process of this number runs on this machine; True where that cannot be known."""
    if os.name == "nt":
        return True  # on Windows, os.kill would end the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's process; a number that no process can have
        pass
    return True
