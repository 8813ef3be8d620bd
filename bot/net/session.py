"""A session for a client library: its requests keep to the same rules as `guarded.Client`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from bot.core.errors import TagechoError
from bot.net.addresses import is_loopback
from bot.net.guarded import PublicAdapter, Reach, admitted, chunks


class GuardedSession(requests.Session):
    """Only to hosts within `reach`, without redirects and retries, with bounded answers.

    `last` is the answer to the latest request of the calling thread; None when there was none. An
    answer that is streamed is not bounded: who reads it looks after that.
    """

    def __init__(
        self,
        reach: Reach,
        *,
        proxies: Mapping[str, str],
        ca_file: str | None,
        most_bytes: int,
    ) -> None:
        super().__init__()
        self._reach = reach
        self._proxies = dict(proxies)
        self._most_bytes = most_bytes
        self._own, self._public = HTTPAdapter(max_retries=0), PublicAdapter()
        self._local = threading.local()
        self.trust_env = False  # no .netrc; proxies and authorities are ours to say
        self.verify = ca_file or True

    @property
    def last(self) -> requests.Response | None:
        return getattr(self._local, "last", None)

    def forget_last(self) -> None:
        self._local.last = None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Raises Refused for an address out of reach, before anything is sent."""
        parts = urlsplit(request.url or "")
        own = admitted(parts, self._reach)
        direct = own and is_loopback(parts.hostname or "")
        streamed = options.get("stream", False)
        settings = {"proxies": {} if direct else self._proxies, "allow_redirects": False}
        response = super().send(request, **(options | settings | {"stream": True}))
        self._local.last = response
        if not streamed:
            self._read(response)
        return response

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        text = url if isinstance(url, str) else url.decode()
        return self._own if admitted(urlsplit(text), self._reach) else self._public

    def close(self) -> None:
        self._own.close()
        self._public.close()
        super().close()

    def _read(self, response: requests.Response) -> None:
        """The whole body. What breaks it off is no refusal: the request has been applied."""
        try:
            body = b"".join(chunks(response, self._most_bytes, decode=True))
        except TagechoError as error:
            response.close()
            raise requests.ConnectionError(str(error)) from None
        response._content = body
        response._content_consumed = True  # type: ignore[attr-defined]
        response.close()  # gives the connection back
