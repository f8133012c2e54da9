"""Execute chapters in the recorded profile, store their outputs; again changes nothing.

python notebooks/execute.py              all chapters
python notebooks/execute.py 03 05        those whose name starts so
"""

import base64
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import nbclient
import nbformat
from PIL import Image, ImageChops, ImageStat

from cifar_lib.system.files import atomic_write

FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent
FRONT = {"chapter": "06", "cell": "seven"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# What nbconvert needs to save a chapter as a script. Python's version would differ.
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}


def main(wanted):
    names = [path.name for path in chapters()]
    for word in wanted:
        if not any(name.startswith(word) for name in names):
            sys.exit(f"No chapter begins with {word!r}: write 01 to {names[-1][:2]}.")
    for path in chapters():
        if not wanted or path.name.startswith(tuple(wanted)):
            print(path.name, flush=True)
            execute(path)
            if path.name.startswith(FRONT["chapter"]):
                keep_front_figure(path)


def execute(path):
    """Execute one notebook in the recorded profile, written whole or not at all."""
    os.environ["CIFAR_PROFILE"] = "recorded"
    # Else the last digits of a training depend on what other programs leave it.
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=1200,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    tidy(notebook)
    with atomic_write(path) as aside:
        nbformat.write(notebook, aside)


def keep_front_figure(path):
    """Keep one figure of the book as a file of its own: the README shows it."""
    cells = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
    image = cells[FRONT["cell"]].outputs[0]["data"]["image/png"]
    with atomic_write(REPOSITORY / "book" / "_static" / "front.png") as aside:
        aside.write_bytes(base64.b64decode(image))


def chapters():
    """The chapters' paths, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))


def tidy(notebook):
    """Leave nothing that differs from one execution to the next; note what was run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                output.data["image/png"] = compact(picture)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": KERNEL,
            "language_info": LANGUAGE,
            "course": {
                "profile": "recorded",
                "code": code_hash(notebook),
                "library": library_hash(),
            },
        }
    )


def compact(picture):
    """A figure, as base64, with 256 colours where that is not seen, as in charts."""
    full = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    few = full.quantize(256, dither=Image.Dither.NONE)
    seen = max(ImageStat.Stat(ImageChops.difference(full, few.convert("RGB"))).mean) > 1
    file = io.BytesIO()
    (full if seen else few).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def code_hash(notebook):
    """A hash of the code cells: when it changes, the stored outputs are stale.

    The set-up cell is left out: it prints nothing, and names a fork by its address.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    sources = [cell.source for cell in code if cell.id != "setup"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def library_hash():
    """A hash of the library and all that it brings along, for the same purpose.

    Chapters read the recorded predictions and the trained networks, too.
    """
    library = REPOSITORY / "cifar_lib"
    kinds = ["**/*.py", "**/*.mplstyle"]
    for folder in ("recorded", "pretrained"):
        kinds += [f"{folder}/*.{ending}" for ending in ("json", "safetensors", "gz")]
    files = sorted(path for kind in kinds for path in library.glob(kind))
    content = b"".join(
        path.relative_to(library).as_posix().encode() + path.read_bytes()
        for path in files
    )
    return hashlib.sha256(content).hexdigest()[:16]


if __name__ == "__main__":
    main(sys.argv[1:])
