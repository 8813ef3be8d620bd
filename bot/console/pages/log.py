"""What people did in the console."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from bot.console.access.roles import Asks
from bot.console.api import log as api
from bot.console.context import Here
from bot.console.pages.rendering import page

router = APIRouter(include_in_schema=False)
PAGE = 100  # lines


@router.get("/log")
def log(
    request: Request,
    here: Here,
    person: Asks,
    before: Annotated[int | None, Query(ge=1, le=api.LARGEST)] = None,
) -> HTMLResponse:
    rows = api.log(here, PAGE, before)
    return page(request, person, "log.html", rows=rows, more=len(rows) == PAGE)
