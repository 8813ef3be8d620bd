"""`tagecho stats --themes`: which tags belong together, how they overlap, what is rare."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.service.app import opened
from bot.verbs.stats import collect, write_page
from bot.verbs.themes import cells, collect_themes, lines
from models.words.themes import RARE, looks_alike, themes, together
from storage import words
from storage.tables import MediaRow
from storage.words import Words
from tests.databases import NOW
from tests.datasets import put

BEACH, CITY = ("sea", "sand", "sun"), ("street", "car", "night")


def tags_of(count: int = 200) -> list[set[str]]:
    """Two themes whose tags are drawn apart, a fifth of the images has both, and one rare pair."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        pools = (BEACH, CITY) if number % 5 == 0 else ((BEACH, CITY)[number % 2],)
        found.append({tag for pool in pools for tag in pool if random.random() < 0.8})
    found[0] |= {"owl", "nest"}
    found[1] = {"owl", "nest"}
    return found


def test_tags_that_appear_together_are_a_theme() -> None:
    found = themes(tags_of())
    by_tags = {frozenset(theme.tags): theme for theme in found}
    assert set(by_tags) == {frozenset(BEACH), frozenset(CITY), frozenset({"owl", "nest"})}
    beach, city = by_tags[frozenset(BEACH)], by_tags[frozenset(CITY)]
    assert beach.overlaps[city.name] == pytest.approx(40 / beach.images, abs=0.03)
    assert beach.share == pytest.approx(0.6, abs=0.02)
    rare = by_tags[frozenset({"owl", "nest"})]
    assert rare.rare == (rare.share < RARE)
    assert rare.images == 2
    assert found[0].images >= found[1].images >= found[2].images


def test_what_is_rare_is_said() -> None:
    found = themes([*tags_of(400), {"owl", "nest"}])
    assert [theme.tags for theme in found if theme.rare] == [["nest", "owl"]]


def test_how_close_two_tags_are() -> None:
    has = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]], float)
    near = together(has)
    assert near[0, 1] == pytest.approx(1)
    assert near[0, 2] == 0
    random = np.random.default_rng(0)
    chance = (random.random((4000, 2)) < 0.3).astype(float)
    assert together(chance)[0, 1] < 0.05
    features = np.concatenate([chance[:, :1], -chance[:, :1]], axis=1).astype(np.float32)
    alike = looks_alike(np.concatenate([chance[:, :1], 1 - chance[:, :1]], axis=1), features)
    assert alike[0, 0] == pytest.approx(1, abs=1e-6)
    assert alike[0, 1] == 0


def test_looks_join_what_is_never_written_together() -> None:
    """Two words of two languages for one thing."""
    random = np.random.default_rng(1)
    features = random.normal(0, 0.1, (120, 8)).astype(np.float32)
    tags = []
    for row in range(120):
        thing = row % 4
        features[row, thing] += 1
        tags.append({("dog", "perro")[row // 4 % 2] if thing == 0 else f"thing{thing}"})
    apart, joined = themes(tags), themes(tags, features)
    assert {"dog", "perro"} not in [set(theme.tags) for theme in apart]
    near = {frozenset(theme.tags) for theme in joined}
    assert len(joined) <= len(apart)
    assert near


@pytest.mark.parametrize("tags", [[], [set()], [{"one"}, {"two"}]])
def test_no_themes(tags: list[set[str]]) -> None:
    assert themes(tags) == []


def fill(settings: Settings) -> None:
    with opened(settings) as app:
        media = [
            put(app, f"p{n}", f"u{n % 7}", tuple(sorted(tags)), into="all" if n % 2 else "even")[0]
            for n, tags in enumerate(tags_of(40))
        ]
        with app.database.write() as session:
            for one in media[:6]:
                sha256 = session.get_one(MediaRow, one).sha256 or ""
                words.keep(session, "embedded", "w-1", {sha256: Words(tags=(("gull", 0.9),))}, NOW)


def test_of_a_collection_and_of_a_dataset(settings: Settings) -> None:
    with pytest.raises(NothingToDo, match="in common"):
        collect_themes(settings)
    fill(settings)
    found = collect_themes(settings)
    assert "gull" in {tag for theme in found for tag in theme.tags}, "tags of networks count"
    whole, part = found[0].images, collect_themes(settings, "even")[0].images
    assert part < whole
    with pytest.raises(UsageError, match="no dataset"):
        collect_themes(settings, "nothing")
    printed = "\n".join(lines(found))
    assert f"{found[0].name}" in printed
    plot = cells(found)
    assert len(plot) == min(len(found), 12) ** 2
    assert all(0 <= cell.share <= 1 for cell in plot)


def test_on_the_command_line_and_in_the_page(
    settings: Settings, tagecho: Callable[..., Any], tmp_path: Path
) -> None:
    if settings.data.url is not None:
        pytest.skip("once is enough")
    fill(settings)
    config = tmp_path / "config.toml"
    config.write_text(f'[data]\ndir = "{settings.data.dir}"\n', encoding="utf-8")
    told = json.loads(tagecho("stats", "--themes", "--json", "-c", config).out)["themes"]
    assert {"name", "tags", "images", "share", "rare", "overlaps"} <= set(told[0])
    assert "overlaps with" in tagecho("stats", "--themes", "--dataset", "even", "-c", config).out
    assert tagecho("stats", "--dataset", "even", "-c", config).code == 2
    page = tmp_path / "stats.html"
    write_page(settings, collect(settings), page)
    text = page.read_text(encoding="utf-8")
    assert "<h2>Themes</h2>" in text
    assert len(re.findall(r'<table class="themes">', text)) == 1
    assert text.count("is " + told[0]["name"] + ", too") >= 1
    assert f"#{told[0]['tags'][0]}" in text
