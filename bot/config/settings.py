"""Settings: `config.toml`, the environment over it, secrets from the environment only.

`config.toml` at the top of the repository explains every key. All models are frozen; a wrong file
raises one ConfigError with a line for each problem. Durations are `timedelta`, sizes are bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from bot.config import fields
from bot.config.fields import NOTICES
from bot.config.source import Secrets, Source, parse_source, read_text
from bot.config.values import Threshold
from bot.core.errors import ConfigError
from bot.core.events import TrackKind
from bot.core.normal_form import track_key
from bot.net.addresses import is_loopback
from bot.platforms import registry
from bot.platforms.account import Account
from bot.platforms.descriptor import Descriptor
from bot.schema.fields import Hashtag, PositiveDuration, Username, split
from bot.schema.problems import Path as KeyPath
from bot.schema.problems import did_you_mean, nearest, not_one_of, origin_of, quote
from bot.schema.section import Section, Strict
from models.compose.styles import AUTO, DEFAULT, GONE, styles

# What a style may be called: one of the overlays, or another one for each post.
STYLES = (AUTO, *styles())


class Data(Section, live={"deleted_posts"}):
    dir: fields.Folder = Field(default=Path("data"), validate_default=True)
    url: fields.DatabaseUrl = None  # may hold a password; else SQLite in `dir`
    deleted_posts: fields.DeletedPosts = "keep"  # of posts deleted at their source

    @property
    def database_url(self) -> str:
        """For SQLAlchemy. May hold a password: not for logs."""
        return self.url.get_secret_value() if self.url else f"sqlite:///{self.dir / 'tagecho.db'}"


class TrackSettings(Section, live=True):
    account: str
    hashtag: Hashtag | None = None
    profile: Username | None = None
    every: fields.Interval = timedelta(minutes=15)
    dataset: fields.Dataset = Field(
        default_factory=lambda known: known["hashtag"] or known["profile"] or ""
    )
    reply: str | None = None  # the style; its posts become triggers
    paused: bool = False  # it is not polled

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.hashtag is None) == (self.profile is None):
            raise ValueError("needs exactly one of hashtag and profile")
        return self

    @property
    def kind(self) -> TrackKind:
        return TrackKind.PROFILE if self.hashtag is None else TrackKind.HASHTAG

    @property
    def name(self) -> str:
        """The hashtag or profile, without its sign."""
        return self.hashtag or self.profile or ""

    @property
    def key(self) -> str:
        """Stable while the track follows the same thing: `main:hashtag:sunset`."""
        return track_key(self.account, self.kind, self.name)


class Replies(Section, live=True):
    enabled: bool = True
    dry_run: bool = False
    approval: bool = True
    approval_expires: PositiveDuration = timedelta(hours=48)
    mode: str = ""  # the first of the platform's own
    fallback: fields.ModeNames = ()  # tried in order after a definitive refusal
    style: str = DEFAULT
    caption: fields.Caption = "For @{author}, made by a machine from {url}"
    comment: fields.Template = ""
    mentions: bool = True
    opt_in_hashtags: fields.Hashtags = ()
    ignore: fields.Usernames = ()
    max_age: PositiveDuration = timedelta(hours=24)
    per_day: fields.Count = 20
    per_author_per_day: fields.Count = 1
    order: fields.Order = "fairest"
    quiet_hours: fields.Quiet = None
    time_zone: fields.Zone = "UTC"
    reconcile: fields.Spacing = (timedelta(seconds=20), timedelta(minutes=2))
    badge: bool = False
    disclosure: str = "Made by a machine"

    @field_validator("fallback")
    @classmethod
    def _ways_differ(cls, fallback: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        ways = (info.data.get("mode"), *fallback)
        if len(set(ways)) < len(ways):
            raise ValueError("names a way twice, or the one that mode names")
        return fallback


class Models(Section, live={"mirror", "offline"}):
    upscaler: fields.UpscalerPack = "embedded"
    segmenter: fields.SegmenterPack = "learned"
    refiner: fields.RefinerPack = "off"
    tile: fields.Tile = 192
    tile_pad: fields.TilePad = 36
    offline: bool = False
    mirror: fields.Mirror = ""
    threads: fields.Some = 2
    idle: PositiveDuration = timedelta(minutes=2)


class Learn(Section, live=True):
    enabled: bool = False
    at: fields.TimeOfDay = time(3)  # in the time zone of the replies
    after_posts: fields.Count = 0
    leave_out: fields.Checks = ("all",)  # verdicts
    start: fields.LearningStart = "in-service"
    least_images: fields.Some = 500
    most_images: fields.Some = 4000
    dino_steps: fields.Some = 300
    batch: fields.Some = 48
    mask_steps: fields.Some = 600
    threads: fields.Some = 1
    nice: fields.Nice = 15
    time_limit: PositiveDuration = timedelta(hours=6)
    keep: fields.Count = 3


class LimitSettings(Section, live=True):
    max_image_bytes: fields.Size = 20_000_000
    max_pixels: fields.Some = 50_000_000
    first_poll: fields.Some = 50
    per_poll: fields.Some = 200


class CurationSettings(Section, live=True):
    """When an image gets a verdict; None: that check is off."""

    at_ingest: bool = True
    min_sharpness: fields.Bound = Threshold(60)
    min_brightness: fields.Bound = Threshold(0.08)
    max_brightness: fields.Bound = Threshold(0.97)
    min_information: fields.Bound = Threshold(2.5)
    min_side: fields.Bound = Threshold(200)
    max_aspect: fields.Bound = Threshold(2.5)
    max_frames: fields.Bound = Threshold(1)
    max_screenshot: fields.Bound = Threshold(0.42)
    min_label_fit: fields.Bound = Threshold(0.4)


class _Pacing(Section, live=False):
    """Token buckets per account and action class: a rate, None for no limit, or DEFAULT."""


_ACTIONS = dict.fromkeys(name for one in registry.descriptors() for name in one.actions)
if TYPE_CHECKING:
    Pacing = _Pacing
else:  # its keys are the actions that platforms have
    Pacing = create_model(
        "Pacing",
        __base__=_Pacing,
        **dict.fromkeys(_ACTIONS, (fields.Limit, fields.DEFAULT)),
    )


class NoticeSettings(Section, live=True):
    """What is told to people, and where: services of apprise."""

    urls: fields.NoticeUrls = None  # separated by white space; from the environment only
    on: fields.Notices = NOTICES
    quiet_hours: fields.Quiet = None
    own_hosts: fields.OwnHosts = ()  # that may be on a private network

    @property
    def services(self) -> tuple[str, ...]:
        """The addresses of the services. Secret: not for logs."""
        return tuple(self.urls.get_secret_value().split()) if self.urls else ()


class Log(Section, live=False):
    level: fields.Level = "info"
    format: fields.LogFormat = "auto"


class HealthSettings(Section, live=False):
    allow_remote: bool = False
    listen: fields.Listen = "127.0.0.1:8490"

    @field_validator("listen")
    @classmethod
    def _loopback(cls, listen: str, info: ValidationInfo) -> str:
        address = fields.split_address(listen)
        if address and not info.data.get("allow_remote") and not is_loopback(address[0]):
            raise ValueError("is open to other machines; set allow_remote = true to mean it")
        return listen

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, port); None when off."""
        return fields.split_address(self.listen)


