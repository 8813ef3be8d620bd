"""The documents say what is true: verbs, options, keys, codes, metrics, dependencies, links."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from bot.cli.main import app as cli
from bot.config import STYLES, Settings, parse
from bot.config.initial import example
from bot.core import errors
from bot.platforms import registry
from bot.service.observe import REGISTRY
from bot.service.state import AccountHealth, TrackHealth
from storage.retractions import State as RetractionState
from storage.tables import ReplyState
from tests.paths import ROOT

GUIDE = (ROOT / "docs" / "operating.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
# Never in a file.
SECRETS = {"accounts.NAME.password", "accounts.NAME.totp_secret", "notices.urls"}
SECRETS |= {"accounts.NAME.token"}
SECRETS |= {"console.password", "console.viewer_password"}


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


# --- the command line ---------------------------------------------------------------------------


def test_the_written_pages_are_up_to_date(reference: ModuleType) -> None:
    """Else: .venv/bin/python docs/reference.py"""
    assert reference.page() == REFERENCE
    assert reference.readme(README) == README
    assert example() == (ROOT / "config.toml").read_text(encoding="utf-8")
    parse(example(), Path("config.toml"), {}, styles=STYLES)


def test_every_verb_and_option_is_explained(reference: ModuleType) -> None:
    known = dict(reference.commands())
    assert {"run", "demo", "check", "track add", "replies approve", "forget", "compose"} <= set(
        known
    )
    for name, command in known.items():
        entry = REFERENCE.partition(f"\n### tagecho {name}\n")[2].partition("\n##")[0]
        assert reference.explained(command) in entry, name
        for parameter in command.params:
            if "--help" in parameter.opts:
                continue
            assert parameter.help, f"{name}: {parameter.name} has no help"
            assert parameter.help in entry, f"{name}: {parameter.name}"
            for flag in parameter.opts:
                if flag.startswith("-"):
                    assert re.search(rf"`{flag}[ `]", entry), f"{name}: {flag}"


def shell(text: str) -> list[list[str]]:
    """The commands of tagecho in the fenced blocks of a page, as words after `tagecho`."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.S)).replace("\\\n", " ").splitlines()
    calls = (re.fullmatch(r"(?:\S.*[ /])?tagecho ((?:[a-z]+)( .*)?)", line) for line in lines)
    words = (shlex.split(call[1], comments=True) for call in calls if call)
    return [call for call in words if call[0] not in {"&&", "tagecho"}]


def test_every_verb_has_an_example_in_the_guide(reference: ModuleType) -> None:
    calls = [" ".join(words) for words in shell(GUIDE)]
    for name, _ in reference.commands():
        assert any(f"{call} ".startswith(f"{name} ") for call in calls), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_pages_parses(reference: ModuleType, page: Path) -> None:
    commands = dict(reference.commands())
    for words in shell(page.read_text(encoding="utf-8")):
        name = next(n for n in (" ".join(words[:2]), words[0]) if n in commands)
        arguments = words[len(name.split()) :]
        # Raises for an unknown option, a value of another type, a missing argument.
        commands[name].make_context(name, arguments).close()


def test_every_verb_has_an_example_in_its_help(reference: ModuleType) -> None:
    """A paragraph `\\b`, `Examples:` at the end of the docstring; each line is this verb's."""
    for name, command in reference.commands():
        text, mark, lines = inspect.cleandoc(command.help).partition("\n\n\b\nExamples:\n")
        assert mark, f"{name} has no example in its help"
        assert "\b" not in text + lines
        examples = [shlex.split(line) for line in lines.splitlines()]
        assert examples, name
        for words in examples:
            verb = name.split()
            assert words[: len(verb) + 1] == ["tagecho", *verb]
            command.make_context(name, words[len(verb) + 1 :]).close()


def test_every_verb_takes_the_short_options(reference: ModuleType) -> None:
    group = typer.main.get_command(cli)
    for name, _ in reference.commands():
        verb, context = group, group.make_context("tagecho", ["-q"], resilient_parsing=True)
        for word in name.split():
            verb = verb.commands[word]  # type: ignore[attr-defined]
            context = verb.make_context(word, [], parent=context, resilient_parsing=True)
        flags = {flag for one in verb.get_params(context) for flag in one.opts}
        assert {"-h", "--help", "-v", "--verbose", "-q", "--quiet"} <= flags, name


