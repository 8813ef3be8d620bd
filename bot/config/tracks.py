"""Edits the tracks of `config.toml`; every byte that is not about the track stays as it is.

A `[[tracks]]` block is cut out or put in as text: a TOML writer would count the comments above the
next section as part of the block, and remove or displace them. Only a list written in one value,
`tracks = [{…}]`, goes through tomlkit.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from pydantic import ValidationError
from tomlkit.items import Array, InlineTable

from bot.config.lines import locate
from bot.config.settings import Settings, TrackSettings, no_style, parse
from bot.config.source import read_text
from bot.core.errors import ConfigError, NothingToDo, UsageError
from bot.core.events import TrackKind
from bot.schema.problems import did_you_mean, quote
from bot.schema.values import parse_hashtag, parse_username

_Edit = Callable[[str, Settings], tuple[str, TrackSettings]]


@dataclass(frozen=True, slots=True)
class NewTrack:
    """A track as somebody asks for it; what is None is not written."""

    kind: TrackKind
    name: str
    account: str | None = None  # may be None where the file has only one
    every: str | None = None
    dataset: str | None = None
    reply: str | None = None

    def keys(self, settings: Settings) -> dict[str, str]:
        """As `config.toml` has them. Raises UsageError where it is not clear whose track it is."""
        keys = {
            "account": _account(settings, self.account),
            str(self.kind): self.name,
            "every": self.every,
            "dataset": self.dataset,
            "reply": self.reply,
        }
        return {key: value for key, value in keys.items() if value is not None}


def add_track(
    path: Path,
    new: NewTrack,
    *,
    environ: Mapping[str, str] = os.environ,
    styles: Collection[str] | None = None,
) -> TrackSettings:
    """Put a track behind the others.

    The file is untouched when this raises: UsageError for a wrong argument or a track that exists,
    ConfigError for a wrong file or a write that fails.
    """

    def edit(text: str, settings: Settings) -> tuple[str, TrackSettings]:
        written = new.keys(settings)
        track = _judge(written, styles)
        written[str(new.kind)] = track.name
        if any(track.key == other.key for other in settings.tracks):
            raise UsageError(f"{track.account} follows {new.kind} {quote(track.name)} already")
        return _insert(text, written), track

    return _edit_file(path, environ, styles, edit)


def remove_track(
    path: Path,
    kind: TrackKind,
    name: str,
    *,
    account: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> TrackSettings:
    """Cut a track out and return it.

    `account` may be None where only one account follows it. Raises NothingToDo when no track is
    like that, UsageError when several are, ConfigError as `add_track` does.
    """

    def edit(text: str, settings: Settings) -> tuple[str, TrackSettings]:
        index, track = _found(settings, kind, name, account)
        return _cut(text, index), track

    return _edit_file(path, environ, None, edit)


def pause_track(
    path: Path,
    kind: TrackKind,
    name: str,
    *,
    paused: bool,
    account: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> TrackSettings:
    """Pause a track, or let it go on, and return it. What was found stays.

    Raises as `remove_track` does, and NothingToDo when it is so already.
    """

    def edit(text: str, settings: Settings) -> tuple[str, TrackSettings]:
        index, track = _found(settings, kind, name, account)
        if track.paused is paused:
            raise NothingToDo(f"{kind} {quote(track.name)} is {'' if paused else 'not '}paused")
        return _mark(text, index, paused), track.model_copy(update={"paused": paused})

    return _edit_file(path, environ, None, edit)


def _found(
    settings: Settings, kind: TrackKind, name: str, account: str | None
) -> tuple[int, TrackSettings]:
    """The track that is meant, and its place in the file."""
    wanted = target_name(kind, name)
    found = [
        (index, track)
        for index, track in enumerate(settings.tracks)
        if (track.kind, track.name) == (kind, wanted) and account in (None, track.account)
    ]
    if not found:
        near = did_you_mean(wanted, (t.name for t in settings.tracks if t.kind == kind))
        raise NothingToDo(f"no track of {kind} {quote(wanted)}{near}")
    if len(found) > 1:
        accounts = ", ".join(track.account for _, track in found)
        raise UsageError(f"{kind} {quote(wanted)} has several tracks; say which of {accounts}")
    return found[0]


def target_name(kind: TrackKind, name: str) -> str:
    """In its normal form. Raises UsageError for a name that nothing can have."""
    try:
        return parse_hashtag(name) if kind is TrackKind.HASHTAG else parse_username(name)
    except ValueError as error:
        raise UsageError(f"{kind}: {error}") from None


def _account(settings: Settings, account: str | None) -> str:
    names = list(settings.accounts)
    if account is None:
        if len(names) != 1:
            raise UsageError(f"say which account: {', '.join(names) or 'the file has none'}")
        return names[0]
    if account not in names:
        raise UsageError(f"no account {quote(account)} in the file{did_you_mean(account, names)}")
    return account


def _judge(written: Mapping[str, str], styles: Collection[str] | None) -> TrackSettings:
    """The track these keys make. Raises UsageError with the argument's name."""
    try:
        track = TrackSettings.model_validate(written)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise UsageError(": ".join([*map(str, first["loc"]), what])) from None
    if styles is not None and track.reply is not None and track.reply not in styles:
        raise UsageError(f"reply: {no_style(track.reply, styles)}")
    return track


