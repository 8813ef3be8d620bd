"""What follows from a caption follows every edit of it."""

from __future__ import annotations

from dataclasses import replace

from sqlmodel import select

from bot.core.events import Post, UserTag
from bot.core.hashtags import hashtags
from bot.core.mentions import mentions
from storage import dataset, datasets, labels, search
from storage.database import Database
from storage.dataset import Fetched
from storage.queries import Query
from storage.tables import (
    Curation,
    LabelScore,
    MediaState,
    PostHashtag,
    PostMention,
    PostRow,
    PostTrack,
    Verdict,
)
from tests.databases import NOW, make_post

SHA = "ab" * 32
TRACKS = {"main:hashtag:sunset": "sunset", "main:hashtag:sea": "sea", "main:profile:sunset": "ann"}


def said(caption: str, *tags: UserTag) -> Post:
    return make_post(
        caption=caption, hashtags=hashtags(caption), mentions=mentions(caption), usertags=tags
    )


def store(database: Database, post: Post) -> int:
    image = Fetched(post.media[0], MediaState.STORED, SHA, 1, "image/jpeg", 9, 9)
    with database.write() as session:
        row = dataset.add(session, post, [image], NOW)
        for track, into in TRACKS.items():
            dataset.found_by(session, row, track, into, "", NOW)
        session.add(Curation(media=1, version="c", scores={}, computed_at=NOW))
        session.flush()
        for check in ("label_fit", "blur"):
            session.add(
                Verdict(media=1, check=check, score=0, reason="", version="c", computed_at=NOW)
            )
        scores = [
            LabelScore(
                post=row,
                hashtag=tag,
                method="combined",
                probability=0.9,
                model_version="m",
                computed_at=NOW,
            )
            for tag in ("sunset", "sea")
        ]
        labels.upsert(session, scores)
    return row


def test_an_edited_caption_has_its_new_hashtags_everywhere(database: Database) -> None:
    row = store(database, said("#sunset #sea with @old", UserTag("5", "bob", 0.1, 0.2)))
    edited = said("#hoodie #sea with @new", UserTag("6", "cleo"))
    with database.write() as session:
        assert set(dataset.see(session, row, edited, NOW)) == {"caption", "usertags"}
    with database.read() as session:
        assert set(session.exec(select(PostHashtag.hashtag))) == {"hoodie", "sea"}
        people = {(m.username, m.user_id, m.media_index) for m in session.exec(select(PostMention))}
        assert people == {("new", "", -1), ("cleo", "6", 0)}
        assert {t.dataset for t in session.exec(select(PostTrack))} == {"sea", "ann"}
        assert set(session.exec(select(LabelScore.hashtag))) == {"sea"}
        assert set(session.exec(select(Verdict.check))) == {"blur"}, "judged by what it said"
        for tag, count in (("sunset", 0), ("hoodie", 1), ("sea", 1)):
            asked = Query(any_hashtags=(tag,), leave_out=())
            assert datasets.count(session, asked)["images"] == count
            assert len(search.posts(session, search.parse(f"#{tag}"))) == count
            assert len(search.posts(session, (), search.Filters(hashtags=(tag,)))) == count
        assert datasets.count(session, Query(datasets=("sunset",), leave_out=()))["images"] == 0
        content = dataset.latest_content(session, session.get_one(PostRow, row))
        assert content["caption"] == edited.caption
        assert content["usertags"] == [[0, "cleo", None, None]]


def test_back_again(database: Database) -> None:
    first = said("#sunset #sea")
    row = store(database, first)
    for post in (said("nothing"), first, first):
        with database.write() as session:
            changed = dataset.see(session, row, post, NOW)
    assert changed == [], "the third was the same"
    with database.read() as session:
        assert set(session.exec(select(PostHashtag.hashtag))) == {"sunset", "sea"}


def test_seeing_the_same_again_changes_nothing(database: Database) -> None:
    post = said("#sunset #sea with @old")
    row = store(database, post)
    with database.write() as session:
        assert dataset.see(session, row, replace(post, like_count=7), NOW) == []
    with database.read() as session:
        assert {t.dataset for t in session.exec(select(PostTrack))} == {"sunset", "sea", "ann"}
        assert len(session.exec(select(LabelScore)).all()) == 2
