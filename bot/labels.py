"""Which hashtags fit their images: asks the serving network's embeddings, writes the dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bot.app import App, ServingStages
from bot.config import Settings
from bot.errors import ModelError, NothingToDo, StorageError
from bot.flow.policy import utc_now
from bot.progress import progress
from bot.status import opened
from models.base import Image, ImageRejected, Segmenter
from models.images import decode
from models.labels.fits import Fits, Method, fits
from models.labels.noise import DOUBT
from storage import labels
from storage.labels import TaggedPost
from storage.tables import LabelScore, PostRow

BATCH = 32  # images per transaction: what an interruption may lose
ROWS = 5000  # scores per transaction
METHODS = (Method.KNN, Method.PROBE, Method.COMBINED)  # stored ones
SHOWN = 10
SIDE = 448  # px, short side: more than the network looks at; larger images only cost time

Vectors = dict[str, NDArray[np.float32]]


@dataclass(slots=True)
class Summary:
    model: str
    posts: int = 0
    images: int = 0  # with an embedding
    embedded: int = 0  # of those, computed by this run
    hashtags: int = 0
    scores: int = 0
    doubted: dict[str, int] = field(default_factory=dict)  # by method, probability below 0.5
    least_likely: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score(settings: Settings) -> Summary:
    """Embed what is new, judge every hashtag, store the scores with the network's version.

    May be interrupted: what is embedded is kept, and the scores are those of the last complete
    run until each is replaced. Raises NothingToDo without images or hashtags, ModelError.
    """
    segmenter = ServingStages(settings).segmenter()
    with opened(settings) as app:
        with app.database.read() as session:
            posts = labels.tagged_posts(session, app.optouts)
            known = labels.embedded(session, segmenter.version)
        if not any(post.hashtags for post in posts):
            raise NothingToDo("no stored image with a hashtag")
        summary = Summary(segmenter.version)
        vectors = {sha256: np.frombuffer(vector, "<f4") for sha256, vector in known.items()}
        embed(app, segmenter, posts, vectors, summary)
        posts = [post for post in posts if any(image in vectors for image in post.images)]
        if not posts:
            raise NothingToDo("none of the stored images can be read")
        summary.posts = len(posts)
        summary.images = len({i for post in posts for i in post.images if i in vectors})
        summary.hashtags = len({tag for post in posts for tag in post.hashtags})
        seen = np.stack([_of_post(post, vectors) for post in posts])
        judged = fits(seen, [post.hashtags for post in posts], [post.author for post in posts])
        _store(app, judged, posts, summary)
    return summary


def embed(
    app: App, segmenter: Segmenter, posts: list[TaggedPost], vectors: Vectors, summary: Summary
) -> None:
    """Add what is missing to `vectors` and to the database, batch by batch."""
    images = dict.fromkeys(image for post in posts for image in post.images)
    missing = [image for image in images if image not in vectors]
    batch: Vectors = {}
    try:
        for sha256 in progress(missing, "images"):
            try:
                image = _decoded(app, sha256)
            except (ImageRejected, StorageError) as error:
                summary.unreadable.append(str(error))
                continue
            batch[sha256] = _finite(segmenter(image).embedding, sha256)
            if len(batch) == BATCH:
                _keep(app, segmenter.version, batch, vectors, summary)
                batch = {}
    finally:  # Ctrl-C, too, loses nothing that was computed
        _keep(app, segmenter.version, batch, vectors, summary)


def _decoded(app: App, sha256: str) -> Image:
    most = app.settings.limits.max_pixels
    return decode(app.originals.get(sha256), max_pixels=most, shrink_to=SIDE).pixels


def _keep(app: App, version: str, batch: Vectors, vectors: Vectors, summary: Summary) -> None:
    raw = {sha256: vector.astype("<f4").tobytes() for sha256, vector in batch.items()}
    with app.database.write() as session:
        labels.keep_vectors(session, version, raw, utc_now())
    vectors.update(batch)
    summary.embedded += len(batch)


def _finite(vector: NDArray[np.float32], sha256: str) -> NDArray[np.float32]:
    if not np.isfinite(vector).all():
        raise ModelError(f"the network gives numbers that are none for image {sha256[:12]}")
    return vector


def _of_post(post: TaggedPost, vectors: Vectors) -> NDArray[np.float32]:
    """The mean of what its images show."""
    mean: NDArray[np.float32] = np.mean([vectors[i] for i in post.images if i in vectors], axis=0)
    return mean


def _store(app: App, judged: Fits, posts: list[TaggedPost], summary: Summary) -> None:
    now = utc_now()
    rows = _rows(judged, posts, summary.model, now)
    for start in range(0, len(rows), ROWS):
        with app.database.write() as session:
            summary.scores += labels.upsert(session, rows[start : start + ROWS])
    with app.database.write() as session:
        labels.prune(session, summary.model, now)
    summary.doubted = {
        str(method): int((judged.probability[method] < DOUBT).sum()) for method in METHODS
    }
    with app.database.read() as session:
        for i in np.argsort(judged.probability[Method.COMBINED], kind="stable")[:SHOWN]:
            post = session.get(PostRow, posts[judged.posts[i]].id)
            if post is not None:  # forgotten meanwhile
                likely = round(float(judged.probability[Method.COMBINED][i]), 4)
                summary.least_likely.append(
                    {"url": post.url, "hashtag": judged.hashtags[i], "probability": likely}
                )


def _rows(judged: Fits, posts: list[TaggedPost], model: str, now: datetime) -> list[LabelScore]:
    return [
        LabelScore(
            post=posts[row].id,
            hashtag=hashtag,
            method=str(method),
            probability=float(probability),
            model_version=model,
            computed_at=now,
        )
        for method in METHODS
        for row, hashtag, probability in zip(
            judged.posts, judged.hashtags, judged.probability[method], strict=True
        )
    ]
