"""How each track is doing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import col, select

from bot.config import Settings
from bot.core import normal_form as text
from bot.core.errors import NameTaken, NothingToDo
from bot.core.events import TrackKind
from bot.flow.policy import Track
from bot.service.app import opened, tracks_of
from storage import gaps
from storage.tables import WHOEVER, Gap, Health, TrackState


def track_rows(settings: Settings) -> list[dict[str, Any]]:
    with opened(settings) as app, app.database.read() as session:
        rows = []
        for key, track in tracks_of(settings).items():
            state = session.get(TrackState, key)
            open_gaps = gaps.of_track(session, key)
            rows.append(
                {
                    "track": key,
                    "every": str(track.every),
                    "dataset": track.dataset,
                    "reply": track.reply,
                    "health": _health(state, open_gaps),
                    "missing": [_span(gap) for gap in open_gaps],
                    "last_ok": state.last_ok if state else None,
                    "last_new": state.last_new if state else None,
                    "found": state.found if state else 0,
                    "last_gap": state.last_gap if state else None,
                    "error": state.error if state else "",
                }
            )
        return rows


def _health(state: TrackState | None, open_gaps: list[Gap]) -> str:
    if state is None:
        return Health.NEW
    if state.health == Health.FAILING:
        since = f"failing since {state.failing_since:%Y-%m-%d %H:%M} UTC"
        return f"{since} ({state.error})" if state.error.startswith(NameTaken.__name__) else since
    notes = [state.error] if state.error else []
    notes += [_missing(gap) for gap in open_gaps]
    return f"{state.health} ({'; '.join(notes)})" if notes else state.health


def accept(settings: Settings, username: str) -> list[str]:
    """From now on, the tracks of this profile follow whoever has its name. Returns their keys.

    So do collections of it that are in no configuration. Raises NothingToDo when there is neither.
    """
    name = text.username(username)
    tracked = [key for key, track in tracks_of(settings).items() if _follows(track, name)]
    with opened(settings) as app, app.database.write() as session:
        polled = col(TrackState.track).endswith(f":{TrackKind.PROFILE}:{name}", autoescape=True)
        begun = session.exec(select(TrackState.track).where(polled)).all()
        keys = list(dict.fromkeys([*tracked, *sorted(begun)]))
        for key in keys:
            state = session.get(TrackState, key) or TrackState(track=key)
            state.user_id, state.error = WHOEVER, ""
            session.add(state)
    if not keys:
        raise NothingToDo(f"no track follows @{name}")
    return keys


def _follows(track: Track, name: str) -> bool:
    return track.kind is TrackKind.PROFILE and track.name == name


def _missing(gap: Gap) -> str:
    span = f"posts from {_minute(gap.since)} to {_minute(gap.until)} UTC"
    if gap.given_up:
        return f"{span} were missed: {gap.error}"
    return f"{span} are still missing, {gap.found} found so far"


def _span(gap: Gap) -> dict[str, Any]:
    names = ("since", "until", "found", "given_up", "error")
    return {name: getattr(gap, name) for name in names}


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "the beginning"
