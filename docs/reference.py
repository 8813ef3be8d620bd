"""Writes docs/reference.md, the exit codes in README.md, and config.toml, from the code.

    .venv/bin/python docs/reference.py

Every fact has its source elsewhere: the help texts of `bot.cli`, the comments of
bot/config/template.toml (config.toml is a copy of it), the docstrings of `bot.core.errors`, the
metrics of `bot.service.observe`, the comments at the members of enumerations, and the calls that
log. tests/unit/test_docs.py fails when a page is out of date.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from bot.cli.main import app
from bot.config.initial import example
from bot.config.settings import SECTIONS
from bot.core import errors
from bot.core.events import TrackKind
from bot.dataset.export.formats import FORMATS
from bot.platforms import registry
from bot.service.observe import REGISTRY
from bot.service.state import AccountHealth, TrackHealth
from models.compose.styles import styles
from models.serving.catalogue import CATALOGUE
from models.serving.inventory import inventory
from storage.checks import Check
from storage.learning import RunState
from storage.retractions import State as RetractionState
from storage.tables import MediaState, ReplyState

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
README = ROOT / "README.md"
PACKAGES = ("bot", "models", "storage")
VALUES = {"int": "NUMBER", "float": "NUMBER", "Path": "PATH", "datetime": "DATE", "str": "TEXT"}
NETWORK_COLUMNS = ("name", "for", "licence", "MB", "SHA-256", "from", "what it is")
PACK_USES = {  # of stages that no key of [models] chooses
    "captioner": "`caption --network`",
    "detector": "`label --by`",
    "embedder": "`search --by`",
}
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")

_KEY = re.compile(r"(?P<off># )?(?P<key>\w+) = (?P<value>.*?)(?:\s+# (?P<text>.*))?")
_CONTINUED = re.compile(r"\s{10,}# (?P<text>.*)")  # the comment of the key above goes on
_HEAD = """\
# Reference

This page is written by `docs/reference.py` from the code; do not edit it. How to do a task is in
the [guide](operating.md).

