"""The first page: how everything is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks
from bot.console.context import Here
from bot.console.pages.rendering import page
from bot.core.clock import utc_now
from bot.service.state import look

router = APIRouter(include_in_schema=False)


@router.get("/")
def state(request: Request, here: Here, person: Asks) -> HTMLResponse:
    found = look(here.settings, here.app.database, utc_now())
    return page(request, person, "state.html", state=found)
