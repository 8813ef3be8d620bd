"""An access token, by the code that a server shows to whoever allows our app."""

from __future__ import annotations

from typing import Any

from mastodon import Mastodon

from bot.core.errors import TagechoError, UsageError
from bot.platforms.base import Pacer, paced
from bot.platforms.mastodon.connection import ServerConnection
from bot.platforms.mastodon.translate import translate

SCOPES = ["read", "write:statuses", "write:media"]
APP = "tagecho"
_NO = (400, 401)  # what a server answers to a code that is none


class CodeAuthorization:
    """See `bot.platforms.base.Authorization`. Making it registers the app on the server."""

    def __init__(self, connection: ServerConnection, pacer: Pacer) -> None:
        self._pacer = pacer
        self._http = connection.session()
        self._plain = connection.base.startswith("http:")  # on this machine only
        client_id, client_secret = self._ask(
            "register an app",
            lambda: Mastodon.create_app(
                APP,
                scopes=SCOPES,
                api_base_url=connection.base,
                request_timeout=connection.timeout,
                session=self._http,
                user_agent=APP,
            ),
        )
        self._client = connection.client(self._http, app=(client_id, client_secret))
        self.address: str = self._client.auth_request_url(
            scopes=SCOPES, skip_server_info=True, allow_http=self._plain
        )

    def secret(self, code: str) -> str:
        def request() -> str:
            return self._client.log_in(code=code, scopes=SCOPES, allow_http=self._plain)

        try:
            return str(self._ask("access token", request))
        except TagechoError as error:
            last = self._http.last
            if last is not None and last.status_code in _NO:
                raise UsageError(f"this code gives no access token: {error}") from None
            raise

    def close(self) -> None:
        self._http.close()

    def _ask(self, what: str, request: Any) -> Any:
        """One exchange, through pacer and translation."""
        with paced(self._pacer, "login"):
            self._http.forget_last()
            try:
                return request()
            except Exception as error:  # noqa: BLE001 - the edge, as in `session`
                known = translate(error, self._http.last, action="login", what=what)
                raise known from None
