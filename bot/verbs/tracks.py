"""How each track is doing."""

from __future__ import annotations

from typing import Any

from bot.config import Settings
from bot.service.app import opened, tracks_of
from storage.tables import Health, TrackState


def track_rows(settings: Settings) -> list[dict[str, Any]]:
    with opened(settings) as app, app.database.read() as session:
        rows = []
        for key, track in tracks_of(settings).items():
            state = session.get(TrackState, key)
            rows.append(
                {
                    "track": key,
                    "every": str(track.every),
                    "dataset": track.dataset,
                    "reply": track.reply,
                    "health": _health(state),
                    "last_ok": state.last_ok if state else None,
                    "last_new": state.last_new if state else None,
                    "found": state.found if state else 0,
                    "last_gap": state.last_gap if state else None,
                    "error": state.error if state else "",
                }
            )
        return rows


def _health(state: TrackState | None) -> str:
    if state is None:
        return Health.NEW
    if state.health == Health.FAILING:
        return f"failing since {state.failing_since:%Y-%m-%d %H:%M} UTC"
    notes = [state.error] if state.error else []
    if state.last_gap is not None:
        notes.append(f"posts missed at {state.last_gap:%Y-%m-%d %H:%M} UTC")
    return f"{state.health} ({'; '.join(notes)})" if notes else state.health
