"""Processes that run the command line and kill themselves with SIGKILL at a chosen moment.

Started as a program, this imports the library once and forks a child for each command, so that
twenty deaths take seconds. A child passes certain moments and writes the name of each to a log:

    locked · epoch 2, step 3 · checkpoint 2: 50 % written · checkpoint 2: synced ·
    checkpoint 2: renamed · weights: ... · record: ... · checkpoint removed · lock file removed

"synced" lies between fsync and rename. A child that is told to die with a share of the bytes written
leaves them in a file such as the one that safetensors itself writes and then renames.
"""

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from functools import partial
from pathlib import Path

from cifar_lib import recipes
from cifar_lib.data import generated, loading
from cifar_lib.runs import queue
from cifar_lib.system import files
from cifar_lib.training import checkpoint as checkpoints
from cifar_lib.training import loop

LIMIT = 300  # seconds for what takes a few on a free machine
SHARES = (10, 50, 90)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

_TINY = recipes.Recipe("adam", data="toy", options={"width": 8}, epochs=3, batch_size=18, rate=0.005)
_FAST = {"model": "fast-cnn", "options": {"widths": [8, 16, 16]}, "sides": [[0, 24], [0.5, 32]]}
TOY = partial(generated.toy, 120, 40)
RECIPES = {
    recipe.name: recipe
    for recipe in (
        _TINY.replace(flip=True, shift=2, weight_decay=0.001, schedule="one-cycle"),
        _TINY.replace(name="sgd", optimizer="sgd", rate=0.05),
        _TINY.replace(name="muon", optimizer="muon", rate=0.2, label_smoothing=0.2, holdout=False, **_FAST),
    )
}
LARGE = _TINY.replace(name="large", model="mlp", options={"hidden": [4096]}, batch_size=54)


class Children:
    """Starts commands in children of one process, and waits for them."""

    def __init__(self, folder):
        self.folder, self.running, self.count = folder, set(), 0
        self.server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ENVIRONMENT,
        )

    def start(self, *arguments, epochs=3, die="", pause="", lock=""):
        """Start `python -m cifar_lib ARGUMENTS`; returns its process number.

        Args:
            epochs: of the recipes above.
            die: the moment of its SIGKILL.
            pause: a file; before it locks anything the child touches it, and waits until it is gone.
            lock: "plain" for a lock that does not notice that its file was removed.
        """
        self.count += 1
        process = self._ask(
            arguments=[str(argument) for argument in arguments],
            environment={name: os.environ[name] for name in ("CIFAR_CACHE", "CIFAR_DATA")},
            log=str(self.folder / "log"),
            said=str(self.folder / f"said-{self.count}"),
            epochs=epochs,
            die=die,
            pause=str(pause),
            lock=lock,
        )
        self.running.add(process)
        return process

    def kill(self, process):
        os.kill(process, signal.SIGKILL)

    def is_running(self, process):
        """Whether a child has not ended; it must not have been waited for."""
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"

    def wait(self, process):
        """The exit code of a child (minus the signal, if one ended it), and what it printed."""
        code, said = self._ask(wait=process)
        self.running.discard(process)
        return code, Path(said).read_text() if Path(said).exists() else ""

    def run(self, *arguments, **options):
        """Start a command and wait until it has succeeded; returns what it printed."""
        code, said = self.wait(self.start(*arguments, **options))
        assert code == 0, said
        return said

    def moments(self, process=None):
        """The moments that this process passed, or by default that all of them passed, in order."""
        log = self.folder / "log"  # not there before the first moment
        lines = [line.split(" ", 1) for line in log.read_text().splitlines()] if log.exists() else []
        return [moment for number, moment in lines if process in (None, int(number))]

    def forget(self):
        (self.folder / "log").unlink(missing_ok=True)

    def end_all(self):
        for process in list(self.running):
            self.kill(process)
            self.wait(process)

    def stop(self):
        self.server.kill()
        self.server.communicate()

    def _ask(self, **request):
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        assert select.select([self.server.stdout], [], [], LIMIT)[0], "it takes too long"
        return json.loads(self.server.stdout.readline())


def serve():
    """Read requests, one per line, and answer each with one line."""
    said = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            number, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status), said[number]
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(_child(request))
            said[answer] = request["said"]
        print(json.dumps(answer), flush=True)


