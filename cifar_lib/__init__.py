"""cifar_lib: the small library of *CIFAR-10 by Experiment*.

Eight rooms, from the ground up: `system` · `data` · `recipes` · `models` · `evaluate` · `training` · `runs` ·
`plots`. A room imports only from those before it. Above them stands the command line `python -m cifar_lib`,
which `commands` holds. The training loop is `training/loop.py`, the paper's network `models/paper.py`.
"""

import sys

__version__ = "0.1.0"

# Without this, an older Python stops with a traceback in the middle of a module.
if sys.version_info < (3, 11):  # noqa: UP036 - pip's own check is passed over when the folder is imported
    raise SystemExit(
        "The course needs Python 3.11 or later, and this is Python "
        f"{sys.version_info[0]}.{sys.version_info[1]}: install a later one, or choose another kernel."
    )


class CourseError(Exception):
    """Something the reader can put right: one sentence says what was wrong and what to do."""
