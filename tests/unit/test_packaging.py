"""What is shipped: the wheel, the locks, the install script, CI itself, the units around them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from bot.config import load
from tests.paths import ROOT

LOCKS = ("requirements.lock", "requirements-test.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTALL = ROOT / "deploy" / "install.sh"


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower() for line in requirements}


def pins(lock: str) -> dict[str, set[str]]:
    """Versions of each package; several where they differ by Python's version."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / lock).read_text(), re.M):
        found.setdefault(name, set()).add(version)
    return found


# --- the wheel ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def check_wheel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_wheel", ROOT / ".ci" / "check_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("tagecho-*.whl"))


def copy_of(wheel: Path, to: Path, *, without: str = "", extra: str = "") -> Path:
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            if name != without:
                new.writestr(name, old.read(name))
        if extra:
            new.writestr(extra, b"")
    return to


def test_the_wheel_is_complete(wheel: Path, check_wheel: ModuleType) -> None:
    assert check_wheel.problems(wheel, ROOT) == []
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    assert {
        "bot/cli/__init__.py",
        "bot/verbs/templates/head.html",
        "bot/verbs/templates/replies.html",
        "bot/platforms/sandbox/__main__.py",
        "models/embedded/manifest.json",
        "models/embedded/segment.onnx",
        "models/embedded/superres-x2.onnx",
        "models/embedded/superres-x4.onnx",
        "models/embedded/superres-x4-damaged.onnx",
        "storage/migrations/env.py",
        "storage/migrations/versions/0001_the_first_schema.py",
    } <= shipped
    assert not [
        name
        for name in shipped
        if name.startswith(("tests/", "bench/", "research/", "data/", "docs/"))
    ]


@pytest.mark.slow
def test_from_the_wheel_to_a_service_that_runs(wheel: Path, tmp_path: Path) -> None:
    """In an empty folder, with no checkout near: from `init` and what it names to a rehearsal."""
    site, evening = tmp_path / "site", tmp_path / "evening"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    evening.mkdir()
    environ = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
    environ |= {"PYTHONPATH": str(site)}

    def tagecho(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "bot", *words],
            cwd=evening,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    said = tagecho("init", "--username", "imagebot", "--track", "#sunset", "--opt-in", "tintme")
    assert stat.S_IMODE((evening / "secrets").stat().st_mode) == 0o700
    named = said.stderr.rpartition("next: tagecho ")[2].split()
    assert "correct (1 account, 1 track)" in tagecho(*named).stderr
    found = tagecho("doctor", code=4).stdout  # nobody has logged in yet
    assert f"bot, models and storage come from {site}\n" in found
    assert "secrets/main.password" in found
    said = tagecho("rehearse", "--for", "5", "--rate", "2", "--approve", "--json")
    assert json.loads(said.stdout)["duplicate_replies"] == 0


def test_a_missing_and_a_foreign_file_are_noticed(
    wheel: Path, check_wheel: ModuleType, tmp_path: Path
) -> None:
    poor = copy_of(wheel, tmp_path / "poor.whl", without="models/embedded/segment.onnx")
    assert check_wheel.problems(poor, ROOT) == ["missing: models/embedded/segment.onnx"]
    rich = copy_of(wheel, tmp_path / "rich.whl", extra="tests/test_a.py")
    assert check_wheel.problems(rich, ROOT) == ["does not belong there: tests/test_a.py"]


# --- the locks ----------------------------------------------------------------------------------


def test_the_locks_name_every_dependency() -> None:
    base, extras = names(PROJECT["dependencies"]), PROJECT["optional-dependencies"]
    assert base <= pins("requirements.lock").keys()
    # torch and torchvision are installed by a command of their own: docs/decisions.md says why.
    apart = {"torch", "torchvision"}
    wanted = base | names(extras["dev"]) | names(extras["learn"])
    wanted |= names(extras["official"])
    locked = pins("requirements-test.lock").keys()
    assert wanted - apart <= locked
    assert not [name for name in locked if name in apart or name.startswith(("nvidia-", "cuda-"))]


def test_the_base_needs_neither_torch_nor_the_tests_tools() -> None:
    heavy = {
        "torch",
        "spandrel",
        "onnx",
        "onnxscript",
        "opencv-python-headless",
        "pytest",
        "ruff",
        "mypy",
    }
    assert not heavy & pins("requirements.lock").keys()


def test_both_locks_name_the_same_versions() -> None:
    tested = pins("requirements-test.lock")
    assert {name: tested.get(name) for name in pins("requirements.lock")} == pins(
        "requirements.lock"
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_resolves_wherever_the_public_index_is(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"^[a-z0-9.-]+==\S*\+", text, re.M)  # a local version label
    assert not re.search(r"://|--(extra-)?index-url|--find-links|@ file", text)


# --- the install script -------------------------------------------------------------------------


def install(python: Path | str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INSTALL, tmp_path / "venv"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
    )


def executable(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_too_old_a_python_is_said(tmp_path: Path) -> None:
    old = executable(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    done = install(old, tmp_path)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_without_venv_names_the_package_to_install(tmp_path: Path) -> None:
    """As on a fresh Debian, whose python3 comes without ensurepip."""
    bare = executable(
        tmp_path / "python3",
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n',
    )
    done = install(bare, tmp_path)
    assert done.returncode != 0
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"sudo apt install python{version}-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


# --- CI -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["test", "lint", "wheel"])
def test_ci_fails_when_a_step_fails(broken: str, tmp_path: Path) -> None:
    """The script itself, with a `make` that fails at one target."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    tools = tmp_path / "tools"
    tools.mkdir()
    executable(tools / "make", f'#!/bin/sh\necho "made $1"\n[ "$1" != {broken} ]\n')
    done = subprocess.run(
        [tmp_path / ".ci" / "run"],
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout.rstrip().endswith(f"made {broken}")


def test_make_explains_itself() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "test", "test-fast", "lint", "bench", "lock", "docker", "clean", "help"):
        assert re.search(rf"^{target} +\S", done.stdout, re.M)


# --- image, compose file, unit ------------------------------------------------------------------


def variables(name: str) -> list[tuple[str, str]]:
    text = (ROOT / name).read_text()
    return re.findall(r"\b(TAGECHO_\w+__\w+)\s*[=:]\s*\"?([^\s\"\\]+)", text)


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "deploy/tagecho.service"])
def test_their_variables_are_known_to_the_configuration(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql+psycopg://a:b@localhost/c\n")
    secret.chmod(0o600)
    environ = {
        variable: str(secret) if variable.endswith("_FILE") else value
        for variable, value in variables(name)
    }
    assert environ
    settings = load(ROOT / "config.toml", environ)
    if "TAGECHO_ACCOUNTS__MAIN__PASSWORD_FILE" in environ:
        assert settings.accounts["main"].password is not None


def test_the_image_runs_as_nobody_special_and_checks_itself() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER tagecho$", text, re.M)
    assert re.search(r"^VOLUME /data$", text, re.M)
    assert "HEALTHCHECK" in text
    assert "curl" not in text
    ports = re.findall(r"^\s+ports: \[\"([^\"]+)\"\]", (ROOT / "compose.yaml").read_text(), re.M)
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_engine_gets_all_that_the_dockerfile_copies() -> None:
    ignored = (ROOT / ".dockerignore").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.M):
        for source in line.split()[:-1]:
            assert re.search(rf"^!{re.escape(source)}$", ignored, re.M), source
            assert (ROOT / source).exists(), source
