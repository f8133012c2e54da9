"""The live parts of the pages: their types agree, and their arithmetic is tested in Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="no Node: apt-get install nodejs npm")


def run(*command):
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not (HERE / "node_modules" / "typescript").exists(),
    reason="no TypeScript: npm ci --prefix tests/site",
)
def test_the_types_in_the_comments_agree():
    run("node", "node_modules/typescript/bin/tsc", "--project", "jsconfig.json")


@pytest.mark.parametrize("script", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_unit_tests_pass_in_node(script):
    run("node", "--test", script)
