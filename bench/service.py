"""One account of the service on the loopback network, pacing off: what ingest and poll measure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.network import HASHTAG
from bot import config
from bot.core.events import TrackKind
from bot.flow.fetch import Limits
from bot.flow.ingest import Ingest
from bot.flow.policy import Policy, Track
from bot.flow.poll import Poller
from bot.flow.reply_rule import Us, Watch
from bot.platforms.base import Platform
from bot.service.app import App
from bot.service.observe import configure_logs

CONFIG = """
[data]
dir = "data"
[accounts.main]
platform = "instagram"
username = "{username}"
proxy = "{proxy}"
ca_file = "{ca_file}"
media_hosts = ["{media_host}"]
request_delay = [0, 0]
[pacing]
read = "off"
media = "off"
login = "off"
"""
TRACK = Track("main:hashtag:bench", "main", TrackKind.HASHTAG, HASHTAG, timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Service:
    app: App
    platform: Platform
    watch: Watch
    poller: Poller


@contextlib.contextmanager
def service(
    folder: Path, addresses: Mapping[str, str], limit: int, *, curated: bool = True
) -> Iterator[Service]:
    configure_logs("error", "text")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.toml"
    path.write_text(CONFIG.format(**addresses), encoding="utf-8")
    environ = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": addresses["password"]}
    app = App(config.load(path, environ))
    platform = app.platform("main")
    watch = Watch(TRACK, Policy(enabled=False), Us(platform.login()))
    limits = Limits(first_poll=limit, per_poll=limit)
    curator = app.curator if curated else None
    ingest = Ingest(app.archive, limits, curator=curator)
    yield Service(app, platform, watch, Poller(app.database, ingest))
    ingest.close()
    platform.close()
    app.close()
