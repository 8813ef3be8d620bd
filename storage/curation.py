"""Curation: what was measured of stored images, groups of duplicates, and verdicts.

Nothing here computes a score: scores, hashes and decisions come from above.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import Session, col, delete, or_, select

from storage import human_labels
from storage.checks import Check
from storage.chunks import chunks
from storage.components import components
from storage.tables import (
    Curation,
    ImageLabel,
    LabelScore,
    MediaRow,
    MediaState,
    PostRow,
    PostTrack,
    Verdict,
)

SIMILARITY = "duplicate"  # the score of an image's nearest match, matched or not
METHOD = "combined"  # of the label scores asked
_HASHTAG_TRACK = ":hashtag:"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images that were found to come from one photo."""

    one: int
    other: int


@dataclass(frozen=True, slots=True)
class Other:
    """The image that another one is compared with."""

    media: int
    sha256: str
    url: str  # of its post
    width: int
    height: int
    taken_at: datetime

    @property
    def rank(self) -> tuple[int, datetime, int]:
        """The original of a group has the least: the largest, then the earliest."""
        return -self.width * self.height, self.taken_at, self.media


@dataclass(slots=True)
class Facts:
    """All that verdicts on one image are made of."""

    image: Other
    scores: dict[str, float]
    original: Other | None = None  # of its group of near duplicates, when it is not itself
    copy_of: Other | None = None  # the earliest image of the same bytes, when it is not itself
    fits: dict[str, float] = field(default_factory=dict)  # hashtag → probability
    fits_by: str = ""  # the network's version
    label: ImageLabel | None = None  # what a person said
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # as stored, by check


def to_measure(session: Session, versions: Sequence[str]) -> list[tuple[int, str]]:
    """(media, SHA-256) of stored images that have no measurements of one of these versions."""
    statement = (
        select(MediaRow.id, MediaRow.sha256)
        .outerjoin(Curation, col(Curation.media) == col(MediaRow.id))
        .where(
            MediaRow.state == MediaState.STORED,
            col(MediaRow.sha256).is_not(None),
            or_(col(Curation.media).is_(None), col(Curation.version).not_in(versions)),
        )
        .order_by(col(MediaRow.id))
    )
    return [(media or 0, sha256 or "") for media, sha256 in session.exec(statement)]


def keep(session: Session, rows: Sequence[Curation]) -> None:
    """Store measurements in place of earlier ones. An image that went meanwhile is passed over."""
    for chunk in chunks(rows):
        ids = [row.media for row in chunk]
        here = set(session.exec(select(MediaRow.id).where(col(MediaRow.id).in_(ids))))
        for row in chunk:
            if row.media in here:
                session.merge(row)
    session.flush()


def hashes(session: Session, since: datetime | None = None) -> list[tuple[int, int]]:
    """(media, perceptual hash) of all images, or of those measured since then."""
    statement = select(Curation.media, Curation.phash).where(col(Curation.phash).is_not(None))
    if since is not None:
        statement = statement.where(Curation.computed_at >= since)
    return [(media, phash or 0) for media, phash in session.exec(statement)]


def unmatched(session: Session, version: str) -> list[int]:
    """Images still to be compared with the others, oldest first.

    Those of this version, and those whose group lost its original, because it was forgotten.
    """
    orphans = (
        select(Verdict.media)
        .join(Curation, col(Curation.media) == col(Verdict.media))
        .where(
            col(Verdict.check).in_((Check.EXACT, Check.NEAR)),
            col(Curation.original).is_(None),
        )
    )
    statement = select(Curation.media).where(
        or_(Curation.version == version, col(Curation.media).in_(orphans))
    )
    return list(session.exec(statement.order_by(col(Curation.media))))


def pictures(session: Session, media: Iterable[int]) -> dict[int, tuple[int, bytes]]:
    """Hash and thumbnail of each; those without are left out."""
    found: dict[int, tuple[int, bytes]] = {}
    for chunk in chunks(list(media)):
        statement = select(Curation.media, Curation.phash, Curation.thumbnail).where(
            col(Curation.media).in_(chunk)
        )
        for one, phash, small in session.exec(statement):
            if phash is not None and small:
                found[one] = phash, small
    return found


def matched(
    session: Session, compared: Mapping[int, float], found: Mapping[int, float], version: str
) -> None:
    """Note that these images were compared with all others, and how similar the nearest one was.

    `found`: the same of the images that they were found to be similar to.
    """
    for chunk in chunks(sorted(compared.keys() | found.keys())):
        for row in session.exec(select(Curation).where(col(Curation.media).in_(chunk))):
            alike = compared.get(row.media, row.scores.get(SIMILARITY, 0.0))
            alike = round(max(alike, found.get(row.media, 0.0)), 4)
            if row.media in compared:
                row.version = version
            if row.scores.get(SIMILARITY) != alike:
                row.scores = row.scores | {SIMILARITY: alike}
    session.flush()


def join(session: Session, pairs: Iterable[Pair]) -> set[int]:
    """Put the images of each pair, and all they were joined with before, into one group.

    The original of a group is its largest image, then its earliest; so the groups do not depend on
    the order in which pairs are found. Returns the images whose original changed.
    """
    pairs = list(pairs)
    links = _with_groups(session, {m for pair in pairs for m in (pair.one, pair.other)})
    known_as = [(media, original or media) for media, original in links.items()]
    found = [(p.one, p.other) for p in pairs if p.one in links and p.other in links]
    groups: dict[int, list[int]] = {}
    for media, group in components([*known_as, *found]).items():
        groups.setdefault(group, []).append(media)
    known = others(session, links)
    changed = set()
    for members in groups.values():
        root = min(members, key=lambda m: known[m].rank)
        for media in members:
            original = None if media == root else root
            if links[media] != original:
                changed.add(media)
                session.exec(
                    update(Curation).where(col(Curation.media) == media).values(original=original)
                )
    return changed


