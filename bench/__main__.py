"""`make bench`: all benchmarks, or those named on the command line, each in its own process."""

from __future__ import annotations

import subprocess
import sys

from bench.table import machine

ALL = (
    "startup",
    "networks",
    "render",
    "daemon",
    "ingest",
    "curation",
    "watch",
    "poll",
    "export",
    "search",
    "words",
    "swapped",
    "figures",
    "console",
)


def main() -> None:
    chosen = sys.argv[1:] or ALL
    unknown = set(chosen) - set(ALL)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    print(f"{machine()}", flush=True)
    failed = [
        name
        for name in chosen
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    ]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main()
