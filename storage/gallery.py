"""Images to look at: pages of a grid, one post with all that is known, and what looks the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select as rows
from sqlmodel import Session, col, func, or_, select

from storage import dataset, human_labels, search, words
from storage.search import Filters, Term
from storage.tables import (
    AuthorRow,
    BlobRow,
    CommentRow,
    Curation,
    HashtagLabel,
    ImageLabel,
    LabelScore,
    MediaRow,
    MediaState,
    PostHashtag,
    PostMention,
    PostRevision,
    PostRow,
    PostTrack,
    Verdict,
)
from storage.words import CurrentWords

CAPTION = 300  # characters of it in a grid
ALIKE = 50  # images of a group of duplicates that are shown


@dataclass(frozen=True, slots=True)
class GridImage:
    """A stored image as the grid shows it."""

    media: int
    post: int
    index: int  # within its post
    sha256: str
    width: int
    height: int
    platform: str
    author: str  # user name, or the id of somebody whose name is not known
    url: str
    caption: str  # its beginning
    taken_at: datetime
    deleted_at: datetime | None
    verdicts: dict[str, str]  # check → reason
    label: str  # search.ACCEPTED, search.REJECTED or ""
    cosine: float | None = None  # how similar to the example


@dataclass(frozen=True, slots=True)
class GridPage:
    images: list[GridImage]
    following: int | None  # where the next page begins; None: nowhere


def page(
    session: Session, query: Sequence[Term], filters: Filters, limit: int, before: int | None = None
) -> GridPage:
    """Images of the newest posts; all of a post stand on one page, so it may have a few more."""
    hits, following = search.newest(session, query, filters, limit, before)
    held: dict[int, list[int]] = {}
    for post, media in search.media(session, filters, [hit.post for hit in hits]):
        held.setdefault(post, []).append(media)
    chosen: list[int] = []
    for hit in hits:
        if len(chosen) >= limit:  # the rest of the posts begins the next page
            break
        chosen += held.get(hit.post, [])
        last = hit.key
    else:
        return GridPage(images(session, chosen), following)
    return GridPage(images(session, chosen), last)


def images(session: Session, media: Sequence[int]) -> list[GridImage]:
    """These images, in this order; those that are gone are left out."""
    found: dict[int, GridImage] = {}
    verdicts: dict[int, dict[str, str]] = {}
    for verdict in session.exec(select(Verdict).where(col(Verdict.media).in_(media))):
        verdicts.setdefault(verdict.media, {})[verdict.check] = verdict.reason
    labels = human_labels.images(session, media)
    columns = (
        *(col(c) for c in (MediaRow.id, MediaRow.post, MediaRow.sha256)),
        *(col(c) for c in (MediaRow.width, MediaRow.height, PostRow.platform, PostRow.author_id)),
        *(col(c) for c in (PostRow.url, PostRow.taken_at, PostRow.deleted_at)),
        col(MediaRow.index).label("place"),  # a row has a method of the column's name
        func.substr(PostRow.caption, 1, CAPTION).label("caption"),
        col(AuthorRow.username),
    )
    person = (col(AuthorRow.platform) == col(PostRow.platform)) & (
        col(AuthorRow.user_id) == col(PostRow.author_id)
    )
    statement = (
        rows(*columns)
        .select_from(MediaRow)
        .join(PostRow, col(PostRow.id) == col(MediaRow.post))
        .outerjoin(AuthorRow, person)
        .where(col(MediaRow.id).in_(media), col(MediaRow.state) == MediaState.STORED)
    )
    answer = session.connection().execute(statement).all()
    captions = _captions(session, {row.post for row in answer})
    for row in answer:
        found[row.id] = GridImage(
            media=row.id,
            post=row.post,
            index=row.place,
            sha256=row.sha256 or "",
            width=row.width,
            height=row.height,
            platform=row.platform,
            author=row.username or row.author_id,
            url=row.url,
            caption=captions.get(row.post, row.caption)[:CAPTION],
            taken_at=row.taken_at,
            deleted_at=row.deleted_at,
            verdicts=verdicts.get(row.id, {}),
            label=_word(labels.get(row.id)),
        )
    return [found[one] for one in media if one in found]


def media_of(session: Session, held: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """The image with these bytes in this post: (post, SHA-256) → media."""
    wanted = set(held)
    statement = select(MediaRow.id, MediaRow.post, MediaRow.sha256).where(
        col(MediaRow.post).in_({post for post, _ in wanted})
    )
    found = {(post, sha256 or ""): media or 0 for media, post, sha256 in session.exec(statement)}
    return {one: found[one] for one in wanted if one in found}


def stored_hash(session: Session, media: int) -> str | None:
    """The SHA-256 of a stored image."""
    row = session.get(MediaRow, media)
    return row.sha256 if row is not None and row.state == MediaState.STORED else None


def stored(session: Session, spans: Iterable[range]) -> set[int]:
    """The stored images of these numbers."""
    found: set[int] = set()
    for span in spans:
        statement = select(MediaRow.id).where(
            col(MediaRow.id).between(span.start, span.stop - 1),
            col(MediaRow.state) == MediaState.STORED,
        )
        found |= {one or 0 for one in session.exec(statement)}
    return found


@dataclass(frozen=True, slots=True)
class PostImage:
    """An image of a post, with what was measured and who looks the same."""

    image: GridImage
    kind: str
    mime: str
    bytes: int
    notes: str
    scores: dict[str, float]
    curated_by: str  # version; "" when it was not measured yet
    label: ImageLabel | None
    duplicates: list[GridImage]
    words: CurrentWords | None  # its sentence and tags; None: nothing was said


@dataclass(frozen=True, slots=True)
class TagFit:
    """A hashtag of a post, how probably it fits, and a person's word on it."""

    hashtag: str
    probability: float | None
    by: str  # version of the network, "person", or ""
    methods: dict[str, float]
    label: HashtagLabel | None


