"""A person's word from the command line: on images, and on hashtags of a post."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bot.config import load
from bot.service.app import opened
from storage.tables import ConsoleAction, HashtagLabel, ImageLabel, LabelScore, Verdict
from tests.command import Run
from tests.databases import rows, sqlite_in
from tests.datasets import fit, judge, put

CONFIG = '[data]\ndir = "data"\n[accounts.main]\nplatform = "instagram"\nusername = "bot"\n'


@pytest.fixture
def tagecho(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None, tagecho: Run
) -> Run:
    """In a folder with four measured images, 1 to 4, of posts of these numbers."""
    sqlite_in(tmp_path / "data")
    (tmp_path / "config.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bot.verbs.gallery.who_types", lambda: "eva")
    with opened(load(tmp_path / "config.toml")) as app:
        for n in range(1, 5):
            (media,) = put(app, f"p{n}", f"u{n}", ("hoodie", "sale"), caption="=1+1 plain")
            assert media == n
            judge(app, media, *(("blur",) if n == 4 else ()))
        fit(app, 1, "hoodie", 0.7)
    return tagecho


def listed(tagecho: Run, *said: str) -> list[int]:
    return sorted(
        one["media"] for one in json.loads(tagecho("images", "list", *said, "--json").out)
    )


def test_images_are_rejected_accepted_and_taken_back(tagecho: Run, tmp_path: Path) -> None:
    done = tagecho("images", "reject", "1", "2-9", "--why", "a toy", "--json")
    assert done.code == 0 and json.loads(done.out) == {"images": [1, 2, 3, 4], "left_out": 5}
    assert listed(tagecho, "--check", "rejected") == listed(tagecho, "--label", "rejected")
    assert tagecho("images", "accept", "4").code == 0
    assert tagecho("images", "undo", "1").code == 0
    assert listed(tagecho, "--label", "rejected") == [2, 3]
    assert listed(tagecho, "--label", "accepted") == [4]
    assert listed(tagecho, "--label", "unlabelled") == [1]
    with opened(load(tmp_path / "config.toml")) as app:
        assert {(one.who, one.why) for one in rows(app.database, ImageLabel)} == {
            ("eva", "a toy"),
            ("eva", ""),
        }
        verdicts = {(one.media, one.check) for one in rows(app.database, Verdict)}
        assert verdicts == {(2, "rejected"), (3, "rejected")}  # of 4, blur is gone
        noted = [
            (one.who, one.address, one.action, one.target)
            for one in rows(app.database, ConsoleAction)
        ]
    assert noted == [
        ("eva", "command line", "image reject", "1, 2, 3, 4"),
        ("eva", "command line", "image accept", "4"),
        ("eva", "command line", "image unlabel", "1"),
    ]


def test_a_wrong_number_changes_nothing(tagecho: Run, tmp_path: Path) -> None:
    done = tagecho("images", "reject", "1", "77")
    assert done.code == 2 and "no stored image 77" in done.err
    assert tagecho("images", "reject", "70-79").code == 8
    assert tagecho("images", "reject", "x").code == 2
    with opened(load(tmp_path / "config.toml")) as app:
        assert rows(app.database, ImageLabel) == [] and rows(app.database, ConsoleAction) == []


def test_the_list_of_images_as_text_and_csv(tagecho: Run) -> None:
    text = tagecho("images", "list", "plain", "--check", "blur").out
    assert "@name-u4" in text and "blur" in text and "post 4" in text
    table = list(csv.DictReader(io.StringIO(tagecho("images", "list", "--csv").out)))
    assert len(table) == 4 and {row["caption"] for row in table} == {"'=1+1 plain"}
    for wrong in (("--check", "dull"), ("--label", "liked"), ("--author", "nobody")):
        assert tagecho("images", "list", *wrong).code == 2
    assert "no images" in tagecho("images", "list", "nowhere").err


def test_hashtags_are_rejected_accepted_and_taken_back(tagecho: Run, tmp_path: Path) -> None:
    def scores() -> dict[str, float]:
        with opened(load(tmp_path / "config.toml")) as app:
            return {one.hashtag: one.probability for one in rows(app.database, LabelScore)}

    assert tagecho("labels", "reject", "1", "#Hoodie", "sale").code == 0
    assert scores() == {"hoodie": 0.0, "sale": 0.0}
    assert tagecho("labels", "accept", "1", "hoodie").code == 0
    assert scores()["hoodie"] == 1.0
    done = tagecho("labels", "reject", "1", "hoodie", "none")
    assert done.code == 2 and scores()["hoodie"] == 1.0  # all or none
    assert tagecho("labels", "undo", "1", "hoodie", "sale").code == 0
    assert scores() == {"hoodie": 0.7}
    with opened(load(tmp_path / "config.toml")) as app:
        assert rows(app.database, HashtagLabel) == []
        noted = [(one.who, one.action, one.target) for one in rows(app.database, ConsoleAction)]
    assert noted[0] == ("eva", "hashtag reject", "#hoodie #sale of post 1")
    assert [action for _, action, _ in noted[1:]] == ["hashtag accept", "hashtag unlabel"]
