"""What changed, as it changes: server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from bot.console.api.answers import ANSWERS
from bot.console.context import Context, Here
from storage import pauses, reply_log

router = APIRouter(prefix="/api", tags=["events"], responses=ANSWERS)
EVERY = 0.5  # seconds between looks at the database
BEAT = 15.0  # seconds between signs of life, so that nobody in between ends a silent answer


@router.get(
    "/events",
    summary="An event `change` whenever a reply or the pause switch changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, here: Here) -> StreamingResponse:
    return StreamingResponse(_changes(request, here), media_type="text/event-stream")


async def _changes(request: Request, here: Context) -> AsyncIterator[str]:
    seen = await run_in_threadpool(_mark, here)
    yield ": begun\n\n"
    silent = 0.0
    while not here.stop.is_set() and not await request.is_disconnected():
        await asyncio.sleep(EVERY)
        now = await run_in_threadpool(_mark, here)
        silent += EVERY
        if now != seen:
            seen, silent = now, 0.0
            yield f"event: change\ndata: {json.dumps({'mark': now})}\n\n"
        elif silent >= BEAT:
            silent = 0.0
            yield ": still here\n\n"


def _mark(here: Context) -> str:
    """Another one as soon as a reply or a pause changed."""
    with here.app.database.read() as session:
        return f"{reply_log.latest(session)}-{pauses.changed(session)}"
