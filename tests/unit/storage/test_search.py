"""Text search: the same posts on both databases, whatever the script and whatever is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlmodel import Session, delete, select

from bot.core.events import Author, Media, Place
from storage import dataset, search, texts
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.search import Filters
from storage.tables import LabelScore, MediaRow, MediaState, PostRow, SearchText, Verdict
from tests.databases import NOW, make_post

CAPTIONS = {
    "ru": "Красивый закат над Невой, ёлки и море",
    "zh": "今天在东京看日落，天空很美",
    "ja": "東京タワーの夕焼け",
    "th": "พระอาทิตย์ตกสวยมาก",
    "ar": "غُروبُ الشَّمسِ جميـــل في أحمد",
    "emoji": "what a night 🌅❤️ 👩🏽\u200d🚀 🇩🇪",
    "en": "My new hoodie: warm, soft — a t-shirt is not",
    "km": "ថ្ងៃលិចស្អាត",
}
FOUND = {  # query → posts
    "закат": "ru",
    "ЗАКАТ невой": "ru",
    "елки": "ru",
    "закат*": "ru",
    "красив*": "ru",
    "крас": "",
    "东京": "zh",
    "日落": "zh",
    "落天": "",  # a comma stands between
    "美": "zh",
    "東京タワー": "ja",
    "東京": "ja",
    "夕": "ja",
    "อาทิตย์": "th",
    "สวย": "th",
    "غروب": "ar",
    "جميل": "ar",
    "احمد": "ar",
    "🌅": "emoji",
    "❤": "emoji",
    "🚀": "emoji",
    "🇩🇪": "emoji",
    "🇪": "",
    "លិច": "km",
    "hoodie": "en",
    "ＨＯＯＤＩＥ": "en",
    "#hoodie": "en",
    "#hood*": "en",
    "#warm": "",
    '"new hoodie"': "en",
    '"hoodie new"': "",
    "hoodie new": "en",
    '"t-shirt"': "en",
    "t-shirt": "en",
    "hoodie -warm": "",
    "hoodie -cold": "en",
    '"hoodie warm" soft': "en",
    "hoodie zzz": "",
    '"soft a t" -"shirt hoodie"': "en",
}


def add(session: Session, post_id: str, caption: str = "", **changes: Any) -> int:
    post = make_post(post_id, caption=caption, **changes)
    image = Fetched(post.media[0], MediaState.STORED, f"{post_id:0>64}", 9, "image/png", 640, 480)
    return dataset.add(session, post, [image], NOW)


@pytest.fixture
def scripts(database: Database) -> dict[int, str]:
    with database.write() as session:
        return {
            add(
                session,
                name,
                caption,
                hashtags=("hoodie", "street_style") if name == "en" else (),
                taken_at=NOW - timedelta(minutes=n),
            ): name
            for n, (name, caption) in enumerate(CAPTIONS.items())
        }


def ask(database: Database, query: str, **filters: Any) -> list[int]:
    with database.read() as session:
        found = search.posts(session, search.parse(query), Filters(**filters))
        return [hit.post for hit in found]


def test_every_script_and_operator(database: Database, scripts: dict[int, str]) -> None:
    with database.read() as session:
        for query, name in FOUND.items():
            terms = search.parse(query)
            for best in (False, True):
                hits = search.posts(session, terms, relevance=best)
                assert [scripts[hit.post] for hit in hits] == [name] * bool(name), query
            # The other way, by the documents of some posts, answers the same.
            few = search.matching(session, list(scripts), terms, Filters())
            assert {scripts[post] for post in few} == ({name} if name else set()), query


QUERIES = st.text() | st.text(
    alphabet="\"*-#@~=¦()NEAR AND OR NOT:^+\\'\x00\ud800 hoodie東京", max_size=20
)


def test_any_input_is_a_query(database: Database, scripts: dict[int, str]) -> None:
    with database.read() as session:

        @settings(max_examples=60)
        @given(QUERIES)
        def check(query: str) -> None:
            terms = search.parse(query)
            hits = search.posts(session, terms, limit=100)
            assert {hit.post for hit in hits} == search.matching(
                session, list(scripts), terms, Filters()
            )
            assert len(search.posts(session, terms, limit=100, relevance=True)) == len(hits)

        for query in (
            '"',
            "*",
            "NEAR(",
            "AND",
            "-",
            "'",
            "a' | 'b",
            "\\",
            "(",
            ":*",
            "\ud800",
            "¦",
        ):
            search.posts(session, search.parse(query))
        check()


def test_author_place_dataset_and_hashtags(database: Database) -> None:
    bob = Author("instagram", "u2", "bob.builder", "Боб Строитель")
    with database.write() as session:
        post = add(session, "p1", "x", author=bob, place=Place("Park Güell"), hashtags=("été",))
        dataset.found_by(session, post, "main:hashtag:x", "Winter coats", "", NOW)
    for query in ("bob", "@bob.builder", "строитель", "güell park", "coats", "#été", "été"):
        assert ask(database, query) == [post], query
    assert ask(database, "", dataset="Winter coats", author=("instagram", "u2")) == [post]
    assert ask(database, "", hashtags=("#ÉTÉ",), platform="instagram") == [post]
    for other in ({"dataset": "coats"}, {"author": ("instagram", "u")}, {"platform": "other"}):
        assert ask(database, "bob", **other) == []


def test_newest_first_and_dates(database: Database) -> None:
    with database.write() as session:
        rows = [
            add(session, f"p{n}", "sea" * (n % 2) or "sky", taken_at=NOW - timedelta(hours=n))
            for n in range(6)
        ]
        long_ago = add(session, "old", "sea", taken_at=NOW.replace(year=1960))
        far = add(session, "far", "sea", taken_at=NOW.replace(year=9999))
    assert ask(database, "sea") == [far, rows[1], rows[3], rows[5], long_ago]
    hour = timedelta(hours=1)
    assert ask(database, "sea", since=NOW - 3 * hour, until=NOW - hour) == [rows[3]]
    with database.read() as session:
        two = search.posts(session, search.parse("sea"), limit=2)
    assert [hit.post for hit in two] == [far, rows[1]]


def test_an_edit_a_rename_and_a_removal_are_found_at_once(database: Database) -> None:
    with database.write() as session:
        post = add(session, "p1", "before")
        other = add(session, "p2", "before", author=Author("instagram", "u2", "bob"))
    with database.write() as session:
        dataset.see(session, post, make_post("p1", caption="after #new"), NOW)
        dataset.see_author(session, Author("instagram", "u1", "anna"), NOW)
    assert ask(database, "before") == [other]
    assert ask(database, "after #new anna ann") == [post]
    with database.write() as session:
        forget(session, "instagram", "u1", NOW)
    assert ask(database, "after") == ask(database, "ann") == []
    with database.write() as session:  # whoever removes a post, and however
        session.exec(delete(PostRow))
    assert ask(database, "before") == []
    with database.read() as session:
        assert session.exec(select(SearchText)).all() == []


def test_what_is_rolled_back_is_not_found(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:
        add(session, "p1", "ghost")
        raise RuntimeError
    assert ask(database, "ghost") == []


@pytest.mark.parametrize("narrow", [0, 2000])
def test_filters_on_images(
    database: Database, monkeypatch: pytest.MonkeyPatch, narrow: int
) -> None:
    """Asked first or looked at one by one: the same posts."""
    monkeypatch.setattr(search, "NARROW", narrow)
    with database.write() as session:
        rows = [
            add(session, f"p{n}", "coat" if n % 2 else "coat red", hashtags=("coat",))
            for n in range(8)
        ]
        media = {m.post: m for m in session.exec(select(MediaRow)).all()}
        for n, row in enumerate(rows):
            media[row].width = media[row].height = 100 * n
            session.add(
                LabelScore(
                    post=row,
                    hashtag="coat",
                    method="combined",
                    probability=n / 10,
                    model_version="m",
                    computed_at=NOW,
                )
            )
        for row in rows[6:]:
            session.add(
                Verdict(
                    media=media[row].id,
                    check="blur",
                    score=0.0,
                    reason="",
                    version="1",
                    computed_at=NOW,
                )
            )
    expected = {
        (("size", 300),): rows[3:],
        (("clean", True),): rows[:6],
        (("size", 300), ("clean", True)): rows[3:6],
        (("fit", 0.25),): rows[3:],
        (("fit", 0.25), ("hashtags", ("coat",))): rows[3:],
        (("fit", 0.25), ("hashtags", ("hat",))): [],
        (("size", 300), ("fit", 0.45)): rows[5:],
    }
    for given_filters, posts in expected.items():
        wanted: dict[str, Any] = dict(given_filters)
        assert sorted(ask(database, "coat", **wanted)) == posts, wanted
        red = [row for row in posts if rows.index(row) % 2 == 0]
        assert sorted(ask(database, "red", **wanted)) == red, wanted
        assert sorted(ask(database, "", **wanted)) == posts


def test_the_index_is_made_anew(database: Database, scripts: dict[int, str]) -> None:
    before = {query: ask(database, query) for query in FOUND}
    with database.write() as session:
        assert texts.complete(session)
        session.connection().exec_driver_sql("DELETE FROM search_texts")
        texts.drop(session.connection())
    with database.read() as session:
        assert not texts.complete(session)
    assert texts.index_all(database, lambda steps: steps) == len(CAPTIONS)
    with database.read() as session:
        assert texts.complete(session)
    assert {query: ask(database, query) for query in FOUND} == before


def test_a_poll_that_brings_nothing_new_costs_no_statement_more(database: Database) -> None:
    post = make_post("p1", caption="same", media=(Media(0, "https://m/1"),))
    with database.write() as session:
        row = dataset.add(session, post, [], NOW)
    ran: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *a: ran.append(a[2]))
    with database.write() as session:
        assert dataset.see(session, row, post, NOW + timedelta(hours=1)) == []
    assert ran
    assert not [statement for statement in ran if "search" in statement]


def test_the_index_of_postgres_has_no_pending_list(database: Database) -> None:
    """With one, its planner reads every post for a rare word."""
    if database.sqlite:
        pytest.skip("an index of PostgreSQL")
    with database.read() as session:
        found = session.connection().exec_driver_sql(
            "SELECT reloptions FROM pg_class WHERE oid = 'ix_search_texts_document'::regclass"
        )
        assert found.scalar() == ["fastupdate=off"]
