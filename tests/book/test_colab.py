"""A chapter opened anywhere: its set-up cell brings the library, or says what to do, and nothing twice."""

import ast
import http.server
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from functools import partial
from pathlib import Path

import nbclient
import nbconvert
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


def from_archive(path, address):
    """The notebook, with the archive at `address`."""
    notebook = nbformat.read(path, as_version=4)
    (setup,) = (cell for cell in notebook.cells if cell.id == "setup")
    setup.source, count = ARCHIVE.subn(address, setup.source)
    assert count == 1
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


def set_up_cells():
    return [cell.source for path in CHAPTERS for cell in nbformat.read(path, 4).cells if cell.id == "setup"]


def test_the_set_up_cell_is_the_same_in_all_chapters():
    assert len(set_up_cells()) == len(CHAPTERS) and len(set(set_up_cells())) == 1


@pytest.fixture
def set_up(monkeypatch):
    """Run the set-up cell with only these packages to be had, and a pip that ends so; the calls of pip."""

    def set_up(*packages, pip_ends=0):
        calls = []

        def import_module(name):
            if name not in packages:
                raise ModuleNotFoundError(f"No module named {name!r}")

        def run(words):
            calls.append(words)
            return subprocess.CompletedProcess(words, pip_ends)

        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", run)
            patch.setattr(importlib.util, "find_spec", lambda name: object() if name in packages else None)
            patch.setattr(importlib, "import_module", import_module)
            exec(set_up_cells()[0], {})
        return calls

    return set_up


def test_where_the_library_is_the_set_up_cell_does_nothing(set_up, capfd):
    assert set_up("cifar_lib") == []
    assert capfd.readouterr() == ("", "")


def test_where_pytorch_is_the_set_up_cell_brings_the_library(set_up):
    """As in Colab and Kaggle, and in SageMaker's kernels for PyTorch."""
    ((python, *words, wanted),) = set_up("torch")
    assert (python, words) == (sys.executable, ["-m", "pip", "install", "--quiet"])
    assert wanted.startswith("cifar_lib[book] @ https://github.com/")


@pytest.mark.parametrize(
    ("packages", "said"), [((), "PyTorch is missing, too: "), (("torch",), "In Kaggle, switch on Internet")]
)
def test_where_the_library_cannot_come_by_itself_one_line_is_named(packages, said, set_up):
    with pytest.raises(ModuleNotFoundError) as caught:
        set_up(*packages, pip_ends=1)
    assert said in str(caught.value) and caught.value.__suppress_context__
    line = str(caught.value).partition("run in a cell of its own: ")[2]
    assert re.fullmatch(r'pip install "cifar_lib\[book\] @ https://\S+\.zip"', line)


@pytest.mark.parametrize("version", [(3, 8), (3, 10)])
def test_the_set_up_cell_names_an_older_python_in_one_sentence(version, monkeypatch):
    ast.parse(set_up_cells()[0], feature_version=version)
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(
        SystemExit, match=r"^The course needs Python 3\.11 or later: choose another kernel\.$"
    ):
        exec(set_up_cells()[0], {})


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_can_be_saved_as_a_script(path):
    """As `jupyter nbconvert --to script` and jupytext do it."""
    notebook = nbformat.read(path, as_version=4)
    exporter = nbconvert.ScriptExporter()
    text, resources = exporter.from_notebook_node(notebook)
    assert resources["output_extension"] == ".py"
    assert "get_ipython" not in text  # without IPython, too
    compile(text, path.stem, "exec")
    magics = re.compile(r"^(\s*)([%!])", re.M)
    code = [magics.sub(r"\1# \2", cell.source) for cell in notebook.cells if cell.cell_type == "code"]
    compile("\n\n".join(code), path.stem, "exec")


def test_a_chapter_starts_in_any_folder(tmp_path, monkeypatch):
    notebook = nbformat.read(CHAPTERS[0], as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:2]
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()


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
    execute(colab, from_archive(CHAPTERS[0], archive), folder)
    after = files_of(colab)
    changed = {path for path in before if after.get(path) != before[path]}
    assert not changed, sorted(map(str, changed))[:10]

    installed = {path.name for path in after if path.parts[:2] == ("cifar_lib", "recorded")}
    assert installed == {
        path.name for path in (REPOSITORY / "cifar_lib/recorded").glob("*-seed*") if path.suffix != ".lock"
    }

    # A second chapter in the same machine: its set-up cell finds all there.
    second = from_archive(CHAPTERS[1], archive)
    second.cells = [cell for cell in second.cells if cell.cell_type == "code"][:2]
    execute(colab, second, folder)
    again = files_of(colab)
    others = {path for path in after if not path.parts[0].startswith("cifar_lib")}
    assert {path for path in others if again.get(path) != after[path]} == set()
