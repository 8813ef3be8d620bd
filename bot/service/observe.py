"""Logs for people on a terminal, JSON otherwise, a rotating file beside; and the metrics.

No secret reaches either: known values and everything that looks like a credential are masked last.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from bot.core.folders import private_folder
from bot.core.printable import printable
from bot.platforms import registry
from bot.service.state.facts import ServiceState

MASK = "***"
# Whatever names a credential in a key, a header, a query or a form, beside what platforms name.
_CREDENTIALS = (
    "password",
    "passwd",
    "authorization",
    "verification_code",
    "access_token",
    "cookie",
    "secret",
)


def _credential() -> re.Pattern[str]:
    """`NAME=VALUE` and `"NAME": "VALUE"` of every name by which a platform calls a secret."""
    of_platforms = [n for one in registry.descriptors() for n in (*one.secrets, *one.credentials)]
    names = "|".join(map(re.escape, dict.fromkeys([*_CREDENTIALS, *of_platforms])))
    value = r"""("[^"]*"|'[^']*'|(?:Bearer\s+)?[^\s,;&}]+)"""
    return re.compile(rf"""(?i)(["']?\b(?:{names})\b["']?\s*[:=]\s*){value}""")


_BEARER = re.compile(r"(?i)\bbearer\s+\S+")
_USERINFO = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
POSTS = Counter(
    "tagecho_posts_stored",
    "Posts that were stored for the first time",
    ["track"],
    registry=REGISTRY,
)
TRIGGERS = Counter("tagecho_triggers", "Replies that were queued", ["track"], registry=REGISTRY)
POLLS = Counter(
    "tagecho_polls",
    "Polls: ok, gap (some posts were missed), or the kind of error",
    ["track", "outcome"],
    registry=REGISTRY,
)
FAULTS = Counter(
    "tagecho_faults", "Unexpected errors: please report them", ["worker"], registry=REGISTRY
)
REPLIES = Gauge("tagecho_replies", "Replies in each state, now", ["state"], registry=REGISTRY)
RETRACTIONS = Gauge(
    "tagecho_retractions",
    "Deletions of our replies on the network, in each state, now",
    ["state"],
    registry=REGISTRY,
)
RENDER = Histogram(
    "tagecho_render_seconds",
    "How long rendering a reply took",
    registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30),
)
LATENCY = Histogram(
    "tagecho_reply_seconds",
    "From the trigger seen to the reply published",
    registry=REGISTRY,
    buckets=(1, 2, 5, 10, 30, 60, 300, 3600, 86400),
)
TRACK_OK = Gauge(
    "tagecho_track_ok",
    "1: ok or quiet; 0: failing, or not polled when it should have been",
    ["track"],
    registry=REGISTRY,
)
ACCOUNT_OK = Gauge("tagecho_account_ok", "1: logged in; 0: not", ["account"], registry=REGISTRY)
PAUSED = Gauge(
    "tagecho_account_paused",
    "1: publishing is paused by the operator",
    ["account"],
    registry=REGISTRY,
)
CAP_LEFT = Gauge(
    "tagecho_replies_left_today",
    "Replies that the daily cap leaves",
    ["account"],
    registry=REGISTRY,
)
DISK_FREE = Gauge("tagecho_disk_free_bytes", "Free bytes in the data folder", registry=REGISTRY)
_TOLD = (REPLIES, TRACK_OK, ACCOUNT_OK, PAUSED, CAP_LEFT)


def tell(state: ServiceState) -> None:
    """Set the gauges to what the state says. What it cannot say is left out: it is never ok."""
    for gauge in _TOLD:
        gauge.clear()
    for waiting in state.queue.states if state.queue else ():
        REPLIES.labels(waiting.state).set(waiting.count)
    for name, count in state.deletions.items():
        RETRACTIONS.labels(name).set(count)
    for track in state.tracks:
        TRACK_OK.labels(track.key).set(track.fine)
    for account in state.accounts:
        ACCOUNT_OK.labels(account.name).set(account.fine)
        PAUSED.labels(account.name).set(account.paused)
        CAP_LEFT.labels(account.name).set(account.caps.left)
    DISK_FREE.set(state.disk.free or 0)


def configure_logs(
    level: str, form: str, *, secrets: Iterable[str] = (), folder: Path | None = None
) -> None:
    """Set up logging once per process. `form`: auto, text or json."""
    masker = _Masker(secrets)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masker,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=False,
    )
    person = form == "text" or (form == "auto" and sys.stderr.isatty())
    handlers: list[logging.Handler] = [_handler(sys.stderr, shared, person=person)]
    if folder is not None:
        handlers.append(_file_handler(folder, shared))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("apscheduler", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _Masker:
    """The last processor before rendering: masks values wherever they stand."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._credential = _credential()

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in event.items():
            event[key] = self.mask(value)
        return event

    def mask(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._mask_text(value)
        if isinstance(value, Mapping):
            return {key: self.mask(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.mask(item) for item in value]
        if isinstance(value, BaseException):
            return self._mask_text(f"{type(value).__name__}: {value}")
        return value

    def _mask_text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _BEARER.sub(f"Bearer {MASK}", text)
        text = _USERINFO.sub(rf"\1{MASK}@", text)
        return self._credential.sub(rf"\1{MASK}", text)


def _formatter(shared: list[Any], *, person: bool) -> logging.Formatter:
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if person
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    before = [_printable] if person else []
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_render_message, *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *before,
            renderer,
        ],
    )


def _printable(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """What strangers wrote stands in some values, and a terminal obeys it."""
    return {key: _spelled(value) for key, value in event.items()}


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value, lines=True)
    return printable(repr(value)) if isinstance(value, Mapping | list | tuple) else value


def _render_message(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return event


def _handler(stream: Any, shared: list[Any], *, person: bool) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(shared, person=person))
    return handler


def _file_handler(folder: Path, shared: list[Any]) -> logging.Handler:
    private_folder(folder)
    path = folder / "tagecho.jsonl"
    os.close(os.open(path, os.O_CREAT | os.O_APPEND, 0o600))
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=10_000_000, backupCount=5, encoding="utf-8"
    )
    handler.setFormatter(_formatter(shared, person=False))
    return handler
