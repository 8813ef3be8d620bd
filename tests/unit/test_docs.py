"""The documents say what is true: verbs, options, keys, codes, metrics, dependencies, links."""

from __future__ import annotations

import importlib.util
import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bot.config import Settings
from bot.core import errors
from bot.platforms import registry
from bot.service.observe import REGISTRY
from storage.tables import Health, ReplyState
from tests.paths import ROOT

OPERATING = (ROOT / "docs" / "operating.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
SECRETS = {"accounts.NAME.password", "accounts.NAME.totp_secret"}  # never in a file


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the command line ---------------------------------------------------------------------------


def test_the_written_tables_are_up_to_date(reference: ModuleType) -> None:
    """Else: .venv/bin/python docs/reference.py"""
    assert reference.page(OPERATING) == OPERATING


def test_every_verb_and_option_is_explained(reference: ModuleType) -> None:
    known = dict(reference.commands())
    assert {"run", "demo", "check", "track add", "replies approve", "forget", "compose"} <= set(
        known
    )
    section = OPERATING.partition("## Every verb and option")[2]
    for name, command in known.items():
        _, _, rest = section.partition(f"**`tagecho {name}")
        entry = rest.partition("\n**`")[0]
        assert inspect.cleandoc(command.help) in entry, name
        for parameter in command.params:
            if "--help" in parameter.opts:
                continue
            assert parameter.help, f"{name}: {parameter.name} has no help"
            assert parameter.help in entry, f"{name}: {parameter.name}"
            for flag in parameter.opts:
                if flag.startswith("-"):
                    assert f"`{flag}`" in entry, f"{name}: {flag}"


def test_every_verb_has_an_example(reference: ModuleType) -> None:
    examples = OPERATING.partition("## Verbs by example")[2].partition("```\n")[0]
    for name, _ in reference.commands():
        assert re.search(rf"^tagecho {name}\b", examples, re.M), name


def test_examples_use_options_that_exist(reference: ModuleType) -> None:
    commands = dict(reference.commands())
    for page in PAGES:
        shell = "".join(re.findall(r"```sh\n.*?```", page.read_text(), re.S))
        for line in re.findall(r"^tagecho (.+?)(?:\s+#.*)?$", shell, re.M):
            verb = next(v for v in sorted(commands, key=len, reverse=True) if line.startswith(v))
            known = {flag for parameter in commands[verb].params for flag in parameter.opts}
            assert set(re.findall(r"--[a-z][a-z-]*", line)) <= known, f"{page.name}: {line}"


def test_every_exit_code_is_in_the_readme() -> None:
    table = README.partition("## Exit codes")[2].partition("\n## ")[0]
    codes = {
        value.exit_code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.TagechoError)
    }
    assert len(codes) == 10
    for code in codes:
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
    rows: dict[str, str] = dict(re.findall(r"^\| `([\w.]+)` \| .+? \| (.*) \|$", OPERATING, re.M))
    wanted = set(fields(Settings))
    assert {"replies.per_day", "tracks.every", "data.url", *SECRETS} <= wanted
    assert {key for key in rows if "." in key} == wanted - SECRETS
    assert [key for key in wanted - SECRETS if not rows[key]] == []
    for key in SECRETS:
        assert f"`{key}`" in OPERATING
    example = (ROOT / "config.toml").read_text()
    for key in wanted:
        name = key.rpartition(".")[2]
        assert re.search(rf"^(# )?{name} = |__{name.upper()}\b", example, re.M), key


# --- operation ----------------------------------------------------------------------------------


def test_every_state_and_health_is_explained() -> None:
    for state in ReplyState:
        assert re.search(rf"^\| `{state}` \| \S.* \| \S", OPERATING, re.M), state
    for health in Health:
        assert health == Health.NEW or f"`{health}" in OPERATING, health


def test_every_metric_is_explained() -> None:
    names = {family.name for family in REGISTRY.collect() if family.name.startswith("tagecho_")}
    assert len(names) >= 8
    for name in names:
        assert re.search(rf"^\| `{name}(_total)?` \|", OPERATING, re.M), name


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
            assert path == "bot/platforms/NAME/" or (ROOT / path).exists(), f"{name}: {path}"


def tracked() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git work tree")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


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
