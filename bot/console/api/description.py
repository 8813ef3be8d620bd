"""The description of this API, as OpenAPI has it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

router = APIRouter(prefix="/api", tags=["description"])


@router.get("/openapi.json", summary="The description of this API", include_in_schema=False)
def description(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = request.app.openapi()
    return found
