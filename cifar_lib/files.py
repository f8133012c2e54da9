"""Files that are either whole or not there: write aside, then rename."""

import errno
import hashlib
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from . import CourseError


@contextmanager
def written_aside(path):
    """Yield a temporary path; when the block ends well, it becomes `path` in one step.

    When the block fails, the temporary file is removed and what stood at `path` is untouched.

    Raises:
        CourseError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(aside, 0o644)  # safetensors makes its files readable by their owner alone
        os.replace(aside, path)
    except OSError as error:
        raise CourseError(explain(error, path)) from None
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise CourseError(explain(OSError(code, os.strerror(code)), path)) from None
    finally:
        with suppress(OSError):
            aside.unlink()


def explain(error, path):
    """One sentence for an `OSError` met while writing `path`."""
    if error.errno == errno.ENOSPC:
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
