"""`tagecho search`: posts by their text, by an image, or both."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from sqlmodel import Session, col, select

from bot.config import Settings
from bot.core.errors import NothingToDo, UsageError
from bot.core.files import read_whole
from bot.service.app import App, ServingStages, opened
from bot.service.progress import progress
from bot.verbs import learned_words, word_search
from bot.verbs.image_index import ImageIndex, Vectors, folder_of
from bot.verbs.labels import SIDE, LabelSummary, embed
from bot.verbs.learned_words import WordEyes
from bot.verbs.word_search import EMBEDDED, TEXT
from models.base import ImageRejected, Segmenter
from models.images.decoder import decode
from models.resemblance import nonsense
from models.serving.network_process import NetworkFailed
from storage import dataset, labels, search, texts
from storage.labels import TaggedPost
from storage.search import Filters, Term
from storage.tables import AuthorRow, MediaRow, MediaState, PostHashtag, PostRow

FRESH = 30.0  # seconds for which a process that lives on asks the vectors as they were
BUILD_SECONDS = 60.0  # what a search by image spends on vectors that are missing


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search. `author` is NAME or PLATFORM/NAME: a user name, a former name or a user id."""

    text: str = ""
    image: Path | None = None
    hashtags: tuple[str, ...] = ()
    author: str = ""
    platform: str = ""
    dataset: str = ""
    since: datetime | None = None
    until: datetime | None = None
    fit: float | None = None
    size: int | None = None
    clean: bool = False
    checks: tuple[str, ...] = ()
    label: str = ""
    doubt: float | None = None
    tags: tuple[str, ...] = ()
    limit: int = 20
    best: bool = False
    by: str = EMBEDDED  # what the words are looked for in, beside the texts


@dataclass(slots=True)
class SearchResult:
    rows: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    without_vector: int = 0  # stored images that a search by image cannot find yet


@dataclass(slots=True)
class Rebuilt:
    posts: int
    images: int
    embedded: int  # of those, by this run
    unreadable: list[str]


def find(settings: Settings, wanted: SearchQuery) -> SearchResult:
    """Vectors that a search by image needs are computed first, for `BUILD_SECONDS` at most.

    Raises UsageError for an unreadable image or an unknown author, NothingToDo if too few stored
    images have a vector, ModelError.
    """
    found = SearchResult()
    with opened(settings) as app:
        terms = search.parse(wanted.text)
        with app.database.read() as session:
            filters = filters_of(session, wanted)
            if not texts.complete(session):
                found.remarks.append("the text index is incomplete: tagecho search --rebuild")
            if wanted.text.strip() and not terms:
                return found  # the text has no word
        if wanted.image is None:
            _by_text(app, wanted, terms, filters, found)
            return found
        segmenter = ServingStages(settings).segmenter()
        embedding = _embedding(segmenter, wanted.image, settings)
        found.without_vector, remark = _compute_missing(app, segmenter)
        index = _index(app, segmenter)
        try:
            index.sync()
        except NothingToDo as error:
            raise NothingToDo("; ".join(filter(None, (str(error), remark)))) from None
        alike = index.similar(embedding, wanted.limit, terms, filters)
        with app.database.read() as session:
            shown = [(one.post, one.cosine, one.sha256) for one in alike]
            found.rows = _rows(session, app, shown)
    if remark:
        found.remarks.append(remark)
    return found


def _by_text(
    app: App, wanted: SearchQuery, terms: Sequence[Term], filters: Filters, found: SearchResult
) -> None:
    """By the texts, and by the images where words can be looked for in them."""
    eye = word_search.eye_of(app, wanted.by) if terms else None
    with app.database.read() as session:
        hits = word_search.by_words(session, app, eye, terms, filters) if eye else None
        if hits is None:
            plain = search.posts(session, terms, filters, wanted.limit, wanted.best)
            found.rows = _rows(session, app, [(hit.post, hit.score, None) for hit in plain])
        else:
            some = hits.found[: wanted.limit]
            chosen = [(one.thing, one.score, hits.images.get(one.thing)) for one in some]
            why = {one.thing: hits.why(one) for one in some}
            rows = _rows(session, app, chosen)
            found.rows = [row | {"why": why[row["post"]]} for row in rows]
    if terms and eye is None and wanted.by == EMBEDDED:
        with app.database.write() as session:
            found.remarks += filter(None, [word_search.say_once(session)])


