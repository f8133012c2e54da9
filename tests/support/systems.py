"""Rules of other systems, played on this one."""

import builtins
import errno
import io
import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

OPEN_FILES = Path("/proc/self/fd")


def play_windows(monkeypatch):
    """No flush of a file that is open for reading alone; no removal and no replacement of an open file."""
    if not OPEN_FILES.exists():
        pytest.skip("only Linux lists the files that a process has open")
    fsync, unlink, replace = os.fsync, Path.unlink, os.replace

    def flush(number):
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise _error(errno.EBADF)
        fsync(number)

    def remove(path, missing_ok=False):
        _refuse_open(path)
        unlink(path, missing_ok=missing_ok)

    def rename(source, target):
        _refuse_open(source)
        _refuse_open(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(Path, "unlink", remove)
    monkeypatch.setattr(os, "replace", rename)


def close_to_readers(path, monkeypatch):
    """A file that its reader may not open, as the system says it; an administrator may open all."""

    def closing(opening):
        def opened(file, *arguments, **options):
            if not isinstance(file, int) and os.fspath(file) == os.fspath(path):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
            return opening(file, *arguments, **options)

        return opened

    for place, name in (
        *((io, "open"), (io, "FileIO"), (builtins, "open")),
        *((pyarrow, "memory_map"), (pyarrow.parquet, "read_schema")),
    ):
        monkeypatch.setattr(place, name, closing(getattr(place, name)))


def take_locks_away(monkeypatch, code=errno.ENOLCK):
    """A file system that refuses every lock, as some network disks do."""
    if fcntl is None:
        pytest.skip("Windows locks files in another way")

    def flock(number, operation):
        if operation & fcntl.LOCK_EX:
            raise _error(code)

    monkeypatch.setattr(fcntl, "flock", flock)


def _refuse_open(path):
    opened = {os.path.realpath(entry) for entry in OPEN_FILES.iterdir()}
    if os.path.realpath(path) in opened:
        error = _error(errno.EACCES)
        error.winerror = 32
        raise error


def _error(code):
    return OSError(code, os.strerror(code))
