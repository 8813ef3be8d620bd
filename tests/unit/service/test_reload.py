"""Every key of the configuration, changed under a service: in force, or a restart is asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from structlog.testing import capture_logs

from bot.config import STYLES, Settings, changes, fields, load, parse
from bot.config.settings import SECTIONS
from bot.core.errors import ConfigError
from bot.platforms import registry
from bot.platforms.instagram.kinds import Mode
from bot.service.app import schedule_of
from bot.service.daemon import Daemon

BASE = """
[accounts.main]
platform = "instagram"
username = "imagebot"
[accounts.second]
platform = "instagram"
username = "otherbot"
[accounts.sky]
platform = "bluesky"
username = "imagebot.test"
[accounts.fedi]
platform = "mastodon"
username = "fedibot"
[[tracks]]
account = "main"
hashtag = "sunset"
[[tracks]]
account = "main"
profile = "some.name"
[replies]
mode = "post"
fallback = ["reply"]
"""
# Of these, each key takes the first that is valid there and another value than it has.
POOL: list[Any] = [
    True, False, 7, 40, 0.5, "7/h", "30MB", "04:30", "01:00-02:00", "Europe/Berlin", "second",
    ["1s", "2s"], [0.5, 1.5], ["dm", "reply"], "debug", "text", "scratch", "metadata", "off",
    *Mode, *STYLES, *fields.UPSCALERS, *fields.SEGMENTERS, *fields.REFINERS, *registry.names(),
    "https://mirror.example", "http://127.0.0.1:9", "127.0.0.1:8491", "127.0.0.1:8492",
    "*.example.org",
    {"read": "7/h"}, "sqlite:///other.db", "JBSWY3DPEHPK3PXP", "Look: {url}", "dawn", "blur",
    ["replies"], ["10.0.0.1"], "newest", ["fr"], ["made-here"], "public", "fr",
]  # fmt: skip
MODELS = [*SECTIONS.items(), *(("accounts", one.settings) for one in registry.descriptors())]
KEYS = sorted({(section, key) for section, model in MODELS for key in model.model_fields})


class Running:
    """A service whose parts exist, and whose threads do not run: the test makes their turns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.toml"
        self.path.write_text(BASE)
        self.daemon = Daemon(self.path, load(self.path, styles=STYLES))
        self.daemon._scheduler.start(paused=True)
        self.daemon._sync_jobs()
        self.reload()

    def edit(self, text: str) -> list[dict[str, Any]]:
        """What is logged about it."""
        self.path.write_text(text)
        return self.reload()

    def reload(self) -> list[dict[str, Any]]:
        self.daemon._reload.ask()
        with capture_logs() as lines:
            self.daemon._reload.look()
        return [dict(line) for line in lines]

    def in_force(self) -> dict[str, Any]:
        return in_force(self.daemon)

    def after_a_restart(self) -> dict[str, Any]:
        daemon = Daemon(self.path, load(self.path, styles=STYLES))
        daemon._sync_jobs()
        try:
            return in_force(daemon)
        finally:
            daemon.app.close()

    def close(self) -> None:
        self.daemon._scheduler.shutdown()
        self.daemon.app.close()


