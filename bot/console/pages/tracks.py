"""Tracks: how each is doing; add, pause, remove."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from bot import config
from bot.console.access.roles import Asks
from bot.console.api.tracks import looked
from bot.console.context import Here
from bot.console.pages.rendering import page

router = APIRouter(include_in_schema=False)
KINDS = ("hashtag", "profile")  # those that stand in the file; mentions come with the account


@router.get("/tracks")
def tracks(request: Request, here: Here, person: Asks) -> HTMLResponse:
    return page(
        request,
        person,
        "tracks.html",
        tracks=looked(here).tracks,
        accounts=list(here.settings.accounts),
        styles=config.STYLES,
        file=here.path,
        kinds=KINDS,
        address=lambda track: (
            "/api/tracks/"
            + "/".join(quote(part, safe="") for part in (track.account, track.kind, track.name))
        ),
    )
