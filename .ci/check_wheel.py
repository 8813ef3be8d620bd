"""Is everything in the wheel that the service needs, and nothing else?

    python .ci/check_wheel.py dist/tagecho-*.whl

A misspelt entry in pyproject.toml, or a line in .gitignore, would drop files without a word.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGES = ("bot", "models", "storage")
SUFFIXES = {".cjs", ".css", ".html", ".js", ".json", ".mako", ".md", ".onnx", ".py", ".svg"}
SUFFIXES |= {".toml", ".txt"}


def problems(wheel: Path, source: Path) -> list[str]:
    """What is wrong with the wheel of the work tree `source`; empty when it is fine."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = {name.rpartition("/")[2] for name in archive.namelist()} - names
    wanted = {
        str(path.relative_to(source))
        for package in PACKAGES
        for path in (source / package).rglob("*")
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    }
    found = [f"missing: {name}" for name in sorted(wanted - names)]
    found += [f"does not belong there: {name}" for name in sorted(names - wanted)]
    found += [
        f"missing: {name}" for name in ("entry_points.txt", "LICENSE") if name not in metadata
    ]
    return found


def main() -> int:
    wheel = Path(sys.argv[1])
    found = problems(wheel, Path(__file__).parents[1])
    print("\n".join(found) or f"{wheel.name}: complete, {wheel.stat().st_size / 1e6:.1f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
