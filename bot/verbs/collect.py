"""`tagecho collect`: one account, one target, outside the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import LoginRequired, NameTaken, TargetGone, TargetPrivate, UsageError
from bot.core.events import Post, TrackKind
from bot.flow.backfill import Collector, CollectSummary, Want
from bot.flow.forget import gone_at_source
from bot.flow.ingest import Ingest
from bot.flow.policy import Track
from bot.flow.reply_rule import Us, Watch
from bot.platforms.base import Platform
from bot.service.app import App, account_of, limits_of, our_names, policy_of, tracks_of
from bot.service.progress import progress


@dataclass(frozen=True, slots=True)
class Target:
    account: str
    kind: TrackKind
    name: str
    dataset: str | None = None  # None: that of the track, else the name

    @property
    def key(self) -> str:
        return f"{self.account}:{self.kind}:{self.name}"


def collect(settings: Settings, target: Target, want: Want) -> CollectSummary:
    """Collect under the account's lock and its pacing ledger.

    Raises AccountLocked while a daemon works with the account, UsageError for a profile that is not
    there, private or somebody else's than before, and what the platform raises.
    """
    account_of(settings, target.account)
    app = App(settings)
    try:
        with app.lock(target.account):
            return _collect(app, target, want)
    except (
        NameTaken,
        TargetGone,
        TargetPrivate,
    ) as error:  # no fault of the network's: the name is wrong
        raise UsageError(f"{target.kind} {target.name}: {error}") from error
    finally:
        app.close()


def _collect(app: App, target: Target, want: Want) -> CollectSummary:
    platform = app.platform(target.account)
    curator = app.curator if app.settings.curation.at_ingest else None
    policy = policy_of(app.settings)

    def gone(row_id: int, why: str) -> None:
        files = (app.originals, app.artifacts, app.runs)
        gone_at_source(app.database, files, row_id, policy.deleted_posts, utc_now(), why)

    limits = limits_of(app.settings)
    ingest = Ingest(app.database, app.originals, app.optouts, limits, curator=curator, gone=gone)
    try:
        us = Us(platform.login(), names=our_names(app.settings, platform.name))
        watch = Watch(track_of(app.settings, target), policy, us)
        collector = Collector(app.database, ingest, app.optouts, platform, watch, want)
        for _ in progress(_patient(collector, platform), str(target.name), want.limit):
            pass
        return collector.summary
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


def track_of(settings: Settings, target: Target) -> Track:
    """The configured track of the target, or one that is never polled."""
    known = tracks_of(settings).get(target.key)
    dataset = target.dataset or (known.dataset if known else target.name)
    return Track(
        target.key, target.account, target.kind, target.name, timedelta(0), dataset=dataset
    )


def as_dict(summary: CollectSummary) -> dict[str, Any]:
    taken = summary.taken
    return {
        "listed": summary.listed,
        "matched": summary.matched,
        "new": taken.new,
        "changed": taken.changed,
        "kept_out": taken.kept_out,
        "skipped": taken.skipped,
        "comments": summary.comments,
        "complete": summary.complete,
    }
