"""Files that are either whole or not there: write aside, then rename."""

import errno
import glob
import hashlib
import os
import platform
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from .. import CourseError


@contextmanager
def atomic_write(path):
    """Yield a temporary path; when the block ends well, it becomes `path` in one step.

    When the block fails, the temporary file is removed and what stood at `path` is untouched. What a
    killed process left beside `path` is removed by the next that writes there on the same machine.

    Raises:
        CourseError: the folder cannot be written, or the disk is full.
    """
    path, folder = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left_behind(path)
        # A folder, for safetensors writes through a temporary file of its own that nobody could name.
        folder = tempfile.mkdtemp(".part", f"{_prefix(path)}{os.getpid()}-", path.parent)
        aside = Path(folder) / path.name
        yield aside
        fsync(aside)
        os.chmod(aside, 0o644)  # safetensors makes its files readable by their owner alone
        os.replace(aside, path)
    except OSError as error:
        raise CourseError(explain_os_error(error, path)) from None
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise CourseError(explain_os_error(OSError(code, os.strerror(code)), path)) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def fsync(path):
    """Wait until a file's content is on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _prefix(path):
    """How the folders begin in which processes of this machine write `path`; their number follows."""
    return f".{path.name}.{platform.node()}-"


def remove_left_behind(path):
    """Remove what killed processes of this machine left beside `path` when they wrote it."""
    for folder in path.parent.glob(f"{glob.escape(_prefix(path))}*.part"):
        number = folder.name.removeprefix(_prefix(path)).partition("-")[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process):
    if os.name == "nt":
        return True  # there a signal 0 is no question: it stops the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def explain_os_error(error, path):
    """One sentence for an `OSError` met while writing `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space is left on the disk to write {path}: free some, then run again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{path} cannot be written: choose a folder that you may write to."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{path} cannot be written: a file stands where a folder is needed."
    return f"{path} cannot be written: {error.strerror or error}."


def md5(path):
    """The MD5 of a file, as 32 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
