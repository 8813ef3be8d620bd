"""Image bytes from the platform's media hosts, paced.

The client's own download uses neither the proxy nor the CA of the account, and no limits.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.net.guarded import Client, Reach, chunks, judge
from bot.platforms.base import Pacer, paced
from bot.platforms.instagram.connection import Connection

_REDIRECTS = 3
_PATIENCE = 4  # a whole download may take this many timeouts


class Downloader:
    """`fetch` may be called from several threads at once.

    `hosts`: the ones that images may come from; see `Reach`. What is named without a "*" is the
    operator's own.
    """

    def __init__(
        self,
        *,
        hosts: Sequence[str],
        connection: Connection,
        pacer: Pacer,
    ) -> None:
        patterns = tuple(host.lower() for host in hosts)
        proxy, ca_file = connection.proxy, connection.ca_file
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._client = Client(
            Reach(patterns, frozenset(host for host in patterns if "*" not in host)),
            proxies=lambda _url: proxies,
            ca_file=str(ca_file) if ca_file else None,
            timeout=connection.timeout,
            redirects=_REDIRECTS,
            user_agent=connection.user_agent,
        )
        self._patience = _PATIENCE * connection.timeout
        self._pacer = pacer

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """The bytes of `url`. Raises Refused, TargetGone, RateLimited or Unavailable."""
        with paced(self._pacer, "media"), self._client.get(url) as response:
            judge(response)  # 403 passes: the signature in the address has run out
            return b"".join(chunks(response, max_bytes, decode=True, seconds=self._patience))

    def close(self) -> None:
        self._client.close()
