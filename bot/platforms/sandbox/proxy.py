"""A CONNECT proxy that leads the known hosts to the one TLS server and refuses all others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Coroutine
from typing import Any

from bot.platforms.sandbox import tls
from bot.platforms.sandbox.journal import Journal, SeenRequest

_CHUNK = 256 * 1024
_HEAD_S = 30.0


class Proxy:
    """Give it a bound socket, start it, and drop single connections by their upstream port."""

    def __init__(self, journal: Journal, upstream_port: int) -> None:
        self._journal = journal
        self._upstream_port = upstream_port
        self._links: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open.values():  # a cancelled callback would log a traceback
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def drop(self, upstream_local_port: int) -> bool:
        """Cut the connection that reached the server from this port. False when there is none."""
        link = self._links.get(upstream_local_port)
        if link is None:
            return False
        for writer in link:
            writer.transport.abort()
        return True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server callback always runs in one
        self._open[task] = writer
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the client went away or spoke no HTTP; nothing to answer
        finally:
            await _close(writer)
            del self._open[task]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, _, rest = head.partition("\r\n")[0].partition(" ")
        target = rest.partition(" ")[0]
        host, _, port = target.rpartition(":")
        if method != "CONNECT" or port != "443" or not tls.known(host):
            note = "refused by the proxy"
            seen = SeenRequest(host or target, method, target, "1.1", 403, note=note)
            self._journal.request(seen, time.monotonic())
            body = b"this proxy leads to the loopback network only\n"
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            return
        upstream, out = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        local_port: int = out.get_extra_info("sockname")[1]
        self._links[local_port] = (writer, out)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            await _both(_pump(reader, out), _pump(upstream, writer))
        finally:
            self._links.pop(local_port, None)
            await _close(out)


async def _both(*pumps: Coroutine[Any, Any, None]) -> None:
    """Run until one direction ends: TLS and HTTP know no half-closed connection worth keeping."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):  # already gone: that is what was wanted
        async with asyncio.timeout(1):
            await writer.wait_closed()
