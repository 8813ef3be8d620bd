"""Which replies a person means, and in which order they are shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, false, func, literal
from sqlmodel import Session, and_, col, or_, select

from bot.core import normal_form as text
from bot.core.errors import UsageError
from storage.tables import AuthorName, Reply, ReplyState

S = ReplyState
# As a person wants to see them: what waits for them, what happened, and last what has no picture.
SHOWN = (
    S.AWAITING_APPROVAL,
    S.UNKNOWN,
    S.APPROVED,
    S.SENDING,
    S.SENT,
    S.DRY_RUN,
    S.FAILED,
    S.REJECTED,
    S.EXPIRED,
    S.CANCELLED,
    S.RENDERING,
    S.QUEUED,
)


@dataclass(frozen=True, slots=True)
class ReplySelection:
    """Replies that meet everything that is said; nothing said: all of them."""

    numbers: tuple[range, ...] = ()  # in one of them
    states: Collection[ReplyState] = ()  # in one of them
    authors: Collection[tuple[str, str]] | None = None  # (platform, user id) of one of them


def count(session: Session, wanted: ReplySelection) -> int:
    return session.exec(select(func.count()).select_from(Reply).where(*_where(wanted))).one()


def newest(session: Session, wanted: ReplySelection, limit: int | None = None) -> list[Reply]:
    """Newest first."""
    rows = select(Reply).where(*_where(wanted)).order_by(col(Reply.id).desc())
    return list(session.exec(rows if limit is None else rows.limit(limit)))


def numbers_to_show(session: Session, wanted: ReplySelection, limit: int) -> list[int]:
    """What waits for a person first, then what is finished, then what has no picture yet; each
    newest first."""
    place = case({state.value: at for at, state in enumerate(SHOWN)}, value=col(Reply.state))
    rows = select(Reply.id).where(*_where(wanted)).order_by(place, col(Reply.id).desc())
    return [number or 0 for number in session.exec(rows.limit(limit))]


def people(session: Session, name: str) -> set[tuple[str, str]]:
    """(platform, user id) of whoever replies may be to under NAME, @NAME or PLATFORM/NAME: a user
    name, a former one, or a user id.

    Raises UsageError when there is nobody, or when several people had the name.
    """
    platform, _, bare = name.rpartition("/")
    rows = select(AuthorName.platform, AuthorName.user_id).where(
        or_(
            col(AuthorName.normal) == text.username(bare.removeprefix("@")),
            col(AuthorName.user_id) == bare,
        )
    )
    found = {(row[0], row[1]) for row in session.exec(rows) if platform in ("", row[0])}
    if not found:
        raise UsageError(f"nobody known has the name {name!r}")
    if len(found) > 1:
        ids = ", ".join(sorted(f"{one}/{user_id}" for one, user_id in found))
        raise UsageError(f"several people had the name {name!r}: say which of {ids}")
    return found


def _where(wanted: ReplySelection) -> Iterable[ColumnElement[bool]]:
    found: list[Any] = []
    if wanted.numbers:
        spans = [
            and_(col(Reply.id) >= span.start, col(Reply.id) < span.stop) for span in wanted.numbers
        ]
        found.append(or_(*spans))
    if wanted.states:
        found.append(col(Reply.state).in_(list(wanted.states)))
    if wanted.authors is not None:
        people = [
            and_(col(Reply.platform) == platform, col(Reply.author_id) == user_id)
            for platform, user_id in wanted.authors
        ]
        found.append(or_(*people) if people else false())
    return found or [literal(value=True)]