def _edit_file(
    path: Path, environ: Mapping[str, str], styles: Collection[str] | None, edit: _Edit
) -> TrackSettings:
    before = read_text(path)
    after, track = edit(before, parse(before, path, environ, styles=styles, secrets="none"))
    parse(after, path, environ, styles=styles, secrets="none")
    if read_text(path) != before:
        raise ConfigError(f"{path}: was changed by somebody else meanwhile; nothing was written")
    try:
        _replace(Path(os.path.realpath(path)), before, after)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return track


def _replace(path: Path, before: str, text: str) -> None:
    """All or nothing, keeping mode, byte order mark and, where we may set it, the owner.

    The new text is written beside it under one name: what a killed process left there is
    overwritten by the next one, and two at once are told apart by a lock.
    """
    old, mark = path.stat(), path.read_bytes()[:3] == b"\xef\xbb\xbf"
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{path}: is being changed by another process") from None
        if not _is_still(part, file.fileno()):  # the other one renamed it: it is the file now
            raise ConfigError(f"{path}: was changed by another process; nothing was written")
        if read_text(path) != before:
            part.unlink(missing_ok=True)
            raise ConfigError(f"{path}: was changed by somebody else; nothing was written")
        try:
            file.truncate()
            file.write(text.encode("utf-8-sig" if mark else "utf-8"))
            file.flush()
            os.fsync(file.fileno())
            if os.geteuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _insert(text: str, track: Mapping[str, str]) -> str:
    spans = locate(text)
    if ("tracks",) in spans and ("tracks", 0) not in spans:
        start, end = _lines_of(text, *spans["tracks",])  # `tracks = []` says nothing: it goes
        return _insert(text[:start] + text[end:], track)
    if _is_value(text):
        return _edit_value(text, lambda array: array.append(_inline(track)))
    line = _line_end(text)
    block = "".join(
        f"{key} = {tomlkit.string(value).as_string()}{line}" for key, value in track.items()
    )
    block = f"[[tracks]]{line}{block}"
    count = sum(len(path) == 2 and path[0] == "tracks" for path in spans)
    at = _block(text, count - 1)[1] if count else len(text)
    head, tail = text[:at], text[at:]
    if head and not head.endswith("\n"):
        head += line
    return head + (line if head else "") + block + tail


def _cut(text: str, index: int) -> str:
    if _is_value(text):
        return _edit_value(text, lambda array: array.pop(index))
    start, end = _block(text, index)
    head, tail = text[:start], text[end:]
    line = _line_end(text)
    if not head or head.endswith(line * 2):  # empty lines around it: one of them goes too
        head, tail = (head, tail.removeprefix(line)) if tail else (head.removesuffix(line), "")
    return head + tail


def _mark(text: str, index: int, paused: bool) -> str:
    """The track with `paused` as its last key, or with another value of it."""
    if _is_value(text):
        return _edit_value(text, lambda array: array[index].update({"paused": paused}))
    written = f"paused = {str(paused).lower()}"
    spans = locate(text)
    known = spans.get(("tracks", index, "paused"))
    if known is not None:
        return text[: known.start] + written + text[known.end :]
    last = max(span.end for path, span in spans.items() if path[:2] == ("tracks", index))
    end = _lines_of(text, last, last)[1]
    head, line = text[:end], _line_end(text)
    if not head.endswith("\n"):
        head += line
    return head + written + line + text[end:]


def _block(text: str, index: int) -> tuple[int, int]:
    """Offsets of a `[[tracks]]` block, whole lines, with the comments that close it.

    Comment lines right below the last key belong to it ("# reply = …"), unless the next section
    begins right below them: then they are its title.
    """
    inside = [span for path, span in locate(text).items() if path[:2] == ("tracks", index)]
    start, end = _lines_of(text, min(inside).start, max(span.end for span in inside))
    after = end
    while (line := _line(text, after)).lstrip(" \t").startswith("#"):
        after += len(line)
    return start, end if line.strip() else after


def _lines_of(text: str, start: int, end: int) -> tuple[int, int]:
    """The offsets widened to whole lines, the last line end included."""
    return text.rfind("\n", 0, start) + 1, end + len(_line(text, end))


def _line(text: str, at: int) -> str:
    end = text.find("\n", at) + 1
    return text[at : end or len(text)]


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _is_value(text: str) -> bool:
    first = locate(text).get(("tracks", 0))
    return first is not None and text[first.start] == "{"


def _edit_value(text: str, edit: Callable[[Array], object]) -> str:
    document = tomlkit.parse(text)
    array = document["tracks"]
    if not isinstance(array, Array):
        raise TypeError("tracks is not written as one value")
    edit(array)
    return tomlkit.dumps(document)


def _inline(track: Mapping[str, str]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(track)
    return table
