"""The whole thing on one machine: a loopback network, the real daemon, and what came of it.

The daemon is the one that `tagecho run` starts, in a process of its own, with its own config file;
the network is another process. What is reported about replies is counted by the network.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from sqlmodel import Session, col, func, select

from bot import config
from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NetworkError, TagechoError, UsageError
from bot.core.folders import private_folder
from bot.platforms import registry
from bot.platforms.account import Account
from bot.schema.values import format_duration
from bot.service.locks import file_lock
from bot.verbs.replies import write_page_of
from storage import dataset, outbox
from storage.database import Database
from storage.tables import Reply, ReplyState

MARKER = ".tagecho-demo"  # only a folder that carries it is ever emptied
LOCK = "running.lock"  # held while a demo runs in the folder
DRAIN = 30.0  # seconds for what is on its way when posting stops
START = 60.0
MOVING = (ReplyState.QUEUED, ReplyState.RENDERING, ReplyState.APPROVED, ReplyState.SENDING)
PAGE = "replies.html"
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_CONFIG = """\
# Written by `tagecho demo` for the network on this machine.
[data]
dir = "data"

[accounts.main]
{account}
mentions_every = "3s"

[[tracks]]
account = "main"
hashtag = "photooftheday"
every = "2s"
dataset = "photos"

[[tracks]]
account = "main"
profile = "ana.lima"
every = "5s"
dataset = "ana"

[[tracks]]
account = "main"
hashtag = "coffee"
every = "5s"
dataset = "coffee"

[replies]
approval = false          # a demonstration on loopback; the default is true
style = "auto"            # another look for every post
reconcile = ["2s", "5s"]
opt_in_hashtags = ["{opt_in}"]
per_day = 100000
per_author_per_day = 100000

[pacing]
{pacing}

[health]
listen = ""
"""


@dataclass(frozen=True, slots=True)
class Loopback:
    """The sandbox in its own process."""

    process: subprocess.Popen[str]
    addresses: Mapping[str, Any]

    def ask(self, order: str, **body: Any) -> dict[str, Any]:
        """GET without a body, POST with one. Raises NetworkError."""
        data = json.dumps(body).encode() if body else None
        url = self.addresses["control"] + order
        try:
            with urllib.request.urlopen(url, data, timeout=10) as answer:  # noqa: S310 - loopback
                result: dict[str, Any] = json.load(answer)
                return result
        except OSError as error:
            raise NetworkError(f"the loopback network does not answer: {error}") from error


def demo(folder: Path, *, seconds: float | None, rate: float, as_json: bool) -> None:
    """Run until `seconds` are over or Ctrl-C, then report."""
    folder = folder.resolve()
    with _fresh(folder), _network(folder, rate, []) as network:
        path = folder / "config.toml"
        path.write_text(_config(network), encoding="utf-8")
        note = "approval is off here: this network is on loopback; the default is on"
        _show(
            network,
            path,
            _secrets(["main"], network),
            folder,
            seconds,
            note,
            dropped=("TAGECHO_",),
            as_json=as_json,
        )


def rehearse(
    path: Path,
    folder: Path,
    *,
    seconds: float | None,
    rate: float,
    approve: bool,
    as_json: bool,
) -> None:
    """The operator's own file: only addresses, secrets and the data folder are replaced.

    `approve` plays the person who approves; without it, replies wait as they would.
    """
    folder = folder.resolve()
    settings = config.load(path)
    names = list(settings.accounts)
    if len(names) != 1:
        raise UsageError("a rehearsal plays one account: give a file that has exactly one")
    with _fresh(folder), _network(folder, rate, _cast(settings, names[0])) as network:
        if (here := settings.accounts[names[0]].platform) != network.addresses["platform"]:
            raise UsageError(f"there is no loopback network of {here}")
        name = f"TAGECHO_ACCOUNTS__{names[0].upper()}__"
        environ = _secrets(names, network) | {
            **_variables(name, network),
            "TAGECHO_DATA__DIR": str(folder / "data"),
            "TAGECHO_DATA__URL": "",
            "TAGECHO_HEALTH__LISTEN": "",
        }
        if approve:
            environ["TAGECHO_REPLIES__APPROVAL"] = "false"
        waits = settings.replies.approval and not approve
        note = f"a rehearsal of {path}" + (
            "; replies wait for approval, as they would (--approve plays that person)"
            if waits
            else ""
        )
        rare = sorted({t.every for t in settings.tracks if seconds and t.every.seconds >= seconds})
        if rare:
            note += f"; what is looked at every {format_duration(rare[0])} is looked at only once"
        _show(
            network,
            path,
            environ,
            folder,
            seconds,
            note,
            dropped=("TAGECHO_ACCOUNTS__", "TAGECHO_DATA__"),
            as_json=as_json,
        )


def _cast(settings: Settings, account: str) -> list[str]:
    """The people and hashtags the operator's file speaks of, as options of the sandbox."""
    options = ["--bot", settings.accounts[account].username]
    for track in settings.tracks:
        options += [f"--{track.kind}", track.name]
    if settings.replies.opt_in_hashtags:
        options += ["--opt-in", settings.replies.opt_in_hashtags[0]]
    return options + _secret_options(settings.accounts[account])


