"""One look at a track: list until something known, store the oldest first, record its health."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from bot.core.clock import Clock, utc_now
from bot.core.errors import NameTaken, NetworkError, RateLimited, StorageError, TargetGone
from bot.core.events import Page, Post, TrackKind
from bot.flow.forget import Files, gone_at_source
from bot.flow.ingest import Ingest, Taken
from bot.flow.policy import Track
from bot.flow.reply_rule import Watch
from bot.platforms.base import Platform
from storage import dataset, gaps
from storage.database import Database
from storage.tables import WHOEVER, Health, PostRow, PostTrack, TrackState
from storage.text import storable

log = structlog.get_logger()
QUIET_AFTER = timedelta(hours=24)  # and at least 20 polls: then "nothing new" is worth saying
EMPTIED = "the listing is empty, though posts were found before"
EMPTY_PAGES = 3  # in a row that add nothing and name a further one: then it has no end
VERIFY = 3  # vanished posts looked for per poll of a profile
LOOK_AT = 30  # and out of how many they are chosen


@dataclass(frozen=True, slots=True)
class Polled:
    taken: Taken
    listed: int
    gap: bool  # the listing was cut off before anything known: older posts were missed


class Poller:
    """Polls tracks of one account. Belongs to the account's thread."""

    def __init__(
        self,
        database: Database,
        ingest: Ingest,
        clock: Clock = utc_now,
        files: Sequence[Files] = (),
    ) -> None:
        """`files`: where images of a removed post lie; without it, a later sweep finds them."""
        self._database = database
        self._ingest = ingest
        self._files = files
        self._clock = clock

    def poll(self, platform: Platform, watch: Watch) -> Polled:
        """Raises what the platform raises, after recording it as the track's health."""
        track = watch.track
        began = self._clock()
        with self._database.write() as session:
            state = _state(session, track.key)
            first = state.last_ok is None
            state.last_attempt = began
        try:
            polled = self._poll(platform, watch, first=first)
        except Exception as error:  # a fault of ours is no "nothing new" either
            self._record_failure(track, error)
            raise
        self._record_success(track, polled)
        return polled

    def _poll(self, platform: Platform, watch: Watch, *, first: bool) -> Polled:
        track = watch.track
        limit = self._ingest.limits.first_poll if first else self._ingest.limits.per_poll
        posts, cursor = self._list(platform, track, limit)
        if first:
            posts, cursor = posts[:limit], None
        gap = cursor is not None
        if cursor is not None:  # before the posts, which would look like what was known before
            self._leave_gap(track, cursor, posts)
        newest_first = posts[::-1]
        taken = Taken()
        # Oldest first: if this is interrupted, what is missing is newer than everything stored and
        # the next listing, which stops at the first known page, still finds it.
        for some in _chunks(sorted(newest_first, key=lambda p: p.taken_at)):
            taken += self._ingest.take(platform, watch, some)
        if posts and taken.skipped == len(posts):  # one bad post is the post's fault; all are ours
            raise StorageError(f"none of {len(posts)} posts can be stored: see the log")
        if track.kind is TrackKind.PROFILE and not first:
            self._verify_vanished(platform, watch, posts)
        log.info(
            "track polled",
            track=track.key,
            listed=len(posts),
            new=taken.new,
            triggers=taken.triggers,
        )
        return Polled(taken, len(posts), gap)

    def _leave_gap(self, track: Track, cursor: str, posts: list[Post]) -> None:
        times = [post.taken_at for post in posts if not post.pinned]
        with self._database.write() as session:
            gaps.begin(session, track.key, cursor, min(times, default=None), self._clock())
        log.warning("gap left", track=track.key, until=min(times, default=None))

    def _list(self, platform: Platform, track: Track, limit: int) -> tuple[list[Post], str | None]:
        """Listed posts, each once, and the cursor where it broke off before what is known."""
        posts: dict[str, Post] = {}
        aside: dict[str, Post] = {}
        cursor: str | None = None
        empty = 0
        while True:
            page = reader(platform, track)(cursor)
            self._ingest.alive()
            if cursor is None and page.owner:
                check_owner(self._database, platform.name, track, page.owner)
            before = len(posts)
            posts.update((post.post_id, post) for post in page.posts)
            aside.update((post.post_id, post) for post in page.aside)
            empty = 0 if len(posts) > before else empty + 1
            ended = page.cursor is None or page.cursor == cursor
            if ended or reached_known(self._database, page, platform.name, track.key):
                return list((posts | aside).values()), None
            if len(posts) >= limit or empty == EMPTY_PAGES:
                return list((posts | aside).values()), page.cursor
            cursor = page.cursor

    def _verify_vanished(self, platform: Platform, watch: Watch, posts: list[Post]) -> None:
        """Stored posts that a profile's listing should show and does not: deleted?"""
        listed = [post.taken_at for post in posts if not post.pinned]
        oldest = min(listed, default=datetime.min.replace(tzinfo=UTC))
        shown = {post.post_id for post in posts}
        with self._database.read() as session:
            key, most = watch.track.key, len(shown) + LOOK_AT
            stored = _stored_since(session, key, platform.name, oldest, most)
        hidden = [row for row in stored if row[1] not in shown]
        # Others every time: some are there and never listed, and must not hide the rest.
        for row_id, post_id in random.sample(hidden, min(VERIFY, len(hidden))):
            try:
                platform.post(post_id)
            except TargetGone as error:
                now, treat = self._clock(), watch.policy.deleted_posts
                gone_at_source(self._database, self._files, row_id, treat, now, str(error))
            except (NetworkError, RateLimited) as error:  # the poll itself has worked
                log.info("deletion check skipped", post=post_id, reason=str(error))
                return

    def _record_failure(self, track: Track, error: Exception) -> None:
        with self._database.write() as session:
            state = _state(session, track.key)
            state.health = Health.FAILING
            state.error = storable(f"{type(error).__name__}: {error}")
            state.failing_since = state.failing_since or self._clock()
        log.warning("poll failed", track=track.key, error=str(error), kind=type(error).__name__)

    def _record_success(self, track: Track, polled: Polled) -> None:
        now = self._clock()
        with self._database.write() as session:
            state = _state(session, track.key)
            state.last_ok, state.failing_since, state.error = now, None, ""
            state.polls += 1
            state.found += polled.taken.new
            if polled.taken.new or state.last_new is None:
                state.last_new = now
            if polled.gap:
                state.last_gap = now
            patience = max(QUIET_AFTER, 20 * track.every)
            state.health = Health.QUIET if now - state.last_new > patience else Health.OK
            if state.found and not polled.listed:  # true of a hashtag, or hidden from us: say it
                state.health, state.error = Health.QUIET, EMPTIED


