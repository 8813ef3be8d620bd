"""Sentences and tags of images: what networks say, and what a person accepted or wrote.

They belong to the bytes of an image, whoever posted them, and go when they go. Each network's
answer is one row, replaced as a whole; a person's stands above all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, delete, select

from bot.core.normal_form import hashtag
from storage import texts, tokens
from storage.chunks import chunks
from storage.tables import (
    BlobRow,
    CaptionRow,
    ImageTag,
    MediaRow,
    PostHashtag,
    PostRevision,
    PostRow,
)
from storage.text import storable

PERSON = "person"  # in place of the name of a network
MOST_TAG = 100  # characters


@dataclass(frozen=True, slots=True)
class Words:
    """One answer about an image. `tags`: with how probably each fits, the best first."""

    sentence: str = ""
    language: str = ""
    score: float | None = None
    tags: tuple[tuple[str, float | None], ...] = ()
    who: str = ""


@dataclass(slots=True)
class CurrentWords:
    """What counts of an image: of several answers the sentence and the tags that stand highest."""

    sentence: str = ""
    sentence_by: str = ""  # version of the network, or PERSON
    language: str = ""
    score: float | None = None
    tags: list[tuple[str, float | None]] = field(default_factory=list)
    tags_by: str = ""

    @property
    def accepted(self) -> bool:
        return self.sentence_by == PERSON


def keep(
    session: Session, network: str, version: str, said: dict[str, Words], now: datetime
) -> int:
    """Store the answers of a network, by the SHA-256 of the image, in place of earlier ones of it.

    An image that was removed meanwhile is passed over. Returns how many were stored.
    """
    here = set(session.exec(select(BlobRow.sha256).where(col(BlobRow.sha256).in_(said))))
    for sha256 in here:
        _put(session, sha256, network, version, said[sha256], now)
    session.flush()
    _note(session, here)
    return len(here)


def take_back(session: Session, sha256: str) -> None:
    """A person's word on an image goes; what networks said counts again."""
    for table in (CaptionRow, ImageTag):
        session.exec(delete(table).where(col(table.sha256) == sha256, col(table.network) == PERSON))
    _note(session, [sha256])


def asked(session: Session, network: str) -> set[str]:
    """The images that this network has answered about, also without a word."""
    return set(session.exec(select(CaptionRow.sha256).where(CaptionRow.network == network)))


def current(session: Session, hashes: Collection[str]) -> dict[str, CurrentWords]:
    """What counts of each of these images of which anything was said."""
    found: dict[str, CurrentWords] = {}
    for part in chunks(sorted(set(hashes))):
        rows = session.exec(
            select(CaptionRow).where(col(CaptionRow.sha256).in_(part)).order_by(col(CaptionRow.at))
        ).all()
        tags: dict[tuple[str, str], list[tuple[str, float | None]]] = {}
        for tag in session.exec(select(ImageTag).where(col(ImageTag.sha256).in_(part))):
            tags.setdefault((tag.sha256, tag.network), []).append((tag.tag, tag.score))
        for row in sorted(rows, key=lambda row: row.network == PERSON):  # the newest, then a person
            words = found.setdefault(row.sha256, CurrentWords())
            by = PERSON if row.network == PERSON else row.version
            if row.sentence:
                words.sentence, words.sentence_by = row.sentence, by
                words.language, words.score = row.language, row.score
            if given := tags.get((row.sha256, row.network)):
                words.tags = sorted(given, key=lambda one: (-(one[1] or 0.0), one[0]))
                words.tags_by = by
    return found


def answers(session: Session, sha256: str) -> list[tuple[CaptionRow, list[ImageTag]]]:
    """Every answer about an image, the newest first, a person's before all."""
    rows = session.exec(select(CaptionRow).where(CaptionRow.sha256 == sha256)).all()
    tags = session.exec(select(ImageTag).where(ImageTag.sha256 == sha256)).all()
    order = sorted(rows, key=lambda row: (row.network == PERSON, row.at), reverse=True)
    return [(row, [tag for tag in tags if tag.network == row.network]) for row in order]


def accepted_sentence(session: Session, sha256: str) -> str:
    """The sentence that a person accepted or wrote; empty without one."""
    row = session.get(CaptionRow, (sha256, PERSON))
    return row.sentence if row is not None else ""


def spoken(session: Session, posts: Sequence[int]) -> dict[int, frozenset[str]]:
    """The words of these posts, as they are searched: of caption, hashtags and sentences of their
    images; not of who posted them, nor of where they were filed."""
    found: dict[int, set[str]] = {}
    for part in chunks(posts):
        said = select(PostRow.id, PostRow.caption).where(col(PostRow.id).in_(part))
        latest = {post or 0: caption for post, caption in session.exec(said)}
        edits = (
            select(PostRevision.post, PostRevision.new)
            .where(col(PostRevision.post).in_(part), PostRevision.field == "caption")
            .order_by(col(PostRevision.id))
        )
        latest |= {post: str(new or "") for post, new in session.exec(edits)}
        tags = select(PostHashtag.post, PostHashtag.hashtag).where(col(PostHashtag.post).in_(part))
        sentences = (
            select(MediaRow.post, CaptionRow.sentence)
            .join(CaptionRow, col(CaptionRow.sha256) == col(MediaRow.sha256))
            .where(col(MediaRow.post).in_(part))
        )
        for rows in (latest.items(), session.exec(tags), session.exec(sentences)):
            for post, text in rows:
                found.setdefault(post, set()).update(tokens.words(text))
    return {post: frozenset(words) for post, words in found.items()}


def counts(session: Session) -> dict[str, int]:
    """Images by the network that answered about them."""
    names = session.exec(select(CaptionRow.network)).all()
    return {name: names.count(name) for name in sorted(set(names))}


def _put(
    session: Session, sha256: str, network: str, version: str, words: Words, now: datetime
) -> None:
    session.exec(
        delete(ImageTag).where(col(ImageTag.sha256) == sha256, col(ImageTag.network) == network)
    )
    session.merge(
        CaptionRow(
            sha256=sha256,
            network=network,
            version=version,
            sentence=storable(words.sentence),
            language=words.language,
            score=words.score,
            who=storable(words.who),
            at=now,
        )
    )
    tags: dict[str, float | None] = {}
    for name, score in words.tags:
        if (tag := hashtag(storable(name))[:MOST_TAG]) and tag not in tags:
            tags[tag] = score
    session.add_all(
        ImageTag(sha256=sha256, network=network, tag=tag, score=score)
        for tag, score in tags.items()
    )


def _note(session: Session, hashes: Iterable[str]) -> None:
    """Their posts are found by the new words after the transaction."""
    for part in chunks(sorted(set(hashes))):
        statement = select(MediaRow.post).where(col(MediaRow.sha256).in_(part)).distinct()
        for post in session.exec(statement):
            texts.note(session, post)
