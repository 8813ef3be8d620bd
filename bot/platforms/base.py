"""What every platform offers the service, and the rules an adapter keeps.

Errors: an adapter raises only classes of `bot.core.errors`. Reads raise `Unavailable`,
`RateLimited`, `AuthError`, `TargetGone` or `TargetPrivate`; a failed read is never an empty page.
Writes raise `OutcomeUnknown` unless the platform definitely refused, and are never sent twice by
the adapter or by anything below it.

Threads: one adapter belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from bot.core.errors import TagechoError
from bot.core.events import (
    Author,
    CommentPage,
    Media,
    Page,
    Post,
    Reading,
    Receipt,
    Step,
    Topic,
)
from bot.platforms.reply_modes import Ways


class Platform(Protocol):
    """One account on one platform."""

    name: str
    account: str
    ways: Ways

    def login(self) -> Author:
        """Make the session usable (reuse, else log in once) and say who we are."""

    def hashtag(self, tag: str, cursor: str | None = None) -> Page:
        """Recent posts of a hashtag (without '#')."""

    def profile(self, username: str, cursor: str | None = None) -> Page:
        """Posts of a profile. Raises TargetPrivate or TargetGone."""

    def mentions(self, cursor: str | None = None) -> Page:
        """Posts in which our own account is tagged or mentioned."""

    def post(self, post_id: str) -> Post:
        """One post, fresh. Raises TargetGone when it was deleted."""

    def comments(self, post_id: str, cursor: str | None = None) -> CommentPage:
        """Comments under a post. Raises TargetGone when the post was deleted."""

    def author(self, user_id: str) -> Author:
        """A person, fresh: `is_private` unless known to be public, `is_bot` by their own words too.

        Raises TargetGone.
        """

    def download(self, media: Media, max_bytes: int) -> bytes:
        """The original bytes. Raises Refused for a host that is not allowed or a body too large."""

    def send(self, step: Step) -> Receipt:
        """Send one write, once."""

    def find(self, step: Step, since: datetime) -> Reading:
        """Look on the platform whether a write of unknown outcome, sent at `since`, was applied.

        Raises as reads do when the platform gave no usable answer: that is no reading at all.
        """

    def delete(self, kind: str, remote_id: str) -> None:
        """Delete something we published: the kind that its step leaves, by the receipt's id.

        Sent once.

        Raises TargetGone when there is no such thing, Refused when the platform will not,
        OutcomeUnknown when that is not certain.
        """

    def exists(self, kind: str, remote_id: str) -> bool:
        """Whether something we published is still to be seen. Raises as reads do: False is said
        only by a complete answer."""

    def close(self) -> None:
        """Release connections; the session file is already on disk."""


@runtime_checkable
class Streaming(Platform, Protocol):
    """A platform that also says what appears, beside what is listed on request."""

    def stream(self, cursor: str | None, topics: Collection[Topic]) -> Page:
        """What appeared since `cursor`, oldest first, at once; None: from now on.

        `topics` is what is wanted. A network that streams everything may answer with more, one that
        has no stream of a topic with less: the polls find it. The page's cursor is where to resume,
        and never None. Raises Refused for a cursor that the network does not know (any more), and
        otherwise as reads do; Unavailable also where a server of this network has no stream.
        """


@runtime_checkable
class Adopting(Protocol):
    """A platform that can go on with a session that a browser has."""

    def adopt(self, cookies: Path) -> Author:
        """Take the session from a cookies.txt, look that it works and is this account's, keep it.

        Raises UsageError for a file without it, AuthError for a session that ended or is another
        account's, and otherwise as reads do; then the session of before stays.
        """


class Authorization(Protocol):
    """How a person gives an account its secret without a password: a page, and a code."""

    address: str  # of the page where they allow it, and are shown the code

    def secret(self, code: str) -> str:
        """What the code is worth, once. Raises UsageError for one that is none."""

    def close(self) -> None:
        """Release connections."""


class Pacer(Protocol):
    """Asked before every request; the ledger in the database answers (see `platforms.pacing`)."""

    def before(self, action: str) -> None:
        """Wait for a token of this action class.

        Raises RateLimited while the circuit is open, AuthError while it waits for a person.
        """

    def after(self, action: str, error: Exception | None) -> None:
        """Tell the ledger how it went."""

    def rest(self, seconds: float) -> bool:
        """Sleep between two attempts of a read. True when it was interrupted: the service stops."""


@contextmanager
def paced(pacer: Pacer, action: str) -> Iterator[None]:
    """A request that keeps to the pace. Its error is told to the ledger, and raised."""
    pacer.before(action)
    try:
        yield
    except TagechoError as error:
        pacer.after(action, error)
        raise
    pacer.after(action, None)
