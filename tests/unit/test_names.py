"""One name, one thing."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.paths import ROOT

PACKAGES = ("bot", "models", "storage")
# A loopback network is a process of its own that imitates a foreign one: its posts, comments and
# pictures are that network's. Nobody may import it (import-linter).
FOREIGN = tuple(
    f"bot/platforms/{name}/"
    for name in ("bluesky_sandbox", "loopback", "mastodon_sandbox", "sandbox")
)
TWICE = {
    # what a platform can do, and the names that the database has for Instagram's own
    "Mode": {"bot/platforms/reply_modes.py", "bot/platforms/instagram/kinds.py"},
    "StepKind": {"bot/platforms/reply_modes.py", "bot/platforms/instagram/kinds.py"},
}


def test_no_public_class_name_is_defined_twice() -> None:
    """Two things with one name are mixed up by readers, by searches and by imports."""
    where = defaultdict(list)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith(FOREIGN):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    where[node.name].append(name)
    twice = {name: set(places) for name, places in where.items() if len(places) > 1}
    assert twice == TWICE
