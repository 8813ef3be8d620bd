"""However a hashtag or name is written, every verb means the same posts by it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bot.config import load
from bot.core.errors import ConfigError, UsageError
from bot.core.hashtags import hashtags
from bot.dataset.export.folder import ExportOptions, export
from bot.service.app import App, opened
from bot.verbs.datasets import create
from bot.verbs.search import SearchQuery, find
from bot.verbs.suggest import suggest
from storage import datasets, queries
from storage.queries import Query
from tests.databases import NOW
from tests.datasets import fit, mask, put, settings_at

CAFE = "café"
SPELLINGS = ["café", "#café", "cafe\u0301", "＃CAFÉ", "ＣＡＦＥ\u0301", " #Café "]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with opened(settings_at(tmp_path)) as app:
        for n, written in enumerate(
            ["#café #tree", "#cafe\u0301 #tree", "＃ＣＡＦÉ #tree", "#cafe"]
        ):
            [media] = put(app, f"p{n}", f"u{n}", hashtags(written), caption=written)
            mask(app, media)
            fit(app, media, CAFE if n < 3 else "cafe", 0.9)
        yield app


@pytest.mark.parametrize("written", SPELLINGS)
def test_search_finds_the_same_with_and_without_label_fit(app: App, written: str) -> None:
    plain = find(app.settings, SearchQuery(hashtags=(written,))).rows
    fitting = find(app.settings, SearchQuery(hashtags=(written,), fit=0.5)).rows
    assert len(plain) == len(fitting) == 3
    assert all(CAFE in row["hashtags"] for row in plain)


def test_a_hashtag_is_not_one_that_only_looks_like_it(app: App) -> None:
    put(app, "s1", "u8", hashtags("#straße"), caption="#straße")
    put(app, "s2", "u9", hashtags("#STRASSE"), caption="#STRASSE")
    for written in ("straße", "strasse"):
        [row] = find(app.settings, SearchQuery(hashtags=(written,))).rows
        assert row["hashtags"] == [written]
    assert len(find(app.settings, SearchQuery(text="strasse")).rows) == 2, "as words they are one"


@pytest.mark.parametrize("written", SPELLINGS)
def test_dataset_queries_and_suggestions(app: App, written: str) -> None:
    query = queries.parse({"any_hashtags": [written]})
    with app.database.read() as session:
        assert datasets.count(session, query)["images"] == 3
        track = queries.parse({"tracks": [f"main:hashtag:{written}"]})
    assert track.tracks == (f"main:hashtag:{CAFE}",)
    assert [one.target for one in suggest(app.settings, [written], 3)] == ["#tree"]


@pytest.mark.parametrize("written", SPELLINGS)
def test_classes_of_objects(app: App, tmp_path: Path, written: str) -> None:
    with app.database.write() as session:
        datasets.put(session, "d", queries.parse({}), NOW)
    out = tmp_path / "out"
    export(app.settings, "d", ExportOptions("yolo", out, classes=(written,)))
    names = yaml.safe_load((out / "data.yaml").read_text())["names"]
    assert names[0] == CAFE
    labels = [path.read_text().split()[0] for path in sorted(out.glob("labels/*/*.txt"))]
    assert sorted(labels) == ["0", "0", "0", "1"]


def test_a_class_that_no_photo_can_have_is_refused(app: App, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'--classes: "fun!" is not a hashtag: .!.'):
        export(app.settings, "d", ExportOptions("yolo", tmp_path / "out", classes=("fun!",)))


def test_a_query_that_can_never_match_is_refused(app: App) -> None:
    with pytest.raises(UsageError, match="no_hashtags: 'star★' is not a hashtag: '★'"):
        create(app.settings, "d", Query(no_hashtags=("star★",)), replace=False)


CONFIG = """
[data]
dir = "data"
[accounts.main]
platform = "instagram"
username = "imagebot"
[[tracks]]
account = "main"
hashtag = "{track}"
[replies]
opt_in_hashtags = ["{opt_in}"]
"""


@pytest.mark.parametrize("written", [*SPELLINGS, "fun🎉", "❤️", "1️⃣st"])
def test_a_configured_hashtag_is_the_one_in_captions(tmp_path: Path, written: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(track=written, opt_in=written), encoding="utf-8")
    settings = load(path, {})
    for form in ("NFC", "NFD"):
        tag = unicodedata.normalize(form, written.strip(" #＃"))
        assert hashtags(f"look #{tag}!") == (settings.tracks[0].name,)
        assert hashtags(f"look #{tag}!") == settings.replies.opt_in_hashtags


@pytest.mark.parametrize("key", ["track", "opt_in"])
@pytest.mark.parametrize("written", ["fun!", "star★", "a b", "#️⃣", "a-b"])
def test_one_that_can_never_match_is_refused(tmp_path: Path, key: str, written: str) -> None:
    path = tmp_path / "config.toml"
    given = {"track": "fine", "opt_in": "fine", key: written}
    path.write_text(CONFIG.format(**given), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"is not a hashtag: .* cannot stand in one, so it would"):
        load(path, {})
