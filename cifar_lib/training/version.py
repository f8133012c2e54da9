"""The version of the code that trains, which a record names."""

import ast
import hashlib
from pathlib import Path

from .. import __version__

ROOT = Path(__file__).parent.parent


def imported_files(path: Path) -> set[Path]:
    """The library's files that importing `path` loads: `path` itself, what it imports, what that imports …"""
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
                # Without the package's own `__init__`, whose docstring may change and which computes nothing.
                waiting += [file for file in files if file.exists() and file.parent != ROOT]
    return found


def code_version() -> str:
    """The package's version, "+", and eight hexadecimal digits of a hash of all modules that train."""
    files = sorted(imported_files(Path(__file__).with_name("__init__.py")))
    content = b"".join(path.read_bytes() for path in files)
    return f"{__version__}+{hashlib.sha256(content).hexdigest()[:8]}"


CODE_VERSION = code_version()  # at import, because files may be edited during a long run
