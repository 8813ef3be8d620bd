"""Only a platform's own package knows what is its own: these words stand nowhere else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
WORDS = re.compile(
    r"instagram|instagrapi|cdninstagram|fbcdn|shortcode|totp|\bdm\b|\bdm_|\bstory\b|\bstories\b"
    r"|\breels?\b|csrftoken|ds_user_id|did:memory",
    re.IGNORECASE,
)
ITS_OWN = (
    "bot/platforms/instagram/",
    "bot/platforms/sandbox/",  # a loopback network of it
    "bot/platforms/memory/",
    "bot/platforms/registry.py",  # the one place that names packages
    "storage/migrations/versions/",  # what rows meant before descriptors
)


def test_no_platform_is_known_outside_of_its_package() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "bot", "models", "storage"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [name for name in listed.stdout.split() if name.endswith((".py", ".html"))]
    assert len(files) > 200
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in files
        if not name.startswith(ITS_OWN)
        for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), start=1)
        if WORDS.search(line)
    ]
    assert found == []
