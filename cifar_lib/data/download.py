"""Downloads: several mirrors in turn, resumed, never waited for without end, verified before use."""

import os
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from filelock import FileLock
from tqdm.auto import tqdm

from .. import CourseError
from ..system.files import acquire, explain_os_error, fsync, md5, remove
from .specs import SPECS

ANSWER_SECONDS = 30  # to find the host, connect, follow redirects and get the headers of the answer
SILENT_SECONDS = 20
SLOWEST = 50_000  # bytes per second, measured over SILENT_SECONDS
PAUSE_SECONDS = 3
LARGEST = 200_000_000  # bytes; the archive of CIFAR-10 has 170 million
CHUNK = 64 * 1024  # bytes
WRONG = "wrong content"

NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)


def fetch(name: str, folder: Path) -> None:
    """Bring the files of "cifar10" or "mnist" into `folder`, each verified by its MD5.

    A partial file is kept as `*.part` and continued by whichever mirror answers. Mirrors that failed
    are asked once more, PAUSE_SECONDS after the last of them, because a busy one may have time then. A
    mirror that stalls costs at most ANSWER_SECONDS until it answers and 2 · SILENT_SECONDS once it does.
    A second process that wants the same file waits until the first has it.

    Raises:
        CourseError: no mirror gave the right bytes, or `folder` cannot be written.
    """
    looked = _what_is_in(folder)  # before anything is written there
    for file, checksum in SPECS[name].downloads.items():
        target = folder / file
        if _is_right(target, checksum):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(target.with_name(f"{target.name}.lock"))
            try:
                acquire(lock)
                if not _is_right(target, checksum):  # another process may have been quicker
                    _fetch_one(SPECS[name].mirrors, target, checksum, looked)
            finally:
                lock.release()
            remove(lock.lock_file)  # whoever waited for it finds the file
        except OSError as error:
            raise CourseError(explain_os_error(error, target)) from None


def _fetch_one(mirrors: tuple[str, ...], target: Path, checksum: str, looked: str) -> None:
    part = target.with_name(f"{target.name}.part")
    reasons = dict.fromkeys(mirrors, "")
    for pause in (0, PAUSE_SECONDS):
        left = [mirror for mirror, reason in reasons.items() if reason != WRONG]
        time.sleep(pause if left else 0)
        for mirror in left:
            reasons[mirror] = _try_mirror(f"{mirror}/{target.name}", part, checksum)
            if not reasons[mirror]:
                fsync(part)
                part.replace(target)
                return
    told = "; ".join(f"{urlsplit(mirror).netloc}: {reason}" for mirror, reason in reasons.items())
    raise CourseError(
        f"{target.name} could not be downloaded ({told}). Three ways out: try again "
        f"later, a partial file is continued; put {target.name} into {target.parent} by hand; or "
        f"set CIFAR_DATA to a folder that holds the images already (looked in {looked})."
    )


def _what_is_in(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}, which is not there"
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    names = [name for name in names if not name.endswith(".lock")]  # a failed download leaves its own
    if not names:
        return f"{folder}, which is empty"
    return f"{folder}, which holds {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"


def _try_mirror(url: str, part: Path, checksum: str) -> str:
    """Ask one mirror; returns "" when `part` is complete and right, else the reason in words."""
    resumed = part.exists() and part.stat().st_size > 0
    try:
        _append_missing(url, part)
        reason = WRONG
    except NETWORK_ERRORS as error:
        if isinstance(error, requests.exceptions.InvalidSchema) and "SOCKS" in str(error):
            raise CourseError(
                "The environment names a SOCKS proxy, for which a package is missing: run python -m pip "
                "install pysocks, or unset the proxy (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY)."
            ) from None
        reason = _in_words(error)
    if _is_right(part, checksum):
        return ""
    if reason == WRONG:
        remove(part)
        if part.exists():  # on Windows, while another program has it open
            os.truncate(part, 0)
        if resumed:  # the fault may lie in what was there before
            return _try_mirror(url, part, checksum)
    return reason


def _append_missing(url: str, part: Path) -> None:
    """Append to `part` what it lacks; start over where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the files are compressed already, and kept as they are
    if have:
        headers["Range"] = f"bytes={have}-"
    with _answer(url, headers) as answer:
        if answer.status_code == 416:  # the range is empty: nothing is left to send
            return
        if not answer.ok:
            raise requests.RequestException(f"status {answer.status_code}")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise requests.RequestException("a web page in place of the file")
        resumed = answer.status_code == 206
        received, left = have if resumed else 0, answer.raw.length_remaining
        total = None if left is None else received + left
        if total is not None and total > LARGEST:
            return
        start, fresh = time.monotonic(), 0
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm.wrapattr(file, "write", total=total, initial=received, desc=part.stem) as shown,
        ):
            # read1 gives what has come, without waiting for more; it raises when the end is missing
            while received <= LARGEST and (chunk := answer.raw.read1(CHUNK)):
                shown.write(chunk)
                received, fresh = received + len(chunk), fresh + len(chunk)
                elapsed = time.monotonic() - start
                if elapsed > SILENT_SECONDS:
                    if fresh < SLOWEST * elapsed:
                        raise requests.Timeout
                    start, fresh = time.monotonic(), 0


def _answer(url: str, headers: dict[str, str]) -> requests.Response:
    """The server's answer, its body unread, within ANSWER_SECONDS.

    In a thread that is left behind when the time is up, because the timeouts of `requests` hold for
    each read and each redirect, not for all of them together, and not for finding the host.
    """
    answer: Future[requests.Response] = Future()

    def ask() -> None:
        try:
            answer.set_result(requests.get(url, headers=headers, stream=True, timeout=SILENT_SECONDS))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=ANSWER_SECONDS)
    except NETWORK_ERRORS:
        raise
    except TimeoutError:
        raise requests.Timeout from None
    except OSError as error:  # such as a file of certificates that is not there
        raise requests.RequestException(str(error)) from None


def _is_right(path: Path, checksum: str) -> bool:
    return path.exists() and md5(path) == checksum


def _in_words(error: Exception) -> str:
    match error:
        case requests.Timeout() | urllib3.exceptions.TimeoutError():
            return "too slow"
        case requests.exceptions.InvalidURL() if "proxy" in str(error).lower():
            return "the environment names a proxy whose address makes no sense"
        case requests.exceptions.ProxyError():
            return "no way through the proxy that the environment names"
        case requests.TooManyRedirects():
            return "redirects in a loop"
        case ValueError():  # such are the errors of headers and addresses
            return "a header or redirect that makes no sense"
        case requests.ConnectionError() | urllib3.exceptions.ProtocolError():
            return "no connection, or cut off"
        case _:
            return str(error) or type(error).__name__