def _compute_missing(app: App, segmenter: Segmenter) -> tuple[int, str]:
    """How many images still have no vector when the time is over, and what to do about them."""
    with app.database.read() as session:
        tagged = labels.tagged_posts(session, app.optouts)
        seen = labels.embedded_names(session, segmenter.version)
    summary, began = LabelSummary(segmenter.version), time.monotonic()
    left = embed(app, segmenter, tagged, seen, summary, BUILD_SECONDS)
    if not left:
        return 0, ""
    each = (time.monotonic() - began) / (summary.embedded + len(summary.unreadable))
    minutes = math.ceil(left * each / 60)
    return left, (
        f"{left} stored images have no vector yet: `tagecho search --rebuild` computes them, in "
        f"about {minutes} min"
    )


def settle(settings: Settings) -> bool:
    """After the answer: build the graph if there are too many vectors to compare all of them."""
    with opened(settings) as app:
        return _index(app, ServingStages(settings).segmenter()).build()


def rebuild(settings: Settings, by: str = EMBEDDED) -> Rebuilt:
    """Build both indexes again; compute missing vectors, and learn the words of the stream. May be
    interrupted and run again. `by`: also compute the vectors of this official network.
    """
    segmenter = ServingStages(settings).segmenter()
    with opened(settings) as app:
        posts = texts.index_all(app.database, lambda steps: progress(steps, "posts"))
        with app.database.read() as session:
            tagged = labels.tagged_posts(session, app.optouts)
            seen = labels.embedded_names(session, segmenter.version)
        summary = LabelSummary(segmenter.version)
        embed(app, segmenter, tagged, seen, summary)
        _learn_words(app, tagged)
        if by not in (TEXT, EMBEDDED):
            _see_officially(app, by, tagged, summary)
        index = _index(app, segmenter)
        index.clear()
        try:
            index.sync()
            index.build()
        except NothingToDo:  # a few images are not enough for a space; the text index still works
            pass
        return Rebuilt(posts, len(seen), summary.embedded, summary.unreadable)


def _learn_words(app: App, tagged: list[TaggedPost]) -> None:
    eyes = WordEyes(app)
    eyes.look_at(list(dict.fromkeys(image for post in tagged for image in post.images)))
    try:
        learned_words.current(app, eyes)
    except NothingToDo:  # too little was said yet: texts are searched as before
        return


def _see_officially(app: App, pack: str, tagged: list[TaggedPost], summary: LabelSummary) -> None:
    """The vectors of an official network of images and texts. Raises ModelError, NotInstalled."""
    word_search.eye_of(app, pack)  # an unknown name, or weights that are not here
    network = ServingStages(app.settings).embedder(pack)
    with app.database.read() as session:
        seen = labels.embedded_names(session, network.version)
    try:
        embed(app, network, tagged, seen, summary)
    except NetworkFailed as error:
        raise word_search.failed(pack, error) from error
    finally:
        network.stop()


def _index(app: App, segmenter: Segmenter) -> ImageIndex:
    def of_nothing() -> Vectors:
        return np.stack([segmenter(picture).embedding for picture in nonsense()])

    return ImageIndex(app.database, folder_of(app.settings), segmenter.version, of_nothing)


def _embedding(segmenter: Segmenter, path: Path, settings: Settings) -> Vectors:
    try:
        return _seen(segmenter, read_whole(path), settings)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ImageRejected as error:
        raise UsageError(f"{path}: {error}") from error


def _seen(segmenter: Segmenter, data: bytes, settings: Settings) -> Vectors:
    """Raises ImageRejected. The bytes may be anybody's: they are decoded in a child process."""
    image = decode(data, max_pixels=settings.limits.max_pixels, shrink_to=SIDE)
    return segmenter(image.pixels).embedding


