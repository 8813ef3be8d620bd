"""The words that are learned from the stream: current ones, or learned anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bot.core.errors import ModelError, NothingToDo, StorageError
from bot.service.app import App, ServingStages, networks_of
from bot.verbs.labels import Eye, LabelSummary, embed_images
from models.base import WeightsError
from models.labels.outline import Outlines
from models.words import kept
from models.words.features import Vectors
from models.words.kept import LearnedWords
from models.words.learn import SpokenPosts, Versions, learn_words
from storage import human_labels, labels, words
from storage.labels import TaggedPost

MOST_POSTS = 20_000  # that teach: the newest


class WordEyes:
    """What images are seen with before there are words: the network in service, and outlines."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.segmenter = ServingStages(app.settings).segmenter()
        self.outlines = Outlines()
        self.unreadable: list[str] = []

    @property
    def versions(self) -> Versions:
        return Versions(self.segmenter.version, self.outlines.version)

    def look_at(self, images: Sequence[str], seconds: float | None = None) -> None:
        """Compute and store the vectors that are missing. May be broken off and called again."""
        eyes: tuple[Eye, ...] = (self.segmenter, self.outlines)
        for eye in eyes:
            with self._app.database.read() as session:
                seen = labels.embedded_names(session, eye.version)
            summary = LabelSummary(eye.version)
            embed_images(self._app, eye, images, seen, summary, seconds)
            self.unreadable += summary.unreadable

    def seen(self, images: Sequence[str]) -> tuple[list[str], Vectors, Vectors]:
        """Those of these images that have both vectors, and these."""
        with self._app.database.read() as session:
            first = labels.vectors_of(session, self.segmenter.version, images)
            second = labels.vectors_of(session, self.outlines.version, images)
        both = [image for image in images if image in first and image in second]
        return both, _stacked(first, both), _stacked(second, both)

    @property
    def both(self) -> set[str]:
        """The images that have both vectors."""
        with self._app.database.read() as session:
            first = labels.embedded_names(session, self.segmenter.version)
            return first & labels.embedded_names(session, self.outlines.version)


def current(app: App, eyes: WordEyes) -> LearnedWords:
    """The words of all posts with vectors, learned anew if anything changed since.

    Raises NothingToDo if too little was said of too few images, ModelError, StorageError.
    """
    home = networks_of(app.settings)
    posts = _teaching(app, eyes)
    spoken = _spoken(app, posts)
    versions = replace(eyes.versions, taught=_fingerprint(eyes.versions, posts, spoken))
    try:
        found = kept.load(home)
        if found is not None and found.taught == versions.taught:
            return found
        return kept.keep(learn_words(_lessons(eyes, posts, spoken), versions), home)
    except WeightsError as error:
        raise ModelError(str(error)) from error
    except ValueError as error:
        raise NothingToDo(f"nothing can be learned from hashtags and captions yet: {error}") from (
            error
        )
    except OSError as error:
        raise StorageError(f"{kept.path_in(home)}: {error.strerror or error}") from error


def _teaching(app: App, eyes: WordEyes) -> list[TaggedPost]:
    """Posts whose images have vectors, without what people rejected; the newest."""
    here = eyes.both
    with app.database.read() as session:
        posts = human_labels.believed(session, labels.tagged_posts(session, app.optouts))
    seen = [replace(post, images=tuple(i for i in post.images if i in here)) for post in posts]
    return [post for post in seen if post.images][-MOST_POSTS:]


def _spoken(app: App, posts: Sequence[TaggedPost]) -> dict[int, frozenset[str]]:
    with app.database.read() as session:
        return words.spoken(session, [post.id for post in posts])


def _lessons(
    eyes: WordEyes, posts: Sequence[TaggedPost], spoken: dict[int, frozenset[str]]
) -> SpokenPosts:
    """A post with several images teaches by the mean of what is seen of them."""
    images = list(dict.fromkeys(image for post in posts for image in post.images))
    names, seen, outlined = eyes.seen(images)
    row = {name: i for i, name in enumerate(names)}
    rows = [[row[image] for image in post.images if image in row] for post in posts]
    kept_posts = [(post, some) for post, some in zip(posts, rows, strict=True) if some]
    if not kept_posts:
        raise ValueError("no image has a vector")
    return SpokenPosts(
        np.stack([seen[some].mean(axis=0) for _, some in kept_posts]),
        np.stack([outlined[some].mean(axis=0) for _, some in kept_posts]),
        [post.hashtags for post, _ in kept_posts],
        [spoken.get(post.id, frozenset()) for post, _ in kept_posts],
        [post.author for post, _ in kept_posts],
    )


def _fingerprint(
    versions: Versions, posts: Sequence[TaggedPost], spoken: dict[int, frozenset[str]]
) -> str:
    digest = hashlib.sha256(f"{versions.model} {versions.outline}\n".encode())
    for post in posts:
        line = [post.id, post.author, post.hashtags, post.images, sorted(spoken.get(post.id, ()))]
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def _stacked(found: dict[str, bytes], names: Sequence[str]) -> NDArray[np.float32]:
    if not names:
        return np.empty((0, 0), np.float32)
    return np.stack([np.frombuffer(found[name], "<f4") for name in names])
