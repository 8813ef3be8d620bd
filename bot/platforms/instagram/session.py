"""One account's session: its file, its login, and the edge every request goes through."""

from __future__ import annotations

import functools
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from bot.core.errors import AuthError, LoginRequired, StorageError
from bot.core.events import Author
from bot.core.files import replacing
from bot.core.folders import private_folder
from bot.platforms.base import Pacer
from bot.platforms.instagram.client import GuardedClient, device_of, open_client
from bot.platforms.instagram.connection import Connection
from bot.platforms.instagram.parse import author_from
from bot.platforms.instagram.translate import WRITES, translate
from bot.platforms.retries import reads

T = TypeVar("T")
Secret: TypeAlias = Callable[[], str] | str | None

_OWNER = "tagecho_login"  # our own key in the session file: whose session it is


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account logs in with. A function is called only when a login needs its secret."""

    username: str
    password: Secret = field(default=None, repr=False)
    totp_secret: Secret = field(default=None, repr=False)  # base32


class Session:
    """The client of one account. One thread at a time.

    `file` holds the client's settings, readable by its owner only.
    """

    def __init__(
        self, credentials: Credentials, connection: Connection, file: Path, pacer: Pacer
    ) -> None:
        self._credentials = credentials
        self._username = username = credentials.username
        self.delay = connection.delay
        self._attempts = connection.attempts
        self._file = file
        self._pacer = pacer
        self._last_sent = float("-inf")
        self._fresh = False  # logged in with the password, and nothing has worked since
        self._allowed = False  # the pacer let a login through that never came to the password
        self._doubtful = False  # a 401 or 403 came: look at the session before going on
        self._me: Author | None = None
        stored = read_settings(file)
        if stored.get(_OWNER) != username:
            stored = {}  # another account's session, or none
        self._saved = stored
        self._open = functools.partial(
            open_client,
            connection=connection,
            before_send=self._pause,
        )
        try:
            self.client: GuardedClient = self._open(settings=stored)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{file}: no session of this client; delete it") from error

    @property
    def me(self) -> Author:
        if self._me is None:
            raise LoginRequired("not logged in yet")
        return self._me

    def login(self) -> Author:
        """Use the stored session, else log in once. Raises AuthError, RateLimited, Unavailable.

        May be called again however often: each login begins with a client that knows nothing of
        those before it, on the same device.
        """
        if self.client.user_id:
            try:
                return self._check()
            except LoginRequired:
                if self._fresh:
                    self._stop("the session ended right after a login")
        password = _reveal(self._credentials.password)
        if not password:
            raise LoginRequired(f"no session and no password for {self._username}")
        self._prepare()
        self._send("login", "login", lambda client: self._submit(client, password))
        self._fresh = True
        self._save()
        self._call("read", "first feeds", lambda client: client.open_app())
        return self._check()

    def adopt(self, session_id: str) -> Author:
        """Go on with a session that a browser has, on this client's device.

        It is asked for its account once, and kept only if that is ours. Raises AuthError, and what
        a read raises; then the stored session stays.
        """
        user_id = session_id.partition("%3A")[0].partition(":")[0]
        if not user_id.isdecimal():
            raise AuthError("the cookie sessionid names no user: it is none of a browser")
        session = {
            "authorization_data": {
                "ds_user_id": user_id,
                "sessionid": session_id,
                "should_use_header_over_cookies": True,
            },
            "cookies": {"sessionid": session_id, "ds_user_id": user_id},
        }
        old, self.client = self.client, self._open(settings=device_of(self.client) | session)
        _close(old)
        user = self._call("read", "own account", _current_user)
        if user.username.lower() != self._username.lower():
            raise AuthError(f"the cookies are those of {user.username}, not of {self._username}")
        self._me, self._doubtful = user, False
        self._save()
        return user

    def call(self, action: str, what: str, request: Callable[[GuardedClient], T]) -> T:
        """Run one request, answer parsed inside, through pacer and translation.

        A read that fails for a passing reason is tried again, each time through the pacer; a write
        is sent once. Raises only `bot.core.errors`; what a failure means for a write depends on
        `action`.
        """
        if self._doubtful:
            self._check()
        attempt = self._call
        if action == "read":
            attempt = reads(self._pacer.rest, attempts=self._attempts).wraps(attempt)
        answer = attempt(action, what, request)
        self._fresh = False
        if action not in WRITES:  # a full disk must not hide that a write was done
            self._save()
        return answer

    def close(self) -> None:
        _close(self.client)

    def _check(self) -> Author:
        user = self._call("read", "own account", _current_user)
        self._me = user
        self._doubtful = False
        self._save()
        return user

    def _prepare(self) -> None:
        """Up to the password. A network that is away costs no more than one login's place."""
        if not self._allowed:
            self._pacer.before("login")
            self._allowed = True
        old, self.client = self.client, self._open(settings=device_of(self.client))
        _close(old)
        self._call("read", "login page", lambda client: client.prepare_login(self._username))
        self._allowed = False

    def _call(self, action: str, what: str, request: Callable[[GuardedClient], T]) -> T:
        self._pacer.before(action)
        return self._send(action, what, request)

    def _send(self, action: str, what: str, request: Callable[[GuardedClient], T]) -> T:
        """What the pacer let through, and what came of it."""
        self.client.last_response = None
        try:
            answer = request(self.client)
        except Exception as error:  # noqa: BLE001 - the edge: whatever the client leaks is translated
            known = translate(error, self.client.last_response, action=action, what=what)
            self._doubtful = self._doubtful or _status(self.client) in (401, 403)
            self._pacer.after(action, known)
            raise known from None  # the cause may quote an answer's body
        self._pacer.after(action, None)
        return answer

    def _submit(self, client: GuardedClient, password: str) -> None:
        """Log in with the password, which leaves once."""
        secret = _reveal(self._credentials.totp_secret)
        code = client.totp_generate_code(secret.replace(" ", "")) if secret else ""
        client.login(self._username, password, verification_code=code)

    def _stop(self, reason: str) -> NoReturn:
        self._fresh = False  # once a person has looked at it, a login is worth a try again
        error = AuthError(reason)
        self._pacer.after("login", error)
        raise error from None

    def _pause(self) -> None:
        """Keep a random distance from the request before."""
        wait = self._last_sent + random.uniform(*self.delay) - time.monotonic()  # noqa: S311
        if wait > 0:
            time.sleep(wait)
        self._last_sent = time.monotonic()

    def _save(self) -> None:
        settings = json.loads(json.dumps({**self.client.get_settings(), _OWNER: self._username}))
        if settings != self._saved:
            write_settings(self._file, settings)
            self._saved = settings


def read_settings(file: Path) -> dict[str, Any]:
    """A stored session; {} when there is none or it cannot be read as one."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # damaged: a new login replaces it
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}") from error
    return stored if isinstance(stored, dict) else {}


def write_settings(file: Path, settings: dict[str, Any]) -> None:
    """Replace the session file: never seen half written, never readable by others (0600)."""
    try:
        private_folder(file.parent)
        with replacing(file) as out:
            out.write(json.dumps(settings).encode())
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}") from error


def _current_user(client: GuardedClient) -> Author:
    answer = client.private_request("accounts/current_user/?edit=true")
    return author_from(answer["user"])


def _close(client: GuardedClient) -> None:
    for http in (client.private, client.public, client.graphql):
        http.close()


def _status(client: GuardedClient) -> int | None:
    return None if client.last_response is None else int(client.last_response.status_code)


def _reveal(secret: Secret) -> str | None:
    return secret() if callable(secret) else secret