def check_owner(database: Database, platform: str, track: Track, owner: str) -> None:
    """A profile's track follows a person: the first time, whom we know by its name, if anybody.

    Raises NameTaken when somebody else has the name.
    """
    with database.write() as session:
        state = _state(session, track.key)
        if state.user_id == WHOEVER:
            state.user_id = owner
        elif not state.user_id:
            state.user_id = dataset.find_author(session, platform, track.name) or owner
        followed = state.user_id
    if followed != owner:
        raise NameTaken(
            f"@{track.name} is user {owner} now and was user {followed}: nothing is stored; "
            f"`tagecho track accept @{track.name}` follows the new one"
        )


def overdue(session: Session, tracks: list[Track], now: datetime) -> list[Track]:
    """Tracks whose last attempt lies more than an interval back, however often we restarted."""
    result = []
    for track in tracks:
        state = session.get(TrackState, track.key)
        if state is None or state.last_attempt is None or now - state.last_attempt >= track.every:
            result.append(track)
    return result


def reached_known(database: Database, page: Page, platform: str, track: str) -> bool:
    """Whether this track has been here before: most of the older half of the page is known.

    One post alone proves nothing, in either direction: listings are not quite in the order of time,
    and some posts are never stored. Nor do pinned posts, which stand first whatever their age, nor
    posts that only another track found.
    """
    listed = sorted((p for p in page.posts if not p.pinned), key=lambda p: p.taken_at)
    older = [post.post_id for post in listed[: (len(listed) + 1) // 2]]
    with database.read() as session:
        return 2 * _found_before(session, platform, track, older) > len(older)


def reader(platform: Platform, track: Track) -> Callable[[str | None], Page]:
    """The listing a track is read from, by cursor."""
    if track.kind is TrackKind.HASHTAG:
        return lambda cursor: platform.hashtag(track.name, cursor)
    if track.kind is TrackKind.PROFILE:
        return lambda cursor: platform.profile(track.name, cursor)
    return platform.mentions


def _state(session: Session, key: str) -> TrackState:
    state = session.get(TrackState, key)
    if state is None:
        state = TrackState(track=key)
        session.add(state)
        session.flush()
    return state


def _found_before(session: Session, platform: str, track: str, post_ids: list[str]) -> int:
    """How many of these posts this track found."""
    statement = (
        select(func.count())
        .select_from(PostTrack)
        .join(PostRow, col(PostRow.id) == col(PostTrack.post))
        .where(
            PostRow.platform == platform,
            col(PostRow.post_id).in_(post_ids),
            PostTrack.track == track,
        )
    )
    return session.exec(statement).one()


def _stored_since(
    session: Session, track: str, platform: str, since: datetime, limit: int
) -> list[tuple[int, str]]:
    statement = (
        select(PostRow.id, PostRow.post_id)
        .join(PostTrack, col(PostTrack.post) == col(PostRow.id))
        .where(
            PostTrack.track == track,
            PostRow.platform == platform,
            PostRow.taken_at >= since,
            col(PostRow.deleted_at).is_(None),
        )
        .order_by(col(PostRow.taken_at).desc())
        .limit(limit)
    )
    return [(row_id, post_id) for row_id, post_id in session.exec(statement) if row_id is not None]


def _chunks(posts: list[Post], size: int = 48) -> list[list[Post]]:
    return [posts[i : i + size] for i in range(0, len(posts), size)]
