"""What people say of images and hashtags. It stands above what was measured and computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session, col, select

from bot.core.errors import UsageError
from bot.core.normal_form import hashtag
from storage.labels import TaggedPost
from storage.tables import (
    HashtagLabel,
    ImageLabel,
    LabelScore,
    MediaRow,
    MediaState,
    PostHashtag,
)
from storage.text import storable

METHOD = "combined"  # of the label scores: the one that is asked
PERSON = "person"  # in place of the version of a network


def label_image(
    session: Session, media: int, accepted: bool | None, why: str, who: str, now: datetime
) -> None:
    """Accept or reject an image, or take the word back (None). Raises UsageError."""
    row = session.get(MediaRow, media)
    if row is None or row.state != MediaState.STORED:
        raise UsageError(f"there is no stored image {media}")
    if accepted is not None:
        said = {"why": storable(why), "who": storable(who), "at": now}
        session.merge(ImageLabel(media=media, accepted=accepted, **said))
    elif (label := session.get(ImageLabel, media)) is not None:
        session.delete(label)
    session.flush()


def label_hashtag(
    session: Session, post: int, tag: str, fits: bool | None, who: str, now: datetime
) -> None:
    """Say whether a hashtag fits its post, or take the word back (None). Raises UsageError."""
    tag = hashtag(tag)
    if session.get(PostHashtag, (post, tag)) is None:
        raise UsageError(f"post {post} has no hashtag {tag!r}")
    label = session.get(HashtagLabel, (post, tag))
    if fits is None:
        if label is not None:
            _take_back(session, label)
        return
    if label is None:
        label = HashtagLabel(post=post, hashtag=tag, fits=fits, who="", at=now)
        session.add(label)
    label.fits, label.who, label.at = fits, storable(who), now
    _say(session, label, now)


def restore(session: Session, now: datetime) -> None:
    """After the networks scored again: their figures are remembered, people's words stand."""
    for label in session.exec(select(HashtagLabel)).all():
        _say(session, label, now)


def images(session: Session, media: Iterable[int]) -> dict[int, ImageLabel]:
    """The labels of these images."""
    statement = select(ImageLabel).where(col(ImageLabel.media).in_(list(media)))
    return {row.media: row for row in session.exec(statement)}


def hashtags(session: Session, post: int) -> dict[str, HashtagLabel]:
    """The labels of a post's hashtags."""
    statement = select(HashtagLabel).where(HashtagLabel.post == post)
    return {row.hashtag: row for row in session.exec(statement)}


def accepted(session: Session) -> set[str]:
    """SHA-256 of the images that people accepted."""
    return _hashes(session, True)


def believed(session: Session, posts: Sequence[TaggedPost]) -> list[TaggedPost]:
    """These posts without the images and hashtags that people rejected; without images, none."""
    denied = select(HashtagLabel.post, HashtagLabel.hashtag).where(
        col(HashtagLabel.fits).is_(False)
    )
    wrong: dict[int, set[str]] = {}
    for post, tag in session.exec(denied):
        wrong.setdefault(post, set()).add(tag)
    rejected = _hashes(session, False)
    found = []
    for one in posts:
        kept = tuple(image for image in one.images if image not in rejected)
        tags = tuple(tag for tag in one.hashtags if tag not in wrong.get(one.id, ()))
        if kept:
            found.append(replace(one, images=kept, hashtags=tags))
    return found


def _hashes(session: Session, accepted: bool) -> set[str]:
    statement = (
        select(MediaRow.sha256)
        .join(ImageLabel, col(ImageLabel.media) == col(MediaRow.id))
        .where(ImageLabel.accepted == accepted)
    )
    return {sha256 for sha256 in session.exec(statement) if sha256}


def _say(session: Session, label: HashtagLabel, now: datetime) -> None:
    """Write the word over the score, and keep what the networks said."""
    score = session.get(LabelScore, (label.post, label.hashtag, METHOD))
    if score is None:
        score = LabelScore(
            post=label.post,
            hashtag=label.hashtag,
            method=METHOD,
            probability=0,
            model_version="",
            computed_at=now,
        )
        session.add(score)
    elif score.model_version != PERSON:
        label.probability, label.model_version = score.probability, score.model_version
    score.probability, score.model_version, score.computed_at = float(label.fits), PERSON, now
    session.flush()


def _take_back(session: Session, label: HashtagLabel) -> None:
    score = session.get(LabelScore, (label.post, label.hashtag, METHOD))
    if score is not None and label.probability is None:
        session.delete(score)  # nothing is known of it until `labels score` runs
    elif score is not None and label.probability is not None:
        score.probability, score.model_version = label.probability, label.model_version
    session.delete(label)
    session.flush()
