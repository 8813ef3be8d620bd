"""Collecting in bulk: a hashtag's or profile's posts backwards in time, resumable by cursor.

A first run walks from the newest post to the oldest and commits the platform's cursor after each
page. A later run lists what is new at the top first, down to what the first one saw, and then goes
on where the walk stopped; when the walk was complete, only the new posts cost anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import Refused, TargetGone, TargetPrivate, Unavailable
from bot.core.events import Comment, Page, Post
from bot.flow.ingest import Ingest, Taken
from bot.flow.policy import Policy
from bot.flow.poll import EMPTY_PAGES, check_owner, reader
from bot.flow.reply_rule import AHEAD, Watch
from bot.platforms.base import Platform
from storage import collections, dataset
from storage.database import Database
from storage.optouts import OptOuts

log = structlog.get_logger()
CHUNK = 16  # posts whose images are fetched together
SILENT = Policy(enabled=False)  # collecting answers nobody, whatever the policy
NOTHING = Taken()


def everything(post: Post) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Want:
    """What to collect of a target."""

    limit: int | None = None  # posts of it to have in all; None: as many as there are
    since: datetime | None = None  # nothing older
    matches: Callable[[Post], bool] = everything
    comments: int = 0  # of each post, at most


@dataclass(frozen=True, slots=True)
class CollectSummary:
    """What one run collected."""

    listed: int = 0
    matched: int = 0
    taken: Taken = NOTHING
    comments: int = 0
    complete: bool = False  # everything that was wanted is there


class Collector:
    """One run over one target. Belongs to the thread that uses the platform."""

    def __init__(
        self,
        database: Database,
        ingest: Ingest,
        optouts: OptOuts,
        platform: Platform,
        watch: Watch,
        want: Want,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._ingest = ingest
        self._optouts = optouts
        self._platform = platform
        self._watch = replace(watch, policy=SILENT)
        self._track = watch.track
        self._want = want
        self._clock = clock
        self._shown: set[str] = set()  # by this run
        self.summary = CollectSummary()

    def run(self) -> Iterator[Post]:
        """Yields every listed post after it was handled; `summary` is updated at each.

        Raises what the platform raises. A later run does not ask again for what was committed.
        """
        yield from self._top()
        yield from self._walk()
        while not self._ingest.later and self._ingest.retry_pending(self._platform):
            pass  # images that had to wait

    def _top(self) -> Iterator[Post]:
        """The posts that are newer than everything seen before; the oldest is stored first.

        Because of that order, an interruption leaves no gap that a later run would take for known.
        """
        with self._database.write() as session:
            newest = collections.state_of(session, self._track.key, self._clock()).newest
        if newest is None:
            return
        pages = []
        for page in self._pages(None):
            pages.append(page)
            times = sorted(post.taken_at for post in page.posts if not post.pinned)
            # Listings are not quite in order: the middle one tells, and no pinned one does.
            if (times and times[len(times) // 2] <= newest) or self._passed(page):
                break
        for page in reversed(pages):
            self._store(page.posts)
            self._note(page.posts)
            yield from page.posts

    def _walk(self) -> Iterator[Post]:
        """Backwards from where the last run stopped."""
        with self._database.write() as session:
            state = collections.state_of(session, self._track.key, self._clock())
            cursor, complete = state.cursor or None, state.complete
        if not complete and self._room() != 0:
            yield from self._walk_through(self._pages_from(cursor))
        self.summary = replace(self.summary, complete=True)

    def _pages_from(self, cursor: str | None) -> Iterator[Page]:
        """The pages from the cursor on; from the start when the platform no longer takes it.

        Cursors age. Reads are tried several times, and the top was readable a moment ago; so a
        mistake here costs a listing of known posts at worst.
        """
        pages = self._pages(cursor)
        try:
            first = next(pages)
        except (TargetGone, TargetPrivate):
            raise
        except (Refused, Unavailable) as error:
            if cursor is None:
                raise
            log.warning("cursor rejected", reason=str(error))
            pages = self._pages(None)
            first = next(pages)
        yield first
        yield from pages

    def _walk_through(self, pages: Iterator[Page]) -> Iterator[Post]:
        for page in pages:
            posts = self._within_limit(page.posts)
            self._store(posts)
            # A page that was not taken whole is listed again when more is wanted.
            whole = len(posts) == len(page.posts) and not self._passed(page)
            self._note(posts, walked=page if whole else None)
            yield from posts
            if not whole or self._room() == 0:
                return

    def _pages(self, cursor: str | None) -> Iterator[Page]:
        """Pages until the listing ends, or adds nothing for several pages and never ends."""
        read, empty = reader(self._platform, self._track), 0
        while True:
            page = read(cursor)
            if cursor is None and page.owner:
                check_owner(self._database, self._platform.name, self._track, page.owner)
            fresh = {post.post_id for post in page.posts} - self._shown
            self._shown |= fresh
            empty = 0 if fresh else empty + 1
            if page.cursor is None or page.cursor == cursor or empty == EMPTY_PAGES:
                yield replace(page, cursor=None)
                return
            yield page
            cursor = page.cursor

    def _passed(self, page: Page) -> bool:
        """Whether the page lies before `since`; then all later pages do. Pinned posts are not
        asked.
        """
        times = [post.taken_at for post in page.posts if not post.pinned]
        since = self._want.since
        return since is not None and bool(times) and all(time < since for time in times)

    def _room(self) -> int | None:
        """How many more posts are wanted; None: no limit."""
        if self._want.limit is None:
            return None
        with self._database.read() as session:
            return max(0, self._want.limit - collections.found_count(session, self._track.key))

    def _within_limit(self, posts: Sequence[Post]) -> Sequence[Post]:
        """The posts that fit into the limit. Posts that are stored already do not count."""
        room = self._room()
        if room is None:
            return posts
        with self._database.read() as session:
            ids = [post.post_id for post in posts]
            found = collections.found(session, self._platform.name, self._track.key, ids)
        for place, post in enumerate(posts):
            if self._wants(post) and post.post_id not in found:
                if room == 0:
                    return posts[:place]
                room -= 1
        return posts

    def _wants(self, post: Post) -> bool:
        young = self._want.since is None or post.taken_at >= self._want.since
        return young and self._want.matches(post)

    def _store(self, posts: Sequence[Post]) -> None:
        wanted = [post for post in posts if self._wants(post)]
        for start in range(0, len(wanted), CHUNK):
            some = wanted[start : start + CHUNK]
            taken = self._ingest.take(self._platform, self._watch, some)
            comments = self._comments(some) if self._want.comments else 0
            self.summary = replace(
                self.summary,
                matched=self.summary.matched + len(some),
                taken=self.summary.taken + taken,
                comments=self.summary.comments + comments,
            )
        self.summary = replace(self.summary, listed=self.summary.listed + len(posts))

    def _note(self, posts: Sequence[Post], walked: Page | None = None) -> None:
        """Commit the progress: posts were stored; `walked`: a page of the walk that is complete."""
        key, times = self._track.key, [post.taken_at for post in posts if not post.pinned]
        with self._database.write() as session:
            state = collections.state_of(session, key, self._clock())
            state.seen += len(posts)
            state.stored = collections.found_count(session, key)
            state.updated = self._clock()
            if times:
                # A date ahead of now would hide all that is published until then.
                past = [time for time in times if time <= self._clock() + AHEAD]
                state.newest = max(filter(None, (state.newest, *past)), default=None)
                state.oldest = min(filter(None, (state.oldest, *times)))
            if walked is not None:
                state.cursor, state.complete = walked.cursor or "", walked.cursor is None

    def _comments(self, posts: Sequence[Post]) -> int:
        """Store the comments that are missing of these posts. Returns how many were new."""
        name, most, new = self._platform.name, self._want.comments, 0
        with self._database.read() as session:
            rows = dataset.known(session, name, [post.post_id for post in posts])
            stored = collections.comment_counts(session, rows.values())
        for post in posts:
            there = most if post.comment_count is None else min(most, post.comment_count)
            row = rows.get(post.post_id)
            if row is not None and stored.get(row, 0) < there:
                said = self._said(post.post_id)
                with self._database.write() as session:
                    people = {comment.author.user_id for comment in said}
                    out = self._optouts.among(session, name, people)
                    kept = [c for c in said if c.author.user_id not in out]
                    new += collections.keep_comments(session, name, row, kept, self._clock())
        return new

    def _said(self, post_id: str) -> list[Comment]:
        said: list[Comment] = []
        cursor = None
        while len(said) < self._want.comments:
            try:
                page = self._platform.comments(post_id, cursor)
            except (TargetGone, TargetPrivate) as error:
                log.info("comments cannot be read", post=post_id, reason=str(error))
                break
            said += page.comments
            if not page.comments or page.cursor is None or page.cursor == cursor:
                break
            cursor = page.cursor
        return said[: self._want.comments]