class ConsoleSettings(Section, live=False):
    """The web application. Its passwords are secrets, each of a role."""

    enabled: bool = False  # with `tagecho run`
    listen: fields.ConsoleAddress = "127.0.0.1:8491"
    hosts: fields.HostNames = ()  # names that are answered beside numbers and localhost
    password: fields.Password = None  # of reviewers
    viewer_password: fields.Password = None
    queries_per_day: fields.Count = 100  # of a key of the search API

    @property
    def address(self) -> tuple[str, int]:
        """(host, port)."""
        return fields.console_address(self.listen)

    @property
    def passwords(self) -> dict[str, SecretStr]:
        """Those that are set, by the role that they give."""
        said = {"reviewer": self.password, "viewer": self.viewer_password}
        return {role: password for role, password in said.items() if password is not None}

    @property
    def unguarded(self) -> bool:
        """Whether other machines could use it without a password."""
        return self.password is None and not is_loopback(self.address[0])


def _of_its_platform(value: object, info: ValidationInfo) -> object:
    """The account as its platform's own model has it. Raises what that model raises."""
    if not isinstance(value, dict):
        return value
    return account_model(value).model_validate(value, context=info.context)


def account_model(raw: Mapping[str, Any]) -> type[Account]:
    """The model of an account by its `platform`; where that is wrong, of what it may have meant."""
    said = str(raw.get("platform"))
    found = registry.find(said) or registry.find(nearest(said, registry.names()) or "")
    return (found or max(registry.descriptors(), key=lambda one: _fit(one, raw))).settings


def _fit(platform: Descriptor, raw: Mapping[str, Any]) -> int:
    """How many of these keys its accounts have."""
    return len(set(raw) & set(platform.settings.model_fields))


_AnyAccount = Annotated[SerializeAsAny[Account], BeforeValidator(_of_its_platform)]


