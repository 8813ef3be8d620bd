"""What was collected, counted: by hashtag, by dataset, and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, cast, func
from sqlmodel import Session, col, select

from storage.checks import Check
from storage.curation import METHOD
from storage.tables import (
    AuthorRow,
    Curation,
    LabelScore,
    MediaRow,
    MediaState,
    PostHashtag,
    PostRow,
    PostTrack,
    Verdict,
)

BINS = 10  # of label fit, over 0..1
AUTHORS = 8


@dataclass(slots=True)
class Group:
    """Of one hashtag, of one dataset, or of everything."""

    kind: str  # all | dataset | hashtag
    name: str
    posts: int = 0
    images: int = 0  # stored
    authors: int = 0
    by_day: dict[str, int] = field(default_factory=dict)  # posts by the UTC day they were taken
    verdicts: dict[str, int] = field(default_factory=dict)  # images by check
    flagged: int = 0  # images with any verdict
    label_fit: list[int] = field(default_factory=list)  # hashtags in each tenth of probability
    duplicates: dict[str, int] = field(default_factory=dict)  # exact, near, groups
    top_authors: list[tuple[str, int]] = field(default_factory=list)  # user name, posts


@dataclass(frozen=True, slots=True)
class SampleImage:
    """An image for the contact sheet."""

    media: int
    sha256: str
    url: str
    author: str
    caption: str
    reason: str
    score: float


def datasets(session: Session) -> list[str]:
    statement = select(PostTrack.dataset).where(PostTrack.dataset != "").distinct()
    return sorted(session.exec(statement))


def hashtags(session: Session, most: int) -> list[str]:
    """The most used, by posts."""
    statement = (
        select(PostHashtag.hashtag)
        .group_by(col(PostHashtag.hashtag))
        .order_by(func.count().desc(), col(PostHashtag.hashtag))
        .limit(most)
    )
    return list(session.exec(statement))


def group(session: Session, kind: str, name: str = "") -> Group:
    here = _posts(kind, name)
    found = Group(kind, name)
    posts = select(PostRow).where(here).subquery()
    found.posts = session.exec(select(func.count()).select_from(posts)).one()
    found.authors = session.exec(
        select(func.count()).select_from(
            select(PostRow.platform, PostRow.author_id).where(here).distinct().subquery()
        )
    ).one()
    images = _stored(select(func.count(col(MediaRow.id)))).where(here)
    found.images = session.exec(images).one()
    found.by_day = _by_day(session, here)
    checks = _stored(select(Verdict.check, func.count()), Verdict).where(here)
    found.verdicts = dict(
        session.exec(checks.group_by(col(Verdict.check)).order_by(col(Verdict.check))).all()
    )
    flagged = _stored(select(func.count(func.distinct(Verdict.media))), Verdict).where(here)
    found.flagged = session.exec(flagged).one()
    found.label_fit = _label_fit(session, here, name if kind == "hashtag" else None)
    groups = _stored(select(func.count(func.distinct(Curation.original))), Curation).where(here)
    found.duplicates = {
        "exact": found.verdicts.get(Check.EXACT, 0),
        "near": found.verdicts.get(Check.NEAR, 0),
        "groups": session.exec(groups).one(),
    }
    found.top_authors = _authors(session, here)
    return found


def fit_samples(session: Session, most: int, *, best: bool) -> list[SampleImage]:
    """Images whose hashtags fit least, or best; one for each post.

    A probability of 0.5 says that nothing is known, so it stands in neither.
    """
    probability = col(LabelScore.probability)
    order, known = (
        (probability.desc(), probability > 0.5) if best else (probability, probability < 0.5)
    )
    statement = (
        _samples(LabelScore.hashtag, LabelScore.probability)
        .join(LabelScore, col(LabelScore.post) == col(PostRow.id))
        .where(LabelScore.method == METHOD, MediaRow.index == 0, known)
        .order_by(order, col(MediaRow.id))
        .limit(most)
    )
    rows = session.execute(statement).all()
    return [_sample(row, f"#{row[5]}") for row in rows]


def verdict_samples(session: Session, check: str, most: int) -> list[SampleImage]:
    """Images with this verdict, the newest."""
    statement = (
        _samples(Verdict.reason, Verdict.score)
        .join(Verdict, col(Verdict.media) == col(MediaRow.id))
        .where(Verdict.check == check)
        .order_by(col(MediaRow.id).desc())
        .limit(most)
    )
    return [_sample(row, str(row[5])) for row in session.execute(statement).all()]


def duplicate_groups(session: Session, most: int, members: int) -> list[list[SampleImage]]:
    """The largest groups: the original first, then some of the others."""
    largest = (
        select(Curation.original)
        .where(col(Curation.original).is_not(None))
        .group_by(col(Curation.original))
        .order_by(func.count().desc(), col(Curation.original))
        .limit(most)
    )
    groups = []
    for original in session.exec(largest).all():
        statement = (
            _samples(Curation.original, MediaRow.width)
            .join(Curation, col(Curation.media) == col(MediaRow.id))
            .where((col(Curation.original) == original) | (col(Curation.media) == original))
            .order_by(col(Curation.original).is_not(None), col(MediaRow.id))
            .limit(members)
        )
        rows = session.execute(statement).all()
        groups.append([_sample(row, "original" if row[5] is None else "") for row in rows])
    return groups


def _posts(kind: str, name: str) -> ColumnElement[bool]:
    if kind == "hashtag":
        tagged = select(PostHashtag.post).where(PostHashtag.hashtag == name)
        return col(PostRow.id).in_(tagged)
    if kind == "dataset":
        found = select(PostTrack.post).where(PostTrack.dataset == name)
        return col(PostRow.id).in_(found)
    return col(PostRow.id).is_not(None)


def _stored(statement: Any, table: Any = None) -> Any:
    """With stored images, their posts, and a table that is keyed by the image."""
    statement = statement.select_from(MediaRow).join(PostRow, col(PostRow.id) == col(MediaRow.post))
    if table is not None:
        statement = statement.join(table, col(table.media) == col(MediaRow.id))
    return statement.where(MediaRow.state == MediaState.STORED)


def _by_day(session: Session, here: ColumnElement[bool]) -> dict[str, int]:
    taken: Any = col(PostRow.taken_at)
    if session.get_bind().dialect.name == "postgresql":
        taken = func.timezone("UTC", taken)
    day: Any = func.date(taken)
    statement = select(day, func.count()).select_from(PostRow).where(here)
    return {_day(at): n for at, n in session.exec(statement.group_by(day).order_by(day)).all()}


def _day(at: object) -> str:
    return at.isoformat() if isinstance(at, date | datetime) else str(at)


def _label_fit(session: Session, here: ColumnElement[bool], hashtag: str | None) -> list[int]:
    tenth: Any = cast(func.floor(LabelScore.probability * BINS), Integer)
    if session.get_bind().dialect.name == "sqlite":
        tenth = cast(LabelScore.probability * BINS, Integer)
    statement = (
        select(tenth, func.count())
        .select_from(LabelScore)
        .join(PostRow, col(PostRow.id) == col(LabelScore.post))
        .where(here, LabelScore.method == METHOD)
    )
    if hashtag is not None:
        statement = statement.where(LabelScore.hashtag == hashtag)
    bins = [0] * BINS
    for which, count in session.exec(statement.group_by(tenth)).all():
        bins[min(int(which), BINS - 1)] += count
    return bins


def _authors(session: Session, here: ColumnElement[bool]) -> list[tuple[str, int]]:
    statement = (
        select(AuthorRow.username, func.count())
        .select_from(PostRow)
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(PostRow.platform))
            & (col(AuthorRow.user_id) == col(PostRow.author_id)),
        )
        .where(here)
        .group_by(col(AuthorRow.platform), col(AuthorRow.user_id), col(AuthorRow.username))
        .order_by(func.count().desc(), col(AuthorRow.username))
        .limit(AUTHORS)
    )
    return [(name, count) for name, count in session.exec(statement).all()]


def _sample(row: Any, reason: str) -> SampleImage:
    media, sha256, url, author, caption, _, score = row
    return SampleImage(media, sha256, url, author, caption, reason, float(score))


def _samples(*more: Any) -> Any:
    columns: Sequence[Any] = (
        MediaRow.id,
        MediaRow.sha256,
        PostRow.url,
        AuthorRow.username,
        PostRow.caption,
        *more,
    )
    return (
        select(*columns)
        .select_from(MediaRow)
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(PostRow.platform))
            & (col(AuthorRow.user_id) == col(PostRow.author_id)),
        )
        .where(MediaRow.state == MediaState.STORED)
    )
