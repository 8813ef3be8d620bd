"""`tagecho collect`: one account, one target; the running service does it, else this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import (
    AccountLocked,
    LoginRequired,
    NameTaken,
    TagechoError,
    TargetGone,
    TargetPrivate,
    UsageError,
)
from bot.core.events import Post
from bot.flow.backfill import Collector, Want, everything
from bot.flow.filters import parse_filter
from bot.flow.forget import gone_at_source
from bot.flow.ingest import Ingest
from bot.flow.reply_rule import Us, Watch
from bot.platforms.base import Platform
from bot.service import presence
from bot.service.app import App, account_of, limits_of, our_names, policy_of
from bot.service.collecting import Target, figures, track_of
from bot.service.progress import progress
from bot.verbs.replies import who_types
from storage import collect_requests
from storage.tables import AccountLogin, CollectRequest, RequestState

_BY_CODE = {kind.exit_code: kind for kind in TagechoError.__subclasses__()}
LOOK_EVERY = 0.5  # seconds between looks at a request


@dataclass(frozen=True, slots=True)
class Wish:
    """What to collect of a target, as a person writes it."""

    limit: int | None = None  # posts of it to have in all; None: as many as there are
    since: datetime | None = None  # nothing older
    where: str = ""  # a filter; see `bot.flow.filters`
    comments: int = 0  # of each post, at most

    def want(self) -> Want:
        """Raises UsageError for a filter that cannot be read."""
        matches = parse_filter(self.where) if self.where else everything
        return Want(self.limit, self.since, matches, self.comments)


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of it. `figures` are those of this call, or of all turns of the request."""

    dataset: str
    figures: dict[str, int]
    complete: bool = False  # everything that was wanted is there
    request: int | None = None  # that the service was asked for, and is left with

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"dataset": self.dataset, **self.figures}
        if self.request is not None:
            return found | {"request": self.request}
        return found | {"complete": self.complete}


def collect(
    settings: Settings,
    target: Target,
    wish: Wish,
    *,
    wait: bool = True,
    tell: Callable[[str], None] = lambda _: None,
    with_secrets: Callable[[], Settings] | None = None,
) -> Collected:
    """Collect, under the account's lock and its pacing ledger; or ask the service that has them.

    `wait`: until the service is done with it; if it ends before, this process goes on. `tell` is
    told what a person should know meanwhile. `with_secrets`: the same settings with what a login
    needs, if `settings` are without; asked for only if this process collects.

    Raises AccountLocked while another process than the service works with the account, UsageError
    for a profile that is not there, private or somebody else's than before, and what the platform
    raises.
    """
    account_of(settings, target.account)
    wish.want()
    app = App(settings)
    try:
        return _collect(app, target, wish, wait=wait, tell=tell, with_secrets=with_secrets)
    except (NameTaken, TargetGone, TargetPrivate) as error:  # the name is wrong, no network
        raise UsageError(f"{target.kind} {target.name}: {error}") from error
    finally:
        app.close()


def _collect(
    app: App,
    target: Target,
    wish: Wish,
    *,
    wait: bool,
    tell: Callable[[str], None],
    with_secrets: Callable[[], Settings] | None,
) -> Collected:
    while True:
        try:
            with app.lock(target.account):
                if with_secrets is not None:
                    app.adopt(with_secrets())
                return _here(app, target, wish)
        except AccountLocked:
            if not _serves(app, target.account):
                raise
        number = _ask(app, target, wish)
        dataset = track_of(app.settings, target).dataset
        if not wait:
            return Collected(dataset, {}, request=number)
        done = _await(app, target, wish, number, tell)
        if done is not None:
            return Collected(dataset, figures_of(done), done.complete)
        tell("the service ended: this process goes on")


def _serves(app: App, account: str) -> bool:
    """Whether the service runs and has this account."""
    found = presence.find(app.settings.data.dir)
    if found is None:
        return False
    with app.database.read() as session:
        login = session.get(AccountLogin, account)
    return login is not None and login.since >= found.since


