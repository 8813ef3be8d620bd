"""The operator's rules as the flow needs them; `bot.service.app` makes them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from bot.core.events import TrackKind
from bot.core.local_time import day_of
from bot.flow.quiet_hours import QuietHours
from models.compose.styles import DEFAULT


class Deleted(StrEnum):
    """What becomes of a post that its author deleted."""

    KEEP = "keep"  # all of it, marked
    METADATA = "metadata"  # what it said, without its images
    REMOVE = "remove"  # nothing; our reply to it is deleted as well


@dataclass(frozen=True, slots=True)
class Track:
    """Something an account listens to."""

    key: str  # stable: account, kind and name
    account: str
    kind: TrackKind
    name: str
    every: timedelta
    dataset: str = ""
    reply: str | None = None  # a style: every post of the track is a trigger
    paused: bool = False  # nothing is read for it


@dataclass(frozen=True, slots=True)
class Policy:
    """When, how and how often replies go out."""

    enabled: bool = True
    dry_run: bool = False
    approval: bool = True
    mode: str = ""  # the first of the platform's own
    fallback: tuple[str, ...] = ()
    styles: tuple[str, ...] = (DEFAULT,)  # one of them per post, always the same for one post
    caption: str = ""
    comment: str = ""
    mentions: bool = True
    opt_in_hashtags: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()  # user names (lower case) and user ids
    max_age: timedelta = timedelta(hours=24)
    expires: timedelta = timedelta(hours=48)
    per_day: int = 20
    per_author_per_day: int = 1
    newest: bool = False  # who asked last comes first; else one author after the other
    quiet: QuietHours | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    badge: bool = False
    disclosure: str = ""  # the words of the badge
    deleted_posts: Deleted = Deleted.KEEP  # at their source
    reads: tuple[timedelta, timedelta] = (timedelta(seconds=20), timedelta(minutes=2))

    def style_for(self, post_id: str) -> str:
        """The style of a reply to this post, where its track names none."""
        return self.styles[zlib.crc32(post_id.encode()) % len(self.styles)]

    def modes(self) -> tuple[str, ...]:
        """The configured way, then the fallbacks, each once; a platform takes those it has."""
        return tuple(dict.fromkeys((self.mode, *self.fallback)))

    def day(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end, in UTC, of the operator's calendar day that holds `now`."""
        return day_of(now, self.zone)

    def quiet_until(self, now: datetime) -> datetime | None:
        """The end of the quiet hours that hold `now`; None outside of them."""
        return self.quiet.until(now, self.zone) if self.quiet else None
