"""Downloads: several mirrors in turn, resumed, never waited for without end, verified before use."""

import queue
import threading
import time
from pathlib import Path

import requests
import urllib3
from filelock import FileLock
from tqdm.auto import tqdm

from .. import CourseError
from ..system.files import explain_os_error, fsync, md5
from .specs import SPECS

ANSWER_SECONDS = 30  # to find the host, connect, follow redirects and get the headers of the answer
SILENT_SECONDS = 20
SLOWEST = 50_000  # bytes a second, measured over SILENT_SECONDS
PAUSE_SECONDS = 3
LARGEST = 200_000_000  # bytes; the archive of CIFAR-10 has 170 million
WRONG = "wrong content"


def fetch(name, folder):
    """Bring the files of "cifar10" or "mnist" into `folder`, each verified by its MD5.

    A partial file is kept as `*.part` and continued, by whichever mirror answers. Mirrors that failed
    are asked once more, PAUSE_SECONDS after the last of them: a busy one may have time then. One that
    stalls costs at most ANSWER_SECONDS until it answers and 2 · SILENT_SECONDS once it does. A second
    process that wants the same file waits until the first has it.

    Raises:
        CourseError: no mirror gave the right bytes, or `folder` cannot be written.
    """
    for file, checksum in SPECS[name].downloads.items():
        target = folder / file
        if _is_right(target, checksum):
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_name(f"{target.name}.lock")) as lock:
                if not _is_right(target, checksum):  # another process may have been quicker
                    _fetch_one(SPECS[name].mirrors, target, checksum)
                Path(lock.lock_file).unlink(missing_ok=True)
        except OSError as error:
            raise CourseError(explain_os_error(error, target)) from None


def _fetch_one(mirrors, target, checksum):
    part = target.with_name(target.name + ".part")
    reasons = dict.fromkeys(mirrors)
    for pause in (0, PAUSE_SECONDS):
        left = [mirror for mirror, reason in reasons.items() if reason != WRONG]
        time.sleep(pause if left else 0)
        for mirror in left:
            reasons[mirror] = _try_mirror(f"{mirror}/{target.name}", part, checksum)
            if reasons[mirror] is None:
                fsync(part)
                part.replace(target)
                return
    told = "; ".join(f"{mirror.split('/')[2]}: {reason}" for mirror, reason in reasons.items())
    raise CourseError(
        f"{target.name} could not be downloaded ({told}). Three ways out: try again "
        f"later, a partial file is continued; put {target.name} into {target.parent} by hand; or "
        f"set CIFAR_DATA to a folder that holds the images already."
    )


def _try_mirror(url, part, checksum):
    """Ask one mirror; returns None when `part` is whole and right, else the reason in words."""
    resumed = part.exists()
    try:
        _append_missing(url, part)
        reason = WRONG
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        reason = _in_words(error)
    if _is_right(part, checksum):
        return None
    if reason == WRONG:
        part.unlink(missing_ok=True)
        if resumed:  # the fault may lie in what was there before
            return _try_mirror(url, part, checksum)
    return reason


def _append_missing(url, part):
    """Append to `part` what it lacks; start over where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the file as it is, though it be compressed itself
    if have:
        headers["Range"] = f"bytes={have}-"
    with _answer(url, headers) as answer:
        if answer.status_code == 416:  # nothing is left to send
            return
        answer.raise_for_status()
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise requests.RequestException("a web page in place of the file")
        resumed = answer.status_code == 206
        received, since = have if resumed else 0, _Throughput()
        left = answer.raw.length_remaining
        if received + (left or 0) > LARGEST:
            return
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(
                total=None if left is None else received + left,
                initial=received,
                unit="B",
                unit_scale=True,
                desc=part.stem,
            ) as bar,
        ):
            # read1 gives what has come, without waiting for more; it raises when the end is missing
            while received <= LARGEST and (chunk := answer.raw.read1(64 * 1024)):
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                since.add(len(chunk))


def _answer(url, headers):
    """The server's answer, body unread. In a thread: no timeout of `requests` covers all of the way."""
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put(requests.get(url, headers=headers, stream=True, timeout=SILENT_SECONDS))
        except OSError as error:  # such as a file of certificates that is not there
            known = isinstance(error, requests.RequestException)
            answers.put(error if known else requests.RequestException(str(error)))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise requests.Timeout from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _is_right(path, checksum):
    return path.exists() and md5(path) == checksum


class _Throughput:
    """Raises when fewer than SLOWEST bytes a second came over the last SILENT_SECONDS."""

    def __init__(self):
        self.start, self.bytes = time.monotonic(), 0

    def add(self, count):
        self.bytes += count
        elapsed = time.monotonic() - self.start
        if elapsed > SILENT_SECONDS:
            if self.bytes / elapsed < SLOWEST:
                raise requests.Timeout("too slow")
            self.start, self.bytes = time.monotonic(), 0


def _in_words(error):
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "too slow"
    if isinstance(error, requests.HTTPError):
        return f"status {error.response.status_code}"
    if isinstance(error, requests.TooManyRedirects):
        return "redirects in a loop"
    if isinstance(error, ValueError):  # such are the errors of headers and addresses
        return "a header or redirect that makes no sense"
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError):
        return "no connection, or cut off"
    return str(error) or type(error).__name__
