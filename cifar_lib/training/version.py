"""The version of the code that trains, which a record names."""

import hashlib
from pathlib import Path

from .. import __version__

ROOT = Path(__file__).parent.parent
# The rooms from whose modules the numbers of a training come: `training` and those that it may import.
ROOMS = ("system", "data", "recipes", "models", "evaluate", "training")


def code_version() -> str:
    """The package's version, "+", and eight hexadecimal digits of a hash of all modules that train."""
    files = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    content = b"".join(path.read_bytes() for path in files)
    return f"{__version__}+{hashlib.sha256(content).hexdigest()[:8]}"


CODE_VERSION = code_version()  # at import, because files may be edited during a long run
