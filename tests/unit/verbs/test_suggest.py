"""What goes with what was collected: hashtags and people, weighted by how well the hashtags fit."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.config import Settings, parse
from bot.core.errors import NothingToDo, UsageError
from bot.core.events import Author, Post
from bot.core.hashtags import hashtags
from bot.verbs.suggest import suggest
from storage import dataset, labels
from storage.database import Database
from storage.optouts import OptOuts
from storage.related import related_authors, related_hashtags
from storage.tables import LabelScore
from tests.databases import NOW, make_post

CONFIG = """
[data]
dir = "{folder}"
[accounts.main]
platform = "instagram"
username = "bot"
[[tracks]]
account = "main"
hashtag = "hoodie"
"""


def a_post(number: int, user_id: str, caption: str) -> Post:
    author = Author("instagram", user_id, f"user{user_id}")
    return make_post(f"p{number}", author=author, caption=caption, hashtags=hashtags(caption))


def fill(database: Database, posts: list[tuple[str, str]]) -> list[int]:
    """(author's id, caption) each; our ids."""
    with database.write() as session:
        return [
            dataset.add(session, a_post(number, user_id, caption), [], NOW)
            for number, (user_id, caption) in enumerate(posts)
        ]


def fit(database: Database, post: int, hashtag: str, probability: float) -> None:
    score = LabelScore(
        post=post, hashtag=hashtag, method="combined", probability=probability,
        model_version="m", computed_at=NOW,
    )  # fmt: skip
    with database.write() as session:
        labels.upsert(session, [score])


POSTS = (
    [("1", "#hoodie #streetwear #love")] * 6
    + [("2", "#hoodie #oversized")] * 3
    + [("3", "#love")] * 40
    + [("2", "#cat")] * 20
)


def test_what_stands_under_everything_is_near_nothing(database: Database) -> None:
    fill(database, POSTS)
    with database.read() as session:
        tags = related_hashtags(session, ["hoodie"], least=3)
    assert [tag.name for tag in tags] == ["streetwear", "oversized", "love"]
    assert tags[0].posts == 6
    assert 0 < tags[-1].score < 0.5 * tags[0].score <= 0.5


def test_people_are_ranked_by_the_share_of_their_posts(database: Database) -> None:
    fill(database, POSTS)
    with database.read() as session:
        people = related_authors(session, ["hoodie"], least=3)
    assert [person.user_id for person in people] == ["1", "2"]
    assert people[0].score == pytest.approx(6 / 7)
    assert people[1].score == pytest.approx(3 / 24)


def test_hashtags_that_do_not_fit_count_for_little(database: Database) -> None:
    ids = fill(database, POSTS)
    for post in ids[:6]:
        fit(database, post, "hoodie", 0.05)
    with database.read() as session:
        tags = related_hashtags(session, ["hoodie"], least=3)
        people = related_authors(session, ["hoodie"], least=3)
    assert tags[0].name == "oversized"
    assert people[0].user_id == "2"


def settings_of(folder: Path) -> Settings:
    return parse(CONFIG.format(folder=folder), folder / "config.toml", {})


def test_the_tracks_are_the_seeds_and_people_who_left_are_not_named(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    database = Database(settings.data.database_url)
    database.migrate()
    fill(database, POSTS)
    found = suggest(settings, [], limit=2)
    assert [s.target for s in found] == ["#streetwear", "#oversized", "@user1", "@user2"]
    optouts = OptOuts(tmp_path / "optout.key")
    with database.write() as session:
        optouts.open(session, datetime.now(UTC))
        optouts.add(session, "instagram", "1", NOW)
    found = suggest(settings, ["#Hoodie"], limit=5)
    assert [s.target for s in found if s.target.startswith("@")] == ["@user2"]
    assert "#hoodie" not in [s.target for s in suggest(settings, ["streetwear"], 5)], "tracked"
    database.close()


def test_without_seeds_or_posts_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="#hoodie"):
        suggest(settings_of(tmp_path), [], 5)
    with pytest.raises(UsageError, match="add tracks"):
        suggest(settings_of(tmp_path).model_copy(update={"tracks": ()}), [], 5)


def test_our_own_hashtag_our_accounts_and_bots_are_not_suggested(tmp_path: Path) -> None:
    text = CONFIG.format(folder=tmp_path / "data") + '[replies]\nopt_in_hashtags = ["EchoMe"]\n'
    settings = parse(text, tmp_path / "config.toml", {})
    database = Database(settings.data.database_url)
    database.migrate()
    people = {"1": "ana", "2": "daily_quote_bot", "3": "bot"}
    with database.write() as session:
        for number in range(15):
            user_id = str(number % 3 + 1)
            author = Author("instagram", user_id, people[user_id])
            tags = ("hoodie", "echome", "cap")
            dataset.add(session, make_post(f"p{number}", author=author, hashtags=tags), [], NOW)
    database.close()
    assert [one.target for one in suggest(settings, [], 10)] == ["#cap", "@ana"]
