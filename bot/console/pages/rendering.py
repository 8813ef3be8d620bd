"""Templates, and what every page has: navigation, pause switch, the token of its session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Person, is_open
from bot.console.context import Context
from bot.core.clock import utc_now
from bot.schema.values import format_duration
from bot.verbs.pages import link, words
from bot.verbs.review import to_decide
from storage import outbox, pauses

STATIC = Path(__file__).parents[1] / "static"
# What the navigation lists: path and label, in this order.
NAVIGATION = (
    ("/", "State"),
    ("/replies", "Replies"),
    ("/tracks", "Tracks"),
    ("/dataset", "Dataset"),
    ("/masks", "Masks"),
    ("/learning", "Learning"),
    ("/figures", "Figures"),
    ("/log", "Log"),
)
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def page(request: Request, person: Person, name: str, **values: Any) -> HTMLResponse:
    """The page of this template."""
    here: Context = request.app.state.context
    now = utc_now()
    shared = {
        "person": person,
        "open_to_all": is_open(here),
        "path": request.url.path,
        "navigation": NAVIGATION,
        "config_error": here.config_error,
        "now": now,
        **_shown_everywhere(here),
    }
    return HTMLResponse(template(name).render(**(shared | values)))


def problem(
    request: Request, status: int, text: str, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """A page that says what is wrong; it needs nothing, since anything may have failed."""
    body = template("problem.html").render(status=status, text=text, path=request.url.path)
    return HTMLResponse(body, status, headers)


def bare(file: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody who is not known yet."""
    return HTMLResponse(template(file).render(**values), status)


def template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bot.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "link": link,
        "words": words,
        "clock": clock,
        "iso": iso,
        "ago": ago,
        "age": lambda moment, now: _brief(now - moment),
        "until": until,
        "span": format_duration,
        "size": size,
    }
    environment.filters |= filters
    environment.globals["asset"] = asset
    return environment


def _shown_everywhere(here: Context) -> dict[str, Any]:
    with here.app.database.read() as session:
        return {
            "paused": pauses.all_paused(session),
            "waiting": to_decide(outbox.states(session)),
        }


@cache
def asset(name: str) -> str:
    """The address of a file of ours; another one for another content, so it may be kept."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def iso(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


def ago(moment: datetime | None, now: datetime) -> str:
    """`5 min ago`; "" for no moment."""
    if moment is None:
        return ""
    return "just now" if now - moment < timedelta(seconds=5) else f"{_brief(now - moment)} ago"


def until(moment: datetime | None, now: datetime) -> str:
    """`in 5 min`; "" for no moment."""
    if moment is None:
        return ""
    return "now" if moment - now < timedelta(seconds=1) else f"in {_brief(moment - now)}"


def size(count: int | None) -> str:
    """Bytes as `12 GB`."""
    if count is None:
        return "unknown"
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"
    return f"{count} bytes"


def _brief(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    unit, name = next(((u, n) for u, n in _UNITS if seconds >= u), _UNITS[-1])
    return f"{seconds // unit} {name}"