def _ask(app: App, target: Target, wish: Wish) -> int:
    now = utc_now()
    request = CollectRequest(
        account=target.account,
        kind=target.kind,
        name=target.name,
        dataset=target.dataset,
        most=wish.limit,
        since=wish.since,
        filter=wish.where,
        comments=wish.comments,
        asked_by=who_types(),
        not_before=now,
        created=now,
    )
    with app.database.write() as session:
        return collect_requests.ask(session, request)


def _await(
    app: App, target: Target, wish: Wish, number: int, tell: Callable[[str], None]
) -> CollectRequest | None:
    """The request when it is done; None when the service ended before. Ctrl-C cancels it.

    Raises what the request failed for.
    """
    try:
        for _ in progress(_listed(app, number, tell), target.name, wish.limit):
            pass
    except BaseException:
        _cancel(app, number)
        raise
    found = _request(app, number)
    if found.state in collect_requests.OPEN:
        _cancel(app, number)  # ours now
        return None
    if found.state == RequestState.FAILED:
        raise _failure(found)
    if found.state == RequestState.CANCELLED:
        raise TagechoError(f"request {number} was cancelled")
    return found


def _listed(app: App, number: int, tell: Callable[[str], None]) -> Iterator[None]:
    """Yields for every post that the service has listed, until it is done or gone."""
    listed, told = 0, ""
    while True:
        found = _request(app, number)
        now = found.summary.get("listed", 0)
        yield from [None] * (now - listed)
        listed = max(listed, now)
        if found.state == RequestState.WAITING and found.error not in ("", told):
            tell(f"{found.name}: waits: {found.error}")
            told = found.error
        gone = presence.find(app.settings.data.dir) is None
        if gone or found.state not in collect_requests.OPEN:
            return
        time.sleep(LOOK_EVERY)


def _request(app: App, number: int) -> CollectRequest:
    with app.database.read() as session:
        return session.get_one(CollectRequest, number)


def _cancel(app: App, number: int) -> None:
    with app.database.write() as session:
        collect_requests.cancel(session, number, utc_now())


def _failure(found: CollectRequest) -> TagechoError:
    """The error that it failed for, with its exit code."""
    kind = _BY_CODE.get(found.exit_code, TagechoError)
    return kind(found.error)


def figures_of(found: CollectRequest) -> dict[str, int]:
    """Those of all its turns; what is none is 0."""
    none = ("listed", "matched", "new", "changed", "kept_out", "skipped", "comments")
    return dict.fromkeys(none, 0) | found.summary


def _here(app: App, target: Target, wish: Wish) -> Collected:
    platform = app.platform(target.account)
    curator = app.curator if app.settings.curation.at_ingest else None
    policy = policy_of(app.settings)

    def gone(row_id: int, why: str) -> None:
        files = (app.originals, app.artifacts, app.runs)
        gone_at_source(app.database, files, row_id, policy.deleted_posts, utc_now(), why)

    limits = limits_of(app.settings)
    ingest = Ingest(app.archive, limits, curator=curator, gone=gone)
    try:
        us = Us(platform.login(), names=our_names(app.settings, platform.name))
        track = track_of(app.settings, target)
        watch = Watch(track, policy, us)
        collector = Collector(app.database, ingest, app.optouts, platform, watch, wish.want())
        for _ in progress(_patient(collector, platform), str(target.name), wish.limit):
            pass
        summary = collector.summary
        return Collected(track.dataset, figures(summary), summary.complete)
    finally:
        ingest.close()
        platform.close()


def _patient(collector: Collector, platform: Platform) -> Iterator[Post]:
    """A session that ends on the way is worth one login; what is committed is not asked again."""
    try:
        yield from collector.run()
    except LoginRequired:
        platform.login()
        yield from collector.run()
