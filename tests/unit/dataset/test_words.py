"""Sentences and tags in snapshots, exports and cards: frozen, with who said them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from bot.config import Settings
from bot.dataset import snapshots as frozen
from bot.dataset.export.folder import ExportOptions, export
from bot.service.app import opened
from storage import words
from storage.tables import MediaRow
from storage.words import Words
from tests.databases import NOW
from tests.datasets import put

SENTENCE = "a dog in a red hoodie"


@pytest.fixture
def stored(settings: Settings) -> Settings:
    """Three images of which two have words; frozen, and then said anew."""
    with opened(settings) as app:
        held = [put(app, f"p{n}", f"u{n}", into="x", caption="пёс")[0] for n in range(3)]
        with app.database.read() as session:
            hashes = [session.get_one(MediaRow, one).sha256 or "" for one in held]
        with app.database.write() as session:
            said = {hashes[0]: Words(SENTENCE, "en", 0.7), hashes[1]: Words()}
            words.keep(session, "blip-base", "blip-base-1", said, NOW)
            given = (("dog", 0.9), ("hoodie", 0.4))
            words.keep(session, "embedded", "words-1", {hashes[0]: Words(tags=given)}, NOW)
    frozen.freeze(settings, "x", "", {"train": 1.0}, 0)
    with opened(settings) as app, app.database.write() as session:
        words.keep(session, "blip-base", "blip-base-2", {hashes[0]: Words("else", "en")}, NOW)
    return settings


@pytest.mark.parametrize("kind", ["imagefolder", "webdataset", "parquet"])
def test_columns_of_every_format(stored: Settings, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="it writes Parquet")
    out = tmp_path / "out"
    export(stored, "x", ExportOptions(kind, out))
    rows = {row["post_id"]: row for row in _rows(out, kind)}
    row = rows["p0"]
    assert (row["sentence"], row["sentence_language"]) == (SENTENCE, "en"), "as it was frozen"
    assert (row["sentence_model"], row["tag_model"]) == ("blip-base-1", "words-1")
    assert _list(row["tags"]) == ["dog", "hoodie"]
    assert _list(row["tag_scores"]) == [0.9, 0.4]
    assert rows["p1"]["sentence"] == rows["p2"]["sentence"] == ""
    assert _list(rows["p1"]["tags"]) == []
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "- images with a sentence: 1" in card
    assert "- tags of a network or a person: dog 1, hoodie 1" in card
    assert "- sentence: `blip-base-1`" in card
    assert "| `sentence` |" in card


def test_a_snapshot_says_who_said_it_and_stays_sound(stored: Settings) -> None:
    [row] = frozen.snapshot_rows(stored, "x")
    assert row["models"]["sentence"] == ["blip-base-1"]
    assert row["models"]["tags"] == ["words-1"]
    assert frozen.verify(stored, "x").sound


def test_a_snapshot_that_is_older_than_words_is_exported(stored: Settings, tmp_path: Path) -> None:
    from sqlmodel import select

    from storage.tables import SnapshotItem

    with opened(stored) as app, app.database.write() as session:
        for item in session.exec(select(SnapshotItem)):
            item.record = {name: value for name, value in item.record.items() if name != "words"}
    export(stored, "x", ExportOptions("imagefolder", tmp_path / "out"))
    assert {row["sentence"] for row in _rows(tmp_path / "out", "imagefolder")} == {""}


def _rows(out: Path, kind: str) -> list[dict[str, object]]:
    if kind == "imagefolder":
        lines = (out / "data" / "train" / "metadata.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in lines.splitlines()]
    if kind == "parquet":
        import pyarrow.parquet

        found: list[dict[str, object]] = pyarrow.parquet.read_table(
            out / "data" / "train.parquet"
        ).to_pylist()
        return found
    rows = []
    with tarfile.open(out / "train-000000.tar") as tar:
        for member in tar.getmembers():
            if member.name.endswith(".json"):
                file = tar.extractfile(member)
                assert file is not None
                rows.append(json.loads(file.read()))
    return rows


def _list(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value
