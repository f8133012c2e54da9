"""A file is whole or not there, whatever fails while it is written; what the dead leave is removed."""

import ctypes
import errno
import os
import platform
import signal
import stat
import subprocess
import sys

import fakes
import pytest
import systems
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from cifar_lib import CourseError
from cifar_lib.system import files


@pytest.fixture
def path(tmp_path):
    """A file that is there before it is written again."""
    path = tmp_path / "results" / "file"
    path.parent.mkdir()
    path.write_text("before")
    return path


def test_the_file_replaces_what_was_there_when_the_block_ends(path):
    with files.atomic_write(path) as aside:
        aside.write_text("after")
        assert path.read_text() == "before"
    assert fakes.snapshot(path.parent) == {path: b"after"}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_missing_folders_are_made_and_whoever_the_user_lets_may_read_the_file(umask, mode, tmp_path):
    path = tmp_path / "a" / "b" / "file"
    before = os.umask(umask)
    try:
        with files.atomic_write(str(path)) as aside:
            aside.write_text("whole")
            aside.chmod(0o400)
    finally:
        os.umask(before)
    assert path.read_text() == "whole"
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_content_is_on_the_disk_before_the_file_gets_its_name(path, monkeypatch):
    """And it has been beside its place, because a rename is one step only within one disk."""
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda number: calls.append("fsync") or fsync(number))
    monkeypatch.setattr(files.os, "replace", lambda *paths: calls.append(paths) or replace(*paths))
    with files.atomic_write(path) as aside:
        aside.write_text("after")
    assert calls == ["fsync", (aside, path)]
    assert aside.parent.parent == path.parent and aside.name == path.name


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "No space is left on the disk to write {path}: free some"),
        (errno.EDQUOT, "No space is left on the disk to write {path}: free some"),
        (errno.EACCES, "{path} cannot be written: choose a folder that you may write to"),
        (errno.EPERM, "{path} cannot be written: choose a folder that you may write to"),
        (errno.EROFS, "{path} cannot be written: choose a folder that you may write to"),
        (errno.ENOTDIR, "{path} cannot be written: a file stands where a folder is needed"),
        (errno.EEXIST, "{path} cannot be written: a file stands where a folder is needed"),
        (errno.EIO, "{path} cannot be written: Input/output error."),
    ],
)
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_writing_that_fails_leaves_what_was_there(code, words, moment, path, monkeypatch):
    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, moment, fail)
    with pytest.raises(CourseError) as caught, files.atomic_write(path) as aside:
        aside.write_text("after")
    assert str(caught.value).startswith(words.format(path=path)) and "\n" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert fakes.snapshot(path.parent) == {path: b"before"}


def test_an_error_without_a_number_is_a_sentence_too():
    assert files.explain_os_error(OSError("no reason"), "here") == "here cannot be written: no reason."


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), SafetensorError("no number")])
def test_a_failure_while_writing_leaves_what_was_there(error, path):
    with pytest.raises(type(error)) as caught, files.atomic_write(path) as aside:
        aside.write_text("half")
        raise error
    assert caught.value is error
    assert fakes.snapshot(path.parent) == {path: b"before"}


def test_a_full_disk_is_named_by_windows_own_number(path, monkeypatch):
    """In the text of safetensors; elsewhere 112 is "Host is down"."""
    full = OSError(errno.ENOSPC, "There is not enough space on the disk")
    monkeypatch.setattr(ctypes, "WinError", {112: full}.get, raising=False)
    with pytest.raises(CourseError, match="No space is left on the disk"), files.atomic_write(path):
        monkeypatch.setattr(sys, "platform", "win32")
        raise SafetensorError("Error while serializing: I/O error: no space (os error 112)")


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from cifar_lib import CourseError
from cifar_lib.system.files import atomic_write

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with atomic_write(Path(sys.argv[1])) as aside:
        save_file({"weights": torch.zeros(100_000)}, aside)
except CourseError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_safetensors_that_cannot_be_written_whole(path):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path} cannot be written: File too large")
    assert fakes.snapshot(path.parent) == {path: b"before"}


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    path = tmp_path / "place" / "[a] file"
    path.parent.mkdir()
    asides = [write_and_die(path) for _ in range(3)]
    assert [aside.exists() for aside in asides] == [False, False, True]  # each removed the one before
    with files.atomic_write(path) as aside:
        living = list(path.parent.iterdir())
        aside.write_text("whole")
        with files.atomic_write(path) as other:  # this process lives: its aside is left alone
            other.write_text("other")
        assert aside.exists()
    assert living == [aside.parent]
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "whole"


