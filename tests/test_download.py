"""Downloads from a server on this machine that does all that servers do."""

import gzip
import hashlib
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fakes
import pytest

from cifar_lib import CourseError, data, download, sources

CONTENT = bytes(i * i % 251 for i in range(300_000))
NAME = "file.bin"


class Handler(BaseHTTPRequestHandler):
    """`/BEHAVIOUR/file`: each behaviour is a method below."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        behaviour, _, name = self.path[1:].partition("/")
        self.server.asked.append((behaviour, self.headers["Range"]))
        with suppress(OSError):
            getattr(self, behaviour)(self.server.files.get(name, CONTENT))

    def send(self, content, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def good(self, content):
        wanted = self.headers["Range"]
        if wanted is None:
            return self.send(content)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return self.send(b"", 416)
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.send(content[start:], 206, Content_Range=place)

    def no_ranges(self, content):
        self.send(content)

    def busy(self, content):
        self.send(b"busy", 503)

    def wrong(self, content):
        self.send(content[::-1])

    def page(self, content):
        self.send(b"<html>Log in to this network</html>", Content_Type="text/html")

    def cut(self, content):
        self.send(content[: len(content) // 2], length=len(content))
        self.close_connection = True

    def loop(self, content):
        self.send(b"", 302, Location=self.path)

    def silent(self, content):
        self.send(content[:1000], length=len(content))
        self.server.stop.wait(10)

    def mute(self, content):
        self.server.stop.wait(10)
        self.close_connection = True

    def trickle(self, content):
        self.send(b"", length=len(content))
        for i in range(1000):
            self.wfile.write(content[10 * i : 10 * i + 10])
            if self.server.stop.wait(0.02):
                break

    def packed(self, content):
        """Compress on the way when asked; else say that the file's own compression is the way's."""
        accepted = "gzip" in self.headers["Accept-Encoding"]
        self.send(gzip.compress(content) if accepted else content, Content_Encoding="gzip")

    def unknown_length(self, content):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.files, server.stop = [], {}, threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(server, folder, monkeypatch):
    """Fetch the small file by mirrors of these behaviours, into `folder`."""
    monkeypatch.setattr(download, "SILENT_SECONDS", 0.4)

    def fetch(*behaviours):
        mirrors = [f"http://127.0.0.1:{server.server_port}/{behaviour}" for behaviour in behaviours]
        monkeypatch.setitem(download.MIRRORS, "cifar10", mirrors)
        monkeypatch.setitem(download.FILES, "cifar10", [(NAME, hashlib.md5(CONTENT).hexdigest())])
        download.fetch("cifar10", folder)

    return fetch


def failure(fetch, *behaviours):
    with pytest.raises(CourseError) as caught:
        fetch(*behaviours)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


@pytest.mark.parametrize("behaviour", ["good", "no_ranges", "unknown_length"])
def test_a_good_file_arrives_whole(behaviour, fetch, folder):
    fetch(behaviour)
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_what_is_there_is_not_asked_for_again(fetch, server):
    fetch("good")
    fetch("good")
    assert len(server.asked) == 1


def test_a_file_with_wrong_bytes_is_replaced(fetch, folder):
    (folder / NAME).write_bytes(b"wrong")
    fetch("good")
    assert (folder / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("first", ["busy", "wrong", "page", "cut", "loop", "silent", "mute", "trickle"])
def test_the_next_mirror_is_asked_when_one_fails(first, fetch, server, folder):
    start = time.monotonic()
    fetch(first, "good")
    assert time.monotonic() - start < 5
    assert server.asked[-1][0] == "good"
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("busy", "status 503"),
        ("wrong", "wrong content"),
        ("page", "wrong content"),
        ("cut", "no connection, or cut off"),
        ("loop", "redirects in a loop"),
        ("silent", "too slow"),
        ("mute", "too slow"),
        ("trickle", "too slow"),
    ],
)
def test_when_all_fail_one_sentence_names_the_reason_and_three_ways_out(behaviour, reason, fetch, folder):
    text = failure(fetch, behaviour)
    assert text.startswith(f"{NAME} could not be downloaded (127.0.0.1:")
    assert f": {reason})" in text
    for way in ("try again later", f"put {NAME} into {folder} by hand", "set CIFAR_DATA to a folder"):
        assert way in text
    assert not (folder / NAME).exists()


def test_every_mirror_is_named_with_its_reason(fetch):
    text = failure(fetch, "busy", "wrong")
    assert text.index("status 503") < text.index("wrong content")


def test_no_connection(fetch, monkeypatch, folder):
    monkeypatch.setattr(download, "MIRRORS", {})
    monkeypatch.setitem(download.MIRRORS, "cifar10", ["http://127.0.0.1:9"])
    with pytest.raises(CourseError, match=r"\(127.0.0.1:9: no connection, or cut off\)"):
        download.fetch("cifar10", folder)


def test_only_the_missing_bytes_are_asked_for(fetch, server, folder):
    failure(fetch, "cut")
    assert (folder / f"{NAME}.part").read_bytes() == CONTENT[: len(CONTENT) // 2]
    fetch("good")
    assert server.asked == [("cut", None), ("good", f"bytes={len(CONTENT) // 2}-")]
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_complete_partial_file_is_only_checked(fetch, server, folder):
    (folder / f"{NAME}.part").write_bytes(CONTENT)
    fetch("good")
    assert server.asked == [("good", f"bytes={len(CONTENT)}-")]
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_server_that_cannot_resume_sends_all_again(fetch, folder):
    failure(fetch, "cut")
    fetch("no_ranges")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_damaged_partial_file_is_given_up(fetch, folder):
    (folder / f"{NAME}.part").write_bytes(b"damaged")
    assert "wrong content" in failure(fetch, "good")
    assert fakes.snapshot(folder) == {}
    fetch("good")
    assert (folder / NAME).read_bytes() == CONTENT


def test_far_too_much_is_not_kept_on_loading(fetch, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 100_000)
    assert "far too large" in failure(fetch, "good")


def test_compressed_files_are_kept_as_they_are(server, folder, monkeypatch):
    parts = fakes.mnist()
    fakes.expect(monkeypatch, "mnist", parts)
    serve_mnist(server, folder, parts, monkeypatch, "packed")
    assert len(data.load("mnist").train) == 40


def test_mnist_goes_on_after_a_stop_between_files(server, folder, monkeypatch):
    parts = fakes.mnist()
    fakes.expect(monkeypatch, "mnist", parts)
    paths = serve_mnist(server, folder, parts, monkeypatch, "good")
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (folder / "MNIST" / "raw" / name).write_bytes(server.files[name])
    assert len(data.load("mnist").train) == 40
    assert [path.exists() for path in paths] == [True] * 4
    assert len(server.asked) == 2


def test_load_downloads_what_is_missing_and_keeps_it(server, folder, monkeypatch):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    archive = fakes.write_batches_archive(folder, parts, monkeypatch)
    server.files[archive.name] = archive.read_bytes()
    archive.unlink()
    monkeypatch.setitem(
        download.MIRRORS,
        "cifar10",
        [f"http://127.0.0.1:{server.server_port}/{way}" for way in ("busy", "good")],
    )
    monkeypatch.setitem(download.FILES, "cifar10", [(sources.ARCHIVE, sources.ARCHIVE_MD5)])
    loaded = data.load("cifar10")
    assert len(loaded.train) == 40
    assert archive.read_bytes() == server.files[archive.name]


def serve_mnist(server, folder, parts, monkeypatch, behaviour):
    from torchvision.datasets import MNIST

    paths = fakes.write_mnist(folder, parts, monkeypatch, packed=True)
    for path in paths:
        server.files[path.name] = path.read_bytes()
        path.unlink()
    monkeypatch.setitem(download.MIRRORS, "mnist", [f"http://127.0.0.1:{server.server_port}/{behaviour}"])
    monkeypatch.setitem(download.FILES, "mnist", [(f"MNIST/raw/{n}", md5) for n, md5 in MNIST.resources])
    return paths
