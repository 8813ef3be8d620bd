"""The tracked hashtags and profiles; what is changed is written into the configuration file."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, status
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bot import config
from bot.config.settings import TrackSettings
from bot.config.tracks import NewTrack, add_track, pause_track, remove_track
from bot.console.access.actions import note
from bot.console.access.roles import Asks, Person
from bot.console.api.answers import ANSWERS
from bot.console.context import Context, Here
from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.core.events import TrackKind
from bot.schema.values import format_duration
from bot.service.state import ServiceState, look
from bot.verbs.tracks import track_rows

router = APIRouter(prefix="/api/tracks", tags=["tracks"], responses=ANSWERS)


class TargetKind(StrEnum):
    HASHTAG = "hashtag"
    PROFILE = "profile"


Account = Annotated[str, Path(max_length=100, description="The account that listens.")]
Name = Annotated[str, Path(max_length=200, description="Without its sign.")]


class MissingPosts(BaseModel):
    """Posts that a poll did not come to."""

    since: datetime | None
    until: datetime | None
    found: int
    given_up: bool
    error: str


class TrackLine(BaseModel):
    """How a track is doing, as `tagecho track list --json` tells it."""

    track: str = Field(description="Account, kind and name, as `main:hashtag:sunset`.")
    every: str
    dataset: str
    reply: str | None
    health: str
    since: datetime | None
    why: str
    do: str
    missing: list[MissingPosts]
    last_ok: datetime | None
    next_poll: datetime | None
    last_new: datetime | None
    found: int
    last_gap: datetime | None


class AddedTrack(BaseModel):
    """A track to add. What is not said has its default."""

    target: str = Field(max_length=200, description="#hashtag or @profile.", examples=["#dawn"])
    account: str | None = Field(None, max_length=100, description="None: the only one.")
    every: str | None = Field(None, max_length=40, description="How often: 15m, 1h.")
    dataset: str | None = Field(None, max_length=200)
    reply: str | None = Field(None, max_length=40, description="A style: every post is answered.")


class WrittenTrack(BaseModel):
    """A track as the configuration file has it now."""

    track: str
    every: str
    dataset: str
    reply: str | None
    paused: bool


@router.get("", summary="The tracks and how they are doing")
def tracks(here: Here) -> list[TrackLine]:
    return [TrackLine(**row) for row in track_rows(looked(here))]


@router.post("", summary="Add a track", status_code=status.HTTP_201_CREATED)
def add(here: Here, person: Asks, said: AddedTrack) -> WrittenTrack:
    sign, name = said.target[:1], said.target[1:].strip()
    kind = {"#": TrackKind.HASHTAG, "@": TrackKind.PROFILE}.get(sign)
    if kind is None:
        raise HTTPException(400, "write #name for a hashtag or @name for a profile")
    new = NewTrack(kind, name, said.account, said.every, said.dataset, said.reply)
    return _written(here, person, "add", add_track(here.path, new, styles=config.STYLES))


@router.post("/{account}/{kind}/{name}/pause", summary="Pause a track: it is not polled")
def pause(here: Here, person: Asks, account: Account, kind: TargetKind, name: Name) -> WrittenTrack:
    found = pause_track(here.path, TrackKind(kind), name, paused=True, account=account)
    return _written(here, person, "pause", found)


@router.post("/{account}/{kind}/{name}/resume", summary="Poll a paused track again")
def resume(
    here: Here, person: Asks, account: Account, kind: TargetKind, name: Name
) -> WrittenTrack:
    found = pause_track(here.path, TrackKind(kind), name, paused=False, account=account)
    return _written(here, person, "resume", found)


@router.delete("/{account}/{kind}/{name}", summary="Remove a track; its collected posts stay")
def remove(
    here: Here, person: Asks, account: Account, kind: TargetKind, name: Name
) -> WrittenTrack:
    found = remove_track(here.path, TrackKind(kind), name, account=account)
    return _written(here, person, "remove", found)


def looked(here: Context) -> ServiceState:
    """The state now. Raises StorageError where the database cannot be read."""
    state = look(here.settings, here.app.database, utc_now())
    if state.database_error:
        raise StorageError(state.database_error)
    return state


def _written(here: Context, person: Person, verb: str, track: TrackSettings) -> WrittenTrack:
    note(here, person, f"track {verb}", track.key)
    found: dict[str, Any] = {
        "track": track.key,
        "every": format_duration(track.every),
        "dataset": track.dataset,
        "reply": track.reply,
        "paused": track.paused,
    }
    return WrittenTrack(**found)