@dataclass(frozen=True, slots=True)
class PostDetails:
    """Everything that is known of a post."""

    row: PostRow
    caption: str
    place: dict[str, Any] | None
    author: AuthorRow | None
    images: list[PostImage]
    missing: list[MediaRow]  # images without bytes, and why
    hashtags: list[TagFit]
    mentions: list[PostMention]
    tracks: list[PostTrack]
    edits: list[PostRevision]
    comments: int


def details(session: Session, post: int) -> PostDetails | None:
    """None when there is no such post."""
    row = session.get(PostRow, post)
    if row is None:
        return None
    content = dataset.latest_content(session, row)
    held = session.exec(
        select(MediaRow).where(MediaRow.post == post).order_by(col(MediaRow.index))
    ).all()
    stored = [one.id or 0 for one in held if one.state == MediaState.STORED]
    counted = select(func.count()).select_from(CommentRow).where(CommentRow.post == post)
    return PostDetails(
        row=row,
        caption=content["caption"],
        place=content["place"],
        author=session.get(AuthorRow, (row.platform, row.author_id)),
        images=_post_images(session, stored),
        missing=[one for one in held if one.state != MediaState.STORED],
        hashtags=_tags(session, post),
        mentions=list(session.exec(select(PostMention).where(PostMention.post == post))),
        tracks=list(session.exec(select(PostTrack).where(PostTrack.post == post))),
        edits=list(
            session.exec(
                select(PostRevision)
                .where(PostRevision.post == post)
                .order_by(col(PostRevision.id).desc())
            )
        ),
        comments=session.exec(counted).one(),
    )


def duplicates(session: Session, media: int) -> list[int]:
    """Images of the same photo: of the same bytes, or of the same group of near duplicates."""
    row, measured = session.get(MediaRow, media), session.get(Curation, media)
    if row is None:
        return []
    root = (measured.original if measured else None) or media
    same = select(MediaRow.id).where(
        col(MediaRow.sha256) == row.sha256, col(MediaRow.state) == MediaState.STORED
    )
    group = select(Curation.media).where(
        or_(col(Curation.original) == root, col(Curation.media) == root)
    )
    found = {one or 0 for some in (same, group) for one in session.exec(some.limit(ALIKE))}
    return sorted(found - {media})


def _post_images(session: Session, media: Sequence[int]) -> list[PostImage]:
    found = []
    shown = images(session, media)
    told = words.current(session, [image.sha256 for image in shown])
    for image in shown:
        row, measured = session.get_one(MediaRow, image.media), session.get(Curation, image.media)
        blob = session.get(BlobRow, image.sha256)
        found.append(
            PostImage(
                image=image,
                kind=row.kind,
                mime=blob.mime if blob else "",
                bytes=blob.size if blob else 0,
                notes=row.notes,
                scores=dict(measured.scores) if measured else {},
                curated_by=measured.version if measured else "",
                label=session.get(ImageLabel, image.media),
                duplicates=images(session, duplicates(session, image.media)),
                words=told.get(image.sha256),
            )
        )
    return found


def _tags(session: Session, post: int) -> list[TagFit]:
    scores: dict[str, dict[str, LabelScore]] = {}
    for score in session.exec(select(LabelScore).where(LabelScore.post == post)):
        scores.setdefault(score.hashtag, {})[score.method] = score
    labels = human_labels.hashtags(session, post)
    found = []
    for tag in session.exec(select(PostHashtag.hashtag).where(PostHashtag.post == post)):
        known = scores.get(tag, {})
        best = known.get(human_labels.METHOD)
        found.append(
            TagFit(
                hashtag=tag,
                probability=best.probability if best else None,
                by=best.model_version if best else "",
                methods={name: score.probability for name, score in sorted(known.items())},
                label=labels.get(tag),
            )
        )
    return sorted(found, key=lambda fit: (fit.probability is None, -(fit.probability or 0)))


def _captions(session: Session, posts: set[int]) -> Mapping[int, str]:
    """The last edit of those whose caption changed."""
    statement = (
        select(PostRevision.post, PostRevision.new)
        .where(col(PostRevision.post).in_(posts), PostRevision.field == "caption")
        .order_by(col(PostRevision.id))
    )
    return {post: str(new or "") for post, new in session.exec(statement)}


def _word(label: ImageLabel | None) -> str:
    if label is None:
        return ""
    return search.ACCEPTED if label.accepted else search.REJECTED
