"""The machine underneath: device and precision, threads, several processes, whole files."""

from . import device, distributed, files, threads

__all__ = ["device", "distributed", "files", "threads"]
