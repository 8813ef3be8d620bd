"""How the logins of accounts went: the service writes each change, whoever asks reads it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from storage.tables import AccountLogin, LoginState
from storage.text import storable


def begin(session: Session, account: str, now: datetime) -> None:
    """Nobody is logged in yet: the service begins, or the session ended."""
    session.merge(AccountLogin(account=account, state=LoginState.LOGGING_IN, since=now))


def succeed(session: Session, account: str, now: datetime) -> None:
    session.merge(AccountLogin(account=account, state=LoginState.LOGGED_IN, since=now))


def fail(
    session: Session, account: str, error: Exception, now: datetime, next_try: datetime
) -> None:
    """`since` stays when the latest one failed for the same kind of reason."""
    kind, known = type(error).__name__, session.get(AccountLogin, account)
    lasting = known is not None and known.state == LoginState.FAILED and known.kind == kind
    session.merge(
        AccountLogin(
            account=account,
            state=LoginState.FAILED,
            since=known.since if known is not None and lasting else now,
            kind=kind,
            error=storable(str(error)),
            next_try=next_try,
        )
    )
