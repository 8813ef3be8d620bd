"""`tagecho doctor`: check everything that must be right before and while the service runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import config
from bot.config import Settings
from bot.core.errors import (
    AuthError,
    ConfigError,
    ModelError,
    NetworkError,
    NotInstalled,
    StorageError,
)
from bot.core.folders import private_folder
from bot.platforms import registry

if TYPE_CHECKING:
    from sqlmodel import Session

    from bot.service.state import AccountStatus, ServiceState, TrackStatus

EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)  # a clock before this was never set
TOO_OPEN = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Finding:
    """`fine` is None for what is neither: nobody can tell while the service does not run."""

    topic: str
    fine: bool | None
    text: str
    exit_code: int = 1

    @property
    def mark(self) -> str:
        return {True: "ok  ", False: "FAIL", None: "-   "}[self.fine]

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "exit_code"}


def examine(path: Path) -> list[Finding]:
    """The findings, in the order in which to correct them. Sends nothing to any network."""
    findings = list(_packages())
    findings.append(_clock())
    try:
        settings = config.load(path, styles=config.STYLES)
    except ConfigError as error:
        return [*findings, Finding("config", False, str(error), error.exit_code)]
    counted = f"{(n := len(settings.tracks))} track{'' if n == 1 else 's'}"
    findings.append(Finding("config", True, f"{path}: {counted}"))
    from bot.verbs.status import state_of  # noqa: PLC0415

    findings += [_disk(settings), *_database(settings), _weights(settings), *_masks(settings)]
    findings += [*_words(settings), *_detectors(settings)]
    state = state_of(settings)
    findings.append(_service(state))
    findings += [_account(settings, account) for account in state.accounts]
    return [*findings, *map(_track, state.tracks)]


def _packages() -> Iterator[Finding]:
    """The top-level names are common, so another package may come first on the path."""
    import bot  # noqa: PLC0415
    import models  # noqa: PLC0415
    import storage  # noqa: PLC0415

    homes = {str(Path(str(p.__file__)).parents[1]) for p in (bot, models, storage)}
    text = ", ".join(sorted(homes))
    yield Finding("packages", len(homes) == 1, f"bot, models and storage come from {text}")
    for platform in registry.descriptors():
        if (sdk := platform.sdk) is not None:
            version = importlib.metadata.version(sdk.name)
            tested = sdk.tested.rstrip(".")
            fine = version.startswith(sdk.tested)
            yield Finding(sdk.name, fine, f"version {version}, tested with {tested}")


def _clock() -> Finding:
    now = datetime.now(UTC)
    return Finding("clock", now > EARLIEST, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _disk(settings: Settings) -> Finding:
    from bot.service.state.look import FREE_BYTES  # noqa: PLC0415

    folder = settings.data.dir
    try:
        private_folder(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", False, f"{folder}: {error.strerror}", StorageError.exit_code)
    fine = free >= FREE_BYTES and os.access(folder, os.W_OK)
    text = f"{folder}: {free / 1e9:.1f} GB free"
    return Finding("disk", fine, text, StorageError.exit_code)


def _database(settings: Settings) -> Iterator[Finding]:
    from bot.service.app import opened  # noqa: PLC0415
    from storage import outbox, retractions  # noqa: PLC0415

    try:
        with opened(settings) as app, app.database.read() as session:
            deletions = retractions.states(session)
            times = _times(session)
            names = _names(session)
            app.database.verify(outbox.VITAL)
    except StorageError as error:
        yield Finding("database", False, str(error), error.exit_code)
        return
    kind = "PostgreSQL" if settings.data.url else "SQLite"
    yield Finding("database", True, f"{kind}, schema up to date")
    yield _deletions(deletions)
    yield times
    yield names


def _names(session: Session) -> Finding:
    """Whether a profile that is tracked belongs to another person now."""
    from sqlmodel import col, select  # noqa: PLC0415

    from bot.core.errors import NameTaken  # noqa: PLC0415
    from storage.tables import TrackState  # noqa: PLC0415

    taken = select(TrackState).where(col(TrackState.error).startswith(NameTaken.__name__))
    found = [f"{state.track}: {state.error}" for state in session.exec(taken)]
    text = "; ".join(found) or "every tracked profile is whose it was"
    return Finding("names", not found, text, NameTaken.exit_code)


def _times(session: Session) -> Finding:
    """Whether the clock was ahead when the service last ran."""
    from storage import clock_repair as clock  # noqa: PLC0415

    by, before = clock.ahead(session, datetime.now(UTC)), clock.corrected(session)
    if by is not None:
        text = f"stored by a clock that was {by} ahead; tagecho run sets them right"
        return Finding("times", False, text, StorageError.exit_code)
    if before is not None:
        text = f"set right on {before.changed:%Y-%m-%d}: the clock had been {before.value} ahead"
        return Finding("times", True, text)
    return Finding("times", True, "none lies ahead of now")


def _deletions(states: Mapping[str, int]) -> Finding:
    """Our replies to forgotten people that are still on the network."""
    failed, waiting = states["failed"], states["waiting"]
    if failed:
        text = f"{failed} failed: see tagecho forget --status, then run forget --retry"
        return Finding("deletions", False, text, NetworkError.exit_code)
    return Finding("deletions", True, f"{waiting} wait for the running service")


def _weights(settings: Settings) -> Finding:
    from bot.service.app import ServingStages  # noqa: PLC0415

    stages = ServingStages(settings)
    try:
        versions = [stages.upscaler(2).version, stages.upscaler(4).version]
        versions.append(stages.segmenter().version)
    except ModelError as error:
        return Finding("weights", False, str(error), error.exit_code)
    return Finding("weights", True, ", ".join(versions))


def _masks(settings: Settings) -> Iterator[Finding]:
    """Where our own network finds the objects: that another one does it better."""
    from models.serving.catalogue import CATALOGUE  # noqa: PLC0415

    if settings.models.segmenter in ("embedded", "learned"):
        megabytes = CATALOGUE["u2netp"].bytes / 1e6
        yield Finding(
            "masks", True,
            "by our own network; finer edges at twice the time: `tagecho models pull u2netp` "
            f'({megabytes:.0f} MB), then [models] segmenter = "u2netp"',
        )  # fmt: skip


def _words(settings: Settings) -> Iterator[Finding]:
    """Official networks that were pulled and run in a process of their own: one picture's time."""
    from bot.service.app import ServingStages, networks_of  # noqa: PLC0415
    from models.base import WeightsError  # noqa: PLC0415
    from models.serving.catalogue import CATALOGUE, names  # noqa: PLC0415
    from models.serving.shelf import Shelf  # noqa: PLC0415

    stages = ServingStages(settings)
    for name in (*names("captioner"), *names("embedder")):
        try:
            Shelf(networks_of(settings), CATALOGUE[name]).present()
        except WeightsError:
            continue  # it was not pulled, so nobody asks for it
        load = stages.captioner if CATALOGUE[name].stage == "captioner" else stages.embedder
        yield _timed(name, load)