def test_a_command_that_does_not_parse_is_found(reference: ModuleType) -> None:
    commands = dict(reference.commands())
    assert shell("```sh\ntagecho collect '#x' --limti 3   # no\n```") == [
        ["collect", "#x", "--limti", "3"]
    ]
    for name, words in (
        ("collect", ["--limti", "3", "#x"]),
        ("collect", ["--limit", "many", "#x"]),
        ("track add", []),
    ):
        with pytest.raises(Exception) as raised:  # typer's own class is private
            commands[name].make_context(name, words)
        assert getattr(raised.value, "exit_code", None) == 2


def test_every_exit_code_is_in_the_readme() -> None:
    table = README.partition("## Exit codes")[2].partition("\n## ")[0]
    codes = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.TagechoError)
    }
    assert len(codes) == 11
    for code in codes | {0, 130, 141}:
        assert re.search(rf"^\| {code} \| \S", table, re.M), code


# --- the configuration --------------------------------------------------------------------------


def fields(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key as the documents write it: `replies.per_day`, `accounts.NAME.username`."""
    for name, field in model.model_fields.items():
        parts = [field.annotation, *get_args(field.annotation)]
        inner = [p for p in parts if inspect.isclass(p) and issubclass(p, BaseModel)]
        if name == "accounts":
            for platform in registry.descriptors():
                yield from fields(platform.settings, "accounts.NAME.")
        elif inner:
            yield from fields(inner[0], f"{name}.")
        else:
            yield above + name


def test_every_key_is_explained_here_and_in_the_example() -> None:
    table = REFERENCE.partition("## Configuration keys")[2].partition("\n## ")[0]
    rows: dict[str, str] = dict(
        re.findall(r"^\| `([\w.]+)` \| .+? \| (.*) \| [a-z ]+ \|$", table, re.M)
    )
    wanted = set(fields(Settings))
    assert {"replies.per_day", "tracks.every", "data.url", *SECRETS} <= wanted
    assert {key for key in rows if "." in key} == wanted - SECRETS
    assert [key for key in wanted - SECRETS if not rows[key]] == []
    for key in SECRETS:
        assert f"`{key}`" in REFERENCE
    example = (ROOT / "config.toml").read_text()
    for key in wanted:
        name = key.rpartition(".")[2]
        assert re.search(rf"^(# )?{name} = |__{name.upper()}\b", example, re.M), key


# --- operation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ReplyState, TrackHealth, AccountHealth, RetractionState])
def test_every_state_is_explained(reference: ModuleType, kind: type[StrEnum]) -> None:
    rows = dict(reference.members(kind))
    assert set(rows) == {f"`{state}`" for state in kind}
    for state, meaning in rows.items():
        assert f"| {state} | {meaning} |" in REFERENCE
        assert meaning, state


def test_every_metric_is_explained() -> None:
    names = {family.name for family in REGISTRY.collect() if family.name.startswith("tagecho_")}
    assert len(names) >= 8
    for name in names:
        assert re.search(rf"^\| `{name}(_total)?` \| \w+ \| .*\| \S.* \|$", REFERENCE, re.M), name


# The participles that do not end in -ed. A word joins them only if an event needs it.
PARTICIPLES = {"begun", "broken", "found", "held", "kept", "left", "lost", "put", "read", "sent"}
PARTICIPLES |= {"set", "shut", "swept", "taken", "withdrawn"}
# Said before logging is set up, so it is a sentence for a person.
BEFORE_LOGGING = {"bot/config/source.py"}


def well_formed(event: str | None) -> bool:
    """A noun (of one or more words) with a past participle: `reply held`, `config not adopted`."""
    words = (event or "").split()
    if len(words) < 2 or not all(re.fullmatch(r"[a-z][a-z0-9-]*", word) for word in words):
        return False
    return words[-1].endswith("ed") or words[-1] in PARTICIPLES


def test_the_form_of_an_event() -> None:
    for good in ("reply held", "post stored", "config not adopted", "learning run started"):
        assert well_formed(good), good
    for bad in ("held", "learning put down", "running", "poll failed: again", "images wait", None):
        assert not well_formed(bad), bad


def test_every_log_event_is_a_noun_with_a_past_participle(reference: ModuleType) -> None:
    """The rule is in docs/contributing.md."""
    events = reference.events()
    assert len(events) > 40
    wrong = [event for event in events if not well_formed(event.text)]
    assert [f"{e.file}:{e.line}: {e.text}" for e in wrong if e.file not in BEFORE_LOGGING] == []


def test_every_dependency_has_its_reason_and_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    decisions = (ROOT / "docs" / "decisions.md").read_text()
    extras: dict[str, Any] = project["optional-dependencies"]
    optional = [*extras["learn"], *extras["official"], *extras["realesrgan"]]
    for requirement in [*project["dependencies"], *optional, *extras["dev"]]:
        name = re.split(r"[\[<>=]", requirement, maxsplit=1)[0]
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", decisions), name
    named = set(re.findall(r"^\| ([a-z0-9-]+) \| \S.* \| \S", decisions, re.M))
    named -= {"package", "---"}
    listed = {re.split(r"[\[<>=]", r, maxsplit=1)[0] for r in project["dependencies"]}
    assert listed <= named
    assert named - listed <= {re.split(r"[\[<>=]", r, maxsplit=1)[0] for r in optional}


# --- the tree -------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git work tree")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def rooms(text: str) -> list[str]:
    """The paths of the first block of architecture.md; folders end with a slash."""
    block = text.partition("## Rooms")[2].partition("```\n")[2].partition("```")[0]
    found: list[tuple[int, str]] = []
    for line in block.splitlines():
        if not (entry := re.match(r"( *)([\w-]+(?:/|\.py))(?:  |$)", line)):
            assert line.startswith(" " * 22), f"neither a path nor a description: {line!r}"
            continue
        depth = len(entry[1])
        parent = next((name for indent, name in reversed(found) if indent < depth), "")
        found.append((depth, parent + entry[2]))
    return [name for _, name in found]


def test_the_rooms_of_the_architecture_are_those_of_the_tree() -> None:
    """Every folder of the packages is named; where one file is named, all its neighbours are."""
    named = rooms((ROOT / "docs" / "architecture.md").read_text())
    files = {str(path.relative_to(ROOT)) for path in tracked()}
    folders = {f"{parent}/" for file in files for parent in Path(file).parents}
    assert [name for name in named if name not in files | folders] == []
    inside = {f for f in folders if f.startswith(("bot/", "models/", "storage/", "research/"))}
    assert inside <= set(named)
    told = {name.rpartition("/")[0] for name in named if name.endswith(".py")}
    assert {"bot/flow", "bot/service"} <= told
    modules = {
        file
        for file in files
        if file.endswith(".py") and file.rpartition("/")[0] in told and "__" not in file
    }
    assert modules == {name for name in named if name.endswith(".py")}


def test_the_layers_of_the_architecture_are_those_that_are_checked() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## Who may import whom")[2]
    block = text.partition("```\n")[2].partition("```")[0]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    assert block.split("\n")[:-1] == [layer for layer in layers if layer != "bot.__main__"]


# --- links and what must not be said --------------------------------------------------------------


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_paths_in_the_contributors_guide_exist() -> None:
    for name in ("contributing.md", "decisions.md", "architecture.md"):
        text = (ROOT / "docs" / name).read_text()
        for path in re.findall(r"`((?:bot|models|storage|tests|deploy|docs)/[\w./-]+)`", text):
            assert "NAME" in path or (ROOT / path).exists(), f"{name}: {path}"


def test_no_file_names_a_package_index_or_a_machine() -> None:
    """Such names would tie the project to where it was made."""
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"))]
    hosts += [".".join(("download", "pytorch", "org")), ".".join(("registry", "npmjs", "org"))]
    places = ["/" + "/".join(parts) for parts in (("work", "main"), ("work", "shared"))]
    places += ["/".join(("", "opt", "pypi")), "/".join(("", "opt", "wheels")), "/root/" + ".pyenv"]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in tracked()
        if path.is_file() and path.suffix not in {".onnx", ".jpg", ".png"}
        for word in hosts + places
        if word in path.read_text(errors="replace")
    ]
    assert found == []
