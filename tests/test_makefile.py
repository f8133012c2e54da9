"""`make test` runs all of its parts, with the GNU make 3.81 of macOS too; others take the same commands."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
# What came after 3.81: $(file …) and others, new assignments, directives, special targets.
LATER = re.compile(
    r"\$\((?:file|guile|intcmp|let)\b|[^:]::=|!=|&:|^\s*(?:undefine|private|load)\b|"
    r"\.(?:ONESHELL|RECIPEPREFIX|EXTRA_PREREQS|NOTINTERMEDIATE|SHELLSTATUS)\b|--(?:output-sync|shuffle|trace)",
    re.M,
)


@pytest.fixture
def make(tmp_path):
    """Run make in a folder whose programs print their words and do nothing."""
    if shutil.which("make") is None:
        pytest.skip("there is no make here")
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "jupyter-book"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    (programs.parent / ".installed").touch()

    def make(*words):
        command = ["make", "--no-print-directory", "-C", str(tmp_path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return make


def commands(text):
    """The commands in some lines that start python or jupyter-book, each with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines() if re.match(r"(python|jupyter-book) ", line)]


OLD = ".FEATURES=order-only"  # what 3.81 says of itself, in short


@pytest.mark.parametrize("features", [(), (OLD,)], ids=["this make", "an old make"])
def test_make_test_runs_all_of_its_parts(features, make):
    run = commands(make("test", *features))
    for part in (" tests -n 2 ", " notebooks", "jupyter-book build . ", " tests/site "):
        assert [part in f"{command} " for command in run].count(True) == 1, part


def test_an_old_make_is_given_no_option_that_it_does_not_know(make):
    assert "--jobs=2" in make("--dry-run", "test", OLD)
    assert "--output-sync" not in make("--dry-run", "test", OLD)


def test_the_makefile_needs_nothing_that_came_after_3_81():
    guarded = "$(if $(filter output-sync,$(.FEATURES)),--output-sync=target)"
    code = re.sub(r"(?m)(^| )#.*$", "", MAKEFILE.replace(guarded, ""))
    assert LATER.findall(code) == []


def test_an_older_python_is_refused_before_anything_is_installed(make, tmp_path):
    shutil.rmtree(tmp_path / ".venv")
    older = tmp_path / "older"
    code = "import sys; sys.version_info = (3, 9, 6); exec(sys.argv[1])"
    older.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$2\"\n", encoding="utf-8")
    older.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("lint", f"PYTHON={older}")
    assert "This is Python 3.9, and the course needs 3.11 or later: name one" in refused.value.stderr
    assert not (tmp_path / ".venv").exists()


def test_the_set_up_page_has_the_same_commands_for_those_without_make(make):
    page = (REPOSITORY / "book" / "setup.md").read_text(encoding="utf-8")
    block = re.search(r"^### Without make\n(.*?)^##", page, re.S | re.M)[1]
    written = commands(block)
    assert [command for command in commands(make("test")) if command not in written] == []
    install = re.search(r"^\$\(READY\):(.*?)\n\n", MAKEFILE, re.S | re.M)[1]
    for words in re.findall(r"-m pip install --quiet (.*)", install):
        assert f"python -m pip install {words}" in written
