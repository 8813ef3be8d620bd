"""The way back through posts that a poll missed, a page at a time, when nothing else is due.

A poll that is cut off before it comes to what is known leaves a gap. It keeps the cursor, so that
the rest is read later, without holding up the next poll, until what is known is met.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import AuthError, LoginRequired, RateLimited, Refused, Unavailable
from bot.core.events import Page
from bot.flow.ingest import Ingest, Taken
from bot.flow.poll import reached_known, reader
from bot.flow.reply_rule import Watch
from bot.flow.sending import pause_after
from bot.platforms.base import Platform
from storage import gaps
from storage.database import Database
from storage.tables import Gap

log = structlog.get_logger()
MAX_FAILURES = 8  # in a row: the cursor is no longer taken, or leads nowhere
FIRST_PAUSE = timedelta(minutes=1)  # after a failure; doubled from one to the next


class Gaps:
    """Closes the gaps of one account's tracks. Belongs to the account's thread."""

    def __init__(self, database: Database, ingest: Ingest, clock: Clock = utc_now) -> None:
        self._database = database
        self._ingest = ingest
        self._clock = clock

    def next(self, platform: Platform, watches: Mapping[str, Watch]) -> bool:
        """Read one page of one gap. False when none is due. Raises LoginRequired, StorageError."""
        with self._database.read() as session:
            gap = gaps.due(session, watches, self._clock())
        if gap is None:
            return False
        watch = watches[gap.track]
        try:
            page = reader(platform, watch.track)(gap.cursor)
        except LoginRequired:
            raise
        except (RateLimited, AuthError) as error:
            self._rest(gap, pause_after(error), str(error))
        except (Unavailable, Refused) as error:
            self._fail(gap, str(error))
        else:
            self._take(platform, watch, gap, page)
        return True

    def _take(self, platform: Platform, watch: Watch, gap: Gap, page: Page) -> None:
        """Store the posts, then the progress: after an interruption the page is read again."""
        met = reached_known(self._database, page, platform.name, gap.track)
        posts = sorted(page.posts, key=lambda post: post.taken_at)
        taken = self._ingest.take(platform, watch, posts) if posts else Taken()
        if met or page.cursor is None or page.cursor == gap.cursor:
            self._close(gap, taken)
        elif not posts:
            self._fail(gap, "a page without posts", page.cursor)
        else:
            self._go_on(gap, page, taken)

    def _go_on(self, gap: Gap, page: Page, taken: Taken) -> None:
        times = [post.taken_at for post in page.posts if not post.pinned]
        with self._database.write() as session:
            row = session.get_one(Gap, gap.id)
            row.cursor, row.failures = page.cursor or "", 0
            row.found += taken.new
            row.until = min(filter(None, (row.until, *times)), default=None)
            log.info("gap narrowed", track=row.track, until=row.until, since=row.since)

    def _close(self, gap: Gap, taken: Taken) -> None:
        with self._database.write() as session:
            session.delete(session.get_one(Gap, gap.id))
        log.info("gap closed", track=gap.track, posts=gap.found + taken.new)

    def _rest(self, gap: Gap, pause: timedelta, why: str) -> None:
        with self._database.write() as session:
            session.get_one(Gap, gap.id).not_before = self._clock() + pause
        log.info("gap postponed", track=gap.track, reason=why)

    def _fail(self, gap: Gap, why: str, cursor: str = "") -> None:
        with self._database.write() as session:
            row = session.get_one(Gap, gap.id)
            row.failures += 1
            row.cursor = cursor or row.cursor
            row.error, row.given_up = why, row.failures >= MAX_FAILURES
            row.not_before = self._clock() + FIRST_PAUSE * 2.0 ** (row.failures - 1)
        log.warning("gap not read", track=gap.track, reason=why, failures=gap.failures + 1)
