"""Everything that is worth knowing of a machine with a GPU, in one report: `make gpu`.

The parts stand in `gpu_parts.py`, the most valuable first. Each runs in a process of its own for a limited
time, so that one which hangs, fails or runs out of memory does not take the others with it, and keeps what it
found in a file NAME.json of the folder. Started again, this goes on with the parts that are not there yet,
also on another machine to which the folder was brought. The report, report.txt and report.json, is written
anew after each part.

On a machine without a GPU, --rehearse runs every part on the CPU, on a few generated images.

python benchmarks/gpu.py --minutes 25
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import gpu_parts
import psutil
import torch

from cifar_lib import CourseError, data
from cifar_lib.system import device as devices
from cifar_lib.system.files import atomic_write

GRACE = 10  # seconds that a part has to end by itself
LAST = 8  # lines of a log that stand in the report
CHILD = [sys.executable, __file__]


def measure(name, job):
    """Measure a part in this process, and keep in its file what it has found, again and again."""
    kept = {"part": name, "rehearsal": job.rehearsal, "device": devices.describe(job.device), "done": False}
    start = time.perf_counter()
    found = {}
    for found in gpu_parts.PARTS[name][0](job):
        _keep(job.folder / f"{name}.json", kept | {"seconds": time.perf_counter() - start, "found": found})
    kept |= {"done": not found.get("goes_on"), "seconds": time.perf_counter() - start}
    _keep(job.folder / f"{name}.json", kept | {"found": found})


def run(name, seconds, arguments, folder):
    """Measure a part in a process of its own; returns what its file says, and adds why it failed."""
    file, log = folder / f"{name}.json", folder / f"{name}.log"
    before = _read(file) if _is_of(file, arguments) else {}
    file.unlink(missing_ok=True)
    cache = folder / "compiled" / gpu_parts.COMPILED_IN.get(name, name)
    if name not in gpu_parts.COMPILED_IN:
        shutil.rmtree(cache, ignore_errors=True)
    paths = [str(gpu_parts.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(cache),
    }
    if arguments.rehearse:  # so that trainings are the same bit for bit, also beside other programs
        environment["OMP_NUM_THREADS"] = "1"
    seeds = min(arguments.seeds, 2) if arguments.rehearse else arguments.seeds
    words = ["--part", name, "--folder", str(folder), "--seconds", f"{seconds:.0f}"]
    words += ["--seeds", str(seeds), "--processes", str(arguments.processes)]
    words += ["--rehearse"] * arguments.rehearse
    start = time.perf_counter()
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*CHILD, *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        failure = None
        try:
            code = process.wait(seconds + GRACE)
            if code:
                failure = f"It ended with exit code {code} after {time.perf_counter() - start:.0f} s."
        except subprocess.TimeoutExpired:
            failure = f"It was ended because it took more than {seconds + GRACE:.0f} s."
        finally:
            if process.returncode is None:  # otherwise its number may be another process's by now
                end(process)
    kept = _read(file) or before | {"part": name, "rehearsal": arguments.rehearse, "done": False}
    kept.pop("failure", None)
    if failure:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        kept |= {"done": False, "failure": failure, "log": lines[-LAST:]}
        _keep(file, kept)
    return kept


def end(process):
    """End a process and all that it started."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True), process]
    except psutil.NoSuchProcess:
        family = [process]
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            one.kill()
    process.wait()


def report(results, left_out, arguments):
    """The report as lines of text."""
    lines = [*headlines(results), ""] if headlines(results) else []
    machines = {kept["device"] for kept in results.values() if "device" in kept}
    for name in gpu_parts.PARTS:
        kept = results.get(name)
        if kept is None:
            if name in left_out:
                lines.append(f"{name}: not run, {left_out[name]}")
            continue
        where = f" on {kept['device']}" if len(machines) > 1 and "device" in kept else ""
        lines.append(f"{name} ({kept.get('seconds', 0):.0f} s{where})")
        lines += [f"  {line}" for line in kept.get("found", {}).get("lines", [])]
        if "failure" in kept:
            lines.append(f"  FAILED. {kept['failure']} The end of its log:")
            lines += [f"  | {line}" for line in kept["log"]]
        elif not kept["done"]:
            lines.append("  It goes on from there when this is run again.")
    mark = "rehearsal on the CPU, generated images: " if arguments.rehearse else ""
    return [mark + line if line or mark else line for line in lines]


