"""Logging in and out."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from bot.console.access.actions import note
from bot.console.access.roles import Person, begin_session, cookie_of, session_of, tried
from bot.console.context import Here
from bot.console.pages.rendering import bare

router = APIRouter(include_in_schema=False)
NAME = re.compile(r"[\w .@-]{1,40}")  # as the log and the history of replies have it


@router.get("/login")
def login_page(request: Request, next: Annotated[str, Query(max_length=500)] = "/") -> Response:
    if session_of(request) is not None:
        return RedirectResponse(_inside(next), 303)
    return bare("login.html", next=_inside(next), error="", name="")


@router.post("/login")
def login(
    request: Request,
    here: Here,
    password: Annotated[str, Form(max_length=1000)],
    name: Annotated[str, Form(max_length=100)] = "",
    next: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Begin a session. The log names who decided; the password gives the role."""
    address = request.client.host if request.client else ""
    said = " ".join(name.split())
    again = {"next": _inside(next), "name": said}
    if not NAME.fullmatch(said):
        what = "Say who you are in up to 40 letters: the history of replies keeps it."
        return bare("login.html", 400, error=what, **again)
    try:
        role = tried(request, here, password)
    except HTTPException as error:
        return bare("login.html", error.status_code, error=error.detail.capitalize(), **again)
    if role is None:
        return bare("login.html", 401, error="This is not the password.", **again)
    begin_session(request, said, role)
    note(here, Person(said, role, address=address), "console login", str(role))
    return RedirectResponse(_inside(next), 303)


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session of this browser; that of nobody else can be ended by it."""
    request.app.state.sessions.end(request.cookies.get(cookie_of(request), ""))
    request.state.cookie = f"{cookie_of(request)}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    return RedirectResponse("/login", 303)


def _inside(path: str) -> str:
    """A page of ours: never another host, however the address is written."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain and "\\" not in path else "/"
