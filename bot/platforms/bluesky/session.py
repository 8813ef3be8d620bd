"""One account's session: its file, its login, and the edge that every request goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bot.core.errors import AuthError, LoginRequired, RateLimited, StorageError, TagechoError
from bot.core.events import Author
from bot.core.files import replacing
from bot.core.folders import private_folder
from bot.platforms.base import Pacer
from bot.platforms.bluesky.client import FAILURES, Xrpc, failure_of
from bot.platforms.bluesky.settings import BlueskyAccount
from bot.platforms.bluesky.translate import seconds_until_reset, translate
from bot.platforms.retries import reads

T = TypeVar("T")
NAME = "bluesky"
# Points of a write, of which 5000 are allowed in an hour: what is left must pay for the next one.
POINTS = {"write": 3, "delete": 1}


class AccountSession:
    """One thread at a time. `file`, readable by its owner only, holds the session and the DIDs of
    people whose profiles were read, by the handles that they had."""

    def __init__(self, said: BlueskyAccount, file: Path, pacer: Pacer, attempts: int) -> None:
        self._username, self._server = said.username, said.server
        self._password = said.password
        self._file = file
        self._pacer = pacer
        self._attempts = attempts
        self._me: Author | None = None
        self._fresh = False  # the password was sent, and nothing has worked since
        self._kept = _read(file)
        if self._kept.get("of") != f"{said.username} {said.server}":
            self._kept = {"of": f"{said.username} {said.server}", "people": {}}
        self._xrpc = Xrpc(said.server, said.timeout.total_seconds(), self._keep)
        if stored := self._kept.get("session"):
            try:
                self._xrpc.resume(stored)
            except (AttributeError, TypeError, ValueError) as error:
                raise StorageError(f"{file}: no session of this client; delete it") from error

    @property
    def me(self) -> Author:
        if self._me is None:
            raise LoginRequired("not logged in yet")
        return self._me

    @property
    def people(self) -> dict[str, str]:
        """DIDs by the handle under which a profile was read first."""
        found: dict[str, str] = self._kept["people"]
        return found

    def remember(self, handle: str, did: str) -> None:
        if self.people.get(handle) != did:
            self.people[handle] = did
            self._write()

    def login(self) -> Author:
        """Use the stored session, refreshed where that is needed, else submit the password once."""
        why = "there is no session"
        if self._xrpc.did:
            try:
                return self._look()
            except LoginRequired as error:
                why = str(error)
            if self._fresh:
                self._fresh = False  # once a person has looked at it, a login is worth a try again
                stopped = AuthError(f"the session ended right after a login: {why}")
                self._pacer.after("login", stopped)
                raise stopped
        if self._password is None or not self._password.get_secret_value():
            raise LoginRequired(f"{why}, and no app password for {self._username}")
        secret = self._password.get_secret_value()
        # A handle may have changed; the DID of an account that was here before has not.
        who = self._xrpc.did or self._username
        self._pacer.before("login")
        self._send("login", "login", lambda xrpc: xrpc.log_in(who, secret))
        self._fresh = True
        return self._look()

    def call(self, action: str, what: str, request: Callable[[Xrpc], T]) -> T:
        """One request, through pacer and translation; a read is tried again, a write never.

        Raises only `bot.core.errors`.
        """
        attempt = self._call
        if action == "read":
            attempt = reads(self._pacer.rest, attempts=self._attempts).wraps(attempt)
        answer = attempt(action, what, request)
        self._fresh = False
        return answer

    def close(self) -> None:
        self._xrpc.close()

    def _look(self) -> Author:
        answer = self._call(
            "read", "own account", lambda xrpc: xrpc.query("com.atproto.server.getSession")
        )
        self._me = Author(NAME, str(answer["did"]), str(answer["handle"]).lower())
        return self._me

    def _call(self, action: str, what: str, request: Callable[[Xrpc], T]) -> T:
        self._pacer.before(action)
        return self._send(action, what, request)

    def _send(self, action: str, what: str, request: Callable[[Xrpc], T]) -> T:
        try:
            answer = request(self._xrpc)
        except TagechoError as error:
            self._pacer.after(action, error)
            raise
        except FAILURES as error:
            known = translate(failure_of(error), action=action, what=what)
            self._pacer.after(action, known)
            raise known from None  # the cause may quote a token
        self._pacer.after(action, None)
        self._heed(action)
        return answer

    def _heed(self, action: str) -> None:
        """Stop before the server says so: what is left would not pay for another one."""
        left = self._xrpc.headers.get("ratelimit-remaining", "")
        if left.isdecimal() and int(left) < POINTS.get(action, 1):
            pause = seconds_until_reset(self._xrpc.headers)
            self._pacer.after(action, RateLimited(f"{action}: {left} left of the limit", pause))

    def _keep(self, session: str) -> None:
        self._kept["session"] = session
        self._write()

    def _write(self) -> None:
        try:
            private_folder(self._file.parent)
            with replacing(self._file) as out:
                out.write(json.dumps(self._kept).encode())
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror}") from error


def _read(file: Path) -> dict[str, Any]:
    """What was kept; {} when there is nothing, or it is damaged: then a login replaces it."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}") from error
    good = isinstance(stored, dict) and isinstance(stored.get("people"), dict)
    return stored if good else {}
