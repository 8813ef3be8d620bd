"""Label quality: what networks saw in stored images, and which hashtags fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, delete, select

from storage.optouts import OptOuts
from storage.tables import (
    BlobRow,
    Embedding,
    LabelScore,
    MediaRow,
    MediaState,
    PostHashtag,
    PostRow,
    VectorStamp,
)

CHUNK = 500  # a database takes only so many parameters at once


@dataclass(frozen=True, slots=True)
class TaggedPost:
    """A post that may be learned from."""

    id: int
    author: str  # PLATFORM/USER_ID
    hashtags: tuple[str, ...]  # sorted
    images: tuple[str, ...]  # SHA-256 of its stored images, in their order


def tagged_posts(session: Session, optouts: OptOuts) -> list[TaggedPost]:
    """Posts with stored images, oldest first. Quarantined images and who opted out are left out."""
    images: dict[int, list[str]] = {}
    stored = select(MediaRow.post, MediaRow.sha256).where(MediaRow.state == MediaState.STORED)
    for post, sha256 in session.exec(stored.order_by(col(MediaRow.post), col(MediaRow.index))):
        if sha256:
            images.setdefault(post, []).append(sha256)
    hashtags: dict[int, list[str]] = {}
    for row in session.exec(select(PostHashtag)):
        hashtags.setdefault(row.post, []).append(row.hashtag)
    statement = select(PostRow.id, PostRow.platform, PostRow.author_id).order_by(col(PostRow.id))
    people = [(post or 0, platform, user) for post, platform, user in session.exec(statement)]
    gone = _opted_out(session, optouts, {(platform, user) for _, platform, user in people})
    return [
        TaggedPost(
            post, f"{platform}/{user}", tuple(sorted(hashtags.get(post, ()))), tuple(images[post])
        )
        for post, platform, user in people
        if post in images and (platform, user) not in gone
    ]


def embedded_names(session: Session, model_version: str) -> set[str]:
    """The SHA-256 of every image that has a vector of this version."""
    statement = select(Embedding.sha256).where(Embedding.model_version == model_version)
    return set(session.connection().execute(statement).scalars().all())


def vectors_of(session: Session, model_version: str, hashes: Sequence[str]) -> dict[str, bytes]:
    """Those of these images that have one; float32, little-endian."""
    found: dict[str, bytes] = {}
    for start in range(0, len(hashes), CHUNK):
        statement = select(Embedding.sha256, Embedding.vector).where(
            Embedding.model_version == model_version,
            col(Embedding.sha256).in_(hashes[start : start + CHUNK]),
        )
        found |= dict(session.exec(statement).all())
    return found


def changes(session: Session, model_version: str) -> int:
    """A number that is another one after any change of the vectors of this version."""
    row = session.get(VectorStamp, model_version)
    return row.changes if row else 0


def keep_vectors(
    session: Session, model_version: str, vectors: Mapping[str, bytes], now: datetime
) -> None:
    """Remember what a network saw. An image that was removed meanwhile is passed over."""
    here = select(BlobRow.sha256).where(col(BlobRow.sha256).in_(vectors))
    for sha256 in session.exec(here).all():
        session.merge(
            Embedding(
                sha256=sha256,
                model_version=model_version,
                vector=vectors[sha256],
                computed_at=now,
            )
        )
    session.flush()


def upsert(session: Session, scores: Sequence[LabelScore]) -> int:
    """Store scores in place of earlier ones of the same post, hashtag and method.

    A post that was removed meanwhile is passed over. Returns how many were stored.
    """
    stored = 0
    for start in range(0, len(scores), CHUNK):
        chunk = scores[start : start + CHUNK]
        statement = select(PostRow.id).where(col(PostRow.id).in_({score.post for score in chunk}))
        here = set(session.exec(statement))
        rows = [score.model_dump() for score in chunk if score.post in here]
        if rows:
            _upsert(session, rows)
        stored += len(rows)
    return stored


def prune(
    session: Session, versions: Collection[str], since: datetime, others: Collection[str] = ()
) -> None:
    """After a complete run: vectors of other versions and scores from before it are of no use.

    `others`: networks whose vectors stay, whatever their version.
    """
    useless = [col(Embedding.model_version).not_in(versions)]
    useless += [col(Embedding.model_version).not_like(f"{name}-%") for name in others]
    session.exec(delete(Embedding).where(*useless))
    session.exec(delete(LabelScore).where(col(LabelScore.computed_at) < since))


def _upsert(session: Session, rows: list[dict[str, object]]) -> None:
    connection = session.connection()
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(LabelScore)
    key = ("post", "hashtag", "method")
    values = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def _opted_out(
    session: Session, optouts: OptOuts, people: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    users: dict[str, list[str]] = {}
    for platform, user in people:
        users.setdefault(platform, []).append(user)
    gone = set()
    for platform, ids in users.items():
        for start in range(0, len(ids), CHUNK):
            found = optouts.among(session, platform, set(ids[start : start + CHUNK]))
            gone |= {(platform, user) for user in found}
    return gone
