"""Posts into the dataset: their images fetched, then everything stored in one transaction.

A trigger's reply row is written in the same transaction as its post, so neither exists without the
other.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from sqlmodel import Session

from bot.core.clock import Clock, utc_now
from bot.core.errors import RateLimited, Refused, StorageError, TargetGone, Unavailable
from bot.core.events import Media, MediaKind, Post
from bot.core.normal_form import username
from bot.flow.curate import Curator
from bot.flow.fetch import ImageFetcher, Limits, MeasuredImage, failed
from bot.flow.reply_rule import Trigger, Watch, decide
from bot.platforms.base import Platform
from models.base import Image
from models.quality.measure import Measured
from storage import curation, dataset, outbox
from storage.archive import Archive
from storage.dataset import Fetched, Stored
from storage.tables import MediaRow, MediaState, PostRow

log = structlog.get_logger()
DOWNLOADS = 4  # at a time
BATCH = 16  # posts in one transaction: large enough to pay for its fsync, small enough to be quick
# Downloads of one image: the wait doubles from one to the next, so they span hours.
MAX_ATTEMPTS = 12
NO_IMAGE_YET = "waits for its image"  # the reason of a reply
LOOK_AT = 256  # missing images looked at to find one that is due
FIRST_RETRY = timedelta(seconds=5)
# Seconds for the images of one `take`; those not begun by then are fetched later, between replies.
FETCH_FOR = 20.0


@dataclass(frozen=True, slots=True)
class _Batch:
    """Posts that are stored together, for whom, and what could be fetched of the new ones."""

    watch: Watch
    posts: Sequence[Post]
    images: Mapping[str, Sequence[Fetched]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch of posts brought."""

    new: int = 0
    changed: int = 0
    triggers: int = 0
    kept_out: int = 0
    skipped: int = 0  # could not be stored

    def __add__(self, other: Taken) -> Taken:
        return Taken(
            self.new + other.new,
            self.changed + other.changed,
            self.triggers + other.triggers,
            self.kept_out + other.kept_out,
            self.skipped + other.skipped,
        )