def others(session: Session, media: Iterable[int]) -> dict[int, Other]:
    found = {}
    for chunk in chunks(list(media)):
        statement = (
            select(MediaRow, PostRow.url, PostRow.taken_at)
            .join(PostRow, col(PostRow.id) == col(MediaRow.post))
            .where(col(MediaRow.id).in_(chunk))
        )
        for row, url, taken_at in session.exec(statement):
            found[row.id or 0] = _other(row, url, taken_at)
    return found


def same_bytes(session: Session, sha256: Iterable[str]) -> dict[str, list[Other]]:
    """The images that have the same bytes as another one, by SHA-256; the earliest first."""
    found: dict[str, list[Other]] = {}
    for chunk in chunks(sorted(set(sha256))):
        statement = (
            select(MediaRow, PostRow.url, PostRow.taken_at)
            .join(PostRow, col(PostRow.id) == col(MediaRow.post))
            .where(col(MediaRow.sha256).in_(chunk), MediaRow.state == MediaState.STORED)
        )
        for row, url, taken_at in session.exec(statement):
            found.setdefault(row.sha256 or "", []).append(_other(row, url, taken_at))
    return {
        name: sorted(images, key=lambda image: (image.taken_at, image.media))
        for name, images in found.items()
        if len(images) > 1
    }


def curated(session: Session) -> list[int]:
    """Every measured image."""
    return list(session.exec(select(Curation.media).order_by(col(Curation.media))))


def scores(session: Session, limit: int | None = None) -> Iterator[dict[str, float]]:
    """What was measured, the latest first."""
    statement = select(Curation.scores).order_by(col(Curation.computed_at).desc()).limit(limit)
    for found in session.exec(statement.execution_options(yield_per=5000)):
        yield dict(found)


def all_fits(session: Session, limit: int | None = None) -> list[float]:
    statement = select(LabelScore.probability).where(LabelScore.method == METHOD).limit(limit)
    return list(session.exec(statement))


def facts(session: Session, media: Iterable[int]) -> list[Facts]:
    """Of these images, as far as they are measured, in order."""
    found: list[Facts] = []
    for chunk in chunks(sorted(set(media))):
        rows = session.exec(select(Curation).where(col(Curation.media).in_(chunk))).all()
        known = others(session, chunk) | others(session, {r.original for r in rows if r.original})
        copies = same_bytes(session, (known[r.media].sha256 for r in rows))
        some = {row.media: Facts(known[row.media], row.scores) for row in rows}
        for row in rows:
            one = some[row.media]
            one.original = known.get(row.original or 0)
            first = copies.get(one.image.sha256, [one.image])[0]
            one.copy_of = None if first.media == row.media else first
        _add_fits(session, some)
        for image, label in human_labels.images(session, some).items():
            some[image].label = label
        for verdict in session.exec(select(Verdict).where(col(Verdict.media).in_(chunk))):
            if verdict.media in some:
                some[verdict.media].verdicts[verdict.check] = verdict
        found += [some[m] for m in sorted(some)]
    return found


def decide(session: Session, media: int, wanted: Sequence[Verdict], known: Iterable[str]) -> None:
    """Store these verdicts on an image, and take back those of `known` that are not among them."""
    gone = set(known) - {verdict.check for verdict in wanted}
    if gone:
        session.exec(
            delete(Verdict).where(col(Verdict.media) == media, col(Verdict.check).in_(gone))
        )
    if wanted and session.get(Curation, media) is not None:
        for verdict in wanted:
            session.merge(verdict)


def counts(session: Session) -> dict[str, int]:
    """Verdicts by check."""
    statement = select(Verdict.check, func.count()).group_by(col(Verdict.check))
    return dict(session.exec(statement.order_by(col(Verdict.check))).all())


def _add_fits(session: Session, some: Mapping[int, Facts]) -> None:
    """Add the probabilities of the hashtags that an image was collected for.

    If it was not collected for a hashtag, those of all hashtags of its post.
    """
    statement = select(MediaRow.id, MediaRow.post).where(col(MediaRow.id).in_(list(some)))
    posts = {media or 0: post for media, post in session.exec(statement)}
    here = list(set(posts.values()))
    tracked: dict[int, set[str]] = {}
    for post, track in session.exec(
        select(PostTrack.post, PostTrack.track).where(col(PostTrack.post).in_(here))
    ):
        if _HASHTAG_TRACK in track:
            tracked.setdefault(post, set()).add(track.partition(_HASHTAG_TRACK)[2])
    fits: dict[int, list[LabelScore]] = {}
    for row in session.exec(
        select(LabelScore).where(col(LabelScore.post).in_(here), LabelScore.method == METHOD)
    ):
        fits.setdefault(row.post, []).append(row)
    for media, one in some.items():
        post = posts[media]
        for row in fits.get(post, ()):
            if row.hashtag in tracked.get(post, {row.hashtag}):
                one.fits[row.hashtag] = row.probability
                one.fits_by = row.model_version


def _with_groups(session: Session, media: set[int]) -> dict[int, int | None]:
    """These images and all members of their groups, each with its original."""
    links: dict[int, int | None] = {}
    ask = media
    while ask:
        for chunk in chunks(sorted(ask)):
            statement = select(Curation.media, Curation.original).where(
                or_(col(Curation.media).in_(chunk), col(Curation.original).in_(chunk))
            )
            links |= dict(session.exec(statement).all())
        ask = {original for original in links.values() if original} - links.keys()
    return links


def _other(row: MediaRow, url: str, taken_at: datetime) -> Other:
    return Other(row.id or 0, row.sha256 or "", url, row.width, row.height, taken_at)
