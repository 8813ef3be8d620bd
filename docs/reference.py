"""Writes the tables of operating.md that must never be out of date: verbs, options, config keys.

    .venv/bin/python docs/reference.py

What they say is the help of `bot.cli` and the comments of config.toml; tests/unit/test_docs.py
fails when the page says anything else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bot.cli import app
from bot.config.settings import SECTIONS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "operating.md"
_KEY = re.compile(r"(?P<off># )?(?P<key>\w+) = (?P<value>.*?)(?:\s+# (?P<text>.*))?")


def page(text: str) -> str:
    """The page with both tables anew."""
    text = _between(text, "verbs", "\n".join(verbs()))
    return _between(
        text, "keys", "\n".join(keys((ROOT / "config.toml").read_text(encoding="utf-8")))
    )


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
        usage = " ".join(["tagecho", name, *(argument.name.upper() for argument in arguments)])
        yield f"**`{usage}`** {inspect.cleandoc(command.help)}\n"
        for argument in arguments:
            yield f"- `{argument.name.upper()}`: {argument.help}"
        for option in options:
            if "--help" not in option.opts:
                yield f"- `{'`, `'.join(option.opts)}`: {option.help}"
        yield ""


def keys(config: str) -> Iterator[str]:
    """Every key of the example configuration: its value there, its comment, when it is adopted."""
    section, above, seen = "", "", set()
    yield "| key | value in `config.toml` | meaning | an edit is in force |"
    yield "| --- | --- | --- | --- |"
    for line in config.splitlines():
        if heading := re.fullmatch(r"\[+([a-z_.]+)\]+", line):
            section = heading[1].replace(".main", ".NAME")
        found = _KEY.fullmatch(line)
        if found and section and (key := f"{section}.{found['key']}") not in seen:
            seen.add(key)
            value = f"`{found['value']}`" + (" (not set)" if found["off"] else "")
            text = found["text"] or above
            live = found["key"] in SECTIONS[section.partition(".")[0]].live_keys()
            when = "at once" if live else "after a restart"
            yield f"| `{key}` | {value} | {text.replace('|', chr(92) + '|')} | {when} |"
        above = f"{above} {line[2:]}".strip() if line.startswith("# ") and not found else ""


def _between(text: str, name: str, content: str) -> str:
    begin, end = f"<!-- {name}: written by docs/reference.py -->\n", f"<!-- end of {name} -->"
    head, _, rest = text.partition(begin)
    tail = rest.partition(end)[2]
    return f"{head}{begin}\n{content.strip()}\n\n{end}{tail}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
