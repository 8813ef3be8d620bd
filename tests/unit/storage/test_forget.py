"""Forgetting a person: everything of theirs, nothing of anybody else's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from sqlmodel import Session, col, select

from bot.core.events import Author, Receipt, UserTag
from storage import blobs, dataset, outbox, steps
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import Removed, forget_post
from storage.forget import forget as forget_person
from storage.steps import PlannedStep
from storage.tables import (
    Artifact,
    AuthorName,
    AuthorRow,
    BlobRow,
    CommentRow,
    Export,
    LearningAuthor,
    LearningRun,
    MediaRow,
    MediaState,
    PostHashtag,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
    Reply,
    ReplyEvent,
    ReplyState,
    ReplyStep,
    Retraction,
    Snapshot,
    SnapshotItem,
)
from tests.databases import NOW, make_post, queue_reply, rows

S = ReplyState
ANN = Author("instagram", "u1", "ann")
BOB = Author("instagram", "u2", "bob")
OWN, SHARED, DERIVED, KEPT = "a" * 64, "b" * 64, "c" * 64, "d" * 64
PATHS = {
    S.QUEUED: (),
    S.RENDERING: (S.RENDERING,),
    S.AWAITING_APPROVAL: (S.RENDERING, S.AWAITING_APPROVAL),
    S.APPROVED: (S.RENDERING, S.APPROVED),
    S.SENDING: (S.RENDERING, S.APPROVED, S.SENDING),
    S.SENT: (S.RENDERING, S.APPROVED, S.SENDING, S.SENT),
    S.UNKNOWN: (S.RENDERING, S.APPROVED, S.SENDING, S.UNKNOWN),
    S.REJECTED: (S.RENDERING, S.AWAITING_APPROVAL, S.REJECTED),
}


def add(session: Session, post_id: str, author: Author, *hashes: str, **changes: Any) -> int:
    post = make_post(post_id, author=author, **changes)
    images = [Fetched(post.media[0], MediaState.STORED, sha, 9, "image/jpeg") for sha in hashes]
    row_id = dataset.add(session, post, images, NOW)
    dataset.found_by(session, row_id, "t", "d", "mention", NOW)
    return row_id


def derive(session: Session, source: str, result: str) -> None:
    blobs.link(session, result, 9, "image/png", NOW)
    session.add(
        Artifact(key=result, stage="s", sha256=result, source_sha256=source, facts={}, created=NOW)
    )


def reply_in(session: Session, state: ReplyState, source: str, author: str = "u1") -> int:
    reply_id = queue_reply(session, source, author_id=author)
    assert reply_id is not None
    old = S.QUEUED
    for new in PATHS[state]:
        assert outbox.move(session, reply_id, old, new, who="test", now=NOW)
        old = new
    return reply_id


def forget(database: Database, user_id: str = "u1") -> Removed:
    with database.write() as session:
        return forget_person(session, "instagram", user_id, NOW)


def test_one_person_goes_and_the_others_stay(database: Database) -> None:
    with database.write() as session:
        gone = add(session, "p1", ANN, OWN, hashtags=("x",), mentions=("bob",))
        dataset.see(session, gone, make_post("p1", caption="edited", author=ANN), NOW)
        stays = add(session, "p2", BOB, SHARED, hashtags=("y",), mentions=("ann", "cy"))
        add(session, "p3", ANN, SHARED)
    counts, dead = forget(database)
    assert (counts["posts"], counts["images"], dead) == (2, 2, [OWN])
    for table in (PostRow, AuthorRow, AuthorName, MediaRow, PostTrack, PostHashtag):
        left = rows(database, table)
        assert len(left) == 1, table
        assert {getattr(row, "post", stays) for row in left} == {stays}
    assert rows(database, PostRevision) == []
    assert [(b.sha256, b.refs) for b in rows(database, BlobRow)] == [(SHARED, 1)]
    assert [row.username for row in rows(database, PostMention)] == ["cy"]


def test_what_was_derived_goes_only_with_its_original(database: Database) -> None:
    with database.write() as session:
        add(session, "p1", ANN, OWN)
        add(session, "p2", ANN, SHARED)
        add(session, "p3", BOB, SHARED)
        derive(session, OWN, DERIVED)
        derive(session, SHARED, KEPT)
    counts, dead = forget(database)
    assert (counts["derived"], sorted(dead)) == (1, [OWN, DERIVED])
    assert [row.sha256 for row in rows(database, Artifact)] == [KEPT]
    counts, dead = forget(database, "u2")
    assert (counts["derived"], sorted(dead)) == (1, [SHARED, KEPT])
    assert rows(database, Artifact) == rows(database, BlobRow) == []


def test_tags_and_names_in_other_peoples_posts(database: Database) -> None:
    elsewhere = Author("elsewhere", "u9", "eve")
    tags = (UserTag("u1", "ann.new", 0.5, 0.5), UserTag("u3", "cy"))
    with database.write() as session:
        add(session, "p0", ANN)
        dataset.see_author(session, Author("instagram", "u1", "ann.new"), NOW)
        add(session, "p1", BOB, usertags=tags, mentions=("ann", "ann.new", "dee"))
        add(session, "p2", elsewhere, platform="elsewhere", usertags=tags, mentions=("ann",))
    counts, _dead = forget(database)
    assert counts["mentions"] == 3
    with database.read() as session:
        left = session.exec(
            select(PostRow.platform, PostMention.username)
            .join(PostRow, col(PostMention.post) == col(PostRow.id))
            .order_by(col(PostRow.platform), col(PostMention.username))
        ).all()
    assert [tuple(row) for row in left] == [
        ("elsewhere", "ann"),
        ("elsewhere", "ann.new"),
        ("elsewhere", "cy"),
        ("instagram", "cy"),
        ("instagram", "dee"),
    ]


@pytest.mark.parametrize(
    "state", [S.QUEUED, S.RENDERING, S.AWAITING_APPROVAL, S.APPROVED, S.REJECTED]
)
def test_a_reply_that_never_left_goes_with_its_log(database: Database, state: ReplyState) -> None:
    with database.write() as session:
        reply_id = reply_in(session, state, "p1")
        other = reply_in(session, S.QUEUED, "p2", author="u2")
        [upload] = steps.plan(
            session, reply_id, 0, "post", [PlannedStep("upload", "t", "text", visible=False)]
        )
        steps.begin(session, steps.step_id(upload), NOW)
        steps.finish(session, steps.step_id(upload), Receipt("1"), NOW)
    counts, _dead = forget(database)
    assert (counts["replies"], counts["published_replies_left"]) == (1, 0)
    assert [reply.id for reply in rows(database, Reply)] == [other]
    assert {event.reply for event in rows(database, ReplyEvent)} == {other}
    assert rows(database, ReplyStep) == []


@pytest.mark.parametrize("state", [S.SENDING, S.SENT, S.UNKNOWN])
def test_a_published_reply_keeps_only_what_finds_it_again(
    database: Database, state: ReplyState
) -> None:
    with database.write() as session:
        post = add(session, "p1", ANN, OWN)
        reply_id = reply_in(session, state, "p1")
        reply = session.get_one(Reply, reply_id)
        reply.post, reply.facts, reply.after_sha256 = post, {"alt_text": "by ann"}, DERIVED
        steps.plan(
            session, reply_id, 0, "post", [PlannedStep("post", "token", "for @ann", leaves="post")]
        )
    counts, _dead = forget(database)
    assert (counts["replies"], counts["published_replies_left"]) == (0, 1)
    [reply] = rows(database, Reply)
    assert (reply.state, reply.source_post) == (state, "p1")
    assert (reply.author_id, reply.post, reply.facts, reply.after_sha256) == ("", None, {}, None)
    [step] = rows(database, ReplyStep)
    assert (step.token, step.text) == ("token", "")


def test_a_half_sent_reply_is_kept_and_not_continued(database: Database) -> None:
    with database.write() as session:
        reply_id = reply_in(session, S.APPROVED, "p1")
        planned = [PlannedStep(k, k, "hello", leaves=k) for k in ("post", "comment")]
        first, _second = steps.plan(session, reply_id, 0, "post", planned)
        steps.begin(session, steps.step_id(first), NOW)
        steps.finish(session, steps.step_id(first), Receipt("1"), NOW)
    counts, _dead = forget(database)
    assert (counts["replies"], counts["deletions"]) == (0, 1)
    assert counts["published_replies_left"] == 0
    [reply] = rows(database, Reply)
    assert (reply.state, reply.reason) == (S.CANCELLED, "the person was forgotten")


@pytest.mark.slow
def test_somebody_with_very_many_posts(database: Database) -> None:
    """More rows than a SQLite statement may have parameters."""
    with database.write() as session:
        row_id = add(session, "p", ANN)
        first = session.get_one(PostRow, row_id).model_dump(exclude={"id"})
        posts = [first | {"post_id": f"p{i}"} for i in range(33_000)]
        session.execute(insert(PostRow), posts)
        ids = session.exec(select(PostRow.id)).all()
        media = {"index": 0, "kind": "photo", "url": "u", "state": "pending"}
        session.execute(insert(MediaRow), [media | {"post": post} for post in ids])
    counts, _dead = forget(database)
    assert counts["posts"] == 33_001
    assert rows(database, MediaRow) == []


def test_somebody_unknown(database: Database) -> None:
    counts, dead = forget(database)
    assert dead == []
    assert set(counts.values()) == {0}


def test_comments_snapshots_and_learning(database: Database) -> None:
    with database.write() as session:
        gone = add(session, "p1", ANN, OWN)
        other = add(session, "p2", BOB, SHARED)
        said = CommentRow(
            platform="instagram", comment_id="c1", post=other, author_id="u1", username="ann",
            text="nice", created_at=NOW, first_seen=NOW,
        )  # fmt: skip
        theirs = said.model_copy(update={"comment_id": "c2", "author_id": "u2"})
        under = said.model_copy(update={"comment_id": "c3", "author_id": "u3", "post": gone})
        session.add_all([said, CommentRow(**theirs.model_dump()), CommentRow(**under.model_dump())])
        snapshot = Snapshot(
            dataset="d", name="1", query={"authors": ["instagram/ann"]}, facts={},
            manifest_sha256="x", items=2, created=NOW,
        )  # fmt: skip
        run = LearningRun(state="promoted", model_version="v7", facts={}, started=NOW)
        session.add_all([snapshot, run])
        session.flush()
        for seq, (post, sha256) in enumerate(((gone, OWN), (other, SHARED))):
            media = session.exec(select(MediaRow.id).where(MediaRow.post == post)).one()
            session.add(
                SnapshotItem(
                    snapshot=snapshot.id or 0,
                    seq=seq,
                    media=media,
                    sha256=sha256,
                    record={"caption": "words"},
                    digest="kept",
                )
            )
        session.add(
            Export(
                snapshot=snapshot.id or 0, format="coco", path="/exports/d", items=2, created=NOW
            )
        )
        for user in ("u1", "u2"):
            session.add(LearningAuthor(run=run.id or 0, platform="instagram", user_id=user))
        number = run.id
    removed = forget(database)
    assert (removed.counts["comments"], removed.counts["queries"]) == (1, 1)
    assert [row.comment_id for row in rows(database, CommentRow)] == ["c2"]
    first, second = sorted(rows(database, SnapshotItem), key=lambda item: item.seq)
    assert (first.media, first.sha256, first.record, first.digest) == (None, "", {}, "kept")
    assert (second.sha256, second.record) == (SHARED, {"caption": "words"})
    assert removed.contained.snapshots == [{"dataset": "d", "snapshot": "1"}]
    assert [one["path"] for one in removed.contained.exports] == ["/exports/d"]
    assert removed.contained.models == [{"run": number, "state": "promoted", "model": "v7"}]
    assert [row.user_id for row in rows(database, LearningAuthor)] == ["u2"]


def test_one_post_goes_and_shared_bytes_stay(database: Database) -> None:
    with database.write() as session:
        add(session, "p1", ANN, SHARED)
        add(session, "p2", BOB, SHARED)
        add(session, "p3", ANN, OWN)
        derive(session, SHARED, KEPT)
        add(session, "p4", Author("instagram", "u4", "dee"))
    with database.write() as session:
        first = forget_post(session, "instagram", "p1", NOW)
        again = forget_post(session, "instagram", "p1", NOW)
        forget_post(session, "instagram", "p4", NOW)
    assert (first.counts["posts"], first.dead, again.counts["posts"]) == (1, [], 0)
    assert [row.sha256 for row in rows(database, Artifact)] == [KEPT]
    assert {row.post_id for row in rows(database, PostRow)} == {"p2", "p3"}
    assert {row.user_id for row in rows(database, AuthorRow)} == {"u1", "u2"}


def test_a_write_found_later_is_to_be_deleted(database: Database) -> None:
    with database.write() as session:
        reply_id = reply_in(session, S.UNKNOWN, "p1")
        [post] = steps.plan(
            session, reply_id, 0, "post", [PlannedStep("post", "t", "for @ann", leaves="post")]
        )
    assert forget(database).counts["published_replies_left"] == 1
    for _ in range(2):
        with database.write() as session:
            steps.finish(session, steps.step_id(post), Receipt("42"), NOW)
    assert [(row.kind, row.remote_id) for row in rows(database, Retraction)] == [("post", "42")]
