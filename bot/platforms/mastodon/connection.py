"""Where the requests of an account go, and the client library's own session for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mastodon import Mastodon

from bot.net.addresses import is_loopback
from bot.net.guarded import Client, Reach
from bot.net.session import GuardedSession

API = "4.2.0"  # what is used of it is older: no request finds out which version there is
_MOST_BYTES = 20_000_000  # of one answer
_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """A read that fails for a passing reason is tried `attempts` times, a write once."""

    server: str  # host, and port if any
    username: str
    token: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)  # it may hold a password
    ca_file: Path | None = None  # trusted instead of the usual authorities
    timeout: float = 30.0  # seconds, to connect and again for the answer
    attempts: int = 3

    @property
    def base(self) -> str:
        """Plain HTTP on this machine only."""
        host = self.server.rpartition(":")[0] if self.server[-1:].isdecimal() else self.server
        name = (host or self.server).strip("[]")
        return f"{'http' if is_loopback(name) else 'https'}://{self.server}"

    def session(self) -> GuardedSession:
        """The server itself may be in a private network, whatever it leads to may not."""
        return GuardedSession(
            self._reach,
            proxies=self._proxies,
            ca_file=str(self.ca_file) if self.ca_file else None,
            most_bytes=_MOST_BYTES,
        )

    def client(self, session: GuardedSession, app: tuple[str, str] | None = None) -> Mastodon:
        """It never waits and repeats nothing: that is for the pacer and the flow.

        `app`: id and secret of one on the server, to ask for a token; else the account's own token.
        """
        client_id, client_secret = app or (None, None)
        return Mastodon(
            client_id=client_id,
            client_secret=client_secret,
            access_token=None if app else self.token,
            api_base_url=self.base,
            ratelimit_method="throw",
            request_timeout=self.timeout,
            mastodon_version=API,
            version_check_mode="created",
            session=session,
            user_agent="tagecho",
        )

    def downloads(self) -> Client:
        """Images may lie anywhere: a server names the hosts of its own and of other servers'."""
        return Client(
            self._reach,
            proxies=lambda _url: self._proxies,
            ca_file=str(self.ca_file) if self.ca_file else None,
            timeout=self.timeout,
            redirects=_REDIRECTS,
            user_agent="tagecho",
        )

    @property
    def _reach(self) -> Reach:
        return Reach(own=frozenset({self.server}))

    @property
    def _proxies(self) -> dict[str, str]:
        return {"http": self.proxy, "https": self.proxy} if self.proxy else {}
