"""Calls of a server's methods (XRPC), through atproto: its sessions, and JSON as it is.

Its models leave out what is null, and refuse what a newer server adds; so answers are read as they
come. Every call is sent once: nothing here or below sends it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
from atproto import Client, Request, SessionEvent
from atproto_client.exceptions import LoginRequiredError, RequestErrorBase

__all__ = ["FAILURES", "Failure", "RequestErrorBase", "Xrpc", "failure_of"]


class Failure(Exception):
    """An answer that says no. `status` 0: there was none that can be read."""

    def __init__(
        self, status: int, name: str = "", message: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {name} {message}".strip())
        self.status, self.name, self.message = status, name, message
        self.headers = headers or {}


class Xrpc:
    """One account's server. One thread at a time. Creating it sends nothing."""

    def __init__(self, server: str, timeout: float, keep: Callable[[str], None]) -> None:
        """`keep` is given every session that begins or is refreshed, as text. It may be secret."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each request
        self._client = Client(server, request=Request(timeout=timeout, trust_env=False))
        self.headers: dict[str, str] = {}  # of the last answer

        def changed(event: SessionEvent, session: Any) -> None:
            if event is not SessionEvent.IMPORT:
                keep(session.encode())

        self._client.on_session_change(changed)

    @property
    def did(self) -> str:
        """Whose session it is; "" without one."""
        session = self._client._session
        return session.did if session else ""

    def resume(self, session: str) -> None:
        """Go on with a session that was kept. Sends nothing. Raises ValueError for what is none."""
        self._client.login(session_string=session, fetch_bsky_profile=False)

    def log_in(self, identifier: str, password: str) -> None:
        """Begin a session. The password leaves once."""
        self._client.login(identifier, password, fetch_bsky_profile=False)

    def query(self, method: str, **parameters: Any) -> dict[str, Any]:
        given = {name: value for name, value in parameters.items() if value is not None}
        asked = f"{method}?{urlencode(given, doseq=True)}" if given else method
        return self._read(self._client.invoke_query(asked))

    def procedure(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        return self._read(
            self._client.invoke_procedure(method, content=json.dumps(body), headers=headers)
        )

    def upload(self, data: bytes, mime: str) -> dict[str, Any]:
        return self._read(
            self._client.invoke_procedure(
                "com.atproto.repo.uploadBlob", content=data, headers={"Content-Type": mime}
            )
        )

    def close(self) -> None:
        self._client.request.close()

    def _read(self, response: Any) -> dict[str, Any]:
        self.headers = dict(response.headers)
        content = response.content
        if isinstance(content, dict):
            return content
        if not content:
            return {}
        raise Failure(0, message="the answer is no JSON")


# Whatever a call may raise: a strange answer breaks the client, or our own reading of it.
FAILURES = (
    Failure,
    RequestErrorBase,
    LoginRequiredError,
    httpx.HTTPError,
    httpx.InvalidURL,
    KeyError,
    TypeError,
    ValueError,
    OSError,
)


def failure_of(error: Exception) -> Failure:
    """What a call that failed was answered."""
    if isinstance(error, Failure):
        return error
    response = error.response if isinstance(error, RequestErrorBase) else None
    if response is None:
        cause = error.__cause__ or error
        return Failure(0, message=type(cause).__name__)
    said = response.content
    name, message = getattr(said, "error", "") or "", getattr(said, "message", "") or ""
    return Failure(response.status_code, name, message, dict(response.headers))
