"""What a run does, while it does it."""

from __future__ import annotations

import subprocess
import time
from datetime import timedelta

from rich.console import Console
from sqlmodel import Session, col, func, select

from bot.core.clock import utc_now
from bot.core.errors import TagechoError
from bot.verbs.demo.loopback import Loopback
from bot.verbs.demo.service import peak_rss_mb
from storage import dataset, outbox
from storage.database import Database
from storage.tables import Reply, ReplyState

STUCK = 120.0  # seconds without a change: what is on its way then will not arrive
SOON = timedelta(seconds=10)
MOVING = (ReplyState.QUEUED, ReplyState.RENDERING, ReplyState.APPROVED, ReplyState.SENDING)


def watch(
    console: Console,
    network: Loopback,
    process: subprocess.Popen[bytes],
    database: Database,
    seconds: float | None,
) -> float:
    """Progress until the time is over; the daemon's peak memory in MB."""
    began, seen, peak = time.monotonic(), 0, 0.0
    next_line = 0.0
    with console.status("starting …") as status:
        while seconds is None or time.monotonic() - began < seconds:
            if process.poll() is not None:
                raise TagechoError(f"the daemon ended with exit code {process.returncode}")
            peak = max(peak, peak_rss_mb(process.pid))
            line, sent = _progress(network, database, time.monotonic() - began)
            status.update(line)
            for reply in sent[seen:]:
                console.print(
                    f"  {reply.source_url} → {reply.url}", soft_wrap=True, highlight=False
                )
            seen = len(sent)
            if not console.is_terminal and time.monotonic() >= next_line:
                console.print(line)
                next_line = time.monotonic() + 10
            time.sleep(0.5)
    return peak


def _progress(network: Loopback, database: Database, elapsed: float) -> tuple[str, list[Reply]]:
    with database.read() as session:
        posts = dataset.counts(session)["posts"]
        states, busy = outbox.states(session), _moving(session)
        statement = select(Reply).where(Reply.state == ReplyState.SENT)
        sent = list(session.exec(statement.order_by(col(Reply.sent_at))))
    world = network.ask("/world")
    waiting = states[ReplyState.AWAITING_APPROVAL]
    line = (
        f"{elapsed:4.0f} s  posted {world['posts']}, stored {posts}, replies {len(sent)}, "
        f"on the way {busy}" + (f", awaiting approval {waiting}" if waiting else "")
    )
    return line, sent


def _moving(session: Session) -> int:
    """Replies that are about to change; those that caps or pacing hold back are not."""
    soon = utc_now() + SOON
    statement = select(func.count()).where(
        col(Reply.state).in_(MOVING), col(Reply.not_before) <= soon
    )
    return session.exec(statement).one()


def drain(process: subprocess.Popen[bytes], database: Database) -> float:
    """Let what is on its way arrive, so that the numbers say what the service does; on a machine
    with other work that takes its time."""
    before: dict[str, int] = {}
    deadline, idle = time.monotonic() + STUCK, 0
    while time.monotonic() < deadline and idle < 6 and process.poll() is None:
        with database.read() as session:
            moving, states = _moving(session), outbox.states(session)
        if states != before:
            deadline, before = time.monotonic() + STUCK, states
        idle = 0 if moving else idle + 1
        time.sleep(0.5)
    return peak_rss_mb(process.pid)