def _detectors(settings: Settings) -> Iterator[Finding]:
    """The same for those that `tagecho label` asks."""
    from bot.service.app import networks_of  # noqa: PLC0415
    from models.base import WeightsError  # noqa: PLC0415
    from models.detect.network import OfficialDetector  # noqa: PLC0415
    from models.serving.catalogue import CATALOGUE, names  # noqa: PLC0415
    from models.serving.network_process import ProcessBounds  # noqa: PLC0415
    from models.serving.shelf import Shelf  # noqa: PLC0415

    home, bounds = networks_of(settings), ProcessBounds(threads=settings.models.threads)

    def load(name: str) -> Any:
        try:
            return OfficialDetector(name, home, bounds).asked_for(("person",))
        except WeightsError as error:
            raise ModelError(str(error)) from error

    for name in names("detector"):
        try:
            Shelf(home, CATALOGUE[name]).present()
        except WeightsError:
            continue  # it was not pulled, so nobody asks for it
        yield _timed(name, load, "objects")


def _timed(name: str, load: Callable[[str], Any], topic: str = "words") -> Finding:
    """A grey picture, after one that starts the process."""
    import numpy as np  # noqa: PLC0415

    from models.serving.network_process import NetworkFailed  # noqa: PLC0415

    picture = np.full((224, 224, 3), 128, np.uint8)
    try:
        network = load(name)
    except ModelError as error:
        return Finding(topic, False, str(error), error.exit_code)
    try:
        network(picture)
        began = time.monotonic()
        network(picture)
        seconds = time.monotonic() - began
    except NetworkFailed as error:
        what = NotInstalled if error.needs_package else ModelError
        return Finding(topic, False, f"{name}: {error}", what.exit_code)
    finally:
        network.stop()
    return Finding(topic, True, f"{name}: {seconds:.2g} s a picture, in a process of its own")


def _service(state: ServiceState) -> Finding:
    service = state.service
    if not service.running:
        return Finding("service", None, "it does not run")
    return Finding("service", True, f"it runs (pid {service.pid})")


def _track(track: TrackStatus) -> Finding:
    health = track.health.replace("_", " ")
    text = f"{health}: {track.why}{f'; {track.do}' if track.do else ''}" if track.why else health
    fine = False if track.broken else track.fine or None
    return Finding(f"track {track.label}", fine, text, NetworkError.exit_code)


def _account(settings: Settings, account: AccountStatus) -> Finding:
    """What its files say, unless the service knows better."""
    from bot.service.state import AccountHealth  # noqa: PLC0415

    topic, files = f"account {account.name}", _session(settings, account.name)
    if account.health in (AccountHealth.WAITS_FOR_PERSON, AccountHealth.LOGIN_FAILED):
        text = f"{account.username}: {account.why}; {account.do}"
        return Finding(topic, False, text, account.exit_code)
    if files.fine and not account.fine:
        return Finding(topic, None, f"{files.text}; {account.why}")
    return files


def _session(settings: Settings, name: str) -> Finding:
    from bot.service.app import login_secret, session_file  # noqa: PLC0415

    topic, account = f"account {name}", settings.accounts[name]
    path = session_file(settings, name)
    if path.exists():
        if path.stat().st_mode & TOO_OPEN:
            return Finding(topic, False, f"{path} can be read by others", AuthError.exit_code)
        try:
            stored = json.loads(path.read_text(encoding="utf-8-sig"))
        except ValueError:
            return Finding(topic, False, f"{path} is damaged: log in again", AuthError.exit_code)
        found = registry.find(account.platform)
        for remark in found.remarks(stored) if found and isinstance(stored, dict) else ():
            return Finding(topic, False, f"{account.username} {remark}")
        return Finding(topic, True, f"{account.username}: session of {_age(path)} ago")
    if variable := login_secret(settings, name):
        file = f"secrets/{name}.{variable.rpartition('__')[2].lower()}"
        text = f"{account.username}: neither a session nor {file}, nor {variable}"
        return Finding(topic, False, text, AuthError.exit_code)
    return Finding(
        topic, True, f"{account.username}: no session yet; the secrets for a login are set"
    )


def _age(path: Path) -> str:
    seconds = datetime.now(UTC).timestamp() - path.stat().st_mtime
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
