"""Which code trains: the version that a record names."""

import ast
import hashlib
from pathlib import Path

from .. import __version__

ROOT = Path(__file__).parent.parent


def imported_files(path: Path) -> set[Path]:
    """The library's files that `path` imports, directly or through others; itself too."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                package = path.parents[node.level - 1]
                module = package.joinpath(*(node.module or "").split("."))
                names = [module, *(module / alias.name for alias in node.names)]
                files = [file for name in names for file in (name.with_suffix(".py"), name / "__init__.py")]
                # The root's own `__init__` says what the library is, and computes nothing.
                waiting += [file for file in files if file.exists() and file.parent != ROOT]
    return found


def code_version() -> str:
    """The package's version and a hash of all modules that the training imports."""
    files = sorted(imported_files(Path(__file__).with_name("loop.py")))
    content = b"".join(path.read_bytes() for path in files)
    return f"{__version__}+{hashlib.sha256(content).hexdigest()[:8]}"


CODE_VERSION = code_version()  # at import: a long run must not take the name of later edits