class ExampleFinder:
    """Searches by example for a process that lives on: networks and vectors stay in memory.

    Computes no missing vectors: whoever waits for a page does not wait for these. Vectors that came
    in the last FRESH seconds may be missing, too; what is gone is never found. May be used by
    several threads; one asks at a time.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = Lock()
        self._chosen: object = None  # what [models] said when these were made
        self._segmenter: Segmenter | None = None
        self._index: ImageIndex | None = None
        self._synced = -math.inf  # when, by the monotonic clock

    def like_image(
        self, settings: Settings, data: bytes, wanted: SearchQuery
    ) -> list[tuple[int, str, float]]:
        """(post, SHA-256, similarity) of images like this one, most similar first.

        Raises UsageError for what is no image, or an unknown author; NothingToDo if too few stored
        images have a vector.
        """
        with self._lock:
            segmenter, index = self._ready(settings)
            try:
                embedding = _seen(segmenter, data, settings)
            except ImageRejected as error:
                raise UsageError(f"this is no image that can be used: {error.reason}") from error
            return self._like(index, embedding, wanted)

    def like_stored(
        self, settings: Settings, sha256: str, wanted: SearchQuery
    ) -> list[tuple[int, str, float]]:
        """The same for a stored image; itself is left out."""
        with self._lock:
            segmenter, index = self._ready(settings)
            with self._app.database.read() as session:
                known = labels.vectors_of(session, segmenter.version, [sha256])
            if sha256 in known:
                embedding = np.frombuffer(known[sha256], "<f4")
            else:
                embedding = _seen(segmenter, self._app.originals.get(sha256), settings)
            found = self._like(index, embedding, replace(wanted, limit=wanted.limit + 1))
            return [one for one in found if one[1] != sha256][: wanted.limit]

    def _ready(self, settings: Settings) -> tuple[Segmenter, ImageIndex]:
        if self._segmenter is None or self._index is None or self._chosen != settings.models:
            self._segmenter = ServingStages(settings).segmenter()
            self._index = _index(self._app, self._segmenter)
            self._chosen = settings.models
            self._synced = -math.inf
        return self._segmenter, self._index

    def _like(
        self, index: ImageIndex, embedding: Vectors, wanted: SearchQuery
    ) -> list[tuple[int, str, float]]:
        with self._app.database.read() as session:
            filters = filters_of(session, wanted)
        if time.monotonic() - self._synced > FRESH:
            index.sync()
            self._synced = time.monotonic()
        found = index.similar(embedding, wanted.limit, search.parse(wanted.text), filters)
        return [(one.post, one.sha256, one.cosine) for one in found]


def filters_of(session: Session, wanted: SearchQuery) -> Filters:
    """Raises UsageError for an author whom nobody knows."""
    return Filters(
        hashtags=wanted.hashtags,
        author=_author(session, wanted) if wanted.author else None,
        platform=wanted.platform,
        dataset=wanted.dataset,
        since=wanted.since,
        until=wanted.until,
        fit=wanted.fit,
        size=wanted.size,
        clean=wanted.clean,
        checks=wanted.checks,
        label=wanted.label,
        doubt=wanted.doubt,
        tags=wanted.tags,
    )


def _author(session: Session, wanted: SearchQuery) -> tuple[str, str]:
    platform, _, name = wanted.author.rpartition("/")
    name = name.lstrip("@")
    known = session.exec(select(AuthorRow.platform).distinct()).all()
    for one in [platform or wanted.platform] if platform or wanted.platform else sorted(known):
        if user_id := dataset.one_author(session, one, name):
            return one, user_id
    raise UsageError(f"no collected person has the name {wanted.author!r}")


def _rows(
    session: Session, app: App, hits: Sequence[tuple[int, float, str | None]]
) -> list[dict[str, Any]]:
    """The rows of the hits, in their order: posts with their images."""
    ids = [post for post, _, _ in hits]
    posts = {row.id: row for row in session.exec(select(PostRow).where(col(PostRow.id).in_(ids)))}
    tags: dict[int, list[str]] = {}
    for tag in session.exec(select(PostHashtag).where(col(PostHashtag.post).in_(ids))):
        tags.setdefault(tag.post, []).append(tag.hashtag)
    media: dict[int, list[str]] = {}
    for image in session.exec(
        select(MediaRow).where(col(MediaRow.post).in_(ids)).order_by(col(MediaRow.index))
    ):
        if image.sha256 and image.state == MediaState.STORED:
            media.setdefault(image.post, []).append(image.sha256)
    rows = []
    for post, score, sha256 in hits:
        row = posts.get(post)
        if row is None:  # removed after it was found
            continue
        person = session.get(AuthorRow, (row.platform, row.author_id))
        images = [sha256] if sha256 else media.get(post, [])
        rows.append(
            {
                "post": post,
                "platform": row.platform,
                "url": row.url,
                "author": person.username if person else row.author_id,
                "taken_at": row.taken_at,
                "caption": dataset.latest_content(session, row)["caption"],
                "hashtags": sorted(tags.get(post, [])),
                "images": [str(app.originals.path(image)) for image in images],
                "score": round(score, 4),
                "deleted_at": row.deleted_at,
            }
        )
    return rows
