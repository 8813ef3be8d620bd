"""Datasets: named queries over what is stored, and the images they find."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func
from sqlmodel import Session, col, or_, select

from storage import dataset
from storage.queries import ALL, Query, parse
from storage.tables import (
    Control,
    Curation,
    Dataset,
    LabelScore,
    MediaRow,
    MediaState,
    PostHashtag,
    PostRow,
    PostTrack,
    Snapshot,
    Verdict,
)

FIT = "combined"  # the method of `tagecho labels score` that is asked
PAGE = 1000  # rows fetched at once
KEY = "dataset-key:"
PSEUDONYM = "anon-"


def find(session: Session, name: str) -> Query | None:
    """The dataset's query; one that tracks feed exists without having been created."""
    row = session.get(Dataset, name)
    if row is not None:
        return parse(row.query)
    fed = select(PostTrack.post).where(PostTrack.dataset == name).limit(1)
    return Query(datasets=(name,)) if name and session.exec(fed).first() is not None else None


def put(session: Session, name: str, query: Query, now: datetime) -> bool:
    """Create it, or give it another query. True when it is new."""
    row = session.get(Dataset, name)
    if row is None:
        session.add(Dataset(name=name, query=query.stored(), created=now, updated=now))
    else:
        row.query, row.updated = query.stored(), now
    session.flush()
    return row is None


def names(session: Session) -> list[str]:
    """Those created, those that tracks feed, and those of which only snapshots are left."""
    found: set[str] = set()
    for column in (Dataset.name, PostTrack.dataset, Snapshot.dataset):
        found.update(session.exec(select(column).distinct()))
    return sorted(found - {""})


def make_key(session: Session, name: str, now: datetime) -> bytes:
    """The secret of a dataset: its pseudonyms and splits stay the same while it is kept."""
    row = session.get(Control, KEY + name)
    if row is None:
        row = Control(key=KEY + name, value=secrets.token_hex(32), changed=now)
        session.add(row)
        session.flush()
    return bytes.fromhex(row.value)


def keys(session: Session) -> list[bytes]:
    """Of all datasets."""
    rows = session.exec(select(Control).where(col(Control.key).startswith(KEY)))
    return [bytes.fromhex(row.value) for row in rows]


def keyed(secret: bytes, what: str, text: str) -> str:
    """64 hex digits that say nothing to whoever has not the secret."""
    return hmac.new(secret, f"{what}:{text}".encode(), hashlib.sha256).hexdigest()


def pseudonym(secret: bytes, who: str) -> str:
    """A name for somebody within one dataset. Made of a tombstone (`OptOuts.digest`), it can be
    compared with those who opted out, and with nobody else."""
    return PSEUDONYM + keyed(secret, "author", who)[:16]  # 64 bits: no two of a million alike


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a query found, and what must stay together with it in one split."""

    media: int
    sha256: str
    platform: str
    author: str  # user id
    group: int  # media id of the original of its near duplicates; its own where it has none


def images(session: Session, query: Query) -> Iterator[FoundImage]:
    """Stored images that meet the query, in the order they were stored."""
    group = func.coalesce(Curation.original, MediaRow.id)
    statement = (
        select(MediaRow.id, MediaRow.sha256, PostRow.platform, PostRow.author_id)
        .add_columns(group)
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .join(Curation, col(Curation.media) == col(MediaRow.id), isouter=True)
        .where(*conditions(session, query))
        .order_by(col(MediaRow.id))
        .execution_options(yield_per=PAGE)
    )
    for row in session.exec(statement):  # type: ignore[call-overload]
        yield FoundImage(*row)


def count(session: Session, query: Query) -> dict[str, int]:
    """How many images, posts and authors a query finds now."""
    authors = func.count(func.distinct(PostRow.platform + "/" + PostRow.author_id))
    statement = (
        select(func.count(), func.count(func.distinct(PostRow.id)), authors)
        .select_from(MediaRow)
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .where(*conditions(session, query))
    )
    images, posts, people = session.exec(statement).one()
    return {"images": images, "posts": posts, "authors": people}


def conditions(session: Session, query: Query) -> list[ColumnElement[bool]]:
    """Of media joined with posts."""
    wanted: list[Any] = [
        MediaRow.state == MediaState.STORED,
        col(MediaRow.sha256).is_not(None),
        *_of_post(query),
        *_tagged(query),
    ]
    if query.authors:
        wanted.append(_by_authors(session, query.authors))
    if query.min_side:
        wanted += [MediaRow.width >= query.min_side, MediaRow.height >= query.min_side]
    if not query.covers:
        wanted.append(MediaRow.kind == "photo")
    if query.leave_out:
        bad = select(Verdict.media).where(Verdict.media == MediaRow.id)
        if query.leave_out != ALL:
            bad = bad.where(col(Verdict.check).in_(query.leave_out))
        wanted.append(~bad.exists())
    return wanted


def _of_post(query: Query) -> Iterator[Any]:
    if query.platforms:
        yield col(PostRow.platform).in_(query.platforms)
    if query.since:
        yield PostRow.taken_at >= query.since
    if query.until:
        yield PostRow.taken_at < query.until
    if not query.deleted:
        yield col(PostRow.deleted_at).is_(None)
    for column, names in ((PostTrack.dataset, query.datasets), (PostTrack.track, query.tracks)):
        if names:
            by = select(PostTrack.post).where(PostTrack.post == PostRow.id, col(column).in_(names))
            yield by.exists()


def _tagged(query: Query) -> Iterator[Any]:
    """Hashtags, and how well they fit: each that must be there, and one of the others."""
    groups: list[tuple[str, ...]] = [(tag,) for tag in query.all_hashtags]
    if query.any_hashtags:
        groups.append(query.any_hashtags)
    for tags in groups:
        yield _has(tags)
    if query.no_hashtags:
        yield ~_has(query.no_hashtags)
    if query.min_label_fit:
        for tags in groups or [()]:
            yield _fits(tags, query.min_label_fit)


def _has(tags: tuple[str, ...]) -> Any:
    statement = select(PostHashtag.post).where(PostHashtag.post == PostRow.id)
    return statement.where(col(PostHashtag.hashtag).in_(tags)).exists()


def _fits(tags: tuple[str, ...], least: float) -> Any:
    """Posts whose hashtags were never judged do not count as fitting."""
    statement = select(LabelScore.post).where(
        LabelScore.post == PostRow.id, LabelScore.method == FIT, LabelScore.probability >= least
    )
    return (statement.where(col(LabelScore.hashtag).in_(tags)) if tags else statement).exists()


def _by_authors(session: Session, people: tuple[str, ...]) -> Any:
    """Names become user ids now; of somebody who is not known (any more) there is nothing.

    Raises UsageError for a name that several people had.
    """
    known = []
    for person in people:
        platform, _, name = person.partition("/")
        user = dataset.one_author(session, platform, name)
        if user is not None:
            known.append(and_(col(PostRow.platform) == platform, col(PostRow.author_id) == user))
    return or_(*known) if known else false()