def headlines(results):
    """What is compared across parts."""
    found = {name: kept["found"] for name, kept in results.items() if kept.get("found")}
    lines = []
    theirs = found.get("airbench", {}).get("seconds")
    for name in ("fast94-all", "fast94-all-compiled"):
        if theirs and name in found and results[name]["device"] == results["airbench"]["device"]:
            seconds = found[name]["seconds"]
            ours = seconds["train"] + seconds["test"]
            lines.append(
                f"{name}: {ours:.2f} s for set-up, training and test, {ours / theirs:.2f} of airbench94's "
                f"time, with {found[name]['accuracy_views']:.2%} of the test images against "
                f"{found['airbench']['accuracy_views']:.2%}"
            )
    for name in ("fast72", "fast94-all"):
        cold, warm = found.get(f"{name}-compiled"), found.get(f"{name}-again")
        if cold and warm:
            firsts = [each["runs"][0]["training"] for each in (cold, warm)]
            lines.append(
                f"{name}, compiled: the first run takes {firsts[0]:.1f} s with nothing compiled before, "
                f"{firsts[1]:.1f} s in a new process with what was compiled, a later one "
                f"{warm['seconds']['training']:.2f} s"
            )
    return lines


def main():
    sys.stdout.reconfigure(errors="replace")
    arguments = parsed()
    folder = arguments.folder or data.cache_folder() / ("gpu-rehearsal" if arguments.rehearse else "gpu")
    folder = Path(folder).resolve()
    if arguments.part:
        job = gpu_parts.Job(
            folder, arguments.rehearse, arguments.seconds, arguments.seeds, arguments.processes
        )
        measure(arguments.part, job)
        return 0
    try:
        if not arguments.rehearse:
            if not torch.cuda.is_available():
                raise CourseError(
                    "PyTorch sees no GPU here: run this on a machine that has one, or add --rehearse to try "
                    "every part on the CPU."
                )
            data.load("cifar10")  # finds or downloads the images once, before anything is timed
        return all_parts(arguments, folder)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what is done is kept", file=sys.stderr)
        return 130


def all_parts(arguments, folder):
    """Run what is not there yet as long as there is time, and report after each part."""
    folder.mkdir(parents=True, exist_ok=True)
    start, results, left_out = time.perf_counter(), {}, {}
    order = list(gpu_parts.PARTS)
    chosen = arguments.only or order
    for name in order:
        file = folder / f"{name}.json"
        if _is_of(file, arguments):
            results[name] = _read(file)
    # What failed before comes last: it may take its whole time again.
    for name in sorted(chosen, key=lambda name: ("failure" in results.get(name, {}), order.index(name))):
        if results.get(name, {}).get("done") and name not in arguments.renew:
            print(f"{name}: there already", flush=True)
            continue
        most = 60 * arguments.plan_minutes if name == "plan" else gpu_parts.PARTS[name][1]
        if not most:
            left_out[name] = "it needs --plan-minutes"
            continue
        left = 60 * arguments.minutes - (time.perf_counter() - start) - GRACE
        if left < most / 4:
            left_out[name] = f"it needs {most / 4:.0f} s, and {max(left, 0):.0f} s were left"
            continue
        print(f"{name}: for {min(most, left):.0f} s at most", flush=True)
        results[name] = run(name, min(most, left), arguments, folder)
        write_report(results, left_out, arguments, folder)
    lines = write_report(results, left_out, arguments, folder)
    print("\n".join(lines), f"\nin {folder}: report.txt, report.json", sep="\n")
    return 0


def write_report(results, left_out, arguments, folder):
    lines = report(results, left_out, arguments)
    with atomic_write(folder / "report.txt") as aside:
        aside.write_text("\n".join([*lines, ""]), encoding="utf-8")
    _keep(folder / "report.json", {"rehearsal": arguments.rehearse, "parts": results, "not run": left_out})
    return lines


def parsed():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(gpu_parts.PARTS)
    parser.add_argument("--only", nargs="+", choices=names, metavar="PART", help=", ".join(names))
    parser.add_argument("--renew", nargs="+", choices=names, default=[], metavar="PART")
    parser.add_argument("--minutes", type=float, default=25, help="for all parts together")
    parser.add_argument("--plan-minutes", type=float, default=0, help="for recording; 0 leaves it out")
    parser.add_argument("--processes", type=int, default=8, help="that record side by side on the card")
    parser.add_argument("--seeds", type=int, default=20, help="of each fast recipe, if the time suffices")
    parser.add_argument("--folder", type=Path, help="by default gpu in the cache folder")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, on generated images")
    parser.add_argument("--part", choices=names, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def _is_of(file, arguments):
    """Whether a file holds what such a call found: a rehearsal's numbers are no measurements."""
    return _read(file).get("rehearsal") == arguments.rehearse


def _read(file):
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _keep(file, content):
    with atomic_write(file) as aside:
        aside.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
