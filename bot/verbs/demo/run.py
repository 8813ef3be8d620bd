"""One run: the daemon on the loopback network, its progress, its report."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bot import config
from bot.core.voice import VOICE
from bot.verbs.demo.children import end
from bot.verbs.demo.folder import contained
from bot.verbs.demo.loopback import Loopback
from bot.verbs.demo.progress import drain, watch
from bot.verbs.demo.report import plain, summary
from bot.verbs.demo.service import peak_rss_mb, running_daemon
from bot.verbs.replies import write_page_of
from storage.database import Database

PAGE = "replies.html"


@dataclass(frozen=True, slots=True)
class Script:
    """What is played: a config file, and how the environment leads it to the network."""

    path: Path
    note: str  # said first
    environ: Mapping[str, str]
    dropped: tuple[str, ...]  # beginnings of variables of the shell that are not passed on


def show(
    network: Loopback, script: Script, folder: Path, seconds: float | None, *, as_json: bool
) -> None:
    """Run until `seconds` are over (None: until Ctrl-C), then report."""
    signal.signal(signal.SIGHUP, signal.default_int_handler)  # a closed terminal is a Ctrl-C
    console = Console(stderr=True, quiet=VOICE.quiet)
    console.print(f"[bold]tagecho[/bold]: {script.note}")
    # The shell's settings and secrets are for the real network; a rehearsal keeps only the former.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(script.dropped)}
    environ = {**kept, **script.environ}
    environ["XDG_STATE_HOME"] = str(folder / "state")  # leaves nothing outside of its folder
    settings = contained(config.load(script.path, environ), folder)
    with running_daemon(script.path, environ, folder) as process:
        database = Database(settings.data.database_url)
        try:
            peak = watch(console, network, process, database, seconds)
            interrupted = False
        except KeyboardInterrupt:
            peak, interrupted = peak_rss_mb(process.pid), True
        network.ask("/rate", rate=0)
        if not interrupted:
            peak = max(peak, drain(process, database))
        end(process)
    figures = summary(network, database, peak)
    database.close()
    page = folder / PAGE
    write_page_of(settings, page, 200, "Replies of this run")
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for key, value in figures.items():
            console.print(f"  {key.replace('_', ' ')}: {plain(value)}", highlight=False)
    console.print(f"Look at [bold]{page.resolve()}[/bold]: before, mask and after of every reply")
