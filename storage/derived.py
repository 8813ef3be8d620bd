"""What is derived from a post: made at its first sight, and made anew at every edit.

Hashtags, mentions and tags in images are those of the post as last seen; so are the text index,
which tracks (and so which datasets) it belongs to, and how well its hashtags fit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, replace

from sqlmodel import Session, col, delete, select

from bot.core.events import Post, TrackKind, UserTag
from bot.core.normal_form import hashtag, username
from storage import texts
from storage.checks import Check
from storage.tables import (
    HashtagLabel,
    LabelScore,
    MediaRow,
    PostHashtag,
    PostMention,
    PostTrack,
    Verdict,
)
from storage.text import storable

# A longer "hashtag" or "name" is none, and PostgreSQL indexes no text of more than 2704 bytes.
MAX_NAME = 400


def derive(session: Session, row_id: int, post: Post, *, fresh: bool = False) -> None:
    """Bring all that follows from a post up to what it says now.

    `fresh`: the row was just made, so that nothing follows from it yet.
    """
    if fresh:
        session.add_all(_hashtags(row_id, names(map(hashtag, post.hashtags))))
        texts.note(session, row_id)
    else:
        set_hashtags(session, row_id, post.hashtags)
        session.exec(delete(PostMention).where(col(PostMention.post) == row_id))
    session.add_all(_mentions(row_id, post))
    session.flush()


def set_hashtags(session: Session, row_id: int, tags: Iterable[str]) -> None:
    """Replace the hashtags of a stored post; what followed from the old ones is removed."""
    now = set(names(map(hashtag, tags)))
    before = set(session.exec(select(PostHashtag.hashtag).where(PostHashtag.post == row_id)))
    gone = before - now
    if gone:
        for table in (PostHashtag, LabelScore, HashtagLabel):
            of_post = (col(table.post) == row_id) & col(table.hashtag).in_(gone)
            session.exec(delete(table).where(of_post))
        _leave_tracks(session, row_id, gone)
        _unjudge(session, row_id)
    session.add_all(_hashtags(row_id, now - before))
    session.flush()
    texts.note(session, row_id)


def usertags(post: Post) -> list[UserTag]:
    """As they are stored: each person once per image, positions only where there are numbers."""
    tags = {}
    for tag in post.usertags:
        for name in names([tag.username]):
            tags[tag.media_index, name] = replace(
                tag, username=name, x=_finite(tag.x), y=_finite(tag.y)
            )
    return list(tags.values())


def names(texts: Iterable[str]) -> list[str]:
    """Each once, without those that no platform would take for a name."""
    return [text for text in dict.fromkeys(map(storable, texts)) if 0 < len(text) <= MAX_NAME]


def _hashtags(row_id: int, tags: Iterable[str]) -> list[PostHashtag]:
    return [PostHashtag(post=row_id, hashtag=tag) for tag in sorted(tags)]


def _mentions(row_id: int, post: Post) -> list[PostMention]:
    in_caption = [
        PostMention(post=row_id, media_index=-1, username=name)
        for name in names(map(username, post.mentions))
    ]
    return in_caption + [PostMention(post=row_id, **asdict(tag)) for tag in usertags(post)]


def _leave_tracks(session: Session, row_id: int, gone: Collection[str]) -> None:
    """Take a post out of a hashtag's track, and of its dataset, when it has the hashtag no more."""
    rows = session.exec(select(PostTrack).where(PostTrack.post == row_id)).all()
    for row in rows:
        _, _, target = row.track.partition(f":{TrackKind.HASHTAG}:")
        if target in gone:
            session.delete(row)


def _unjudge(session: Session, row_id: int) -> None:
    """Remove verdicts by hashtags that the post has no more; the next curation judges again."""
    media = select(MediaRow.id).where(MediaRow.post == row_id)
    session.exec(
        delete(Verdict).where(col(Verdict.media).in_(media), col(Verdict.check) == Check.LABEL_FIT)
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
