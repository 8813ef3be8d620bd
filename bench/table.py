"""How every benchmark prints: medians, 95th percentiles, memory, and the ratio to a baseline."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: Sequence[float]  # one per repetition, in `unit`
    unit: str = "ms"
    rss_mb: float | None = None
    target: str = ""


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(work: Callable[[], object], repeat: int, warm_up: int = 1) -> list[float]:
    """Milliseconds of each repetition, after `warm_up` ones that do not count."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def rss_mb(pid: int | str = "self") -> float:
    """Resident memory now."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(title: str, rows: Sequence[Row], baseline: str = "") -> None:
    """A Markdown table; `x base` is the ratio of medians to the row named `baseline`."""
    base = next((quantile(r.values, 0.5) for r in rows if r.name == baseline), None)
    print(f"\n### {title}\n")
    print("| what | n | median | p95 | RSS MB | x base | asked |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for row in rows:
        median, p95 = quantile(row.values, 0.5), quantile(row.values, 0.95)
        ratio = f"{median / base:.2f}" if base else ""
        memory = f"{row.rss_mb:.0f}" if row.rss_mb is not None else ""
        print(
            f"| {row.name} | {len(row.values)} | {median:.1f} {row.unit} | {p95:.1f} {row.unit} "
            f"| {memory} | {ratio} | {row.target} |"
        )


def machine() -> str:
    """Where the figures come from, for the head of the report."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, "
        f"commit {commit or '?'}"
    )
