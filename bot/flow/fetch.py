"""Images of posts: download, check, keep. What is wrong with one becomes its state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from bot.core.errors import AuthError, RateLimited, Refused, Unavailable
from bot.core.events import Media, Post
from bot.platforms.base import Platform
from models.base import Image, ImageRejected
from models.images.decoder import DecoderUnavailable, decode
from models.quality.measure import Measured
from storage.blobs import BlobStore
from storage.dataset import Fetched
from storage.tables import MediaState

log = structlog.get_logger()
_MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


@dataclass(frozen=True, slots=True)
class Limits:
    max_image_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    first_poll: int = 50
    per_poll: int = 200


@dataclass(frozen=True, slots=True)
class MeasuredImage(Fetched):
    """A stored image with what was measured of it."""

    measured: Measured | None = None


class ImageFetcher:
    """Downloads on threads of its own.

    `measure` is given the pixels and the number of frames of each image that can be decoded.
    """

    def __init__(
        self,
        originals: BlobStore,
        measure: Callable[[Image, int], Measured | None],
        alive: Callable[[], None],
        downloads: int,
    ) -> None:
        self._originals = originals
        self._measure = measure
        self._alive = alive
        self._pool = ThreadPoolExecutor(downloads, thread_name_prefix="download")

    def all(
        self, platform: Platform, posts: Iterable[Post], limits: Limits, until: float
    ) -> dict[str, list[Fetched]]:
        """The images of each post by its id. Those not begun by `until` (monotonic seconds), or
        for which the platform's limit is reached, are left pending."""
        futures = {
            post.post_id: [
                self._pool.submit(self._one, platform, media, limits, until) for media in post.media
            ]
            for post in posts
        }
        images: dict[str, list[Fetched]] = {post_id: [] for post_id in futures}
        for post_id, some in futures.items():
            for future in some:
                images[post_id].append(future.result())
                self._alive()
        return images

    def each(self, platform: Platform, media: Sequence[Media], limits: Limits) -> Iterator[Fetched]:
        """These images, in their order."""
        futures = [self._pool.submit(self._one, platform, one, limits, math.inf) for one in media]
        for future in futures:
            yield future.result()
            self._alive()

    def _one(self, platform: Platform, media: Media, limits: Limits, until: float) -> Fetched:
        if time.monotonic() > until:
            return failed(media, MediaState.PENDING, "left for later", tried=False)
        try:
            return self.now(platform, media, limits)
        except (RateLimited, AuthError) as error:  # the account rests, or waits for a person
            return failed(media, MediaState.PENDING, str(error), tried=False)

    def now(self, platform: Platform, media: Media, limits: Limits) -> Fetched:
        """Download, check and keep one image. What is wrong with it becomes its state.

        Raises RateLimited.
        """
        try:
            data = platform.download(media, limits.max_image_bytes)
        except Unavailable as error:
            return failed(media, MediaState.PENDING, str(error))
        except Refused as error:
            return failed(media, MediaState.GONE, str(error))
        sha256 = self._originals.put(data)
        try:
            image = decode(data, max_pixels=limits.max_pixels)
        except DecoderUnavailable as error:
            return failed(media, MediaState.PENDING, f"left for later: {error}")
        except ImageRejected as error:
            log.warning("image quarantined", url=media.url.partition("?")[0], reason=error.reason)
            return Fetched(
                media,
                MediaState.QUARANTINED,
                sha256,
                len(data),
                "application/octet-stream",
                reason=str(error),
            )
        height, width = image.pixels.shape[:2]
        return MeasuredImage(
            media,
            MediaState.STORED,
            sha256,
            len(data),
            _MIME.get(image.format, "application/octet-stream"),
            width,
            height,
            notes=" ".join(image.notes),
            measured=self._measure(image.pixels, image.frames),
        )

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def failed(media: Media, state: MediaState, reason: str, *, tried: bool = True) -> Fetched:
    """An image without bytes, and why. `tried`: the platform was asked for it."""
    return Fetched(media, state, reason=reason, tried=tried)
