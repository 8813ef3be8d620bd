"""Which verbs ask for which secrets: every verb is tried where none of the secrets can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from bot.cli.main import app
from tests.command import Run
from tests.unit.cli.test_backup import CONFIG

pytestmark = pytest.mark.slow  # some load networks before they look at anything

# A second account, so that what would play one on a loopback network ends after its settings.
TWO = CONFIG + '\n[accounts.other]\nplatform = "instagram"\nusername = "other"\n'
ACCOUNT, SECTION = "ACCOUNTS__MAIN__PASSWORD_FILE", "NOTICES__URLS_FILE"
# Verbs that need them, and how each begins. What is in neither list needs none.
NEED = {
    "login": ACCOUNT,
    "run": ACCOUNT,
    "collect": ACCOUNT,
    "check": ACCOUNT,
    "doctor": ACCOUNT,
    "console": SECTION,
    "notify test": SECTION,
}
# What is written behind a verb to reach the settings; most need nothing.
WORDS: dict[str, list[str]] = {
    "backup": ["b.tar"],
    "caption": ["none"],
    "captions accept": ["1"],
    "captions list": ["none"],
    "captions unreview": ["1"],
    "captions write": ["1", "--sentence", "a hat"],
    "restore": ["none.tar"],
    "collect": ["#dusk", "--account", "main"],
    "compose": ["one.png", "--out", "out"],
    "dataset create": ["d", "--hashtag", "dusk"],
    "dataset remove": ["none"],
    "dataset show": ["none"],
    "demo": ["--platform", "none"],
    "export": ["none", "--format", "jsonl", "--out", "exported"],
    "forget": ["instagram/nobody", "--dry-run"],
    "images accept": ["1"],
    "images reject": ["1"],
    "images undo": ["1"],
    "import": ["photos", "--dataset", "d"],
    "init": ["--username", "bot", "--force", "-c", "other.toml"],
    "keys create": ["museum"],
    "keys revoke": ["museum"],
    "labels accept": ["1", "dusk"],
    "labels reject": ["1", "dusk"],
    "labels undo": ["1", "dusk"],
    "label": ["none", "--classes", "hat"],
    "login": ["main"],
    "masks import": ["none"],
    "mine": ["photos"],
    "models evaluate": ["--masks", "none"],
    "models promote": ["embedded"],
    "models pull": ["none"],
    "replies approve": ["1"],
    "replies cancel": ["1"],
    "replies confirm": ["1"],
    "replies html": ["r.html"],
    "replies redo": ["1", "--style", "tint"],
    "replies reject": ["1"],
    "replies retry": ["1"],
    "replies show": ["1"],
    "replies undo": ["1"],
    "search": ["dusk"],
    "segment": ["one.png", "--out", "masks"],
    "snapshot create": ["none"],
    "snapshot rebuild": ["none/1", "--out", "m.jsonl"],
    "snapshot verify": ["none/1"],
    "track accept": ["@nobody"],
    "track add": ["#dawn", "--account", "main"],
    "track pause": ["#none"],
    "track remove": ["#none"],
    "track resume": ["#none"],
    "upscale": ["one.png", "--out", "large"],
    "watch": ["photos"],
}


def verbs(command: Any = None, name: str = "") -> Iterator[str]:
    """All of them, as `replies show`."""
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", None)
    if not inner:
        yield name
    for word, one in (inner or {}).items():
        yield from verbs(one, f"{name} {word}".strip())


@pytest.fixture
def tagecho(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None, tagecho: Run
) -> Run:
    """In a folder where each secret is named, and none can be read."""
    for name in [name for name in os.environ if name.startswith("TAGECHO_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(TWO, encoding="utf-8")
    Path("photos").mkdir()
    Image.new("RGB", (64, 64), "red").save("one.png")
    for variable in (ACCOUNT, SECTION, "CONSOLE__PASSWORD_FILE", "CONSOLE__VIEWER_PASSWORD_FILE"):
        monkeypatch.setenv(f"TAGECHO_{variable}", "/nowhere/secret")
    return tagecho


def test_the_lists_name_verbs_that_there_are() -> None:
    assert WORDS.keys() | NEED.keys() <= set(verbs())


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_a_verb_asks_for_no_secret_that_it_does_not_need(tagecho: Run, verb: str) -> None:
    done = tagecho(*verb.split(), *WORDS.get(verb, []))
    said = done.out + done.err
    if verb in NEED:
        assert (f"TAGECHO_{NEED[verb]}" in said, done.code) == (True, 3), said
        assert (ACCOUNT in said) == (NEED[verb] == ACCOUNT), said
        return
    assert "secret file" not in said, said
    assert "Missing" not in said and "No such option" not in said, f"WORDS: {said}"
    assert done.code != 3, said
