"""Where the work tree is."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.toml"
