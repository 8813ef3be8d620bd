"""The client, unmodified, with its traps closed: the only module that imports instagrapi.

Nothing of its protocol is changed. What is changed is when it may send: every request has a
timeout, and no request is ever sent a second time by the client or by a layer below it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import requests
from curl_cffi import CurlOpt
from instagrapi import Client, exceptions
from instagrapi.mixins.bloks import CAA_API_DOMAIN
from instagrapi.types import StoryMention, UserShort, Usertag

from bot.platforms.instagram.connection import Connection

__all__ = [
    "GuardedClient",
    "Lost",
    "device_of",
    "exceptions",
    "open_client",
    "story_mention",
    "usertag",
]

# They log whole answers; what goes wrong reaches us as an exception anyway.
_SESSION = ("authorization_data", "cookies", "ig_u_rur", "ig_www_claim", "last_login")
_LOUD = ("instagrapi", "private_request", "public_request", "graphql_request")


class Lost(Exception):
    """An answer that never came in full; the client would have sent the request again."""


class GuardedClient(Client):  # type: ignore[misc]
    """Client that submits every request, and a password, once."""

    def _send_private_request(self, *args: Any, **kwargs: Any) -> Any:
        """Raises Lost where `private_request` would sleep (60 s after a 408) and send again."""
        try:
            return super()._send_private_request(*args, **kwargs)
        except exceptions.ClientRequestTimeout:
            raise Lost("408 Request Timeout") from None
        except exceptions.ClientIncompleteReadError:
            raise Lost("the answer was cut off") from None

    def prepare_login(self, username: str) -> None:
        """What `login` needs before the password may leave. Raises Lost when nothing came of it."""
        if not self.bloks_caa_login_prepare(username=username, domain=CAA_API_DOMAIN):
            raise Lost("the page to log in on is not complete")

    def bloks_caa_login(self, *args: Any, **kwargs: Any) -> Any:
        """Prepared before: a failure on the way to the password says nothing of the password."""
        return super().bloks_caa_login(*args, **(kwargs | {"prepare": False}))

    def login_flow(self) -> bool:
        """`login` ends with it, after the password was accepted; `open_app` is it, by itself."""
        return True

    def open_app(self) -> bool:
        """Read what the app reads when it opens."""
        return bool(super().login_flow())

    def login_legacy(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """`login` falls back to it after it has submitted the password; that once is enough."""
        raise exceptions.BadPassword("the password was not accepted (asked to use an old login)")


def open_client(
    *,
    settings: dict[str, Any],
    connection: Connection,
    before_send: Callable[[], None],
) -> GuardedClient:
    """A client with stored `settings` ({}: a new device). Sends nothing.

    `before_send` is called before every HTTP request. Settings win over constructor arguments in
    this client, so everything that must hold is set again after they are loaded.
    """
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = GuardedClient(proxy=connection.proxy, with_challenge_flow=False, request_timeout=0)
    if settings:
        client.set_settings(settings)
    client.set_proxy(connection.proxy)
    client.set_tls_verify(str(connection.ca_file) if connection.ca_file else True)
    client.set_retry_config(
        request_timeout=0,
        public_request_retries_count=1,
        session_retry_total=0,
        session_retry_statuses=[],
        private_transport="curl",
        public_transport="requests",
    )
    if connection.user_agent:
        client.set_user_agent(connection.user_agent)
    client.delay_range = None
    client.handle_exception = None
    client.challenge_code_handler = _ask_nobody  # the default one reads standard input
    client.change_password_handler = _ask_nobody
    # A reused connection that dies makes curl send a POST again, silently.
    client.private.get_adapter("https://").client.curl_options[CurlOpt.FORBID_REUSE] = 1
    for session in (client.private, client.public, client.graphql):
        _guard(session, connection.timeout, before_send)
    return client


def device_of(client: GuardedClient) -> dict[str, Any]:
    """The settings of a client without its session: the same device, logged out."""
    kept = dict(client.get_settings())
    for name in _SESSION:
        kept.pop(name, None)
    return kept


def usertag(user_id: str, username: str, x: float, y: float) -> Any:
    return Usertag(user=UserShort(pk=user_id, username=username), x=x, y=y)


def story_mention(user_id: str, username: str) -> Any:
    """A mention low in the middle of the story, where it covers least."""
    user = UserShort(pk=user_id, username=username)
    return StoryMention(user=user, x=0.5, y=0.85, width=0.6, height=0.06, rotation=0.0)


def _guard(session: requests.Session, timeout: float, before_send: Callable[[], None]) -> None:
    send = session.send

    def guarded(request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        before_send()
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = (timeout, timeout)
        kwargs["allow_redirects"] = False  # following one may send a body twice
        return send(request, **kwargs)

    session.trust_env = False  # REQUESTS_CA_BUNDLE and proxies of the environment stay out
    session.send = guarded  # type: ignore[method-assign]


def _ask_nobody(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise exceptions.ChallengeRequired("the platform asks for a code")
