"""Sends one notice in a process of its own, which can reach nothing on a private network.

apprise brings a hundred services that make their requests in their own ways. Python tells an audit
hook of every connection, by the number that a name led to, just before it is made: no redirect and
no name that changes its mind gets past it. A hook cannot be taken away again, hence the process.

Reads one JSON document from stdin and writes one to stdout; see `bot.net.notices`.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import sys
from typing import Any

from bot.net.addresses import is_private

_SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system")


class Guard:
    """An audit hook. `refused` says what it stopped."""

    def __init__(self, own: list[str]) -> None:
        """`own`: hosts that may be private, as "host" (any port) or "host:port"."""
        self.refused: list[str] = []
        self._own = {place for host in own for place in _places(host)}

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _SENDS:
            self._judge(arguments[0], arguments[1])
        elif event in _STARTS:
            self._refuse("another program would be started")

    def _judge(self, connection: socket.socket, address: Any) -> None:
        if address is None:  # it is connected, which was judged
            return
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            self._refuse("a connection within this machine")
            return
        host, port = str(address[0]).partition("%")[0], int(address[1])
        if (host, port) in self._own or (host, None) in self._own:
            return
        try:
            public = not is_private(str(ipaddress.ip_address(host)))
        except ValueError:
            public = False  # a name: nobody knows yet where it leads
        if not public:
            self._refuse(f"{host}:{port} is on a private network; name it in own_hosts to mean it")

    def _refuse(self, why: str) -> None:
        self.refused.append(why)
        raise PermissionError(why)


class Remarks(logging.Handler):
    """What the services said of their failures."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _places(host: str) -> set[tuple[str, int | None]]:
    before, _, port = host.rpartition(":")
    name, number = (before, int(port)) if before and port.isdecimal() else (host, None)
    try:
        found = socket.getaddrinfo(name.strip("[]"), number or 0, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {(str(address[0]), number) for *_, address in found}


def deliver(urls: list[str], title: str, body: str, guard: Guard) -> list[dict[str, str]]:
    """One after the other: {"service": its name, "error": "" or what went wrong} for each."""
    import apprise  # noqa: PLC0415 - heavy, and only here

    remarks = Remarks()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [remarks], False
    logger.setLevel(logging.WARNING)
    done = []
    for url in urls:
        guard.refused.clear()
        remarks.texts.clear()
        service = apprise.Apprise()
        # An address that is none is not repeated: it may hold a secret.
        if not service.add(url):
            done.append({"service": url.partition(":")[0], "error": "is no address of a service"})
            continue
        sent = service.notify(title=title, body=body)
        why = [*guard.refused, *remarks.texts, "it was not taken"]
        done.append({"service": str(service[0].service_name), "error": "" if sent else why[0]})
    return done


def main() -> None:
    said = json.load(sys.stdin)
    guard = Guard(said["own"])
    sys.addaudithook(guard)
    json.dump(deliver(said["urls"], said["title"], said["body"], guard), sys.stdout)


if __name__ == "__main__":
    main()