class Settings(Strict):
    """The whole file. Made by `load`, which also checks what one section says about another."""

    data: Data = Data()
    accounts: dict[fields.AccountName, _AnyAccount] = Field(default_factory=dict)
    tracks: tuple[TrackSettings, ...] = ()
    replies: Replies = Replies()
    models: Models = Models()
    learn: Learn = Learn()
    limits: LimitSettings = LimitSettings()
    curation: CurationSettings = CurationSettings()
    pacing: Pacing = Pacing()
    notices: NoticeSettings = NoticeSettings()
    log: Log = Log()
    health: HealthSettings = HealthSettings()
    console: ConsoleSettings = ConsoleSettings()


def load(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    styles: Collection[str] | None = None,
    disk: bool = False,
    secrets: Secrets = "all",
) -> Settings:
    """Read and judge the file with the environment over it.

    `styles`: the names a reply's style may have; None leaves them unchecked. `disk`: also see
    whether the data folder is there or can be made. `secrets`: which are read; only a verb that
    logs in needs those of accounts. Raises ConfigError.
    """
    return parse(read_text(path), path, environ, styles=styles, disk=disk, secrets=secrets)


def parse(
    text: str,
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    styles: Collection[str] | None = None,
    disk: bool = False,
    secrets: Secrets = "all",
) -> Settings:
    """Like `load`, for a text that stands, or is about to stand, in `path`."""
    source = parse_source(text, path, environ, secrets=secrets)
    context = {"folder": path.absolute().parent}
    settings = None
    try:
        # [data] may be missing; its default folder is resolved all the same.
        settings = Settings.model_validate({"data": {}, **source.data}, context=context)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _complain(source, detail)
    _check_tracks(source, context, styles)
    _check_accounts(source, context)
    _check_modes(source)
    _check_limits(source)
    if secrets != "none" and settings is not None and settings.console.unguarded:
        source.complain(("console", "listen"), UNGUARDED)
    if disk and settings is not None:
        _check_disk(source, settings.data.dir)
    if settings is None or source.problems:
        lines = sorted(dict.fromkeys(source.problems))
        raise ConfigError("\n".join(problem.text(str(path)) for problem in lines))
    return settings


_WORDS = {
    "missing": "is missing",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text in quotes",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
}


def _complain(source: Source, detail: ErrorDetails) -> None:
    path: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
    kind = detail["type"]
    if kind == "default_factory_not_called":
        return  # the key it depends on is wrong, which has its own line
    if kind == "extra_forbidden":
        what = f"unknown key{_nearest_key(source, path)}"
    elif kind == "value_error":
        what = str(detail["ctx"]["error"])
    elif path == ("tracks",):
        what = "must be a list: write [[tracks]] in two brackets"
    else:
        what = _WORDS.get(kind) or detail["msg"].replace("Input should", "must", 1)
    source.complain(path, what)


def _nearest_key(source: Source, path: KeyPath) -> str:
    """The nearest key of the same section, or the section that has this very key."""
    name = path[-1]
    if len(path) == 1:
        return did_you_mean(name, Settings.model_fields)
    near = did_you_mean(name, _model_at(source, path).model_fields)
    homes = [title for title, model in SECTIONS.items() if name in model.model_fields]
    return near or (f" (it belongs in [{homes[0]}])" if homes else "")


def _model_at(source: Source, path: KeyPath) -> type[Section]:
    if path[0] != "accounts":
        return SECTIONS[path[0]]
    return account_model(source.data["accounts"][path[1]])


UNGUARDED = (
    "is open to other machines and needs a password: secrets/console.password, or "
    "TAGECHO_CONSOLE__PASSWORD"
)
SECTIONS: dict[str | int, type[Section]] = {
    "data": Data,
    "accounts": Account,
    "tracks": TrackSettings,
    "replies": Replies,
    "models": Models,
    "learn": Learn,
    "limits": LimitSettings,
    "curation": CurationSettings,
    "pacing": Pacing,
    "notices": NoticeSettings,
    "log": Log,
    "health": HealthSettings,
    "console": ConsoleSettings,
}

_S = TypeVar("_S", bound=Section)


def _valid(
    model: type[_S], items: Iterable[tuple[Any, Any]], context: dict[str, Any]
) -> Iterator[tuple[Any, _S]]:
    """The entries that stand on their own; the others have been complained about already.

    So have unknown keys, which hide nothing else that is wrong.
    """
    for key, raw in items:
        known = raw
        if isinstance(raw, dict):
            known = {name: value for name, value in raw.items() if name in model.model_fields}
        with suppress(ValidationError):
            yield key, model.model_validate(known, context=context)


