"""What holds for all tests, and for the processes that they start.

- One thread of BLAS and OpenMP: tests share few cores with each other; more threads would wait for
  one another.
- What Python compiled is kept, whatever the shell asks for: each of some hundred processes would
  compile the same libraries again, which takes three times as long as all else that a start does.
- Ctrl-C ends a process: in what a script starts in the background it is ignored, and that would be
  inherited.
"""

import os
import signal
import sys

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
