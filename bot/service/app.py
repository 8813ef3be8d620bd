"""The only wiring point: configuration in, a working service out."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from sqlmodel import select

from bot.config import Settings
from bot.config.fields import DEFAULT
from bot.core.clock import utc_now
from bot.core.errors import AuthError, ConfigError, ModelError, StorageError
from bot.core.events import TrackKind
from bot.core.folders import keep_private, private_folder
from bot.flow.curate import Bound, Curator
from bot.flow.fetch import Limits
from bot.flow.policy import Deleted, Policy, Track
from bot.learn.photos import Runs
from bot.learn.schedule import Schedule
from bot.platforms import registry
from bot.platforms.account import Account
from bot.platforms.base import Authorization, Platform
from bot.platforms.descriptor import Descriptor, Opening
from bot.platforms.pacing import LedgerPacer, Patience, TokenRate
from bot.schema.values import Rate
from bot.service.locks import Check, account_lock
from models.base import Composer, Image, Mask, Prompter, Segmenter, Upscaler, WeightsError
from models.compose.alt import alt_text
from models.compose.badge import badge
from models.compose.styles import AUTO, GONE, OVERLAYS, WITHOUT_MASK, composer
from models.segment.learned_networks import Store
from models.segment.patches import PatchReader
from models.segment.refined import Refined
from models.serving.catalogue import CATALOGUE
from models.serving.describe import Describer
from models.serving.embed import TextAndImages
from models.serving.network_process import ProcessBounds
from models.serving.packs import (
    embedded_weights,
    load_captioner,
    load_embedder,
    load_refiner,
    load_segmenter,
    load_upscaler,
)
from models.serving.runtime import Runtime
from models.serving.shelf import Shelf
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.checks import Check as Flaw
from storage.database import Database
from storage.optouts import OptOuts
from storage.pacing import DatabaseLedger
from storage.tables import Control, Reply

_Network = TypeVar("_Network")
PROMPTED = "sam-vit-b"  # the pack that answers points and boxes
PROMPTED_NEEDS = ("torch", "torchvision", "segment_anything")


class ServingStages:
    """The networks that the configuration chose, on one runtime."""

    def __init__(self, settings: Settings) -> None:
        self.runtime = Runtime(
            threads=settings.models.threads, idle_seconds=settings.models.idle.total_seconds()
        )
        self._settings = settings

    def upscaler(self, scale: int) -> Upscaler:
        chosen, home = self._settings.models, networks_of(self._settings)
        return _loaded(
            lambda: load_upscaler(
                chosen.upscaler, scale, self.runtime, home, chosen.tile, chosen.tile_pad
            )
        )

    def segmenter(self) -> Segmenter:
        pack = self._settings.models.segmenter
        found = _loaded(lambda: load_segmenter(pack, self.runtime, networks_of(self._settings)))
        prompter = self.prompter()
        return found if prompter is None else Refined(found, prompter)

    def prompter(self) -> Prompter | None:
        """What answers points and boxes; None when it is off."""
        pack = self._settings.models.refiner
        if pack == "off":
            return None
        return _loaded(lambda: load_refiner(pack, self.runtime, networks_of(self._settings)))

    def prompter_here(self) -> Prompter | None:
        """The same; where it is off, segment-anything if it was pulled and can run here."""
        home = networks_of(self._settings)
        pulled = bool(_loaded(Shelf(home, CATALOGUE[PROMPTED]).records))
        runs = all(importlib.util.find_spec(name) is not None for name in PROMPTED_NEEDS)
        if self._settings.models.refiner != "off" or not (pulled and runs):
            return self.prompter()
        return _loaded(lambda: load_refiner(PROMPTED, self.runtime, home))

    def captioner(self, pack: str) -> Describer:
        """An official network that writes sentences, in a process that its first image starts."""
        bounds = ProcessBounds(threads=self._settings.models.threads)
        return _loaded(lambda: load_captioner(pack, networks_of(self._settings), bounds))

    def embedder(self, pack: str) -> TextAndImages:
        """An official network of images and texts, in a process that its first question starts."""
        bounds = ProcessBounds(threads=self._settings.models.threads)
        return _loaded(lambda: load_embedder(pack, networks_of(self._settings), bounds))

    def patches(self) -> PatchReader:
        """What our own network sees: the one that was learned here, if that one serves."""
        home, learned = networks_of(self._settings), self._settings.models.segmenter == "learned"
        return _loaded(
            lambda: PatchReader(
                Store(home).weights() if learned else embedded_weights("segment"), self.runtime
            )
        )

    def composer(self, style: str) -> Composer:
        return composer(GONE.get(style, style))  # a reply may be older than the styles

    def without_mask(self) -> str:
        return WITHOUT_MASK

    def alt_text(self, style: str, username: str, mask: Mask) -> str:
        return alt_text(style, coverage=float(mask.mean()), author=username)

    def badge(self, image: Image, text: str) -> Image:
        return badge(image, text)


class App:
    """Storage, networks and platforms of one configuration.

    Opening it migrates the database. Raises StorageError.
    """

    def __init__(self, settings: Settings, stop: Event | None = None) -> None:
        self.settings = settings
        self.stop = stop or Event()
        folder = settings.data.dir
        _open_folder(folder)
        self.database = Database(settings.data.database_url)
        self.database.migrate()
        self.originals = BlobStore(folder / "originals")
        self.artifacts = BlobStore(folder / "artifacts")
        self.runs = Runs(networks_of(settings))
        self.optouts = OptOuts(folder / "optout.key")
        with self.database.write() as session:
            self.optouts.open(session, utc_now())
        self.archive = Archive(self.database, self.originals, self.optouts)
        self.ledger = DatabaseLedger(self.database)
        self.curator = Curator(self.database, bounds_of(settings))

    def adopt(self, settings: Settings) -> None:
        """Put live keys in force that changed while we run; see `Section` in bot.config.settings.

        The others must be the same ones.
        """
        self.settings = settings
        self.curator.bounds = bounds_of(settings)

    def pacer(self, account: str, meanwhile: Callable[[], object] | None = None) -> LedgerPacer:
        rates = rates_of(self.settings, account_of(self.settings, account))
        patience = Patience(sleep=self.stop.wait, meanwhile=meanwhile)
        return LedgerPacer(account, self.ledger, rates, patience=patience)

    def platform(self, name: str, meanwhile: Callable[[], object] | None = None) -> Platform:
        """A client for this account; it belongs to the thread that uses it.

        `meanwhile` is called while a read waits; see `LedgerPacer`.
        """
        opening = self._opening(name, meanwhile)
        return descriptor_of(opening.settings).build(opening)

    def authorization(self, name: str) -> Authorization | None:
        """What gives this account its secret for a code; None where its platform has no such."""
        authorize = descriptor_of(account_of(self.settings, name)).authorize
        return authorize(self._opening(name)) if authorize else None

    def _opening(self, name: str, meanwhile: Callable[[], object] | None = None) -> Opening:
        account, pacer = account_of(self.settings, name), self.pacer(name, meanwhile)
        return Opening(name, account, session_file(self.settings, name), pacer)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[Check]:
        """Hold the account against every other process.

        Gives a function that raises StorageError when the lock was lost. Raises AccountLocked, or
        ConfigError when the database knows the account by another name.
        """
        account = account_of(self.settings, name)
        folder = self.settings.data.dir / "locks"
        with account_lock(
            folder, self.database, account.platform, account.handle, account.network
        ) as check:
            self._keep_name(name, account)
            yield check

    def _keep_name(self, name: str, account: Account) -> None:
        """Replies are unique by the account's name in the file: under a new one, everything of the
        last day would be answered again."""
        who = f"{account.platform}/{account.handle}"
        with self.database.write() as session:
            row = session.get(Control, f"account:{who}")
            known = row.value if row is not None else name
            theirs = select(Reply.id).where(
                Reply.account == known, Reply.platform == account.platform
            )
            if known != name and session.exec(theirs.limit(1)).first() is not None:
                raise ConfigError(
                    f"accounts.{name}: {who} is accounts.{known} in the database, which has its "
                    f"replies: name it [accounts.{known}] again"
                )
            session.merge(Control(key=f"account:{who}", value=name, changed=utc_now()))

    def close(self) -> None:
        self.database.close()


def _open_folder(folder: Path) -> None:
    """The data folder, made where it is missing, and nobody else's to look into.

    Raises StorageError.
    """
    try:
        private_folder(folder)
        keep_private(folder)
    except OSError as error:
        raise StorageError(f"data.dir {folder} cannot be used: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"data.dir {folder} cannot be written to")


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[App]:
    """An `App` for one verb, closed at its end."""
    app = App(settings)
    try:
        yield app
    finally:
        app.close()


def account_of(settings: Settings, name: str) -> Account:
    try:
        return settings.accounts[name]
    except KeyError:
        known = ", ".join(settings.accounts) or "none"
        raise ConfigError(f"there is no account {name!r}; configured: {known}") from None


def descriptor_of(account: Account) -> Descriptor:
    """The descriptor of an account's platform. Raises ConfigError."""
    found = registry.find(account.platform)
    if found is None:
        raise ConfigError(f"there is no platform {account.platform!r}")
    return found


