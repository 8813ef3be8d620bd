"""What is legal in a configuration, and unwise: each with the line where it stands.

A rule looks at good settings only. It says what will happen, and what is usual instead.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from bot.config.settings import Settings
from bot.config.source import parse_source, read_text
from bot.net.addresses import is_loopback
from bot.platforms import registry
from bot.platforms.account import Account
from bot.schema.problems import Path as KeyPath
from bot.schema.problems import Problem, key_name, origin_of, quote
from bot.schema.values import Rate, format_duration

Warned = Iterator[tuple[KeyPath, str]]

OFTEN = timedelta(minutes=1)  # more often than people look
MANY = 50  # replies a day that one person can still look at
MOST_TO_ONE = 3  # replies a day to one person
OLD = timedelta(days=7)  # a reply to an older post surprises its author
HURRIED = timedelta(minutes=10)  # to approve a reply in
PIXELS = 200_000_000  # of one image: some gigabytes while it is decoded


def unwise(
    path: Path, settings: Settings, environ: Mapping[str, str] = os.environ
) -> list[Problem]:
    """Sorted by line. The file must be the one that `settings` come from."""
    origins = parse_source(read_text(path), path, environ, secrets="none").origins
    found = {
        Problem(origin_of(place, origins), key_name(place), what)
        for rule in RULES
        for place, what in rule(settings)
    }
    return sorted(found)


def _replies(settings: Settings) -> Warned:
    said = settings.replies
    if not said.enabled:
        return
    if said.per_day > MANY:
        who = "that a person approves" if said.approval else "that nobody approves"
        what = f"up to {said.per_day} replies a day {who}; {MANY} or fewer are usual"
        yield ("replies", "per_day"), what
    if said.per_day == 0:
        yield ("replies", "per_day"), "no reply is ever sent; enabled = false renders none either"
    if not said.approval and not said.dry_run:
        yield ("replies", "approval"), "replies are sent that nobody has seen"
    if said.approval and said.approval_expires < HURRIED:
        span = format_duration(said.approval_expires)
        yield ("replies", "approval_expires"), f"a reply is given up after {span}"
    if said.per_author_per_day > MOST_TO_ONE:
        what = f"up to {said.per_author_per_day} replies a day to one person; 1 is usual"
        yield ("replies", "per_author_per_day"), what
    if said.max_age > OLD:
        span = format_duration(said.max_age)
        yield ("replies", "max_age"), f"posts of {span} ago get a reply; 24h is usual"


def _triggers(settings: Settings) -> Warned:
    said, styles = settings.replies, [track.reply for track in settings.tracks]
    mentions = said.mentions and any(
        account.mentions_every is not None for account in settings.accounts.values()
    )
    if said.enabled and not mentions and not said.opt_in_hashtags and not any(styles):
        what = "no post can ask for a reply: no mentions, no opt-in hashtag, no track with reply"
        yield ("replies", "enabled"), what
    for index, track in enumerate(settings.tracks):
        if said.enabled and track.hashtag in said.opt_in_hashtags:
            what = f"{quote(track.hashtag)} is also an opt-in hashtag: all its posts get a reply"
            yield ("tracks", index, "hashtag"), what
        if said.enabled and track.reply is not None:
            what = "every post of this track gets a reply, also of people who did not ask"
            yield ("tracks", index, "reply"), what


def _tracks(settings: Settings) -> Warned:
    for index, track in enumerate(settings.tracks):
        if track.every < OFTEN:
            what = f"looks every {format_duration(track.every)}; 5m or more is usual"
            yield ("tracks", index, "every"), what
        if track.profile and track.profile in _own_names(settings):
            yield ("tracks", index, "profile"), "is an account of ours: its posts get no reply"
    if not settings.tracks and all(a.mentions_every is None for a in settings.accounts.values()):
        yield ("tracks",), "nothing is collected: there is no track, and nobody looks for mentions"


def _own_names(settings: Settings) -> set[str]:
    return {account.handle for account in settings.accounts.values()}


def _accounts(settings: Settings) -> Warned:
    for name, account in settings.accounts.items():
        every = account.mentions_every
        if every is not None and every < OFTEN:
            what = f"looks every {format_duration(every)}; 5m or more is usual"
            yield ("accounts", name, "mentions_every"), what
        delay = getattr(account, "request_delay", None)
        if delay is not None and delay[1] < 0.5 and not _stays_here(account):
            what = "no pause between two requests, which no person could do; [1.0, 3.0] is usual"
            yield ("accounts", name, "request_delay"), what
    if not settings.accounts:
        yield ("accounts",), "there is no account: the service has nothing to do"


def _stays_here(account: Account) -> bool:
    """Whether it is on a network of this machine, such as that of `tagecho sandbox`."""
    proxy = getattr(account, "proxy", None)
    address = proxy.get_secret_value() if proxy is not None else ""
    return is_loopback(address.rpartition("//")[2].rpartition(":")[0].rpartition("@")[2])


def _pacing(settings: Settings) -> Warned:
    usual: dict[str, Rate | None] = {}
    for account in settings.accounts.values():
        found = registry.find(account.platform)
        usual |= found.actions if found and not _stays_here(account) else {}
    for key, limit in settings.pacing:
        default = usual.get(key)
        if default is None or isinstance(limit, str):
            continue
        if limit is None:
            yield ("pacing", key), f"no limit; the platform's own is {quote(str(default))}"
        elif limit.count / limit.per.total_seconds() > default.count / default.per.total_seconds():
            yield ("pacing", key), f"is more than the platform's own limit, {quote(str(default))}"


def _machine(settings: Settings) -> Warned:
    address = settings.health.address
    if address is not None and not is_loopback(address[0]):
        yield ("health", "listen"), "others can read names and counts of this service"
    if settings.limits.max_pixels > PIXELS:
        yield ("limits", "max_pixels"), "one image may need gigabytes of memory"
    if settings.learn.enabled and importlib.util.find_spec("torch") is None:
        what = "needs what is not installed: pip install 'tagecho[learn]'"
        yield ("learn", "enabled"), what


RULES: tuple[Callable[[Settings], Warned], ...] = (
    _replies,
    _triggers,
    _tracks,
    _accounts,
    _pacing,
    _machine,
)
