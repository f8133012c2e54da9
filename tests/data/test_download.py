"""Downloads from a server on this machine that does all that servers do."""

import gzip
import hashlib
import itertools
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import fakes
import pytest
import requests
import systems
from refusals import refusal

from cifar_lib import data
from cifar_lib.data import download

CONTENT = bytes(i * i % 251 for i in range(300_000))
NAME = "file.bin"
STALLS = {"silent", "mute", "slow_headers", "trickle", "tires"}


class Handler(BaseHTTPRequestHandler):
    """`/BEHAVIOUR/file`: each behaviour is a method below."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        behaviour, _, name = self.path[1:].partition("/")
        self.server.asked.append((behaviour, self.headers["Range"]))
        with suppress(OSError):
            getattr(self, behaviour)(self.server.files.get(name, CONTENT))

    def write(self, content):
        self.server.sent += len(content)
        self.wfile.write(content)

    def send(self, content, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.close_connection = length is not None  # else the client would wait, or read on
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.write(content)

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

    def busy_once(self, content):
        first = self.server.asked.count(("busy_once", self.headers["Range"])) == 1
        return self.busy(content) if first else self.good(content)

    def wrong(self, content):
        self.send(content[::-1])

    def page(self, content):
        self.send(b"<html>Log in to this network</html>", Content_Type="text/html; charset=utf-8")

    def page_in_disguise(self, content):
        self.send(b"<html>Log in to this network</html>")

    def page_cut(self, content):
        self.send(b"<html>Log in to", length=len(content))

    def cut(self, content):
        self.send(content[: len(content) // 2], length=len(content))

    def other_start(self, content):
        """Asked for a part, it sends one from another place than it was asked for, and says so."""
        if self.headers["Range"] is None:
            return self.send(content)
        return self.send(content[5:], 206, Content_Range=f"bytes 5-{len(content) - 1}/{len(content)}")

    def other_rest(self, content):
        """Asked for a part, it sends other bytes than those of the file."""
        if self.headers["Range"] is None:
            return self.send(content)
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.send(content[start:][::-1], 206, Content_Range=place)

    def too_short(self, content):
        self.send(content, length=1000)

    def too_long(self, content):
        self.send(content, length=2 * len(content))

    def no_number(self, content):
        self.send(content, length="many")

    def two_numbers(self, content):
        self.send(content, length="5, 6")

    def endless(self, content):
        self.send_response(200)
        self.end_headers()
        while not self.server.stop.is_set():
            self.write(content)
        self.close_connection = True

    def loop(self, content):
        self.send(b"", 302, Location=self.path)

    def to_another_host(self, content):
        self.send(b"", 302, Location=f"http://localhost:{self.server.server_port}/good/{NAME}")

    def to_a_file(self, content):
        self.send(b"", 302, Location="file:///etc/hostname")

    def to_nowhere(self, content):
        self.send(b"", 302, Location="http://[")

    def silent(self, content):
        self.send(content[:1], length=len(content))
        self.server.stop.wait(10)

    def mute(self, content):
        self.server.stop.wait(10)
        self.close_connection = True

    def slow_headers(self, content):
        self.send_response(200)
        self.flush_headers()
        for i in range(1000):
            self.wfile.write(f"X-{i}: 0\r\n".encode())
            if self.server.stop.wait(0.02):
                break
        self.close_connection = True

    def trickle(self, content):
        self.send(b"", length=len(content))
        for i in range(1000):
            self.write(content[10 * i : 10 * i + 10])
            if self.server.stop.wait(0.02):
                break

    def tires(self, content):
        """Most of the file at once, and a trickle of the rest."""
        most = len(content) - 10_000
        self.send(content[:most], length=len(content))
        for i in range(most, len(content), 10):
            self.write(content[i : i + 10])
            if self.server.stop.wait(0.02):
                break

    def unhurried(self, content):
        """As good, but over half a second."""
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers = {"Content_Range": place} if start else {}
        self.send(b"", 206 if start else 200, length=len(content) - start, **headers)
        for i in range(start, len(content), len(content) // 10):
            self.write(content[i : i + len(content) // 10])
            if self.server.stop.wait(0.05):
                break

    def packed(self, content):
        """Compress on the way when asked; else say that the file's own compression is the way's."""
        accepted = "gzip" in self.headers["Accept-Encoding"]
        self.send(gzip.compress(content) if accepted else content, Content_Encoding="gzip")

    def unknown_length(self, content):
        self.send_response(200)
        self.end_headers()
        self.write(content)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.asked, server.files, server.sent, server.stop = [], {}, 0, threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.05)


@pytest.fixture
def fetch(server, folder, monkeypatch):
    """Fetch the small file by mirrors of these behaviours, into `folder`."""

    def fetch(*behaviours):
        if STALLS & set(behaviours):
            monkeypatch.setattr(download, "ANSWER_SECONDS", 0.6)
            monkeypatch.setattr(download, "SILENT_SECONDS", 0.3)
        mirrors = [f"http://127.0.0.1:{server.server_port}/{behaviour}" for behaviour in behaviours]
        fakes.change_spec(monkeypatch, "cifar10", mirrors=mirrors)
        fakes.change_spec(monkeypatch, "cifar10", downloads={NAME: hashlib.md5(CONTENT).hexdigest()})
        download.fetch("cifar10", folder)

    return fetch


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


# What a bad host does, and the reason that the reader is told when no mirror is better.
FAULTS = {
    "busy": "status 503",
    "wrong": "wrong content",
    "page": "a web page in place of the file",
    "page_in_disguise": "wrong content",
    "page_cut": "no connection, or cut off",
    "cut": "no connection, or cut off",
    "too_short": "wrong content",
    "two_numbers": "a header or redirect that makes no sense",
    "endless": "wrong content",
    "loop": "redirects in a loop",
    "to_a_file": "a header or redirect that makes no sense",
    "to_nowhere": "a header or redirect that makes no sense",
    "silent": "too slow",
    "mute": "too slow",
    "slow_headers": "too slow",
    "trickle": "too slow",
    "tires": "too slow",
}


def stalled(mirrors):
    """The most seconds that these many stalling mirrors may cost, with a second for the rest."""
    each = download.ANSWER_SECONDS + 2 * download.SILENT_SECONDS
    return 2 * mirrors * each + download.PAUSE_SECONDS + 1


@pytest.mark.parametrize("first", FAULTS)
def test_the_next_mirror_is_asked_when_one_fails(first, fetch, server, folder, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    start = time.monotonic()
    fetch(first, "good")
    assert time.monotonic() - start < stalled(1)
    assert server.asked[-1][0] == "good"
    assert [behaviour for behaviour, _ in server.asked].count(first) in (1, 31)  # 30 redirects
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.parametrize("behaviour", FAULTS)
def test_when_all_fail_one_sentence_names_the_reason_and_three_ways_out(
    behaviour, fetch, folder, monkeypatch
):
    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    start = time.monotonic()
    text = refusal(fetch, behaviour)
    assert time.monotonic() - start < stalled(1)
    assert text.startswith(f"{NAME} could not be downloaded (127.0.0.1:")
    assert f": {FAULTS[behaviour]})" in text
    for way in ("try again later", f"put {NAME} into {folder} by hand", "set CIFAR_DATA to a folder"):
        assert way in text
    assert not (folder / NAME).exists()


@pytest.mark.parametrize("behaviour", ["too_long", "no_number", "to_another_host", "busy_once"])
def test_a_host_that_is_odd_but_sends_the_file_will_do(behaviour, fetch, folder):
    fetch(behaviour)
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_busy_mirror_is_asked_again_after_the_others(fetch, server):
    fetch("busy_once", "busy", "wrong")
    assert [behaviour for behaviour, _ in server.asked] == ["busy_once", "busy", "wrong", "busy_once"]


def test_a_mirror_that_sent_wrong_bytes_is_not_asked_again(fetch, server):
    refusal(fetch, "wrong", "cut")
    assert [behaviour for behaviour, _ in server.asked] == ["wrong", "cut", "cut"]


def test_every_mirror_is_named_with_its_reason(fetch):
    text = refusal(fetch, "busy", "wrong")
    assert text.index("status 503") < text.index("wrong content")


def test_no_connection(fetch, monkeypatch, folder):
    fakes.change_spec(monkeypatch, "cifar10", mirrors=["http://127.0.0.1:9"])
    assert "(127.0.0.1:9: no connection, or cut off)" in refusal(download.fetch, "cifar10", folder)


def test_a_missing_file_of_certificates_ends_one_mirror_and_is_named(fetch, folder, monkeypatch):
    def get(url, **options):
        if "secure" in url:
            raise OSError("Could not find a suitable TLS CA certificate bundle")
        return ask(url, **options)

    ask = requests.get
    monkeypatch.setattr(download.requests, "get", get)
    fetch("secure", "good")
    assert (folder / NAME).read_bytes() == CONTENT
    (folder / NAME).unlink()
    assert "127.0.0.1:" in (said := refusal(fetch, "secure")) and "TLS CA certificate bundle" in said


def through(proxy, monkeypatch, folder):
    """What is said when the environment names this proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    fakes.change_spec(monkeypatch, "cifar10", mirrors=["https://mirror.invalid"])
    return refusal(download.fetch, "cifar10", folder)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "socks5h://127.0.0.1:9", "socks4://127.0.0.1:9"])
