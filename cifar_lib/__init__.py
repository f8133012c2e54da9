"""cifar_lib: the small library of *CIFAR-10 by Experiment*.

From the ground up: `files`, `distributed`, `device`, `data` (with `sources`, `download`, `toy`) ·
`winograd`, `kernels`, `family`, `fast`, `models`, `recipes` · `optim`, `evaluate`, `train` · `runs` ·
`plots` · the command line `python -m cifar_lib`.
A module imports only from those before it.
"""

import os
import sys

__version__ = "0.1.0"

SPIN = "7000"  # turns; libgomp's own are 300,000

# Threads that wait for one another go round in circles for a while before they sleep. Where another
# program uses the processor too, they take the time of those that they wait for: two trainings side by
# side took 28 times as long as one (measured, benchmarks/company.py). A shorter while costs one training
# almost nothing. The library that runs the threads reads this once, when torch is loaded.
if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)


class CourseError(Exception):
    """Something the reader can put right: one sentence says what was wrong and what to do."""