def in_force(daemon: Daemon) -> dict[str, Any]:
    """What the parts of a service go by."""
    workers = daemon._accounts.values()
    for worker in workers:
        assert worker.work() is False  # no password: it only looks at what is in force
    read = load(daemon._learning._config, styles=STYLES)  # by the process that learns, by verbs
    return {
        "policy": daemon._render._rules.now.policy,
        "tracks": dict(daemon._rules.tracks),
        "polls": {job.id: job.trigger.interval for job in daemon._scheduler.get_jobs()},
        "limits": [worker._ingest.limits for worker in workers],
        "curates": [worker._ingest.curator is not None for worker in workers],
        "bounds": daemon.app.curator._current_limits(),
        "schedule": schedule_of(daemon.app.settings),
        "learning": read.learn,
        "notices": daemon.app.settings.notices,
        "fetching": (read.models.offline, read.models.mirror),
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = Running(tmp_path_factory.mktemp("reload"))
    yield service
    service.close()


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_adopted_or_waits_for_a_restart(
    running: Running, monkeypatch: pytest.MonkeyPatch, section: str, key: str
) -> None:
    before = running.in_force()
    if section == "accounts" and key in registry.secret_names():
        name, text = f"accounts.{_account_with(key)}.{key}", BASE
        variable = f"TAGECHO_{name.replace('.', '__')}".upper()
        monkeypatch.setenv(variable, "JBSWY3DPEHPK3PXP")
    elif section == "console" and key in ("password", "viewer_password"):
        name, text = f"console.{key}", BASE
        monkeypatch.setenv(f"TAGECHO_CONSOLE__{key.upper()}", "JBSWY3DPEHPK3PXP")
    elif (section, key) == ("notices", "urls"):  # a secret of no account
        name, text = "notices.urls", BASE
        monkeypatch.setenv("TAGECHO_NOTICES__URLS", "json://127.0.0.1/JBSWY")
    else:
        name, text = another(section, key)
    said = running.edit(text)
    waiting = [change for line in said for change in changes_in(line, "restart needed")]
    assert not [line for line in said if line["log_level"] == "error"]
    if waiting:
        names = [change.partition(": ")[0] for change in waiting]
        if key == "platform":  # another one has other keys, too
            assert f"accounts.main.{key}" in names
        else:
            assert names == [name]
        assert running.in_force() == before
        assert "JBSWY" not in str(said)
    else:
        assert [change for line in said for change in changes_in(line, "config adopted")]
        assert running.in_force() != before, "nothing goes by this key"
        assert running.in_force() == running.after_a_restart()
    monkeypatch.undo()
    running.edit(BASE)
    assert running.in_force() == before


def another(section: str, key: str) -> tuple[str, str]:
    """The name of what changes, and the file with another value of this key."""
    old = parse(BASE, Path("config.toml"), {}, styles=STYLES)
    for value in POOL:
        for text in _with(section, key, value):
            new = _parsed(text)
            if new is not None and (found := changes(old, new)):
                return found[0].name, text
    raise AssertionError(f"POOL has no other valid value of {section}.{key}")


def _with(section: str, key: str, value: Any) -> Iterator[str]:
    """In [section], in the first account that has such a key, in either track."""
    for index in (0, 1) if section == "tracks" else (0,):
        document = tomllib.loads(BASE)
        table: Any = document.setdefault(section, {})
        if section in ("accounts", "tracks"):
            table = table[_account_with(key) if section == "accounts" else index]
        table[key] = value
        if (section, key) == ("replies", "mode"):
            table["fallback"] = ["reply"]  # the way that the account on Bluesky has
        yield tomlkit.dumps(document)


def _account_with(key: str) -> str:
    accounts = parse(BASE, Path("config.toml"), {}, styles=STYLES).accounts
    return next(name for name, one in accounts.items() if key in type(one).model_fields)


def _parsed(text: str) -> Settings | None:
    try:
        return parse(text, Path("config.toml"), {}, styles=STYLES)
    except ConfigError:
        return None


def changes_in(line: dict[str, Any], event: str) -> list[str]:
    return line["changes"] if line["event"] == event else []


def test_an_account_that_comes_or_goes_waits_for_a_restart(running: Running) -> None:
    before = running.in_force()
    third = BASE + '[accounts.third]\nplatform = "instagram"\nusername = "thirdbot"\n'
    for text, change in (
        (third, "accounts.third: added"),
        (BASE.replace("[accounts.second]", "[accounts.x]"), "accounts.second: removed"),
    ):
        (line,) = running.edit(text)
        assert line["event"] == "restart needed" and change in line["changes"]
        assert running.in_force() == before
    (line,) = running.edit(third + "[[tracks]]\naccount = 'third'\nhashtag = 'dawn'\n")
    assert line["event"] == "restart required"
    assert running.in_force() == before
    assert running.edit(BASE) == []


def test_an_edit_between_reading_and_watching_is_found(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(BASE)
    settings = load(path, styles=STYLES)
    path.write_text(BASE + "per_day = 3\n")  # BASE ends with [replies]
    daemon = Daemon(path, settings)
    for _ in range(2):  # two alike, and it is whole
        daemon._reload.look()
    assert daemon._rules.now.policy.per_day == 3
    daemon.app.close()
