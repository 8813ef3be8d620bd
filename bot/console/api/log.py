"""What people did in the console."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from bot.console.api.answers import ANSWERS
from bot.console.context import Here
from storage import audit

router = APIRouter(prefix="/api", tags=["log"], responses=ANSWERS)
LARGEST = 2**63 - 1  # of a row's number


class Action(BaseModel):
    """One thing that somebody did, or tried."""

    id: int
    at: datetime
    who: str
    address: str
    action: str
    target: str
    outcome: str


@router.get("/log", summary="What people did, newest first")
def log(
    here: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=LARGEST, description="Older than this one.")
    ] = None,
) -> list[Action]:
    with here.app.database.read() as session:
        return [Action(**row.model_dump()) for row in audit.newest(session, limit, before)]
