"""What a training wrote down, step by step; read without anything that trains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_log(log: Path) -> list[dict[str, Any]]:
    """The rows of a log (JSON lines with `step`), none when there is no file; a line cut off by a
    kill is left out."""
    if not log.exists():
        return []
    rows = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
    return rows