def login_secret(settings: Settings, name: str) -> str:
    """The variable without which an account cannot log in; "" when it needs none, or has it."""
    account = account_of(settings, name)
    key = next(iter(descriptor_of(account).secrets), "")
    missing = key and getattr(account, key) is None
    return f"TAGECHO_ACCOUNTS__{name.upper()}__{key.upper()}" if missing else ""


def action_limits(settings: Settings, account: Account) -> dict[str, Rate | None]:
    """The limits of an account by class of actions; None: no limit.

    Its own limit of an action counts, else that of [pacing], else that of its platform.
    """
    said = {action: limit for action, limit in settings.pacing if limit != DEFAULT}
    return {
        action: account.pacing.get(action, said.get(action, default))
        for action, default in descriptor_of(account).actions.items()
    }


def rates_of(settings: Settings, account: Account) -> dict[str, TokenRate | None]:
    """The same as token buckets."""
    return {
        action: None if limit is None else TokenRate.of(limit.count, limit.per)
        for action, limit in action_limits(settings, account).items()
    }


def policy_of(settings: Settings) -> Policy:
    replies = settings.replies
    return Policy(
        enabled=replies.enabled,
        dry_run=replies.dry_run,
        approval=replies.approval,
        mode=replies.mode,
        fallback=replies.fallback,
        styles=OVERLAYS if replies.style == AUTO else (replies.style,),
        caption=replies.caption,
        comment=replies.comment,
        mentions=replies.mentions,
        opt_in_hashtags=frozenset(replies.opt_in_hashtags),
        ignore=frozenset(replies.ignore),
        max_age=replies.max_age,
        expires=replies.approval_expires,
        per_day=replies.per_day,
        per_author_per_day=replies.per_author_per_day,
        newest=replies.order == "newest",
        quiet=replies.quiet_hours,
        zone=ZoneInfo(replies.time_zone),
        badge=replies.badge,
        disclosure=replies.disclosure,
        reads=replies.reconcile,
        deleted_posts=Deleted(settings.data.deleted_posts),
    )