def _check_tracks(source: Source, context: dict[str, Any], styles: Collection[str] | None) -> None:
    raw, accounts = source.data.get("tracks"), source.data.get("accounts")
    names = list(accounts) if isinstance(accounts, dict) else []
    platforms = _platforms(source)
    seen: dict[str, int] = {}
    for index, track in _valid(
        TrackSettings, enumerate(raw if isinstance(raw, list) else ()), context
    ):
        path: KeyPath = ("tracks", index)
        if track.account not in names:
            near = did_you_mean(track.account, names)
            source.complain(
                (*path, "account"), f"{quote(track.account)} is not under [accounts]{near}"
            )
        first = seen.setdefault(track.key, index)
        if first != index:
            line = origin_of(("tracks", first), source.origins).line
            source.complain(path, f"follows {track.kind} {quote(track.name)} again, as line {line}")
        platform = platforms.get(track.account)
        if track.hashtag is not None and platform is not None:
            try:
                platform.spelling.hashtag(track.hashtag)
            except ValueError as error:
                source.complain((*path, "hashtag"), f"{quote(track.hashtag)} {error}")
        if styles is not None and track.reply is not None and track.reply not in styles:
            source.complain((*path, "reply"), no_style(track.reply, styles))
    replies = source.data.get("replies")
    style = replies.get("style") if isinstance(replies, dict) else None
    if styles is not None and isinstance(style, str) and style not in styles:
        source.complain(("replies", "style"), no_style(style, styles))


def no_style(word: str, styles: Collection[str]) -> str:
    """Why this is not the name of a style; one that was removed is told its nearest."""
    if word in GONE:
        return f"the style {quote(word)} was removed; {quote(GONE[word])} is nearest to it"
    return not_one_of(word, styles)


def _check_disk(source: Source, folder: Path) -> None:
    """Something is written where the data folder is or would be, and taken away at once."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryDirectory(dir=nearest, prefix=".tagecho-check-"):
            pass
    except OSError as error:
        source.complain(("data", "dir"), f"{folder} cannot be used: {error.strerror}")


def _check_modes(source: Source) -> None:
    """Every way is one that some account's platform has, and each platform has one of them."""
    replies = source.data.get("replies")
    said = _named_modes(replies) if isinstance(replies, dict) else []
    platforms = _platforms(source)
    here = {one.name: one for one in platforms.values() or registry.descriptors()}
    known = list(dict.fromkeys(mode.name for one in here.values() for mode in one.ways.modes))
    for path, name in said:
        if name not in known:
            source.complain(("replies", *path), not_one_of(name, known))
    names = {name for _, name in said}
    for account, platform in platforms.items():
        own = [mode.name for mode in platform.ways.modes]
        if names and names <= {*known} and not names.intersection(own):
            what = f"its platform has none of the ways of [replies]; add one of {', '.join(own)}"
            source.complain(("accounts", account), what)


def _named_modes(replies: Mapping[str, Any]) -> list[tuple[KeyPath, str]]:
    mode, more = replies.get("mode"), split(replies.get("fallback"))
    fallback = enumerate(more if isinstance(more, list) else ())
    said = [(("mode",), mode), *((("fallback", i), name) for i, name in fallback)]
    return [(path, name) for path, name in said if isinstance(name, str) and name]


def _platforms(source: Source) -> dict[str, Descriptor]:
    """The platform of every account that says one."""
    raw = source.data.get("accounts")
    accounts = raw.items() if isinstance(raw, dict) else ()
    said = ((name, keys.get("platform")) for name, keys in accounts if isinstance(keys, dict))
    return {
        name: found
        for name, platform in said
        if isinstance(platform, str) and (found := registry.find(platform)) is not None
    }


def _check_limits(source: Source) -> None:
    """The limits that an account has of its own are of requests that its platform knows."""
    for name, platform in _platforms(source).items():
        limits = source.data["accounts"][name].get("pacing")
        for action in limits if isinstance(limits, dict) else ():
            if action not in platform.actions:
                what = not_one_of(action, platform.actions)
                source.complain(("accounts", name, "pacing", action), what)


def _check_accounts(source: Source, context: dict[str, Any]) -> None:
    raw = source.data.get("accounts")
    seen: dict[tuple[str, str], str] = {}
    for name, keys in raw.items() if isinstance(raw, dict) else ():
        platform = keys.get("platform") if isinstance(keys, dict) else None
        if isinstance(platform, str) and registry.find(platform) is None:
            what = not_one_of(platform, registry.names())
            source.complain(("accounts", name, "platform"), what)
        for _, account in _valid(account_model(keys), [(name, keys)], context) if platform else ():
            first = seen.setdefault((account.platform, account.handle), name)
            if first != name:
                what = f"is the username of accounts.{first} too"
                source.complain(("accounts", name, "username"), what)
