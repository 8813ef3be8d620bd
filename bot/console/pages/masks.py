"""The editor of masks, image by image."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.console.access.roles import Asks
from bot.console.api import dataset
from bot.console.api import masks as api
from bot.console.context import Here
from bot.console.pages.rendering import page
from bot.verbs import masks

router = APIRouter(include_in_schema=False)
SIDE = 1600  # px: what the editor draws on; a mask may be smaller than its image

Dataset = Annotated[str, Query(max_length=200)]


@router.get("/masks")
def following(
    request: Request,
    here: Here,
    person: Asks,
    after: Annotated[int | None, Query(ge=1, le=dataset.LARGEST)] = None,
    dataset: Dataset = "",
) -> Response:
    """The next image that has no mask that a person drew or confirmed."""
    media = masks.next_unreviewed(here.app, after, dataset)
    if media is None:
        return page(request, person, "masks_done.html", dataset=dataset)
    return RedirectResponse(f"/masks/{media}{_kept(dataset)}", 303)


@router.get("/masks/{media}")
def editor(
    request: Request, here: Here, person: Asks, media: dataset.Number, dataset: Dataset = ""
) -> HTMLResponse:
    found = api.known(here, media)
    newest = found.versions[0].version if found.versions else 0
    return page(
        request,
        person,
        "mask.html",
        of=found,
        base=newest,
        has_mask=bool(newest or found.computed),
        side=SIDE,
        dataset=dataset,
        following=f"/masks?{urlencode([('after', media), *_said(dataset)])}",
    )


def _said(dataset: str) -> list[tuple[str, str]]:
    return [("dataset", dataset)] if dataset else []


def _kept(dataset: str) -> str:
    return f"?{urlencode(_said(dataset))}" if dataset else ""
