"""What a snapshot freezes of an image: its record, out of many tables."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from storage import masks, words
from storage.datasets import FIT
from storage.tables import (
    AuthorRow,
    BlobRow,
    Curation,
    LabelScore,
    MediaRow,
    PostHashtag,
    PostRevision,
    PostRow,
    Verdict,
)
from storage.words import CurrentWords


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image on its way into a snapshot."""

    media: int
    author: str  # the pseudonym
    split: str


def records(session: Session, chosen: Sequence[Chosen]) -> dict[int, tuple[str, dict[str, Any]]]:
    """Media id → SHA-256 and what is frozen of it. As many as one statement takes;
    forgotten ones are missing. The salt makes that a digest of it tells nothing once it is gone."""
    rows = session.exec(
        select(MediaRow, PostRow, BlobRow, AuthorRow)
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .join(BlobRow, col(BlobRow.sha256) == col(MediaRow.sha256))
        .join(
            AuthorRow,
            (col(AuthorRow.platform) == col(PostRow.platform))
            & (col(AuthorRow.user_id) == col(PostRow.author_id)),
        )
        .where(col(MediaRow.id).in_([one.media for one in chosen]))
    ).all()
    posts = {post.id or 0 for _, post, *_ in rows}
    captions, tags, fits = (
        _captions(session, posts),
        _hashtags(session, posts),
        _fits(session, posts),
    )
    seen = masks.current(session, {media.sha256 or "" for media, *_ in rows})
    told = words.current(session, {media.sha256 or "" for media, *_ in rows})
    checks = _checks(session, {media.id or 0 for media, *_ in rows})
    curations = _curations(session, {media.id or 0 for media, *_ in rows})
    pseudonyms = {one.media: one.author for one in chosen}
    made: dict[int, tuple[str, dict[str, Any]]] = {}
    for media, post, blob, author in rows:
        row_id, of, sha256 = media.id or 0, post.id or 0, media.sha256 or ""
        fit, curation = fits.get(of, {}), curations.get(row_id)
        made[row_id] = (
            sha256,
            {
                "salt": secrets.token_hex(16),
                "platform": post.platform,
                "post_id": post.post_id,
                "index": media.index,
                "url": post.url,
                "taken_at": post.taken_at.isoformat(),
                "author": pseudonyms[row_id],
                "user_id": author.user_id,
                "username": author.username,
                "caption": captions.get(of, post.caption),
                "place": post.place,
                "hashtags": [[tag, fit.get(tag, (None,))[0]] for tag in tags.get(of, [])],
                "kind": media.kind,
                "width": media.width,
                "height": media.height,
                "mime": blob.mime,
                "bytes": blob.size,
                "notes": media.notes,
                "verdicts": checks.get(row_id, []),
                "scores": curation.scores if curation else {},
                "mask": asdict(seen[sha256]) if sha256 in seen else None,
                "words": asdict(told[sha256]) if sha256 in told else None,
                "models": _versions(curation, fit, told.get(sha256)),
            },
        )
    return made


def _captions(session: Session, posts: set[int]) -> dict[int, str]:
    """The last edit of each: what somebody took out of a caption is not frozen."""
    statement = (
        select(PostRevision.post, PostRevision.new)
        .where(col(PostRevision.post).in_(posts), PostRevision.field == "caption")
        .order_by(col(PostRevision.id))
    )
    return {post: str(new or "") for post, new in session.exec(statement)}


def _hashtags(session: Session, posts: set[int]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = {}
    for row in session.exec(select(PostHashtag).where(col(PostHashtag.post).in_(posts))):
        tags.setdefault(row.post, []).append(row.hashtag)
    return {post: sorted(some) for post, some in tags.items()}


def _fits(session: Session, posts: set[int]) -> dict[int, dict[str, tuple[float, str]]]:
    fits: dict[int, dict[str, tuple[float, str]]] = {}
    statement = select(LabelScore).where(col(LabelScore.post).in_(posts), LabelScore.method == FIT)
    for row in session.exec(statement):
        fits.setdefault(row.post, {})[row.hashtag] = (round(row.probability, 6), row.model_version)
    return fits


def _curations(session: Session, media: set[int]) -> dict[int, Curation]:
    rows = session.exec(select(Curation).where(col(Curation.media).in_(media)))
    return {row.media: row for row in rows}


def _checks(session: Session, media: set[int]) -> dict[int, list[str]]:
    checks: dict[int, list[str]] = {}
    statement = select(Verdict.media, Verdict.check).where(col(Verdict.media).in_(media))
    for row, check in session.exec(statement):
        checks.setdefault(row, []).append(check)
    return {row: sorted(some) for row, some in checks.items()}


def _versions(
    curation: Curation | None, fit: Mapping[str, tuple[float, str]], told: CurrentWords | None
) -> dict[str, str]:
    versions = {"curation": curation.version} if curation else {}
    if fit:
        versions["labels"] = min(version for _, version in fit.values())
    if told and told.sentence:
        versions["sentence"] = told.sentence_by
    if told and told.tags:
        versions["tags"] = told.tags_by
    return versions
