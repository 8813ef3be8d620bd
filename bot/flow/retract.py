"""Taking back what we published: rows of `retractions`, deleted on the network one at a time.

A deletion may be repeated without harm, but not blindly: what was sent before, with whatever
outcome, is looked for first, and sent again only while it is still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from bot.core.clock import Clock, utc_now
from bot.core.errors import (
    AuthError,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StorageError,
    TargetGone,
)
from bot.flow.sending import pause_after
from bot.platforms.base import Platform
from bot.platforms.deletion import Deletion
from storage import pauses, retractions
from storage.database import Database
from storage.retractions import State
from storage.tables import Retraction

log = structlog.get_logger()
MAX_ATTEMPTS = 5  # deletions sent
PATIENCE = timedelta(days=14)  # for an account that is kept from deleting, or from looking
FIRST_PAUSE = timedelta(seconds=20)  # doubled from one attempt to the next
PAUSED = timedelta(minutes=1)
LONGEST = timedelta(hours=6)  # between looks that fail


class Retractor:
    """Deletes for one account. Belongs to the account's thread."""

    def __init__(
        self,
        database: Database,
        platform: Platform,
        clock: Clock = utc_now,
        meaning: Mapping[str, Deletion] | None = None,
    ) -> None:
        """`meaning`: what deletion means for each kind of thing, as the descriptor has it."""
        self._meaning = meaning or {}
        self._database = database
        self._platform = platform
        self._clock = clock

    def next(self) -> bool:
        """Handle the deletion whose time came first. False when there is none.

        Raises LoginRequired, with the deletion put off, when the session ended.
        """
        now = self._clock()
        with self._database.read() as session:
            row = retractions.due(session, self._platform.name, self._platform.account, now)
            stopped = pauses.paused(session, self._platform.account)
        if row is None:
            return False
        try:
            if self._gone_by_itself(row, now):
                self._finish(row, State.GONE)
            elif now - row.created > PATIENCE:
                self._finish(row, State.FAILED, f"given up: {row.error or 'no answer'}")
            elif stopped:
                self._put_off(row, now + PAUSED, "paused by the operator")
            elif row.attempts and not self._there(row):
                self._finish(row, State.DONE)
            elif row.attempts >= MAX_ATTEMPTS:
                self._finish(row, State.FAILED, f"still there: {row.error}")
            else:
                self._delete(row)
        except LoginRequired as error:
            self._put_off(row, now + pause_after(error), str(error))
            raise
        except (RateLimited, AuthError) as error:
            self._put_off(row, now + pause_after(error), str(error))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - a look that broke: the account has other work
            self._put_off(
                row, now + _patient(now - row.created), f"{type(error).__name__}: {error}"
            )
        return True

    def _gone_by_itself(self, row: Retraction, now: datetime) -> bool:
        """It is older than its row, and this kind of thing does not last so long."""
        meaning = self._meaning.get(row.kind)
        return bool(meaning and meaning.lasts and now - row.created >= meaning.lasts)

    def _there(self, row: Retraction) -> bool:
        return self._platform.exists(row.kind, row.remote_id)

    def _delete(self, row: Retraction) -> None:
        """Send the deletion once. After a fault of ours the outcome is unknown: the request may
        have left.
        """
        later = self._clock() + FIRST_PAUSE * 2.0**row.attempts
        with self._database.write() as session:
            retractions.begin(session, row.id or 0, later)
        try:
            self._platform.delete(row.kind, row.remote_id)
        except TargetGone:
            self._finish(row, State.GONE)
        except (Refused, OutcomeUnknown) as error:
            self._put_off(row, later, str(error))
        except (RateLimited, AuthError) as error:
            until = self._clock() + pause_after(error)
            self._put_off(row, until, str(error), unsent=True)
            if isinstance(error, LoginRequired):
                raise
        except Exception as error:
            self._put_off(row, later, f"{type(error).__name__}: {error}")
            log.exception("deletion failed", retraction=row.id)
        else:
            self._finish(row, State.DONE)

    def _put_off(self, row: Retraction, until: datetime, why: str, *, unsent: bool = False) -> None:
        log.info("deletion postponed", retraction=row.id, kind=row.kind, until=until, reason=why)
        with self._database.write() as session:
            retractions.postpone(session, row.id or 0, until, why, unsent=unsent)

    def _finish(self, row: Retraction, state: State, why: str = "") -> None:
        tell = log.error if state is State.FAILED else log.info
        tell("retraction", retraction=row.id, kind=row.kind, state=state.value, reason=why)
        with self._database.write() as session:
            retractions.finish(session, row.id or 0, state, self._clock(), why)


def _patient(waited: timedelta) -> timedelta:
    """The time until the next look. It grows, because each look costs a read and counts as no
    attempt.
    """
    return min(max(PAUSED, waited / 4), LONGEST)