def alone(arguments, epochs=3):
    """Run the command line in this process, with the recipes above."""
    from cifar_lib.__main__ import main

    generated.GENERATORS["toy"] = TOY
    recipes.RECIPES |= {recipe.name: recipe.replace(epochs=epochs) for recipe in (*RECIPES.values(), LARGE)}
    return main(arguments)


def _child(request):
    os.environ |= request["environment"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    out = os.open(request["said"], os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1), os.dup2(out, 2)
    _watch(_Moments(request["log"], request["die"]), request["pause"], request["lock"])
    try:
        return alone(request["arguments"], request["epochs"])
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush(), sys.stderr.flush()


class _Moments:
    def __init__(self, log, last):
        self.log, self.last = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), last
        self.writing = ""

    def pass_by(self, name):
        os.write(self.log, f"{os.getpid()} {name}\n".encode())
        if name == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, name, write, aside):
        """Call `write`, a function of a path, for `aside`; or die with a part of the bytes there."""
        self.writing = name
        for share in SHARES:
            moment = f"{name}: {share} % written"
            if moment == self.last:
                whole = Path(f"{os.environ['CIFAR_CACHE']}.whole")
                write(whole)
                content = whole.read_bytes()
                aside.with_name(".tmp123456").write_bytes(content[: share * len(content) // 100])
            self.pass_by(moment)
        return write(aside)


def _watch(moments, pause, lock):
    """Put the moments into the library."""
    batches, checkpoint, weights = loop.batches, checkpoints.save_file, queue.save_model
    prepared = loading.save_file
    text, whole, replace, unlink = Path.write_text, Path.write_bytes, os.replace, Path.unlink

    def watched_batches(*arguments, **options):
        for step, batch in enumerate(batches(*arguments, **options), 1):
            moments.pass_by(f"epoch {options['epoch']}, step {step}")
            yield batch

    def save_checkpoint(tensors, aside, notes):
        name = f"checkpoint {len(json.loads(notes['history']))}"
        moments.write(name, lambda path: checkpoint(tensors, path, notes), Path(aside))

    def save_weights(model, aside):
        moments.write("weights", lambda path: weights(model, str(path)), Path(aside))

    def save_prepared(tensors, aside, notes):
        moments.write("prepared", lambda path: prepared(tensors, path, notes), Path(aside))

    def write_text(path, content, **options):
        if path.suffix != ".json":
            return text(path, content, **options)
        return moments.write("record", lambda place: text(place, content, **options), path)

    def write_bytes(path, content):
        if path.suffix != ".gz":
            return whole(path, content)
        name = path.name.split(".")[-2]  # predictions or labels
        return moments.write(name, lambda place: whole(place, content), path)

    def watched_replace(source, target):
        moments.pass_by(f"{moments.writing}: synced")
        replace(source, target)
        moments.pass_by(f"{moments.writing}: renamed")

    def watched_unlink(path, missing_ok=False):
        unlink(path, missing_ok)
        if path.parent.name == "checkpoints":
            moments.pass_by("checkpoint removed")
        if path.suffix == ".lock":
            moments.pass_by("lock file removed")

    class Lock(_PlainLock if lock == "plain" else queue.FileLock):
        def acquire(self, *arguments, **options):
            got = super().acquire(*arguments, **options)
            moments.pass_by("locked")
            return got

    loop.batches, checkpoints.save_file, queue.save_model = watched_batches, save_checkpoint, save_weights
    loading.save_file, Path.write_text, Path.unlink = save_prepared, write_text, watched_unlink
    Path.write_bytes = write_bytes
    files.os.replace, queue.FileLock = watched_replace, Lock
    if pause:
        fcntl.flock = partial(_after_a_pause, Path(pause), fcntl.flock)


def _after_a_pause(pause, flock, *arguments):
    fcntl.flock = flock
    pause.touch()
    while pause.exists():
        select.select([], [], [], 0.01)
    return flock(*arguments)


class _PlainLock:
    """flock and nothing else, as in old versions of filelock."""

    is_locked = False

    def __init__(self, path):
        self.lock_file = str(path)

    def acquire(self, blocking=True):
        self.file = os.open(self.lock_file, os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.is_locked = True

    def release(self):
        if self.is_locked:
            os.close(self.file)
            self.is_locked = False


if __name__ == "__main__":
    serve()
