"""The first evening of the README, word by word: every command, in its order and its terminal."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
LASTING = {"sandbox", "run"}  # what stays in its terminal until Ctrl-C
DONE = {"make", "."}  # the installation: what runs this test


def commands(title: str) -> Iterator[list[str]]:
    """The commands of a section, as words; `&&` divides two."""
    section = README.partition(f"## {title}\n")[2].partition("\n## ")[0]
    for block in re.findall(r"```sh\n(.*?)```", section, re.S):
        for line in block.splitlines():
            for part in " ".join(shlex.quote(w) for w in shlex.split(line, comments=True)).split(
                " '&&' "
            ):
                yield shlex.split(part)


class Evening:
    """A person with a folder and some terminals."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
        self.environ["PYTHONPATH"] = str(ROOT)
        self.lasting: list[subprocess.Popen[bytes]] = []
        self.waiting = ""  # the number of a reply that waits

    def type(self, words: list[str]) -> None:
        match words:
            case [word, *_] if word in DONE:
                return
            case ["mkdir", name]:
                assert not (ROOT / name).exists()  # it is typed in the folder of the repository
                (self.folder / name).mkdir()
            case ["cd", name]:
                self.folder /= name
            case ["export", what]:
                name, _, value = what.partition("=")
                self.environ[name] = value
            case ["unset", name]:
                del self.environ[name]
            case ["tagecho", verb, *_] if verb in LASTING:
                self.start(words)
            case ["tagecho", *_]:
                self.tagecho(words[1:])
            case _:
                self.run(words, self.password())

    def start(self, words: list[str]) -> None:
        """Until it says that it is ready."""
        log = self.folder / f"{words[1]}-{len(self.lasting)}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "bot", *words[1:]]
            place = {"cwd": self.folder, "env": self.environ}
            process = subprocess.Popen(command, stdout=output, stderr=output, **place)  # type: ignore[call-overload]
        self.lasting.append(process)
        ready = {"sandbox": "other terminals", "run": "service started"}[words[1]]
        eventually(
            words[1], lambda: self.ended(process, log) or ready in log.read_text(encoding="utf-8")
        )

    def ended(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        return False

    def tagecho(self, words: list[str]) -> str:
        if words[:2] == ["replies", "list"]:
            eventually("a reply waits", lambda: bool(self.numbers(words)))
            self.waiting = self.numbers(words)[-1]
        elif words[:2] in (["replies", "approve"], ["replies", "show"]):
            words = [*words[:2], self.waiting]
        told = self.run([sys.executable, "-m", "bot", *words])
        if words[:2] == ["replies", "show"]:
            eventually(
                "it is sent", lambda: re.search("^state: +sent", self.run(show(words)), re.M)
            )
        return told

    def numbers(self, words: list[str]) -> list[str]:
        listed = self.run([sys.executable, "-m", "bot", *words])
        return re.findall(r"^ *(\d+) ", listed, re.M)

    def run(self, command: list[str], given: str = "") -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environ,
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def password(self) -> str:
        """That of the account, which here is the loopback network's."""
        return (self.folder / "sandbox/secrets/main.password").read_text(encoding="utf-8")

    def lead_here(self) -> None:
        """What is the real network in the README is the loopback network in this test, where the
        service that ran on it is ended first, as the README says."""
        self.lasting[-1].terminate()
        assert self.lasting[-1].wait(PATIENCE) == 0
        document = tomllib.loads((self.folder / "sandbox/config.toml").read_text(encoding="utf-8"))
        main = document["accounts"]["main"]
        for key in ("proxy", "ca_file"):
            self.environ[f"TAGECHO_ACCOUNTS__MAIN__{key.upper()}"] = main[key]
        self.environ["TAGECHO_ACCOUNTS__MAIN__MEDIA_HOSTS"] = ",".join(main["media_hosts"])
        self.environ["TAGECHO_HEALTH__LISTEN"] = "127.0.0.1:0"

    def end(self) -> list[int]:
        """The exit codes of what was still running, the network's last."""
        for process in reversed(self.lasting):
            process.terminate()
            process.wait(PATIENCE)
        return [process.returncode for process in reversed(self.lasting)]


def show(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "bot", *words]


def test_the_first_evening_word_by_word(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    typed = list(commands("The first evening"))
    assert ["tagecho", "sandbox"] in typed
    assert typed[-1] == ["tagecho", "run"]
    try:
        for words in typed:
            if words[0] == "install":
                evening.lead_here()
            evening.type(words)
    finally:
        codes = evening.end()
    assert codes == [0, 0, 0]
    assert "a reply to post" in (evening.folder / "sandbox-0.log").read_text(encoding="utf-8")
    assert (evening.folder / "replies.html").stat().st_size > 1000
    assert (evening.folder / "data" / "sessions").is_dir()
