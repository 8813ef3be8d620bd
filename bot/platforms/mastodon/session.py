"""One account's session: its token, who it belongs to, and the edge every request goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from mastodon import Mastodon

from bot.core.errors import (
    AuthError,
    LoginRequired,
    RateLimited,
    StorageError,
    TagechoError,
    TargetGone,
)
from bot.core.events import Author
from bot.core.files import replacing
from bot.core.folders import private_folder
from bot.platforms.base import Pacer
from bot.platforms.mastodon.connection import ServerConnection
from bot.platforms.mastodon.limits import ServerLimits, limits_of
from bot.platforms.mastodon.parse import Json, Namespace
from bot.platforms.mastodon.translate import UnexpectedAnswer, pause_of, translate, used_up
from bot.platforms.retries import reads

T = TypeVar("T")
Request = Callable[[Mastodon], Any]


class TokenSession:
    """The client of one account. One thread at a time.

    `file` says whose token it was at the last login, readable by its owner only; the token itself
    is a secret of the settings.
    """

    def __init__(self, connection: ServerConnection, file: Path, pacer: Pacer) -> None:
        self.server = connection.server
        self.connection = connection
        self.pacer = pacer
        self._file = file
        self._http = connection.session()
        self._client: Mastodon = connection.client(self._http)
        self._me: Author | None = None
        self._limits: ServerLimits | None = None

    @property
    def me(self) -> Author:
        if self._me is None:
            raise LoginRequired("not logged in yet")
        return self._me

    @property
    def limits(self) -> ServerLimits:
        if self._limits is None:
            raise LoginRequired("not logged in yet")
        return self._limits

    @property
    def names(self) -> Namespace:
        return Namespace(self.server, self.limits.domain)

    def login(self) -> Author:
        """Ask whose token it is. Raises AuthError, RateLimited, Unavailable."""
        if not self.connection.token:
            raise LoginRequired(f"no access token for {self.connection.username}")
        self._limits = self._instance()

        account = self.send(
            "login",
            "own account",
            lambda client: client.account_verify_credentials(),
            self._account,
        )
        name = str(account["acct"]).lower()
        if name != self.connection.username.partition("@")[0].lower():
            error = AuthError(f"the token is that of {name}, not of {self.connection.username}")
            self.pacer.after("login", error)
            raise error
        self._me = self.names.author(account)
        self._keep(account)
        return self._me

    def read(self, what: str, request: Request, parse: Callable[[Any], T]) -> T:
        """A read, its answer parsed inside, tried again when it fails for a passing reason."""
        attempt = reads(self.pacer.rest, attempts=self.connection.attempts).wraps(self.send)
        found: T = attempt("read", what, request, parse)
        return found

    def send(self, action: str, what: str, request: Request, parse: Callable[[Any], T]) -> T:
        """One request through pacer and translation. Raises only `bot.core.errors`."""
        self.pacer.before(action)
        self._http.forget_last()
        try:
            request(self._client)
            found = parse(self.answer())
        except Exception as error:  # noqa: BLE001 - the edge: whatever the client leaks is translated
            known = translate(error, self._http.last, action=action, what=what)
            self.pacer.after(action, known)
            raise known from None
        self._pace(action, what)
        return found

    def answer(self) -> Any:
        """The JSON of the last answer: the client's own objects are no JSON any more."""
        return None if self._http.last is None else self._http.last.json()

    def following(self) -> str | None:
        """Where the next page of the last listing begins: `max_id`; None at its end."""
        link = self._http.last.links.get("next", {}).get("url", "") if self._http.last else ""
        return dict(parse_qsl(urlsplit(link).query)).get("max_id")

    def close(self) -> None:
        self._http.close()

    def _instance(self) -> ServerLimits:
        """Its limits; servers that speak only version 1 are asked in that."""

        def limits(answer: Any) -> ServerLimits:
            return limits_of(answer, self.server)

        try:
            return self.read("server", lambda client: client.instance_v2(), limits)
        except TargetGone:
            return self.read("server", lambda client: client.instance_v1(), limits)

    def _account(self, account: Any) -> Json:
        if not isinstance(account, dict) or not account.get("id") or not account.get("acct"):
            raise UnexpectedAnswer("no account")
        return account

    def _pace(self, action: str, what: str) -> None:
        """An answer that says "no more" opens the circuit before the next request is refused."""
        error: TagechoError | None = None
        if used_up(self._http.last):
            pause = pause_of(self._http.last)
            error = RateLimited(f"{what}: the server's limit is used up", pause)
        self.pacer.after(action, error)

    def _keep(self, account: Json) -> None:
        said = {"account": self.names.full(account["acct"]), "bot": account.get("bot") is True}
        try:
            private_folder(self._file.parent)
            with replacing(self._file) as out:
                out.write(json.dumps(said).encode())
        except OSError as error:
            raise StorageError(f"{self._file}: {error.strerror}") from error
