"""How an account is: its login, pauses, caps and limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import Session, select

from bot.config import Settings
from bot.core.errors import AuthError
from bot.flow.policy import Policy
from bot.platforms.pacing import ACCOUNT, TokenRate, refill
from bot.service.app import action_limits, rates_of
from bot.service.state import advice
from bot.service.state.facts import AccountHealth, AccountStatus, Caps, LimitLeft
from storage import outbox, pauses
from storage.tables import AccountLogin, BreakerRow, Bucket, LoginState

H = AccountHealth
# A login that failed for one of these is worth no further try before a person did something.
_FOR_A_PERSON = {"AuthError", *(kind.__name__ for kind in AuthError.__subclasses__())}


def account(
    session: Session, settings: Settings, policy: Policy, name: str, now: datetime, *, running: bool
) -> AccountStatus:
    said = settings.accounts[name]
    rows = session.exec(select(BreakerRow).where(BreakerRow.account == name))
    breakers = {row.action: row for row in rows}
    login = session.get(AccountLogin, name)
    health, since, why, kind = _health(login, breakers, running=running)
    waits = health in (H.LOGIN_FAILED, H.WAITS_FOR_PERSON)
    return AccountStatus(
        name=name,
        platform=said.platform,
        username=said.username,
        health=health,
        since=since,
        kind=kind,
        why=why,
        do=advice.of(kind) if waits else "",
        next_try=login.next_try if login is not None and health is H.LOGIN_FAILED else None,
        paused=pauses.paused(session, name),
        caps=_caps(session, policy, name, now),
        limits=_limits(session, settings, name, breakers, now),
    )


def unread(settings: Settings, policy: Policy, name: str, why: str, now: datetime) -> AccountStatus:
    """What can be said of an account while the database cannot be read: next to nothing."""
    said = settings.accounts[name]
    caps = Caps(policy.per_day, policy.per_day, policy.day(now)[1], policy.quiet_until(now))
    return AccountStatus(
        name, said.platform, said.username, H.NOT_RUNNING, None, "", why, "", None, False, caps, ()
    )


def _health(
    login: AccountLogin | None, breakers: Mapping[str, BreakerRow], *, running: bool
) -> tuple[AccountHealth, datetime | None, str, str]:
    """Health, since when, why, and the kind of error."""
    latched = [row for row in breakers.values() if row.latched]
    if latched:
        row = next((one for one in latched if one.action == ACCOUNT), latched[0])
        kind, words = advice.split(row.reason)
        failed = login is not None and login.state == LoginState.FAILED
        return H.WAITS_FOR_PERSON, login.since if login and failed else None, words, kind
    if not running:
        return H.NOT_RUNNING, None, "the service does not run", ""
    if login is None or login.state == LoginState.LOGGING_IN:
        return H.LOGGING_IN, login.since if login else None, "no login has worked yet", ""
    if login.state == LoginState.FAILED:
        health = H.WAITS_FOR_PERSON if login.kind in _FOR_A_PERSON else H.LOGIN_FAILED
        return health, login.since, login.error, login.kind
    return H.LOGGED_IN, login.since, "", ""


def _caps(session: Session, policy: Policy, name: str, now: datetime) -> Caps:
    begin, end = policy.day(now)
    sent = outbox.sent_since(session, name, begin)
    return Caps(policy.per_day, sent, end, policy.quiet_until(now))


def _limits(
    session: Session,
    settings: Settings,
    name: str,
    breakers: Mapping[str, BreakerRow],
    now: datetime,
) -> tuple[LimitLeft, ...]:
    account = settings.accounts[name]
    rates, limits = rates_of(settings, account), action_limits(settings, account)
    rows = session.exec(select(Bucket).where(Bucket.account == name))
    buckets = {row.action: row for row in rows}
    return tuple(
        _limit(action, str(limits[action] or "off"), rate, buckets.get(action), breakers, now)
        for action, rate in rates.items()
    )


def _limit(
    action: str,
    written: str,
    rate: TokenRate | None,
    bucket: Bucket | None,
    breakers: Mapping[str, BreakerRow],
    now: datetime,
) -> LimitLeft:
    left, next_at = _tokens(rate, bucket, now)
    pauses_now = [
        row
        for key in (ACCOUNT, action)
        if (row := breakers.get(key)) is not None and row.open_until and row.open_until > now
    ]
    longest = max(pauses_now, key=lambda row: row.open_until or now, default=None)
    return LimitLeft(
        action=action,
        rate=written,
        left=left,
        most=rate.burst if rate else None,
        next_at=next_at,
        paused_until=longest.open_until if longest else None,
        why=advice.split(longest.reason)[1] if longest else "",
    )


def _tokens(
    rate: TokenRate | None, bucket: Bucket | None, now: datetime
) -> tuple[int | None, datetime | None]:
    """How many may be done at once, and when the first may be if that is none."""
    if rate is None:
        return None, None
    if bucket is None:
        return rate.burst, None
    per_second = rate.per_hour / 3600
    elapsed = (now - bucket.updated).total_seconds()
    tokens = refill(bucket.tokens, elapsed, per_second, rate.burst)
    if tokens >= 1:
        return int(tokens), None
    return 0, now + timedelta(seconds=(1 - tokens) / per_second)