- [Verbs](#verbs)
- [Configuration keys](#configuration-keys)
- [Exit codes](#exit-codes)
- [Metrics](#metrics)
- [States](#states) · [Verdicts](#verdicts)
- [Platforms](#platforms) · [Styles](#styles) · [Export formats](#export-formats) ·
  [Official networks](#networks)
- [Log events](#log-events)
"""


@dataclass(frozen=True, slots=True)
class Event:
    """A line of code that logs. `text`: the event, None when it is not a literal."""

    file: str  # from the root of the repository
    line: int
    level: str
    text: str | None
    fields: tuple[str, ...]


def page() -> str:
    """The whole reference."""
    config = example()
    parts = [
        _HEAD,
        "## Verbs\n\nData goes to stdout, messages go to stderr. `TAGECHO_CONFIG` can name the\n"
        "configuration file instead of `--config`. These stand before or behind every verb:\n",
        *shared(),
        *verbs(),
        "## Configuration keys\n",
        "The environment can set every key except those of `tracks`, and wins over the file:\n"
        "`TAGECHO_REPLIES__PER_DAY=5`. Secrets never stand in it:\n"
        "`accounts.NAME.password`, `accounts.NAME.totp_secret` and `accounts.NAME.token`, as the\n"
        "value of `TAGECHO_ACCOUNTS__NAME__PASSWORD` or as a path in\n"
        "`TAGECHO_ACCOUNTS__NAME__PASSWORD_FILE`, or from the folder `secrets` beside the file:\n"
        "`secrets/NAME.password`. `notices.urls`, `console.password` and\n"
        "`console.viewer_password` likewise: `TAGECHO_NOTICES__URLS`,\n"
        "`TAGECHO_NOTICES__URLS_FILE`, `secrets/notices.urls`.\n",
        *table(("key", "value in `config.toml`", "meaning", "an edit is in force"), keys(config)),
        "## Exit codes\n",
        *exit_codes(),
        "## Metrics\n\n`/metrics` serves them in the format of Prometheus.\n",
        *table(("metric", "kind", "labels", "meaning"), metrics()),
        "## States\n",
        *states(),
        "## Verdicts\n\nWhat `tagecho curate` finds; the limits are in `[curation]`.\n",
        *table(("verdict", "meaning"), members(Check)),
        "## Platforms\n",
        *platforms(),
        "## Styles\n\n`auto` chooses a style for each post.\n",
        *table(("style", "what it does"), style_rows()),
        "## Export formats\n",
        *table(("format", "what it writes"), format_rows()),
        "## Networks\n\nThe first ones are shipped; `tagecho models pull NAME` downloads an "
        "official one. The SHA-256 is that of the weights; where none is known, the first download "
        "is trusted and recorded.\n",
        *table(NETWORK_COLUMNS, network_rows()),
        "## Log events\n\nEach event is a noun with a past participle.\n",
        *table(("event", "level", "fields", "logged in"), event_rows()),
    ]
    return "\n".join(parts).rstrip() + "\n"


def readme(text: str) -> str:
    """The README with its table of exit codes written anew."""
    begin, end = "<!-- exit codes: written by docs/reference.py -->\n\n", "<!-- end -->"
    head, _, rest = text.partition(begin)
    return head + begin + "\n".join([*exit_codes(), end]) + rest.partition(end)[2]


# --- verbs ----------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """Each verb with its click command: ("track add", …)."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for verb, each in (inner or {}).items():
            yield f"{name} {verb}", each


def verbs() -> Iterator[str]:
    """Every verb with its arguments, its help, and its options."""
    for name, command in commands():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p not in arguments]
        usage = " ".join(["tagecho", name, *map(_usage, arguments)])
        yield f"### tagecho {name}\n\n`{usage}`\n\n{explained(command)}\n"
        for argument in arguments:
            yield f"- `{argument.name.upper()}`: {argument.help}"
        for option in options:
            if "--help" not in option.opts:
                yield f"- {_flags(option)}: {option.help}{_default(option)}"
        yield ""


def explained(command: Any) -> str:
    """The help of a verb, with its examples as code."""
    text, lines = inspect.cleandoc(command.help).split("\n\n\b\nExamples:\n")
    examples = "\n".join(line.strip() for line in lines.splitlines())
    return f"{text}\n\n```sh\n{examples}\n```"


def shared() -> Iterator[str]:
    """The options that all verbs have; --version and those of completion stand alone."""
    behind = "also stands behind the verb; there it wins"
    for option in typer.main.get_command(app).params:
        text = f"The configuration file; {behind}." if "--config" in option.opts else option.help
        yield f"- {', '.join(f'`{flag}`' for flag in option.opts)}: {text}"
    yield "- `-h`, `--help`: Show the help of a verb, with examples.\n"


def _usage(argument: Any) -> str:
    annotation = argument.type_descriptor.annotation
    name = argument.name.upper() + (" …" if "list[" in str(annotation) else "")
    return name if argument.required else f"[{name}]"


def _flags(option: Any) -> str:
    """`--limit INTEGER`, `--config PATH`, `-c`; a switch has no value."""
    annotation = option.type_descriptor.annotation
    kinds = [VALUES[part] for part in VALUES if re.search(rf"\b{part}\b", str(annotation))]
    value = "" if option.is_flag else f" {kinds[0]}"
    flags = [*option.opts, *option.secondary_opts]
    return ", ".join(f"`{flag}{value if flag == option.opts[0] else ''}`" for flag in flags)


def _default(option: Any) -> str:
    if option.required:
        return " Required."
    if option.is_flag or option.multiple or option.default in (None, "", 0):
        return ""
    return f" Default: `{option.default}`."


# --- configuration --------------------------------------------------------------------------------


def keys(config: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, value, meaning, when an edit is in force) for each key of the example configuration."""
    section, above = "", ""
    rows: dict[str, tuple[str, str]] = {}
    last = ""
    for line in config.splitlines():
        if heading := re.fullmatch(r"\[+([a-z_.]+)\]+", line):
            section = heading[1].replace(".main", ".NAME")
        if (more := _CONTINUED.fullmatch(line)) and last:
            value, text = rows[last]
            rows[last] = value, f"{text} {more['text']}"
            continue
        last = ""
        found = _KEY.fullmatch(line)
        if found and section and (key := f"{section}.{found['key']}") not in rows:
            value = f"`{found['value']}`" + (" (not set)" if found["off"] else "")
            rows[key] = value, found["text"] or above
            last = key
        above = f"{above} {line[2:]}".strip() if line.startswith("# ") and not found else ""
    for key, (value, text) in rows.items():
        section, _, name = key.rpartition(".")
        live = name in _live(section.partition(".")[0])
        yield f"`{key}`", value, text, "at once" if live else "after a restart"


def _live(section: str) -> frozenset[str]:
    """The keys of a section that a running service adopts; each platform has keys of accounts."""
    if section != "accounts":
        return SECTIONS[section].live_keys()
    return frozenset().union(*(one.settings.live_keys() for one in registry.descriptors()))


# --- exit codes, metrics, states ------------------------------------------------------------------


def exit_codes() -> list[str]:
    rows = [
        ("0", "Done."),
        *((str(code), text) for code, text in sorted(_owned().items())),
        ("130", "Ctrl-C."),
        ("141", "The reader of the output went away."),
    ]
    return list(table(("code", "meaning"), rows))


def _owned() -> dict[int, str]:
    """Exit code → the first line of the docstring of the class that owns it."""
    found = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and "exit_code" in vars(kind):
            found[vars(kind)["exit_code"]] = _first_line(kind)
    return found


def metrics() -> Iterator[tuple[str, str, str, str]]:
    """(name, kind, labels, meaning) of each of our metrics."""
    for family in REGISTRY.collect():
        if family.name.startswith("tagecho_"):
            collector = REGISTRY._names_to_collectors[family.name]
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(getattr(collector, "_labelnames", ()))
            yield f"`{name}`", family.type, labels, family.documentation
    yield "`process_…`", "gauge, counter", "", "memory, processor time and open files"


def states() -> Iterator[str]:
    for title, kind in (
        ("a reply", ReplyState),
        ("a track's health", TrackHealth),
        ("an account's health", AccountHealth),
        ("a stored image", MediaState),
        ("the deletion of a reply on the network", RetractionState),
        ("a learning run", RunState),
    ):
        owner = title.removesuffix("'s health")
        yield f"### States of {title}\n" if owner == title else f"### Health of {owner}\n"
        yield from table(("state", "meaning"), members(kind))


def members(kind: type[StrEnum]) -> Iterator[tuple[str, str]]:
    """(value, comment) for each member, as the source says it."""
    for line in inspect.getsource(kind).splitlines():
        if found := re.fullmatch(r"    [A-Z_]+ = \"(\w+)\"(?:  # (.*))?", line):
            yield f"`{found[1]}`", found[2] or ""


# --- what can be chosen ---------------------------------------------------------------------------


def platforms() -> Iterator[str]:
    """Per platform: the modes of a reply with the network steps of each."""
    yield f"Kinds of track: {', '.join(f'`{kind}`' for kind in TrackKind)}.\n"
    for platform in registry.descriptors():
        rows = [
            (f"`{mode.name}`", mode.meaning, ", ".join(f"`{step.name}`" for step in mode.steps))
            for mode in platform.ways.modes
        ]
        yield f"### {platform.name}\n"
        yield from table(("`replies.mode`", "meaning", "steps on the network"), rows)
        yield "What `tagecho forget` deletes there:\n"
        gone = ((f"`{kind}`", one.meaning) for kind, one in platform.deletion.items())
        yield from table(("kind", "deleted"), gone)
        limits = ((f"`{name}`", str(rate or "no limit")) for name, rate in platform.actions.items())
        yield "Its limits, where neither `[pacing]` nor the account says another one:\n"
        yield from table(("class of requests", "limit"), limits)


def style_rows() -> Iterator[tuple[str, str]]:
    for name in styles():
        module = importlib.import_module(f"models.compose.styles.{name}")
        yield f"`{name}`", _first_line(module).removeprefix(f"{name}: ")


def format_rows() -> Iterator[tuple[str, str]]:
    for name, form in FORMATS.items():
        yield f"`{name}`", " ".join(inspect.cleandoc(form.writer.__doc__ or "").split())


def network_rows() -> Iterator[tuple[str, ...]]:
    """Every network that can serve: shipped and official."""
    for entry in inventory():
        size, about = f"{entry.bytes / 1e6:.1f}", "ours; its card: `models/embedded`"
        yield f"`{entry.name}`", entry.stage, entry.licence, size, f"`{entry.sha256}`", "", about
    for pack in CATALOGUE.values():
        size, digest = f"{pack.bytes / 1e6:.0f}", pack.files[-1].sha256
        known = f"`{digest}`" if digest else "first download"
        used = PACK_USES.get(pack.stage, f"`[models] {pack.stage}`")
        yield f"`{pack.name}`", used, pack.licence, size, known, pack.source, pack.about


# --- log events -----------------------------------------------------------------------------------


def events() -> list[Event]:
    """Every call of a method of `log` in the three packages, in the order of the files."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            calls = [
                node
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if _logs(node)
            ]
            found += [_event(str(path.relative_to(ROOT)), call) for call in calls]
    return found


def event_rows() -> list[tuple[str, str, str, str]]:
    return sorted(
        (f"`{e.text}`", e.level, ", ".join(e.fields), f"`{e.file}`") for e in events() if e.text
    )


def _logs(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr=level)):
            return level in LEVELS
    return False


def _event(file: str, call: Any) -> Event:
    first = call.args[0] if call.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    fields = tuple(keyword.arg or "…" for keyword in call.keywords)
    return Event(file, call.lineno, call.func.attr, text, fields)


# --- pieces ---------------------------------------------------------------------------------------


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _first_line(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "").partition("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    (ROOT / "config.toml").write_text(example(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
