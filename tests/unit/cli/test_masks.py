"""`tagecho masks import` as somebody types it: exit codes, JSON, what is said."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from bot.config import load
from bot.service.app import opened
from models.images.codec import png_mask
from storage.tables import DrawnMask
from tests.command import Run
from tests.databases import rows, sqlite_in
from tests.datasets import disc, picture, put
from tests.unit.cli.test_labels import CONFIG

PHOTO = picture(1)


@pytest.mark.usefixtures("own_logging")
def test_masks_are_imported_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tagecho: Run
) -> None:
    sqlite_in(tmp_path / "data")
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    with opened(load(Path("config.toml"))) as app:
        put(app, "p1", images=[PHOTO])
    drawn = Path("drawn")
    drawn.mkdir()
    name = hashlib.sha256(PHOTO).hexdigest()
    (drawn / f"{name}.png").write_bytes(png_mask(disc()))

    first = tagecho("masks", "import", "drawn", "--json")
    assert first.code == 0 and json.loads(first.out)["imported"] == 1
    assert "1 masks imported" in first.err
    again = tagecho("masks", "import", "drawn")
    assert again.code == 0 and again.out == "" and "1 there already" in again.err

    (drawn / f"{name}.png").write_bytes(png_mask(~disc()))
    kept = tagecho("masks", "import", "drawn")
    assert kept.code == 0 and "1 left because a person drew one" in kept.err
    (drawn / "stranger.png").write_bytes(png_mask(disc()))
    some = tagecho("masks", "import", "drawn", "--replace")
    assert some.code == 1 and "stranger" in some.err and "1 masks imported" in some.err
    with opened(load(Path("config.toml"))) as app:
        made = {(one.version, one.origin) for one in rows(app.database, DrawnMask)}
    assert made == {(1, "import"), (2, "import")}
    assert tagecho("masks", "import", "nowhere").code == 2
