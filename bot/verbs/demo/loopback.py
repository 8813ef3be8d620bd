"""The loopback network in a process of its own, and what leads an account to it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bot.core.errors import NetworkError, NotInstalled, UsageError
from bot.platforms import registry
from bot.verbs.demo.children import end, end_with_us


@dataclass(frozen=True, slots=True)
class Loopback:
    """The sandbox in its own process."""

    process: subprocess.Popen[str]
    addresses: Mapping[str, Any]

    def ask(self, order: str, **body: Any) -> dict[str, Any]:
        """GET without a body, POST with one. Raises NetworkError."""
        data = json.dumps(body).encode() if body else None
        url = self.addresses["control"] + order
        try:
            with urllib.request.urlopen(url, data, timeout=60) as answer:  # noqa: S310 - loopback
                result: dict[str, Any] = json.load(answer)
                return result
        except OSError as error:
            raise NetworkError(f"the loopback network does not answer: {error}") from error


@contextlib.contextmanager
def loopback(
    folder: Path, rate: float, options: list[str], platform: str = registry.FIRST
) -> Iterator[Loopback]:
    """Raises UsageError for a platform of which there is none, NotInstalled where it needs what is
    not on this machine."""
    found = registry.find(platform)
    if found is None or not found.loopback:
        raise UsageError(f"there is no loopback network of {platform}")
    command = [sys.executable, "-m", found.loopback, "--json"]
    command += ["--dir", str(folder / "network"), "--rate", str(rate), *options]
    log = folder / "network.log"  # what its server says of clients that go away is not for people
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            preexec_fn=end_with_us,  # noqa: PLW1509 - one system call, and we have no threads
        )
    try:
        line = _first_line(process.stdout)
        if not line:
            raise NetworkError(f"the loopback network did not start; see {log}")
        told = json.loads(line)
        if lacking := told.get("missing"):
            raise NotInstalled(f"the loopback network of {platform} does not start: {lacking}")
        yield Loopback(process, told)
    finally:
        end(process)


def _first_line(stream: IO[str] | None) -> str:
    return stream.readline() if stream is not None else ""


def account_variables(prefix: str, network: Loopback) -> dict[str, str]:
    """The keys that lead to this network, as the environment has them."""
    return {
        prefix + key.upper(): value if isinstance(value, str) else ",".join(value)
        for key, value in network.addresses["account"].items()
    }


def secret_variables(names: list[str], network: Loopback) -> dict[str, str]:
    return {
        f"TAGECHO_ACCOUNTS__{name.upper()}__{key.upper()}": value
        for name in names
        for key, value in network.addresses["secrets"].items()
    }
