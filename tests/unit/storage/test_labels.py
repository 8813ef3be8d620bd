"""Label quality in the database: stored once, replaced, and gone with the person."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from bot.core.events import Author, Media
from storage import dataset, labels
from storage.database import Database
from storage.dataset import Fetched
from storage.forget import forget
from storage.optouts import OptOuts
from storage.tables import Embedding, LabelScore, MediaState
from tests.databases import NOW, make_post

LATER = NOW + timedelta(hours=1)
EVERY = [f"{number:064x}" for number in range(100)]


@pytest.fixture
def optouts(database: Database, tmp_path: Path) -> OptOuts:
    people = OptOuts(tmp_path / "optout.key")
    with database.write() as session:
        people.open(session, NOW)
    return people


def sha(number: int) -> str:
    return f"{number:064x}"


def add(
    database: Database,
    name: str,
    hashtags: tuple[str, ...] = ("sunset",),
    user: str = "u1",
    states: tuple[MediaState, ...] = (MediaState.STORED,),
    first_sha: int = 1,
) -> int:
    media = tuple(Media(i, f"https://m/{name}/{i}") for i in range(len(states)))
    post = make_post(name, author=Author("instagram", user, user), hashtags=hashtags, media=media)
    images = [
        Fetched(item, state, None if state == MediaState.PENDING else sha(first_sha + item.index))
        for item, state in zip(media, states, strict=True)
    ]
    with database.write() as session:
        return dataset.add(session, post, images, NOW)


def score(
    post: int, hashtag: str = "sunset", probability: float = 0.25, at: datetime = NOW
) -> LabelScore:
    return LabelScore(
        post=post,
        hashtag=hashtag,
        method="combined",
        probability=probability,
        model_version="segment-1",
        computed_at=at,
    )


def scores(database: Database) -> list[tuple[int, str, float, datetime]]:
    with database.read() as session:
        found = session.exec(select(LabelScore)).all()
        return sorted((s.post, s.hashtag, s.probability, s.computed_at) for s in found)


def test_posts_to_learn_from(database: Database, optouts: OptOuts) -> None:
    stored, quarantined = MediaState.STORED, MediaState.QUARANTINED
    mixed = (stored, quarantined, stored, MediaState.PENDING)
    one = add(database, "p1", ("sky", "art"), "u1", mixed, 10)
    add(database, "p2", ("sky",), "u2", (quarantined,), 20)
    add(database, "p3", ("sky",), "u3", (stored,), 30)
    four = add(database, "p4", (), "u4", (stored,), 40)
    with database.write() as session:
        optouts.add(session, "instagram", "u3", NOW)
    with database.read() as session:
        found = labels.tagged_posts(session, optouts)
    assert found == [
        labels.TaggedPost(one, "instagram/u1", ("art", "sky"), (sha(10), sha(12))),
        labels.TaggedPost(four, "instagram/u4", (), (sha(40),)),
    ]


def test_vectors_are_kept_by_version_and_only_for_images_that_are_there(
    database: Database,
) -> None:
    add(database, "p1")
    with database.write() as session:
        labels.keep_vectors(session, "v1", {sha(1): b"one", sha(99): b"forgotten"}, NOW)
        labels.keep_vectors(session, "v2", {sha(1): b"two"}, NOW)
        labels.keep_vectors(session, "v2", {sha(1): b"three"}, LATER)
        labels.keep_vectors(session, "v2", {}, LATER)
    with database.read() as session:
        assert labels.vectors_of(session, "v1", EVERY) == {sha(1): b"one"}
        assert labels.vectors_of(session, "v2", EVERY) == {sha(1): b"three"}
        assert labels.vectors_of(session, "v3", EVERY) == {}


def test_scores_replace_those_of_the_same_key(database: Database) -> None:
    post, other = add(database, "p1", ("art", "sky")), add(database, "p2", first_sha=2)
    with database.write() as session:
        assert labels.upsert(session, [score(post, "sky"), score(post, "art"), score(other)]) == 3
    changed = [score(post, "sky", 0.75, LATER), score(12345, "sky")]
    with database.write() as session:
        assert labels.upsert(session, changed) == 1  # post 12345 was forgotten meanwhile
        assert labels.upsert(session, []) == 0
    assert scores(database) == [
        (post, "art", 0.25, NOW),
        (post, "sky", 0.75, LATER),
        (other, "sunset", 0.25, NOW),
    ]


def test_many_scores_at_once(database: Database) -> None:
    tags = tuple(f"tag{i}" for i in range(1300))
    post = add(database, "p1", tags)
    with database.write() as session:
        assert labels.upsert(session, [score(post, tag) for tag in tags]) == 1300
    assert len(scores(database)) == 1300


def test_a_complete_run_clears_what_is_of_no_use(database: Database) -> None:
    post = add(database, "p1", ("art", "sky"))
    with database.write() as session:
        labels.keep_vectors(session, "v1", {sha(1): b"one"}, NOW)
        labels.keep_vectors(session, "v2", {sha(1): b"two"}, NOW)
        labels.upsert(session, [score(post, "sky"), score(post, "art", at=LATER)])
        labels.prune(session, ("v2", "v3"), LATER)
    assert [row[1] for row in scores(database)] == ["art"]
    with database.read() as session:
        assert labels.vectors_of(session, "v1", EVERY) == {}
        assert labels.vectors_of(session, "v2", EVERY) == {sha(1): b"two"}


def test_everything_goes_with_the_person(database: Database) -> None:
    gone, shared = add(database, "p1"), add(database, "p2", user="u2", first_sha=7)
    add(database, "p3", user="u1", first_sha=7)  # the same picture as u2's
    with database.write() as session:
        labels.keep_vectors(session, "v1", {sha(1): b"one", sha(7): b"seven"}, NOW)
        labels.upsert(session, [score(gone), score(shared)])
    with database.write() as session:
        forget(session, "instagram", "u1", NOW)
    assert [row[0] for row in scores(database)] == [shared]
    with database.read() as session:
        assert [row.sha256 for row in session.exec(select(Embedding))] == [sha(7)]
