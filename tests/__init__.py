"""Everything below runs with one thread of BLAS and OpenMP, also the processes that tests start.

Tests share few cores with each other; more threads would wait for one another.
"""

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
