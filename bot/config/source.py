"""What the operator wrote, before it is judged: the file, the environment over it, the secrets.

`TAGECHO_REPLIES__PER_DAY=5` overrides `per_day` under `[replies]`. Tracks are a list and live in
the file only. Names without a double underscore (TAGECHO_CONFIG) are no keys and left alone.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, Literal

from bot.config.lines import locate
from bot.core.errors import ConfigError
from bot.platforms import registry
from bot.schema.problems import Origin, Path, Problem, did_you_mean, key_name, origin_of

PREFIX = "TAGECHO_"
SECRETS = "secrets"  # the folder beside the file; `secrets/main.password`
# Secrets of no account. Where notices go is one, since most services want a password in it.
SECTION_SECRETS: tuple[tuple[str, ...], ...] = (
    ("notices", "urls"),
    ("console", "password"),
    ("console", "viewer_password"),
)

# Which secrets are read: those of accounts and sections, of sections only, or none. The variables
# and files of the others are left alone, so that a verb fails for no secret that it does not need.
Secrets = Literal["all", "sections", "none"]

_MOUNTED_SECRETS = File("/run/secrets")  # the container engine sets their mode
_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")

log = logging.getLogger("tagecho.config")


@dataclass(slots=True)
class Source:
    """Raw data and, for each key, where it was written."""

    data: dict[str, Any]
    origins: dict[Path, Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, path: Path, what: str, origin: Origin | None = None) -> None:
        place = origin or origin_of(path, self.origins)
        self.problems.append(Problem(place, key_name(path), what))


def read_text(path: File) -> str:
    """The text of the file, line ends as they are. Raises ConfigError when it cannot be read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder, not a file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None