def schedule_of(settings: Settings) -> Schedule:
    said = settings.learn
    zone = ZoneInfo(settings.replies.time_zone)
    return Schedule(said.enabled, said.at, said.after_posts, zone, said.nice)


def networks_of(settings: Settings) -> Path:
    """The folder of networks that were learned or fetched here."""
    return settings.data.dir / "models"


def limits_of(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(limits.max_image_bytes, limits.max_pixels, limits.first_poll, limits.per_poll)


def bounds_of(settings: Settings) -> tuple[Bound, ...]:
    """The checks of [curation] that are on: check, score, and whether it is a least."""
    checks = {
        "min_sharpness": (Flaw.BLUR, "sharpness"),
        "min_brightness": (Flaw.UNDEREXPOSED, "brightness"),
        "max_brightness": (Flaw.OVEREXPOSED, "brightness"),
        "min_information": (Flaw.LOW_INFORMATION, "information"),
        "min_side": (Flaw.SMALL, "side"),
        "max_aspect": (Flaw.ASPECT, "aspect"),
        "max_frames": (Flaw.ANIMATED, "frames"),
        "max_screenshot": (Flaw.SCREENSHOT, "screenshot"),
        "min_label_fit": (Flaw.LABEL_FIT, "label_fit"),
    }
    bounds = []
    for key, (check, score) in checks.items():
        limit = getattr(settings.curation, key)
        if limit is not None:
            plain, percentile = (None, limit.value) if limit.percentile else (limit.value, None)
            bounds.append(Bound(check, score, key.startswith("min_"), plain, percentile))
    return tuple(bounds)


def tracks_of(settings: Settings) -> dict[str, Track]:
    """The configured tracks by key, and one for the mentions of each account that reads them."""
    tracks = {
        track.key: Track(
            key=track.key,
            account=track.account,
            kind=track.kind,
            name=track.name,
            every=track.every,
            dataset=track.dataset,
            reply=track.reply,
            paused=track.paused,
        )
        for track in settings.tracks
    }
    for name, account in settings.accounts.items():
        if account.mentions_every is not None and settings.replies.mentions:
            key = f"{name}:{TrackKind.MENTIONS}"
            tracks[key] = Track(
                key, name, TrackKind.MENTIONS, "", account.mentions_every, "mentions"
            )
    return tracks


def our_names(settings: Settings, platform: str) -> frozenset[str]:
    """The user names of all our accounts on this platform, lower case."""
    accounts = settings.accounts.values()
    return frozenset(a.handle for a in accounts if a.platform == platform)


def secrets_of(settings: Settings) -> list[str]:
    """Every secret value, for masking."""
    console = settings.console.passwords.values()
    values = [settings.data.url, *console, *(v for a in settings.accounts.values() for _, v in a)]
    plain = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    return [*plain, *settings.notices.services]


def _loaded(load: Callable[[], _Network]) -> _Network:
    try:
        return load()
    except WeightsError as error:
        raise ModelError(str(error)) from error


def check_logins(settings: Settings) -> None:
    """Raises AuthError when no account could ever log in: waiting would not help."""
    missing = {
        name: login_secret(settings, name)
        for name in settings.accounts
        if not session_file(settings, name).exists()
    }
    variables = [variable for variable in missing.values() if variable]
    names = [name for name, variable in missing.items() if variable]
    if not variables or len(variables) < len(settings.accounts):
        return
    key = variables[0].rpartition("__")[2].lower()
    raise AuthError(
        f"no account can log in: there is neither a session nor a {key}. Write it into "
        f"secrets/{names[0]}.{key} beside the configuration, or set "
        f"{' or '.join(variables)} (or ..._{key.upper()}_FILE)"
    )


def session_file(settings: Settings, name: str) -> Path:
    return settings.data.dir / "sessions" / f"{name}.json"
