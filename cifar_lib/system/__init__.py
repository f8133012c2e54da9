"""The machine underneath: device and precision, threads, several processes, whole files; and the check of an
exercise."""

from . import device, distributed, files, threads
from .checks import check

__all__ = ["check", "device", "distributed", "files", "threads"]