def parse_source(
    text: str, path: File, environ: Mapping[str, str], *, secrets: Secrets = "all"
) -> Source:
    """Text and environment as one tree. Raises ConfigError where the text is not TOML."""
    try:
        source = Source(tomllib.loads(text))
        source.origins = _origins(text)
    except RecursionError:
        raise ConfigError(f"{path}:1: values are nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number too long for Python
        found = _LINE.search(str(error))
        last = text.rstrip("\n").count("\n") + 1
        line = int(found[1]) if found and found[1] else last if found else 1
        raise ConfigError(f"{path}:{line}: not TOML: {_LINE.sub('', str(error))}") from None
    _refuse_secrets(source)
    wanted = {k: v for k, v in environ.items() if _is_wanted(k, secrets)}
    _overlay(source, path.parent, wanted)
    folder = path.parent / SECRETS
    if secrets == "all":
        _account_secrets_beside(source, folder)
    if secrets != "none":
        _section_secrets_beside(source, folder)
    return source


def account_secrets_named(path: File, account: str, environ: Mapping[str, str]) -> set[str]:
    """The secrets that the operator has set for an account, without a look into any of them."""
    prefix, folder = f"{PREFIX}ACCOUNTS__{account}__".upper(), path.parent / SECRETS
    return {
        name
        for name in registry.secret_names()
        if environ.get(prefix + name.upper())
        or environ.get(f"{prefix}{name.upper()}_FILE")
        or os.path.lexists(folder / f"{account}.{name}")
    }


def _account_secrets_beside(source: Source, folder: File) -> None:
    """`secrets/main.password` beside the file: of what the environment does not say."""
    accounts = source.data.get("accounts")
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        for secret in registry.secret_names() if isinstance(account, dict) else ():
            keys, file = ("accounts", name, secret), folder / f"{name}.{secret}"
            if secret not in account and os.path.lexists(file):
                origin = Origin(str(file))
                value = _content(source, keys, file, origin)
                if value is not None:
                    _put(source, keys, value, origin)


def _section_secrets_beside(source: Source, folder: File) -> None:
    """`secrets/console.password`, likewise."""
    for path in SECTION_SECRETS:
        file = folder / ".".join(path)
        if path not in source.origins and os.path.lexists(file):
            value = _content(source, path, file, Origin(str(file)))
            if value is not None:
                _put(source, path, value, Origin(str(file)))


def _origins(text: str) -> dict[Path, Origin]:
    breaks = [found.start() for found in re.finditer("\n", text)]
    return {
        path: Origin(line=bisect_right(breaks, span.start) + 1)
        for path, span in locate(text).items()
    }


def _refuse_secrets(source: Source) -> None:
    """A secret in the file is told and taken out, so that nothing later can repeat it."""
    accounts = source.data.get("accounts")
    for name, account in accounts.items() if isinstance(accounts, dict) else ():
        for secret in registry.secret_names() if isinstance(account, dict) else ():
            variable = f"{PREFIX}ACCOUNTS__{name.upper()}__{secret.upper()}"
            for key in (secret, f"{secret}_file"):
                if key in account:
                    del account[key]
                    source.complain(
                        ("accounts", name, key),
                        f"no secrets in this file; set {variable} or {variable}_FILE",
                    )
    for keys in SECTION_SECRETS:
        _refuse_secret(source, *keys)


def _refuse_secret(source: Source, section: str, secret: str) -> None:
    """The same for a secret of a section."""
    table = source.data.get(section)
    for key in (secret, f"{secret}_file"):
        if isinstance(table, dict) and key in table:
            del table[key]
            variable = f"{PREFIX}{section}__{secret}".upper()
            what = f"no secrets in this file; set {variable} or {variable}_FILE"
            source.complain((section, key), what)


def _overlay(source: Source, folder: File, environ: Mapping[str, str]) -> None:
    for variable in sorted(environ):
        keys = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if not variable.startswith(PREFIX) or len(keys) < 2:
            continue
        if keys[0] == "tracks":
            source.complain(keys, "tracks are set in the file only", Origin(variable))
            continue
        value: str | None = environ[variable]
        if _names_a_secret_file(keys):
            keys = (*keys[:-1], keys[-1].removesuffix("_file"))
            value = _secret(source, keys, variable, folder, environ)
        if (keys[-1] in registry.secret_names() or keys in SECTION_SECRETS) and not value:
            continue  # VAR= in a compose file means: not set
        if value is not None:
            _put(source, keys, value, Origin(variable))
    _refuse_strays(source)


def _is_wanted(variable: str, secrets: Secrets) -> bool:
    """Whether a variable is read: it holds, and names the file of, no secret that is left alone."""
    keys = variable.removeprefix(PREFIX).lower().split("__")
    name = keys[-1].removesuffix("_file")
    if (*keys[:-1], name) in SECTION_SECRETS:
        return secrets != "none"
    of_account = len(keys) > 2 and keys[0] == "accounts" and name in registry.secret_names()
    return secrets == "all" or not of_account


def _names_a_secret_file(keys: tuple[str, ...]) -> bool:
    of_account = len(keys) > 2 and keys[0] == "accounts"
    of_sections = [(*path[:-1], f"{path[-1]}_file") for path in SECTION_SECRETS]
    return keys in (("data", "url_file"), *of_sections) or (
        of_account
        and keys[-1].removesuffix("_file") in registry.secret_names()
        and keys[-1].endswith("_file")
    )


def _refuse_strays(source: Source) -> None:
    """A secret for an account that nothing else mentions is a misspelt variable."""
    accounts = source.data.get("accounts")
    named = accounts if isinstance(accounts, dict) else {}
    strays = [
        name
        for name, account in named.items()
        if source.origins[("accounts", name)].variable
        and isinstance(account, dict)
        and account.keys() <= {*registry.secret_names()}
    ]
    for name in strays:
        del named[name]
        near = did_you_mean(name, named)
        source.complain(("accounts", name), f"there is no such account in the file{near}")


def _put(source: Source, keys: tuple[str, ...], value: str, origin: Origin) -> None:
    table = source.data
    for depth, key in enumerate(keys[:-1], start=1):
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            source.complain(keys[:depth], "is not a table", origin)
            return
        source.origins.setdefault(keys[:depth], origin)
        table = inner
    table[keys[-1]] = value
    for replaced in [path for path in source.origins if path[: len(keys)] == keys]:
        del source.origins[replaced]
    source.origins[keys] = origin


def _secret(
    source: Source, keys: tuple[str, ...], variable: str, folder: File, environ: Mapping[str, str]
) -> str | None:
    """The content of a secret file without its last line end; None after a complaint."""
    plain, origin = variable.removesuffix("_FILE"), Origin(variable)
    if environ.get(plain):
        source.complain(keys, f"is set twice, here and by {plain}", origin)
        return None
    if not environ[variable]:
        return None
    return _content(source, keys, folder / File(environ[variable]), origin)


def _content(source: Source, keys: tuple[str, ...], file: File, origin: Origin) -> str | None:
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8-sig")  # editors put a mark before it
    except OSError as error:
        source.complain(keys, f"the secret file cannot be read: {error.strerror}", origin)
        return None
    except ValueError:  # not UTF-8, or no path at all
        source.complain(keys, "the secret file is not UTF-8 text", origin)
        return None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and _MOUNTED_SECRETS not in file.parents:
        log.warning("%s: %s can be read by other users; chmod 600 it", key_name(keys), file)
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        source.complain(keys, "the secret file is empty", origin)
        return None
    return text
