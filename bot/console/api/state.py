"""How everything is, and the switch that stops all publishing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from bot.console.access.actions import note
from bot.console.access.roles import Asks
from bot.console.api.answers import ANSWERS
from bot.console.context import Here
from bot.core.clock import utc_now
from bot.service.state import as_dict, look
from bot.verbs.pause import turn_switch

router = APIRouter(prefix="/api", tags=["state"], responses=ANSWERS)


class Pause(BaseModel):
    """Which account; none: all of them."""

    account: str | None = None


class Resume(Pause):
    """The same; `force` ends the pauses that the platform asked for, too."""

    force: bool = False


class Switched(BaseModel):
    paused: bool
    account: str | None


@router.get("/state", summary="How everything is, as `tagecho status --json`")
def state(here: Here) -> dict[str, Any]:
    return as_dict(look(here.settings, here.app.database, utc_now()))


@router.post("/pause", summary="Stop all publishing, or that of one account")
def pause(here: Here, person: Asks, said: Pause) -> Switched:
    turn_switch(here.app, here.settings, said.account, on=True)
    note(here, person, "service pause", said.account or "all accounts")
    return Switched(paused=True, account=said.account)


@router.post("/resume", summary="Publish again")
def resume(here: Here, person: Asks, said: Resume) -> Switched:
    turn_switch(here.app, here.settings, said.account, on=False, force=said.force)
    note(here, person, "service resume", said.account or "all accounts")
    return Switched(paused=False, account=said.account)
