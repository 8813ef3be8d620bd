"""Who asks, and whether that role may ask for it: one rule for every route.

Reading needs a viewer, changing needs a reviewer and, from a browser, the token of the page. What
`reads` though its method is POST, such as a search by an image, needs the token alone. A
console on loopback may have no password: then whoever uses this machine is a reviewer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, TypeVar

from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPBearer
from pydantic import SecretStr

from bot.console.access.attempts import Attempts
from bot.console.access.guard import SAFE
from bot.console.access.sessions import Role, Sessions, WebSession
from bot.console.context import Context, Here
from bot.core.clock import utc_now
from bot.verbs.replies import who_types

CSRF = "x-csrf-token"
_BEARER = HTTPBearer(auto_error=False, description="The password of a reviewer or of a viewer.")


_READING: set[object] = set()
_Endpoint = TypeVar("_Endpoint")


def reads(endpoint: _Endpoint) -> _Endpoint:
    """Says of a route's function that it changes nothing: a viewer may ask for it."""
    _READING.add(endpoint)
    return endpoint


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. `csrf` is empty for a program, which has no cookie that another page could use."""

    name: str
    role: Role
    csrf: str = ""
    address: str = ""

    @property
    def reviews(self) -> bool:
        return self.role is Role.REVIEWER


def cookie_of(request: Request) -> str:
    """The name of the cookie: a host has one jar for all its ports."""
    return f"tagecho_{request.url.port or ''}"


def role_of(passwords: Mapping[str, SecretStr], said: str) -> Role | None:
    """The role whose password this is. Every one is compared, whichever is right."""
    equal = [role for role, known in passwords.items() if _equal(known.get_secret_value(), said)]
    return Role(equal[0]) if equal else None


def is_open(here: Context) -> bool:
    """Whether there is no password at all."""
    return not here.passwords


def person_of(
    request: Request, here: Here, token: Annotated[object, Security(_BEARER)] = None
) -> Person:
    """Raises 401 for nobody known, 403 for what the role may not do."""
    person = _asks(request, here)
    if person is None:
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Bearer"})
    if request.method not in SAFE:
        if person.csrf and not _equal(request.headers.get(CSRF, ""), person.csrf):
            raise HTTPException(403, "the page is too old: load it again")
        if not person.reviews and request.scope["endpoint"] not in _READING:
            raise HTTPException(403, "viewers change nothing: log in as a reviewer")
    return person


Asks = Annotated[Person, Depends(person_of)]


def _asks(request: Request, here: Context) -> Person | None:
    address = request.client.host if request.client else ""
    kind, _, said = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        role = tried(request, here, said.strip())
        return Person(f"{role} (API)", role, address=address) if role else None
    session = session_of(request)
    if session is not None:
        return Person(session.name, session.role, session.csrf, address)
    if not is_open(here):
        return None
    if _is_program(request):
        return Person(who_types(), Role.REVIEWER, address=address)
    return _begun(request, address)


def tried(request: Request, here: Context, password: str) -> Role | None:
    """The role of this password. Raises 429 where too many were wrong."""
    attempts: Attempts = request.app.state.attempts
    address, now = request.client.host if request.client else "", utc_now()
    wait = attempts.wait(address, now)
    if wait:
        seconds = str(ceil(wait.total_seconds()))
        raise HTTPException(
            429, f"too many wrong passwords: wait {seconds} s", {"Retry-After": seconds}
        )
    role = role_of(here.passwords, password)
    if role is None:
        attempts.failed(address, now)
    else:
        attempts.worked(address)
    return role


def session_of(request: Request) -> WebSession | None:
    key = request.cookies.get(cookie_of(request), "")
    sessions: Sessions = request.app.state.sessions
    return sessions.find(key, utc_now()) if key else None


def _is_program(request: Request) -> bool:
    """Browsers say where a request comes from, or ask for a page; what does neither is none."""
    headers = request.headers
    says_where = "origin" in headers or "sec-fetch-site" in headers
    return not says_where and "text/html" not in headers.get("accept", "")


def _begun(request: Request, address: str) -> Person:
    """A browser on this machine, where no password is asked for: its session begins here."""
    session = begin_session(request, who_types(), Role.REVIEWER)
    return Person(session.name, session.role, session.csrf, address)


def begin_session(request: Request, name: str, role: Role) -> WebSession:
    """The answer to this request takes its cookie along."""
    sessions: Sessions = request.app.state.sessions
    key, session = sessions.begin(name, role, utc_now())
    secure = "; Secure" if request.url.scheme == "https" else ""
    cookie = f"{cookie_of(request)}={key}; Path=/; HttpOnly; SameSite=Strict{secure}"
    request.state.cookie = cookie
    return session


def _equal(one: str, other: str) -> bool:
    """In a time that tells neither what differs nor how long it is."""
    digests = (hashlib.sha256(text.encode()).digest() for text in (one, other))
    return hmac.compare_digest(*digests)