def write_and_die(path):
    """A child that is killed while it writes `path`; returns what it left."""
    process = os.fork()
    if process == 0:
        with files.atomic_write(path) as aside:
            aside.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    (aside,) = path.parent.glob(f".*-{process}-*")
    return aside


@pytest.mark.skipif(sys.platform == "win32", reason="there no process is taken for dead")
def test_what_belongs_to_others_is_left(tmp_path, monkeypatch):
    """To another machine or container, another file, nobody known, a living process, another user's."""
    path, dead, foreign, unheard = tmp_path / "place" / "file", 2**22 + 1, 2**22 + 2, 2**70
    monkeypatch.setattr(files, "PROCESS_NUMBERS", tmp_path / "none")  # as on other systems than Linux
    here = f".file.{platform.node()}-0-"
    others = [f".file.elsewhere-0-{dead}-x.part", f".files.{platform.node()}-0-{dead}-x.part", ".file.part"]
    others.append(f".file.{platform.node()}-1-{dead}-x.part")
    others += [f"{here}{number}-x.part" for number in ("notes", os.getpid(), os.getppid(), foreign, unheard)]
    for name in (*others, f"{here}{dead}-x.part"):
        (path.parent / name).mkdir(parents=True)
    kill = os.kill

    def refuse(process, number):
        if process == foreign:
            raise PermissionError
        kill(process, number)

    monkeypatch.setattr(files.os, "kill", refuse)
    files.remove_left_behind(path)
    assert {found.name for found in path.parent.iterdir()} == set(others)


def test_what_a_container_of_the_same_name_writes_is_left(path, tmp_path, monkeypatch):
    """Its processes have numbers of their own, so none of them is known here."""
    monkeypatch.setattr(files, "_is_alive", lambda process: False)
    with files.atomic_write(path) as theirs:
        theirs.write_text("theirs")
        (tmp_path / "ours").touch()
        monkeypatch.setattr(files, "PROCESS_NUMBERS", tmp_path / "ours")
        with files.atomic_write(path) as ours:
            ours.write_text("ours")
        assert path.read_text() == "ours"
    assert path.read_text() == "theirs"


def test_a_file_is_flushed_and_replaced_where_windows_rules_hold(path, monkeypatch):
    systems.play_windows(monkeypatch)
    with files.atomic_write(path) as aside:
        aside.write_text("after")
    assert path.read_text() == "after"


def test_a_file_that_another_program_has_open_on_windows_is_named(path, monkeypatch):
    systems.play_windows(monkeypatch)
    with path.open(), pytest.raises(CourseError) as caught, files.atomic_write(path) as aside:
        aside.write_text("after")
    assert str(caught.value) == (
        f"{path} cannot be written, because another program has it open: close that, then run again."
    )
    assert path.read_text() == "before"


def test_what_nobody_needs_stays_while_it_is_open_on_windows(path, monkeypatch):
    systems.play_windows(monkeypatch)
    with path.open():
        files.remove(path)
    assert path.exists()
    files.remove(path)
    assert not path.exists()
    files.remove(path)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP])
def test_without_locks_a_process_is_warned_and_goes_on(code, tmp_path, monkeypatch):
    systems.take_locks_away(monkeypatch, code)
    lock = FileLock(tmp_path / "file.lock")
    with pytest.warns(UserWarning, match=f"{tmp_path} has no locks: let only one process") as warned:
        files.acquire(lock)
    assert len(warned) == 1 and warned[0].filename == __file__
    lock.release()


def test_other_refusals_of_a_lock_are_passed_on(tmp_path, monkeypatch):
    systems.take_locks_away(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        files.acquire(FileLock(tmp_path / "file.lock"))


def test_a_lock_that_another_holds_is_waited_for_only_when_asked(tmp_path):
    with FileLock(tmp_path / "file.lock"), pytest.raises(Timeout):
        files.acquire(FileLock(tmp_path / "file.lock"), blocking=False)


def test_md5_is_the_published_one(tmp_path):
    """Of "abc", in appendix A.5 of RFC 1321."""
    (tmp_path / "file").write_bytes(b"abc")
    assert files.md5(tmp_path / "file") == "900150983cd24fb0d6963f7d28e17f72"
