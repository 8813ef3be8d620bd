"""`tagecho status`: how everything is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import CONFIG, Config, Json, prepare
from bot.cli.output import echo, following, print_json
from bot.cli.spans import ago, ahead, brief, minute

if TYPE_CHECKING:
    from bot.service.state import (
        AccountStatus,
        CollectionStatus,
        LimitLeft,
        Missing,
        ServiceState,
        TrackStatus,
    )

EVERY = 2.0  # seconds between two looks
WIDTH = 79
LABEL = 24  # characters of what a track follows


def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")
    ] = False,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Show whether the service runs, and how accounts, tracks, replies and disk are.

    Exit code 0: all is fine; else that of the worst trouble, and 1 if the service does not run.

    \b
    Examples:
      tagecho status
      tagecho status --watch
      tagecho status --json
    """
    from bot.service.state import as_dict
    from bot.verbs.status import states

    settings = prepare(config)
    seen = states(settings)
    if watch and json:
        following((as_dict(state) for state in seen), EVERY)
    elif watch:
        following(("\n".join(lines(state)) for state in seen), EVERY)
    state = next(seen)
    if json:
        print_json(as_dict(state))
    else:
        for line in lines(state):
            echo(line)
    raise typer.Exit(max((one.exit_code for one in state.troubles), default=0))


def lines(state: ServiceState) -> Iterator[str]:
    """For people, on a terminal of 80 columns."""
    yield from _service(state)
    for account in state.accounts:
        yield from _account(account, state)
    if state.tracks:
        yield ""
        yield from track_table(state)
    yield from _collections(state)
    yield from _replies(state)
    yield ""
    yield from _hanging("disk      ", _disk(state))
    if state.troubles:
        yield ""
        yield from _troubles(state)


def _service(state: ServiceState) -> Iterator[str]:
    service = state.service
    if not service.running:
        yield "service   not running: tagecho run"
    elif service.since:
        span = brief(state.at - service.since)
        yield f"service   running for {span}, since {minute(service.since)} (pid {service.pid})"


def _account(account: AccountStatus, state: ServiceState) -> Iterator[str]:
    words = account.health.replace("_", " ") + (", paused" if account.paused else "")
    words += f", next try {ahead(account.next_try, state.at)}" if account.next_try else ""
    yield ""
    who = f"{account.name}: {account.username} on {account.platform}"
    yield from _hanging("account   ", f"{who}: {words}")
    caps = account.caps
    quiet = f"; quiet until {caps.quiet_until:%H:%M} UTC" if caps.quiet_until else ""
    yield (
        f"  today   {caps.left} of {caps.per_day} replies left, {caps.sent} sent; "
        f"again in {brief(caps.resets_at - state.at)}{quiet}"
    )
    yield from _wrapped("  limits  ", [_limit(one, state) for one in account.limits])


def _limit(limit: LimitLeft, state: ServiceState) -> str:
    if limit.paused_until:
        return f"{limit.action} pauses for {brief(limit.paused_until - state.at)}"
    if limit.left is None:
        return f"{limit.action} off"
    when = f" ({ahead(limit.next_at, state.at)})" if limit.next_at else ""
    return f"{limit.action} {limit.left}/{limit.most}{when}"


def _wrapped(head: str, items: list[str]) -> Iterator[str]:
    """The items behind `head`, as many in a line as fit."""
    line = head
    for item in items:
        if len(line) > len(head) and len(line) + len(item) + 2 > WIDTH:
            yield line.rstrip()
            line = " " * len(head)
        line += f"{item}  "
    if items:
        yield line.rstrip()


def track_table(state: ServiceState) -> Iterator[str]:
    """The tracks with health, last and next poll; below each, what is to be said of it."""
    yield f"{'track':<{LABEL}}  {'every':>6}  {'health':<10}  {'last poll':>10}  {'next':>9}"
    for track in state.tracks:
        yield from _track(track, state)


def _track(track: TrackStatus, state: ServiceState) -> Iterator[str]:
    from bot.schema.values import format_duration

    every = format_duration(track.every)
    health = track.health.replace("_", " ")
    last, coming = ago(track.last_poll, state.at), ahead(track.next_poll, state.at)
    yield f"{_short(track.label):<{LABEL}}  {every:>6}  {health:<10}  {last:>10}  {coming:>9}"
    if track.why and (state.service.running or track.broken):
        since = f" since {minute(track.since)}" if track.since else ""
        yield from _hanging("    ", f"{health}{since}: {track.why}")
    if track.do:
        yield from _hanging("    -> ", track.do)
    for gap in track.missing:
        yield from _hanging("    ", _missing(gap))


def _short(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _missing(gap: Missing) -> str:
    """What a poll did not come to, in words."""
    begin = f"{gap.since:%Y-%m-%d %H:%M}" if gap.since else "the beginning"
    end = minute(gap.until) if gap.until else "the beginning"
    span = f"posts from {begin} to {end}"
    if gap.given_up:
        return f"{span} were missed: {gap.error}"
    return f"{span} are still missing, {gap.found} found so far"


def _hanging(head: str, text: str) -> Iterator[str]:
    """The text behind `head`, its further lines below its beginning."""
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
    )


def _collections(state: ServiceState) -> Iterator[str]:
    """What the service was asked to collect."""
    if not state.collections:
        return
    yield ""
    yield f"{'collecting':<{LABEL}}  {'state':<8}  {'listed':>8}  {'new':>8}  asked"
    for one in state.collections:
        yield from _collection(one, state)


def _collection(one: CollectionStatus, state: ServiceState) -> Iterator[str]:
    label, asked = _short(one.label), ago(one.asked, state.at)
    yield f"{label:<{LABEL}}  {one.state:<8}  {one.listed:>8}  {one.new:>8}  {asked}"
    turn = f"goes on {ahead(one.next_turn, state.at)}" if one.next_turn else ""
    if told := ": ".join(filter(None, (turn, one.why))):
        yield from _hanging("    ", told)


def _replies(state: ServiceState) -> Iterator[str]:
    shown = [one for one in state.queue.states if one.count] if state.queue else []
    if not shown:
        return
    yield ""
    yield f"{'replies':<18}  {'count':>6}  {'oldest':>7}  why the oldest waits"
    for one in shown:
        oldest = brief(state.at - one.oldest_created) if one.oldest_created else ""
        head = f"{one.state:<18}  {one.count:>6}  {oldest:>7}  "
        yield from _hanging(head, one.why) if one.why else (head.rstrip(),)
        if one.do:
            yield f"{'':<37}-> {one.do}"


def _disk(state: ServiceState) -> str:
    disk = state.disk
    free = disk.error if disk.free is None else f"{disk.free / 1e9:.1f} GB free"
    return f"{free} in {disk.folder}"


def _troubles(state: ServiceState) -> Iterator[str]:
    """The last error first."""
    for number, trouble in enumerate(state.troubles):
        since = f" ({brief(state.at - trouble.since)})" if trouble.since else ""
        head = f"{'trouble' if number == 0 else '':<10}"
        yield from _hanging(head, f"{trouble.topic}: {trouble.text}{since}")
        if trouble.do:
            yield from _hanging(f"{'':<10}-> ", trouble.do)
