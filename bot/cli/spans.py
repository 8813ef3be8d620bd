"""Spans of time for people, in few characters: `40 s`, `12 min`, `5 h`, `3 d`."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = (("d", 86400.0, 2), ("h", 3600.0, 2), ("min", 60.0, 2))  # from two of them on


def brief(span: timedelta) -> str:
    """The span in its largest unit, of which there are two or more; never negative."""
    seconds = max(0.0, span.total_seconds())
    for name, size, least in _UNITS:
        if seconds >= least * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """`12 min ago`; `never` for none."""
    return "never" if moment is None else f"{brief(now - moment)} ago"


def ahead(moment: datetime | None, now: datetime) -> str:
    """`in 12 min`; `-` for none."""
    return "-" if moment is None else f"in {brief(moment - now)}"


def minute(moment: datetime) -> str:
    """`2026-01-31 09:05 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
