"""What is refused or fails, as one line: JSON for programs, a page for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from bot.console.pages import rendering
from bot.core.errors import (
    AccountLocked,
    ConfigError,
    ModelError,
    NothingToDo,
    NotInstalled,
    Overtaken,
    StorageError,
    TagechoError,
    UsageError,
)

STATUS: dict[type[TagechoError], int] = {
    Overtaken: 409,
    UsageError: 400,
    NothingToDo: 404,
    ConfigError: 409,
    AccountLocked: 409,
    NotInstalled: 501,
    ModelError: 503,
    StorageError: 503,
}


def answer(app: FastAPI) -> None:
    """Let the application answer problems like this."""
    app.add_exception_handler(TagechoError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def _ours(request: Request, error: Exception) -> Response:
    kinds = (kind for kind in type(error).__mro__ if kind in STATUS)
    status = STATUS[kind] if (kind := next(kinds, None)) else 500
    return _told(request, status, str(error))


def _http(request: Request, error: Exception) -> Response:
    said = cast(HTTPException, error)
    if said.status_code == 401 and not _is_api(request):
        return RedirectResponse(f"/login?next={request.url.path}", 303)
    text = said.detail if said.detail != "Not Found" else "there is no such page"
    return _told(request, said.status_code, text, dict(said.headers or {}))


def _invalid(request: Request, error: Exception) -> Response:
    first: dict[str, Any] = cast(RequestValidationError, error).errors()[0]
    where: Sequence[object] = first["loc"]
    return _told(request, 422, f"{'.'.join(map(str, where[1:]))}: {first['msg']}")


def _unexpected(request: Request, error: Exception) -> Response:
    """A mistake of ours; the server logs where it was."""
    return _told(request, 500, "this is a mistake of the console: its log says more")


def _told(
    request: Request, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    if _is_api(request):
        return JSONResponse({"error": text}, status, headers)
    return rendering.problem(request, status, text, headers)


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")