def _secret_options(account: Account) -> list[str]:
    """The network makes up such secrets as the operator has; theirs stay untouched."""
    named = [name for name in registry.secret_names() if getattr(account, name, None) is not None]
    return [word for name in named for word in ("--secret", name)]


def _config(network: Loopback) -> str:
    """The demonstration's own file, for an account on this network."""
    told = network.addresses
    platform, username = told["platform"], told["username"]
    keys = {"platform": platform, "username": username, **told["account"], **told["pace"]}
    actions = found.actions if (found := registry.find(platform)) else ()
    return _CONFIG.format(
        account="\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
        pacing="\n".join(f'{action} = "off"' for action in actions),
        opt_in=told["opt_in"],
    )


def _variables(prefix: str, network: Loopback) -> dict[str, str]:
    """The keys that lead to this network, as the environment has them."""
    return {
        prefix + key.upper(): value if isinstance(value, str) else ",".join(value)
        for key, value in network.addresses["account"].items()
    }


def _secrets(names: list[str], network: Loopback) -> dict[str, str]:
    return {
        f"TAGECHO_ACCOUNTS__{name.upper()}__{key.upper()}": value
        for name in names
        for key, value in network.addresses["secrets"].items()
    }


def _show(
    network: Loopback,
    path: Path,
    environ: dict[str, str],
    folder: Path,
    seconds: float | None,
    note: str,
    *,
    dropped: tuple[str, ...],
    as_json: bool,
) -> None:
    signal.signal(signal.SIGHUP, signal.default_int_handler)  # a closed terminal is a Ctrl-C
    console = Console(stderr=True)
    console.print(f"[bold]tagecho[/bold]: {note}")
    # The shell's settings and secrets are for the real network; a rehearsal keeps only the former.
    environ = {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | environ
    environ["XDG_STATE_HOME"] = str(folder / "state")  # leaves nothing outside of its folder
    settings = _contained(config.load(path, environ), folder)
    with _daemon(path, environ, folder) as process:
        database = Database(settings.data.database_url)
        try:
            peak = _watch(console, network, process, database, seconds)
            interrupted = False
        except KeyboardInterrupt:
            peak, interrupted = _peak_rss_mb(process.pid), True
        network.ask("/rate", rate=0)
        if not interrupted:
            peak = max(peak, _drain(process, database))
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    summary = _summary(network, database, peak)
    database.close()
    page = folder / PAGE
    write_page_of(settings, page, 200, "Replies of this run")
    if as_json:
        print(json.dumps(summary))
    else:
        for key, value in summary.items():
            console.print(f"  {key.replace('_', ' ')}: {_plain(value)}", highlight=False)
    console.print(f"Look at [bold]{page.resolve()}[/bold]: before, mask and after of every reply")


def _watch(
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
            peak = max(peak, _peak_rss_mb(process.pid))
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
    soon = utc_now() + timedelta(seconds=DRAIN / 3)
    statement = select(func.count()).where(
        col(Reply.state).in_(MOVING), col(Reply.not_before) <= soon
    )
    return session.exec(statement).one()


def _drain(process: subprocess.Popen[bytes], database: Database) -> float:
    """Let what is on its way arrive, so that the numbers say what the service does."""
    deadline = time.monotonic() + DRAIN
    idle = 0
    while time.monotonic() < deadline and idle < 6 and process.poll() is None:
        with database.read() as session:
            moving = _moving(session)
        idle = 0 if moving else idle + 1
        time.sleep(0.5)
    return _peak_rss_mb(process.pid)


def _summary(network: Loopback, database: Database, peak: float) -> dict[str, Any]:
    with database.read() as session:
        counts = dataset.counts(session)
        states = outbox.states(session)
        triggers = session.exec(select(func.count()).select_from(Reply)).one()
        times = session.exec(
            select(Reply.created, Reply.sent_at).where(Reply.state == ReplyState.SENT)
        ).all()
    seconds = sorted((sent - made).total_seconds() for made, sent in times if sent)
    replies = network.ask("/replies")
    return {
        "posts_stored": counts["posts"],
        "triggers": triggers,
        "replies": states,
        "duplicate_replies": replies["duplicates"],
        "latency_s": {"p50": _quantile(seconds, 0.5), "p95": _quantile(seconds, 0.95)},
        "peak_rss_mb": round(peak, 1),
    }


def _plain(value: Any) -> str:
    """A figure as people read it; of several, those that say something."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part) or "none"
    return str(value)


def _quantile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def _peak_rss_mb(pid: int) -> float:
    """The highest resident memory of a process so far; 0 when it is gone or cannot be told."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(li.split()[1]) / 1024 for li in lines if li.startswith("VmHWM:")), 0.0)


def _contained(settings: Settings, folder: Path) -> Settings:
    """The settings, if what they name is ours to play with. Raises UsageError."""
    url = settings.data.database_url
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not file.resolve().is_relative_to(folder):
        raise UsageError(f"the database of a demo or rehearsal must lie in {folder}")
    return settings


@contextlib.contextmanager
def _fresh(folder: Path) -> Iterator[None]:
    """The folder, emptied, and ours alone for as long as it lasts.

    Raises UsageError rather than emptying one that is not ours, AccountLocked where one runs.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UsageError(f"{folder} holds something else: name another folder with --dir")
    private_folder(folder)
    (folder / MARKER).touch()
    with file_lock(folder / LOCK, str(folder)):
        for path in folder.iterdir():
            if path.name == MARKER or path.stem == LOCK.partition(".")[0]:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        yield


@contextlib.contextmanager
def _network(folder: Path, rate: float, options: list[str]) -> Iterator[Loopback]:
    command = [sys.executable, "-m", "bot.platforms.sandbox", "--json"]
    command += ["--dir", str(folder / "network"), "--rate", str(rate), *options]
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_end_with_us,  # noqa: PLW1509 - one system call, and we have no threads
    )
    try:
        line = _first_line(process.stdout)
        if not line:
            raise NetworkError("the loopback network did not start")
        yield Loopback(process, json.loads(line))
    finally:
        _end(process)


@contextlib.contextmanager
def _daemon(
    path: Path, environ: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """`tagecho run` in a process of its own; Ctrl-C reaches it only through us."""
    log = folder / "daemon.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "bot", "run", "--config", str(path)],
            env=dict(environ),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509 - as above
        )
        try:
            _until_ready(process, log)
            yield process
        finally:
            _end(process)


def _end_with_us() -> None:
    """In a child, on Linux: SIGTERM when the demo dies, even of kill -9: nothing is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START
    while '"running"' not in log.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
            raise TagechoError(f"the daemon did not start; its log {log} ends with:\n{tail}")
        time.sleep(0.1)


def _first_line(stream: IO[str] | None) -> str:
    return stream.readline() if stream is not None else ""


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
