"""`tagecho labels score`: how probably each hashtag fits, by embeddings and outlines."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import ModelError, NothingToDo, StorageError
from bot.service.app import App, ServingStages, opened
from bot.service.progress import progress
from models.base import Embedding, Image, ImageRejected
from models.images.decoder import decode
from models.labels.fits import Fits, Method, fits
from models.labels.noise import DOUBT
from models.labels.outline import Outlines
from models.serving.catalogue import names
from models.serving.network_process import NetworkFailed
from storage import human_labels, labels
from storage.labels import TaggedPost
from storage.tables import LabelScore, PostRow

BATCH = 32  # images per transaction; an interruption loses at most so many
ROWS = 5000  # scores per transaction
METHODS = (Method.KNN, Method.PROBE, Method.OUTLINE, Method.COMBINED)  # stored ones
SHOWN = 10
TOGETHER = 20_000  # posts that are judged together; more are judged in parts
SIDE = 448  # px, short side; the network needs less, larger images only cost time

Vectors = dict[str, NDArray[np.float32]]


class Seen(Protocol):
    @property
    def embedding(self) -> Embedding: ...


class Eye(Protocol):
    """Turns an image into a vector: the network in service, or `Outlines`."""

    @property
    def version(self) -> str: ...

    def __call__(self, image: Image, /) -> Seen: ...


@dataclass(slots=True)
class LabelSummary:
    model: str  # version of the network
    outline: str = Outlines.version
    posts: int = 0
    images: int = 0  # with an embedding and an outline
    embedded: int = 0  # of these, computed by this run
    outlined: int = 0  # the same for outlines
    hashtags: int = 0
    scores: int = 0
    doubted: dict[str, int] = field(
        default_factory=dict
    )  # hashtags with a probability below 0.5, by method
    least_likely: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def score(settings: Settings) -> LabelSummary:
    """Embed new images, judge every hashtag, store the scores with the versions.

    May be interrupted: vectors are kept, and the scores of the last complete run stay until each is
    replaced. Raises NothingToDo without images or hashtags, ModelError.
    """
    segmenter, outlines = ServingStages(settings).segmenter(), Outlines()
    with opened(settings) as app:
        with app.database.read() as session:
            posts = human_labels.believed(session, labels.tagged_posts(session, app.optouts))
        if not any(post.hashtags for post in posts):
            raise NothingToDo("no stored image with a hashtag")
        summary, second = LabelSummary(segmenter.version), LabelSummary(outlines.version)
        posts = _seen(app, segmenter, posts, summary)
        posts = _seen(app, outlines, posts, second)
        summary.unreadable += second.unreadable
        summary.outlined = second.embedded
        if not posts:
            raise NothingToDo("none of the stored images can be read")
        summary.posts = len(posts)
        summary.images = len({image for post in posts for image in post.images})
        summary.hashtags = len({tag for post in posts for tag in post.hashtags})
        now = utc_now()
        for part in progress(_parts(posts), "hashtags"):
            _judge(app, part, summary, now)
        with app.database.write() as session:
            human_labels.restore(session, now)
            labels.prune(session, (summary.model, summary.outline), now, names("embedder"))
    return summary


def _parts(posts: list[TaggedPost]) -> list[list[TaggedPost]]:
    """The parts that are judged together: memory stays bounded, an author is in one part."""
    count = -(-len(posts) // TOGETHER)
    parts: list[list[TaggedPost]] = [[] for _ in range(count)]
    for post in posts:
        parts[crc32(post.author.encode()) % count].append(post)
    return [part for part in parts if part]


def _seen(app: App, eye: Eye, posts: list[TaggedPost], summary: LabelSummary) -> list[TaggedPost]:
    """Compute the missing vectors. Returns the posts with the images that have one."""
    with app.database.read() as session:
        seen = labels.embedded_names(session, eye.version)
    embed(app, eye, posts, seen, summary)
    left = [replace(post, images=tuple(i for i in post.images if i in seen)) for post in posts]
    return [post for post in left if post.images]


def embed(
    app: App,
    eye: Eye,
    posts: list[TaggedPost],
    seen: set[str],
    summary: LabelSummary,
    seconds: float | None = None,
) -> int:
    """As `embed_images`, for the images of these posts."""
    images = dict.fromkeys(image for post in posts for image in post.images)
    return embed_images(app, eye, list(images), seen, summary, seconds)


def embed_images(
    app: App,
    eye: Eye,
    images: Sequence[str],
    seen: set[str],
    summary: LabelSummary,
    seconds: float | None = None,
) -> int:
    """Store the vectors of images that are not in `seen`, batch by batch, and add them to it.

    After `seconds`, the image in hand is the last one. Returns how many were not looked at.
    """
    missing = [image for image in images if image not in seen]
    ends = math.inf if seconds is None else time.monotonic() + seconds
    looked = 0
    batch: Vectors = {}
    try:
        for sha256 in progress(missing, "images"):
            looked += 1
            try:
                batch[sha256] = _finite(eye(_decoded(app, sha256)).embedding, sha256)
            except (ImageRejected, StorageError) as error:
                summary.unreadable.append(str(error))
            except NetworkFailed as error:  # of an official network: this image, or all of them
                if error.lasting:
                    raise
                summary.unreadable.append(f"{sha256[:12]}: {error}")
            if len(batch) == BATCH:
                _keep(app, eye.version, batch, seen, summary)
                batch = {}
            if time.monotonic() >= ends:
                break
    finally:  # nothing that was computed is lost, also after Ctrl-C
        _keep(app, eye.version, batch, seen, summary)
    return len(missing) - looked


def _decoded(app: App, sha256: str) -> Image:
    most = app.settings.limits.max_pixels
    return decode(app.originals.get(sha256), max_pixels=most, shrink_to=SIDE).pixels


def _keep(app: App, version: str, batch: Vectors, seen: set[str], summary: LabelSummary) -> None:
    raw = {sha256: vector.astype("<f4").tobytes() for sha256, vector in batch.items()}
    with app.database.write() as session:
        labels.keep_vectors(session, version, raw, utc_now())
    seen.update(batch)
    summary.embedded += len(batch)


def _finite(vector: NDArray[np.float32], sha256: str) -> NDArray[np.float32]:
    if not np.isfinite(vector).all():
        raise ModelError(f"the network returns values that are not finite for image {sha256[:12]}")
    return vector


def _judge(app: App, posts: list[TaggedPost], summary: LabelSummary, now: datetime) -> None:
    vectors, outlines = _stored(app, summary.model, posts), _stored(app, summary.outline, posts)
    posts = [post for post in posts if all(i in vectors and i in outlines for i in post.images)]
    if not posts:  # all of them were forgotten meanwhile
        return
    judged = fits(
        np.stack([_of_post(post, vectors) for post in posts]),
        np.stack([_of_post(post, outlines) for post in posts]),
        [post.hashtags for post in posts],
        [post.author for post in posts],
    )
    rows = _rows(judged, posts, _versions(summary), now)
    for start in range(0, len(rows), ROWS):
        with app.database.write() as session:
            summary.scores += labels.upsert(session, rows[start : start + ROWS])
    for method in METHODS:
        doubted = int((judged.probability[method] < DOUBT).sum())
        summary.doubted[method] = summary.doubted.get(method, 0) + doubted
    _show(app, judged, posts, summary)


def _stored(app: App, version: str, posts: list[TaggedPost]) -> Vectors:
    hashes = list({image for post in posts for image in post.images})
    with app.database.read() as session:
        found = labels.vectors_of(session, version, hashes)
    return {sha256: np.frombuffer(vector, "<f4") for sha256, vector in found.items()}


def _of_post(post: TaggedPost, vectors: Vectors) -> NDArray[np.float32]:
    """The mean of the vectors of its images."""
    mean: NDArray[np.float32] = np.mean([vectors[image] for image in post.images], axis=0)
    return mean


def _show(app: App, judged: Fits, posts: list[TaggedPost], summary: LabelSummary) -> None:
    """The least probable hashtags of these posts and the earlier ones, in their order."""
    probability = judged.probability[Method.COMBINED].round(4)
    with app.database.read() as session:
        doubted = np.flatnonzero(probability < 0.5)  # 0.5: nothing is known
        for i in doubted[np.argsort(probability[doubted], kind="stable")][:SHOWN]:
            post = session.get(PostRow, posts[judged.posts[i]].id)
            if post is not None:  # forgotten meanwhile
                likely = float(probability[i])
                summary.least_likely.append(
                    {"url": post.url, "hashtag": judged.hashtags[i], "probability": likely}
                )
    summary.least_likely.sort(key=lambda row: float(row["probability"]))
    del summary.least_likely[SHOWN:]


def _versions(summary: LabelSummary) -> dict[Method, str]:
    """The version of what each method used."""
    return {
        Method.KNN: summary.model,
        Method.PROBE: summary.model,
        Method.OUTLINE: summary.outline,
        Method.COMBINED: f"{summary.model}+{summary.outline}",
    }


def _rows(
    judged: Fits, posts: list[TaggedPost], versions: dict[Method, str], now: datetime
) -> list[LabelScore]:
    return [
        LabelScore(
            post=posts[row].id,
            hashtag=hashtag,
            method=str(method),
            probability=float(probability),
            model_version=versions[method],
            computed_at=now,
        )
        for method in METHODS
        for row, hashtag, probability in zip(
            judged.posts, judged.hashtags, judged.probability[method], strict=True
        )
    ]
