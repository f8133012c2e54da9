# The same in every chapter: it brings the course's library where that is missing.
import importlib.util
import subprocess
import sys

library = "cifar_lib[book] @ {archive}"
by_hand = f'run in a cell of its own: pip install "{library}"'
if sys.version_info < (3, 11):
    raise SystemExit("The course needs Python 3.11 or later: choose another kernel.")
try:
    importlib.import_module("cifar_lib")
except ModuleNotFoundError:
    if importlib.util.find_spec("torch") is None:  # gigabytes: not without being asked
        raise ModuleNotFoundError(f"PyTorch is missing, too: {by_hand}") from None
    pip = [sys.executable, "-m", "pip", "install", "--quiet", library]
    if subprocess.run(pip).returncode:
        raise ModuleNotFoundError(
            f"pip failed. In Kaggle, switch on Internet; elsewhere {by_hand}"
        ) from None
    importlib.invalidate_caches()
