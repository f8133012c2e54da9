"""cifar_lib: the small library of *CIFAR-10 by Experiment*.

Eight rooms, from the ground up: `system` · `data` · `recipes` · `models` · `evaluate` · `training` · `runs` ·
`plots`, and the command line `python -m cifar_lib`. A room imports only from those before it. The training
loop is `training/loop.py`, the paper's network `models/paper.py`.
"""

__version__ = "0.1.0"


class CourseError(Exception):
    """Something the reader can put right: one sentence says what was wrong and what to do."""