def test_a_socks_proxy_asks_for_the_package_that_it_needs(proxy, monkeypatch, folder):
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", _without_pysocks)
    said = through(proxy, monkeypatch, folder)
    assert said.startswith("The environment names a SOCKS proxy")
    assert "python -m pip install pysocks" in said and "HTTPS_PROXY" in said


def _without_pysocks(*arguments, **options):
    raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://127.0.0.1:9", "no way through the proxy that the environment names"),
        ("http://", "the environment names a proxy whose address makes no sense"),
        ("gopher://127.0.0.1:9", "the environment names a proxy whose address makes no sense"),
    ],
)
def test_a_proxy_that_does_not_work_is_the_reason(proxy, reason, monkeypatch, folder):
    assert f"(mirror.invalid: {reason})" in through(proxy, monkeypatch, folder)


def test_a_file_arrives_where_the_disk_has_no_locks(fetch, folder, monkeypatch):
    systems.take_locks_away(monkeypatch)
    with pytest.warns(UserWarning, match="has no locks"):
        fetch("good")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_file_arrives_where_windows_rules_hold(fetch, folder, monkeypatch):
    systems.play_windows(monkeypatch)
    fetch("wrong", "good")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def half_there(folder, content=CONTENT):
    (folder / f"{NAME}.part").write_bytes(content[: len(CONTENT) // 2])


def test_only_the_missing_bytes_are_asked_for(fetch, server, folder):
    fetch("cut", "good")
    assert server.asked == [("cut", None), ("good", f"bytes={len(CONTENT) // 2}-")]
    assert server.sent == len(CONTENT)
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_the_bar_begins_at_what_is_there(fetch, folder, capsys):
    half_there(folder)
    fetch("good")
    said = capsys.readouterr().err
    assert f"{NAME}:  50%" in said and f"{NAME}: 100%" in said


@pytest.mark.parametrize("behaviour", ["busy", "page", "loop", "mute"])
def test_what_is_there_outlives_a_mirror_that_sends_nothing_of_the_file(behaviour, fetch, server, folder):
    half_there(folder)
    refusal(fetch, behaviour)
    fetch("good")
    assert server.asked[-1] == ("good", f"bytes={len(CONTENT) // 2}-")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_complete_partial_file_is_only_checked(fetch, server, folder):
    (folder / f"{NAME}.part").write_bytes(CONTENT)
    fetch("good")
    assert server.asked == [("good", f"bytes={len(CONTENT)}-")]
    assert server.sent == 0
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.parametrize("behaviour", ["no_ranges", "unknown_length", "other_start", "other_rest"])
def test_a_server_that_cannot_resume_sends_all_again(behaviour, fetch, folder):
    half_there(folder)
    fetch(behaviour)
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.parametrize("content", [CONTENT[::-1], b"<html>" + CONTENT], ids=["reversed", "page"])
@pytest.mark.parametrize("size", [1, len(CONTENT) // 2, len(CONTENT), len(CONTENT) + 6])
def test_a_wrong_partial_file_does_not_spoil_a_good_mirror(content, size, fetch, folder):
    (folder / f"{NAME}.part").write_bytes(content[:size])
    fetch("good")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_wrong_partial_file_that_another_program_has_open_is_asked_for_twice_at_most(
    fetch, server, folder, monkeypatch
):
    systems.play_windows(monkeypatch)
    part = folder / f"{NAME}.part"
    part.write_bytes(CONTENT[::-1])
    with part.open():
        assert "because another program has it open: close that" in refusal(fetch, "good")
    assert len(server.asked) == 2
    fetch("good")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.parametrize("first", ["page_cut", "cut"])
@pytest.mark.parametrize("second", ["other_rest", "other_start", "wrong"])
def test_what_two_mirrors_began_differently_is_begun_anew(first, second, fetch, folder):
    fetch(first, second, "good")
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


def test_a_body_without_end_is_given_up_and_not_kept(fetch, server, folder, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    assert "wrong content" in refusal(fetch, "endless")
    assert fakes.snapshot(folder) == {folder / f"{NAME}.lock": b""}
    assert server.sent < 20_000_000  # what lay in the buffers of both ends


def test_a_slow_but_steady_mirror_is_not_given_up(fetch, server, monkeypatch):
    """On a clock that a second passes at each look at it, so that the file takes three times the silence."""
    seconds = itertools.count()
    monkeypatch.setattr(download, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=time.sleep))
    monkeypatch.setattr(download, "CHUNK", 5_000)
    monkeypatch.setattr(download, "SLOWEST", 500)
    fetch("good")
    assert server.asked == [("good", None)]
    assert next(seconds) > 3 * download.SILENT_SECONDS


def test_two_at_once_ask_once(fetch, server, folder):
    errors = []

    def one():
        try:
            fetch("unhurried")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert server.asked == [("unhurried", None)]
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


PROCESS = """
import sys
from pathlib import Path
from dataclasses import replace
from cifar_lib.data import SPECS, download

mirror, name, checksum, folder = sys.argv[1:]
SPECS["cifar10"] = replace(SPECS["cifar10"], mirrors=[mirror], downloads={name: checksum})
download.fetch("cifar10", Path(folder))
"""


def process(server, folder, behaviour):
    mirror = f"http://127.0.0.1:{server.server_port}/{behaviour}"
    checksum = hashlib.md5(CONTENT).hexdigest()
    return subprocess.Popen([sys.executable, "-c", PROCESS, mirror, NAME, checksum, folder])


@pytest.mark.long
def test_four_processes_at_once_ask_once(server, folder):
    processes = [process(server, folder, "unhurried") for _ in range(4)]
    assert [each.wait() for each in processes] == [0] * 4
    assert server.asked == [("unhurried", None)]
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.long
def test_a_killed_download_goes_on(server, folder):
    part, had, sizes = folder / f"{NAME}.part", 0, []
    for _ in range(4):
        killed = process(server, folder, "unhurried")
        while not part.exists() or part.stat().st_size <= had:
            time.sleep(0.001)
        killed.kill()
        killed.wait()
        had = part.stat().st_size
        sizes.append(had)
        assert not (folder / NAME).exists()
    assert 0 < had < len(CONTENT)
    assert process(server, folder, "good").wait() == 0
    assert [asked for _, asked in server.asked] == [None, *(f"bytes={size}-" for size in sizes)]
    assert fakes.snapshot(folder) == {folder / NAME: CONTENT}


@pytest.mark.long
def test_any_chain_that_ends_well_ends_well(fetch, server, folder, monkeypatch):
    """Chance draws the faults and what lies there before."""
    monkeypatch.setattr(download, "LARGEST", 1_000_000)
    chance = random.Random(0)
    kinds = [*FAULTS, "other_start", "other_rest", "no_ranges", "too_long", "busy_once", "unknown_length"]
    for _ in range(100):
        server.asked.clear()
        if chance.random() < 0.5:
            half_there(folder, chance.choice([CONTENT, CONTENT[::-1]]))
        chain = chance.sample(kinds, 3)
        start = time.monotonic()
        fetch(*chain, "good")
        assert time.monotonic() - start < stalled(3), chain
        assert fakes.snapshot(folder) == {folder / NAME: CONTENT}, chain
        (folder / NAME).unlink()


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
    mirrors = [f"http://127.0.0.1:{server.server_port}/{way}" for way in ("busy", "good")]
    fakes.change_spec(monkeypatch, "cifar10", mirrors=mirrors)
    loaded = data.load("cifar10")
    assert len(loaded.train) == 40
    assert archive.read_bytes() == server.files[archive.name]


def serve_mnist(server, folder, parts, monkeypatch, behaviour):
    paths = fakes.write_mnist(folder, parts, monkeypatch, packed=True)
    for path in paths:
        server.files[path.name] = path.read_bytes()
        path.unlink()
    fakes.change_spec(monkeypatch, "mnist", mirrors=[f"http://127.0.0.1:{server.server_port}/{behaviour}"])
    return paths
