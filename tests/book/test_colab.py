"""What the launch button brings: a notebook, and a set-up cell that fetches the library and nothing twice."""

import ast
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from functools import partial
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).parents[2]
CHAPTERS = sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))
COLAB_HAS = ("torch", "torchvision", "numpy", "matplotlib", "jupyter")
ARCHIVE = re.compile(r"https://github\.com/\S+?/archive/\S+?\.zip")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def archive(tmp_path):
    """The address of the tracked files in one archive, laid out as GitHub's, served on this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    git = partial(subprocess.run, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    try:
        state = git(["git", "stash", "create"]).stdout.strip() or "HEAD"  # with changes not yet committed
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy of the course is no git repository")
    git(["git", "archive", "--format=zip", "--prefix=course-main/", "-o", str(folder / "main.zip"), state])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/main.zip"
    server.shutdown()
    server.server_close()


@pytest.fixture
def colab(tmp_path):
    """The Python of a new virtual environment that has what Colab has; gigabytes, deleted afterwards."""
    pins = dict(
        line.split("==") for line in (REPOSITORY / "requirements.txt").read_text().split() if "==" in line
    )
    folder = tmp_path / "colab"
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = next(
            path for path in (folder / "bin/python", folder / "Scripts/python.exe") if path.exists()
        )
        pip = [python, "-m", "pip"]
        probe = [*pip, "download", "--no-deps", "--no-cache-dir", "-d", tmp_path, f"tqdm=={pins['tqdm']}"]
        if subprocess.run(probe, capture_output=True).returncode:
            pytest.skip("pip reaches no package registry")
        wanted = [f"{name}=={pins[name]}" for name in COLAB_HAS]
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True)
        yield python
    finally:
        shutil.rmtree(folder)


def files_of(python):
    """{path: (size, time of the last change)} of all that is installed, but for compiled files."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = Path(subprocess.check_output([python, "-c", code], text=True).strip())
    return {
        path.relative_to(folder): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def as_in_colab(path, address):
    """The notebook, in a kernel in which `google.colab` is imported, with the archive at `address`."""
    notebook = nbformat.read(path, as_version=4)
    (setup,) = (cell for cell in notebook.cells if cell.id == "setup")
    setup.source, count = ARCHIVE.subn(address, setup.source)
    assert count == 1
    fake = 'import sys, types\nsys.modules["google.colab"] = types.ModuleType("google.colab")'
    notebook.cells.insert(0, nbformat.v4.new_code_cell(fake))
    return notebook


def execute(python, notebook, folder):
    """Execute a notebook in a kernel of that Python, started in a folder; returns it with its outputs."""
    nbformat.write(notebook, folder / "chapter.ipynb")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))
    }
    environment |= {"CIFAR_PROFILE": "quick", "HOME": str(folder), "MPLBACKEND": "agg"}
    command = [
        python,
        "-m",
        "nbconvert",
        "--execute",
        "--to",
        "notebook",
        "--output",
        "done",
        "chapter.ipynb",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(folder / "done.ipynb", as_version=4)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_is_set_up_before_it_imports_the_library(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert code[0].id == "setup"
    assert len(ARCHIVE.findall(code[0].source)) == 1
    assert '"cifar_lib[book] @ ' in code[0].source  # the extra brings what the chapters import beside it
    assert "import cifar_lib" not in code[0].source and "from cifar_lib" not in code[0].source


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_imports_only_what_the_set_up_cell_brings(path):
    """Nothing beside the notebook, and no package that only the course's own environment has."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted_packages = [*project["dependencies"], *project["optional-dependencies"]["book"]]
    brought = {re.match(r"[\w-]+", wanted)[0] for wanted in wanted_packages}
    brought = {{"scikit-learn": "sklearn", "pillow": "PIL"}.get(name, name) for name in brought}
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found = set()
    for node in ast.walk(ast.parse("\n".join(code[1:]))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("a relative import" if node.level else node.module.partition(".")[0])
    assert found - sys.stdlib_module_names - brought - {"cifar_lib"} == set()
    assert not re.findall(r"__file__|\.\./|notebooks/|sys\.path", "\n".join(code))


def test_the_oldest_pytorch_that_is_allowed_is_the_oldest_that_is_tried():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    tried = (REPOSITORY / "requirements-oldest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in tried if not line.startswith("#"))
    assert f"torch>={pins['torch'].removesuffix('.0')}" in project["dependencies"]


@pytest.mark.long
def test_the_set_up_cell_leaves_colabs_packages_alone_and_the_chapter_runs(colab, archive, tmp_path):
    before = files_of(colab)
    assert not any(path.parts[0] == "cifar_lib" for path in before)
    folder = tmp_path / "empty"
    folder.mkdir()
    execute(colab, as_in_colab(CHAPTERS[0], archive), folder)
    after = files_of(colab)
    changed = {path for path in before if after.get(path) != before[path]}
    assert not changed, sorted(map(str, changed))[:10]

    installed = {path.name for path in after if path.parts[:2] == ("cifar_lib", "recorded")}
    assert installed == {
        path.name for path in (REPOSITORY / "cifar_lib/recorded").glob("*-seed*") if path.suffix != ".lock"
    }

    # A second chapter in the same machine: its set-up cell finds all there.
    second = as_in_colab(CHAPTERS[1], archive)
    second.cells = [cell for cell in second.cells if cell.cell_type == "code"][:2]
    execute(colab, second, folder)
    again = files_of(colab)
    others = {path for path in after if not path.parts[0].startswith("cifar_lib")}
    assert {path for path in others if again.get(path) != after[path]} == set()
