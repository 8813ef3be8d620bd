"""`tagecho search` by words in images: what nobody wrote about is found, and it says why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from bot.config import Settings
from bot.config.settings import Data
from bot.core.errors import ModelError, UsageError
from bot.service.app import networks_of, opened
from bot.verbs import word_search
from bot.verbs.search import SearchQuery, find, rebuild
from storage import labels
from storage.tables import Embedding
from tests import official
from tests.databases import NOW
from tests.streams import colour_stream, coloured

pytestmark = pytest.mark.usefixtures("small_segmenter")
COUNT = 60


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    with opened(Settings(data=Data(dir=folder / "data"))) as app:
        colour_stream(app, COUNT)
    return folder / "data"


@pytest.fixture
def settings(template: Path, tmp_path: Path) -> Settings:
    shutil.copytree(template, tmp_path / "data")
    return Settings(data=Data(dir=tmp_path / "data"))


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    """n of the posts pn."""
    return [int(row["url"].rstrip("/").rpartition("/p")[2]) for row in rows]


def test_before_anything_is_learned_texts_are_searched_as_before(settings: Settings) -> None:
    asked = SearchQuery(text="red", limit=50)
    found = find(settings, asked)
    assert sorted(numbers(found.rows)) == [n for n in range(0, COUNT, 3) if n % 5 != 4]
    assert ["--rebuild" in remark for remark in found.remarks] == [True]
    assert "why" not in found.rows[0]
    assert find(settings, asked).remarks == [], "it is said once"


def test_what_nobody_wrote_about_is_found(settings: Settings) -> None:
    rebuild(settings)
    found = find(settings, SearchQuery(text="red", limit=COUNT))
    written = {n for n in range(0, COUNT, 3) if n % 5 != 4}
    assert written <= set(numbers(found.rows)), "all that has the word"
    only_seen = [row for row in found.rows if row["why"]["text_rank"] is None]
    assert [n % 5 for n in numbers(only_seen)] == [4] * len(only_seen)
    assert {coloured(n)[0] for n in numbers(only_seen)} <= {"red"}
    assert only_seen
    both = [row for row in found.rows if row["why"]["seen_rank"] and row["why"]["text_rank"]]
    assert both[0]["why"]["words"] == ["red"]
    assert both[0]["why"]["seen_score"] > word_search.ABOVE
    scores = [row["score"] for row in found.rows]
    assert scores == sorted(scores, reverse=True)


def test_all_else_narrows_both_rankings(settings: Settings) -> None:
    rebuild(settings)

    def seen(**wanted: Any) -> set[int]:
        rows = find(settings, SearchQuery(limit=COUNT, **wanted)).rows
        return {n for n, row in zip(numbers(rows), rows, strict=True) if row.get("why")}

    everything = seen(text="red")
    assert seen(text="red -something") == {n for n in everything if n % 5 == 4}
    assert seen(text="red #red") == {n for n in everything if n % 5 != 4}
    assert seen(text="red", hashtags=("red",)) == {n for n in everything if n % 5 != 4}
    assert seen(text="red", dataset="elsewhere") == set()
    assert seen(text="red", by="text") == seen(text="unheard") == seen(text='"red"') - everything
    with pytest.raises(UsageError, match='did you mean "embedded"'):
        find(settings, SearchQuery(text="red", by="embeded"))
    with pytest.raises(ModelError, match="models pull siglip2-base"):
        find(settings, SearchQuery(text="red", by="siglip2-base"))


def test_the_command_line_says_why(
    settings: Settings, tagecho: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{settings.data.dir}"\n', encoding="utf-8")
    assert tagecho("search", "--rebuild", "-c", config).code == 0
    rows = json.loads(tagecho("search", "red", "--json", "-c", config).out)
    assert rows[0]["why"]["words"] == ["red"]
    said = tagecho("search", "red", "--why", "--limit", "60", "-c", config).out
    assert "    texts: 1, images: " in said
    assert "    texts: not found, images: " in said


@pytest.mark.slow
@pytest.mark.learn
def test_by_an_official_network(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real library, from a tiny network in the hub's own layout, in its own process."""
    pytest.importorskip("torch", reason="official networks need it")
    official.unpinned(monkeypatch)
    official.put_hub(networks_of(settings), "siglip2-base", official.save_siglip)
    with pytest.raises(ModelError, match="--rebuild --by siglip2-base"):
        find(settings, SearchQuery(text="red", by="siglip2-base"))
    monkeypatch.setattr("bot.verbs.search._learn_words", lambda *_: None)  # not its matter
    rebuild(settings, "siglip2-base")

    def vectors() -> int:
        with opened(settings) as app, app.database.read() as session:
            mine = Embedding.model_version.like("siglip2-base-%")  # type: ignore[attr-defined]
            return session.exec(select(func.count()).select_from(Embedding).where(mine)).one()

    assert vectors() == COUNT
    found = find(settings, SearchQuery(text="red street", by="siglip2-base", limit=COUNT))
    assert all(row["why"]["words"] == ["red", "street"] for row in found.rows)
    with opened(settings) as app, app.database.write() as session:
        labels.prune(session, (), NOW, ("siglip2-base",))
    assert vectors() == COUNT, "`labels score` leaves what others need"
    with opened(settings) as app, app.database.write() as session:
        labels.prune(session, (), NOW)
    assert vectors() == 0
