"""How each track is doing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlmodel import col, select

from bot.config import Settings
from bot.core import normal_form as text
from bot.core.errors import NothingToDo, StorageError
from bot.core.events import TrackKind
from bot.flow.policy import Track
from bot.schema.values import format_duration
from bot.service.app import opened, tracks_of
from bot.service.state import ServiceState
from bot.verbs.status import state_of
from storage.tables import WHOEVER, TrackState


def readable_state(settings: Settings) -> ServiceState:
    """The state now. Raises StorageError where the database cannot be read."""
    state = state_of(settings)
    if state.database_error:
        raise StorageError(state.database_error)
    return state


def track_rows(state: ServiceState) -> list[dict[str, Any]]:
    """For JSON, one for each track."""
    return [
        {
            "track": track.key,
            "every": format_duration(track.every),
            "dataset": track.dataset,
            "reply": track.reply,
            "health": track.health,
            "since": track.since,
            "why": track.why,
            "do": track.do,
            "missing": [asdict(gap) for gap in track.missing],
            "last_ok": track.last_poll,
            "next_poll": track.next_poll,
            "last_new": track.last_new,
            "found": track.found,
            "last_gap": track.last_gap,
        }
        for track in state.tracks
    ]


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
