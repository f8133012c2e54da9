"""cifar_lib: the small library of *CIFAR-10 by Experiment*.

From the ground up: `files`, `distributed`, `device`, `threads`, `data` (with `sources`, `download`, `toy`) ·
`winograd`, `kernels`, `family`, `fast`, `models`, `recipes` · `optim`, `evaluate`, `train` · `runs` ·
`plots` · the command line `python -m cifar_lib`.
A module imports only from those before it.
"""

__version__ = "0.1.0"


class CourseError(Exception):
    """Something the reader can put right: one sentence says what was wrong and what to do."""