class Ingest:
    """Stores posts of one platform account. Belongs to the account's thread."""

    def __init__(
        self,
        archive: Archive,
        limits: Limits,
        clock: Clock = utc_now,
        *,
        alive: Callable[[], None] = lambda: None,
        curator: Curator | None = None,
        gone: Callable[[int, str], object] = lambda _row, _why: None,
        later: bool = False,
    ) -> None:
        """`alive` is called whenever something that may take long has come to its end; `gone` with
        the row of a post that is no more at its source, and what the platform said.

        Without a `curator`, images are neither measured nor judged. `limits` and `curator` may be
        replaced between two calls. `later`: images are left to another thread's
        `fetch_untried`, and only those that failed are tried again.
        """
        self._database = archive.database
        self._optouts = archive.optouts
        self.limits = limits
        self._clock = clock
        self.alive = alive
        self.curator = curator
        self._gone = gone
        self.later = later
        self._fetcher = ImageFetcher(archive.originals, self._measured, self._show_life, DOWNLOADS)

    def take(self, platform: Platform, watch: Watch, posts: Sequence[Post]) -> Taken:
        """Store what is new and record what changed. The posts are of one platform."""
        taken, until = Taken(), time.monotonic() + (-1.0 if self.later else FETCH_FOR)
        for start in range(0, len(posts), BATCH):
            some = posts[start : start + BATCH]
            taken += self._take_batch(platform, watch, some, until)
        return taken

    def retry_pending(self, platform: Platform) -> int:
        """Try again to fetch what is missing of one post, the first that is due.

        Returns how many images were tried: 0 when none is due, or none may be asked for now.
        """
        with self._database.read() as session:
            rows = dataset.pending_media(
                session, platform.name, LOOK_AT, MAX_ATTEMPTS, tried=self.later
            )
        due = [(media, post) for media, post in rows if self._may_retry(media, post)]
        if not due:
            return 0
        post = due[0][1]
        missing = [media for media, of in due if of.id == post.id]
        tried = 0
        try:
            for media, image in self._retry(platform, post, missing):
                self._settle(media, image)
                self.alive()
                tried += 1
        except RateLimited as error:  # nothing was asked for, so it is no attempt
            log.info("images postponed", reason=str(error))
            return 0
        return tried

    def fetch_untried(self, platform: Platform) -> int:
        """Fetch some images that nobody asked for yet. Returns how many were tried.

        Unlike all else here, it may run in a thread of its own, with an `Ingest` of its own.
        """
        with self._database.read() as session:
            rows = dataset.untried_media(session, platform.name, BATCH)
        media = [Media(row.index, row.url, MediaKind(row.kind)) for row in rows]
        found = zip(rows, self._fetcher.each(platform, media, self.limits), strict=True)
        tried = [(row, _in_doubt(image)) for row, image in found if image.tried]
        if not tried:
            return 0
        with self._database.write() as session:
            posts = {row.post for row, _ in tried}
            held = dataset.media_of(session, posts)
            for row, image in tried:
                dataset.settle_media(session, row.id or 0, image, self._clock())
            self._keep_measured(session, [(row.post, image) for row, image in tried])
            del held  # which kept the rows in the session
            outbox.image_came(session, posts, NO_IMAGE_YET, self._clock())
        self._curate(image for _, image in tried)
        return len(tried)

    def close(self) -> None:
        self._fetcher.close()

    def _take_batch(
        self, platform: Platform, watch: Watch, posts: Sequence[Post], until: float
    ) -> Taken:
        unique = list({post.post_id: post for post in posts}.values())
        with self._database.read() as session:
            known = dataset.known(session, platform.name, [p.post_id for p in unique])
            out = self._kept_out(session, unique)
        missing = [p for p in unique if p.post_id not in known and p.post_id not in out]
        images = self._fetcher.all(platform, missing, self.limits, until)
        batch = _Batch(watch, unique, images)
        try:
            taken = self._write(batch)
        except StorageError:  # the whole database's trouble
            raise
        except Exception as error:  # noqa: BLE001 - met again below, post by post
            log.warning("batch divided", reason=_first_line(error))
            taken = Taken()
            for post in unique:
                taken += self._write_one(replace(batch, posts=[post]))
        self._curate(image for some in images.values() for image in some)
        return taken

    def _write_one(self, batch: _Batch) -> Taken:
        """Store one post. A post that the database refuses is skipped and logged, for the sake of
        the others.
        """
        try:
            return self._write(batch)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - logged; a poll that stores nothing fails
            post, track = batch.posts[0].post_id, batch.watch.track.key
            log.error("post skipped", post=post, track=track, reason=_first_line(error))
            return Taken(skipped=1)

    def _write(self, batch: _Batch) -> Taken:
        """All of them in one transaction."""
        posts = batch.posts
        with self._database.write() as session:
            # Asked again: somebody may have opted out while the images were on their way.
            network = posts[0].platform
            known = dataset.known(session, network, [p.post_id for p in posts])
            out = self._kept_out(session, posts)
            welcome = [p for p in posts if p.post_id not in out]
            people = {post.author.user_id for post in welcome}
            rows = {known[p.post_id] for p in welcome if p.post_id in known}
            held = dataset.at_hand(session, network, people, rows, batch.watch.track.key)
            names = dataset.names_of_all(session, network, people)
            new = changed = triggers = 0
            for post in welcome:
                row, images = known.get(post.post_id), batch.images.get(post.post_id)
                if row is not None:
                    changed += bool(dataset.see(session, row, post, self._clock()))
                elif images is not None:
                    row = dataset.add(session, post, images, self._clock())
                    self._keep_measured(session, [(row, image) for image in images])
                    new += 1
                if row is not None:
                    stored, name = Stored(row, post), username(post.author.username)
                    known_as = names.get(post.author.user_id, frozenset()) | {name}
                    triggers += self._note(session, batch.watch, stored, known_as)
            del held  # which kept the rows in the session
        return Taken(new, changed, triggers, len(posts) - len(welcome))

    def _kept_out(self, session: Session, posts: Sequence[Post]) -> set[str]:
        """Ids of posts that were forgotten, or whose author was. All are of one platform."""
        authors = {post.post_id: post.author.user_id for post in posts}
        return self._optouts.unwelcome(session, posts[0].platform, authors) if posts else set()

    def _note(
        self, session: Session, watch: Watch, stored: Stored, known_as: frozenset[str]
    ) -> bool:
        """Write down which track found it and whether it is a trigger. True for a new reply.

        A known post is judged again: an edit may have added the mention, and another track may be
        one that replies. The unique key of `replies` keeps it at one.
        """
        now, track, post = self._clock(), watch.track, stored.post
        trigger = decide(post, watch, opted_out=False, now=now, known_as=known_as)
        decision = trigger.kind if isinstance(trigger, Trigger) else trigger.reason
        dataset.found_by(session, stored.row, track.key, track.dataset, decision, now)
        if not isinstance(trigger, Trigger):
            return False
        request = outbox.Request(
            source=stored,
            account=track.account,
            track=track.key,
            trigger=trigger.kind,
            style=trigger.style,
            media_index=trigger.media_index,
            seed=secrets.randbelow(2**31),
            expires_at=now + watch.policy.expires,
        )
        reply = outbox.queue(session, request, now)
        if reply is not None:
            log.info(
                "reply queued", post=post.post_id, reply=reply, kind=trigger.kind, track=track.key
            )
        return reply is not None

    def _retry(
        self, platform: Platform, row_of: PostRow, missing: Sequence[MediaRow]
    ) -> Iterator[tuple[MediaRow, Fetched]]:
        """Fetch from the first addresses. Addresses change, so after a failure the post is read
        again, once.

        Raises RateLimited.
        """
        left = []
        for row in missing:
            image = self._fetch_now(platform, Media(row.index, row.url, MediaKind(row.kind)))
            if image.sha256:
                yield row, image
            else:
                left.append((row, image))
        if not left:
            return
        try:
            post = platform.post(row_of.post_id)
        except (Unavailable, Refused) as error:
            state = MediaState.PENDING if isinstance(error, Unavailable) else MediaState.GONE
            yield from ((row, failed(image.media, state, str(error))) for row, image in left)
            if isinstance(error, TargetGone):
                self._gone(row_of.id or 0, str(error))
            return
        now = {media.index: media for media in post.media}
        for row, image in left:
            media = now.get(row.index)
            if media is None:
                yield (
                    row,
                    failed(image.media, MediaState.GONE, "the image was taken out of the post"),
                )
            elif media.url == row.url:
                yield row, image
            else:
                yield row, self._fetch_now(platform, media)

    def _fetch_now(self, platform: Platform, media: Media) -> Fetched:
        """Raises RateLimited."""
        return self._fetcher.now(platform, media, self.limits)

    def _show_life(self) -> None:
        self.alive()  # which may have been replaced

    def _measured(self, pixels: Image, frames: int) -> Measured | None:
        return None if self.curator is None else self.curator.measured(pixels, frames)

    def _settle(self, row: MediaRow, image: Fetched) -> None:
        if image.state == MediaState.PENDING and row.attempts + 1 >= MAX_ATTEMPTS:
            image = failed(image.media, MediaState.GONE, f"given up: {image.reason}")
        with self._database.write() as session:
            dataset.settle_media(session, row.id or 0, image, self._clock())
            self._keep_measured(session, [(row.post, image)])
        self._curate([image])

    def _keep_measured(self, session: Session, images: Iterable[tuple[int, Fetched]]) -> None:
        """Store measurements of the images that were just stored, by the row of their post.

        Another worker's are the same.
        """
        if self.curator is None:
            return
        measured = {
            (post, image.media.index): image.measured
            for post, image in images
            if isinstance(image, MeasuredImage) and image.measured
        }
        rows = []
        for media in dataset.media_of(session, {post for post, _ in measured}):
            found = measured.get((media.post, media.index))
            if found is not None and media.state == MediaState.STORED:
                rows.append(self.curator.row(media.id or 0, found))
        curation.keep(session, rows)

    def _curate(self, images: Iterable[Fetched]) -> None:
        """After their transaction. An image whose curation fails is still collected: the rows say
        that it was not compared yet, and the next image's turn, or `tagecho curate`, does it."""
        if self.curator is None or not any(isinstance(image, MeasuredImage) for image in images):
            return
        try:
            self.curator.settle()
        except StorageError:
            raise
        except Exception:
            log.exception("curation postponed")
        self.alive()

    def _may_retry(self, media: MediaRow, post: PostRow) -> bool:
        return self._clock() >= post.first_seen + FIRST_RETRY * 2.0**media.attempts


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _in_doubt(image: Fetched) -> Fetched:
    """An image that is gone at an old address is pending: it may have moved.

    `retry_pending` reads the post again and decides.
    """
    if image.state is not MediaState.GONE:
        return image
    return replace(image, state=MediaState.PENDING)
