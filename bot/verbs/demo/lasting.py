"""`tagecho sandbox`: a network on this machine that lasts, and a configuration that leads to it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import tomlkit
from rich.console import Console

from bot import config
from bot.config.initial import Beginning, initial
from bot.config.source import SECRETS, read_text
from bot.core.errors import NetworkError, UsageError
from bot.core.events import TrackKind
from bot.core.files import replacing
from bot.core.folders import private_folder
from bot.core.voice import VOICE
from bot.platforms import registry
from bot.verbs.demo.folder import fresh
from bot.verbs.demo.loopback import Loopback, loopback
from bot.verbs.demo.rehearsal import cast

OFTEN = "10s"  # how often the service looks: nobody here minds
COMMON = "photooftheday"  # on every post of the made-up people
LEADING_AWAY = ("TAGECHO_ACCOUNTS__", "TAGECHO_DATA__", "TAGECHO_HEALTH__")


def sandbox(path: Path | None, folder: Path, *, rate: float) -> None:
    """Run the network until Ctrl-C. `path`: the configuration to play; None: one that is made up.

    Only addresses, secrets, the data folder, quiet hours, rates and how often to look are replaced.
    Raises UsageError where it has not exactly one account.
    """
    console = Console(stderr=True, quiet=VOICE.quiet, highlight=False)
    text = _made_up() if path is None else read_text(path)
    settings = config.parse(text, path or Path("config.toml"), {}, secrets="none")
    names = list(settings.accounts)
    if len(names) != 1:
        raise UsageError("the network is for one account: give a file that has exactly one")
    away = [name for name in os.environ if name.startswith(LEADING_AWAY)]
    where = folder.resolve()
    platform, people = settings.accounts[names[0]].platform, cast(settings, names[0])
    with fresh(where), loopback(where, rate, people, platform) as network:
        file = where / "config.toml"
        file.write_text(_led_here(text, names[0], network.addresses), encoding="utf-8")
        _keep_secrets(where / SECRETS, names[0], network.addresses["secrets"])
        shown = quote(str(folder / "config.toml"))
        console.print("A network with people who post runs until Ctrl-C. In other terminals:")
        console.print(f"  tagecho run --config {shown}", soft_wrap=True)
        console.print(f"  tagecho replies list --config {shown}", soft_wrap=True)
        console.print("The addresses of its posts look real, and lead there only for the service.")
        if away:
            console.print(f"First unset {' '.join(away)}: they win over the file.")
        _tell(console, network)


def _made_up() -> str:
    return initial(Beginning("imagebot", tracks=[(TrackKind.HASHTAG, COMMON)]))


def _led_here(text: str, account: str, told: Mapping[str, Any]) -> str:
    """The operator's file, for this network; comments stay."""
    document: Any = tomlkit.parse(text)
    keys = {**told["account"], **told["pace"], "mentions_every": OFTEN}
    for key, value in keys.items():
        document["accounts"][account][key] = value
    for track in document.get("tracks", ()):
        track["every"] = OFTEN
    # A look every 10 s uses up the rate that the real network allows, and then replies would wait.
    actions = found.actions if (found := registry.find(told["platform"])) else ()
    changed = {
        "pacing": dict.fromkeys(actions, "off"),
        "data": {"dir": "data", "url": ""},
        "replies": {"quiet_hours": ""},
        "health": {"listen": ""},
    }
    for section, values in changed.items():
        document.setdefault(section, tomlkit.table()).update(values)
    head = "# Written by `tagecho sandbox`: leads to its network on this machine.\n"
    return head + tomlkit.dumps(document)


def _keep_secrets(folder: Path, account: str, secrets: Mapping[str, str]) -> None:
    private_folder(folder)
    for key, value in secrets.items():
        with replacing(folder / f"{account}.{key}") as file:
            file.write(f"{value}\n".encode())


def _tell(console: Console, network: Loopback) -> None:
    """What happens there, until Ctrl-C. Raises NetworkError when it ends by itself."""
    known: set[str] = set()
    try:
        with console.status("starting …") as status:
            while network.process.poll() is None:
                world, replies = network.ask("/world"), network.ask("/replies")["by_source"]
                for source in replies.keys() - known:
                    console.print(f"  a reply to post {source} was published")
                known |= replies.keys()
                status.update(f"posted {world['posts']}, replies {len(known)}")
                time.sleep(1)
    except KeyboardInterrupt:
        return
    raise NetworkError("the loopback network ended")
