"""`tagecho run` in a process of its own, against a loopback network in the test's process.

The process is forked (`tests/e2e/forked.py` says what that does not show) or, with `by_command`, a
real `python -m bot`.

Nothing here waits for a time: everything waits for something to be seen, in the network's journal,
in the service's log or in its database.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot import config
from bot.config import Settings
from bot.platforms.sandbox.server import Sandbox
from bot.platforms.sandbox.things import Picture, Post
from tests.e2e.forked import Forked
from tests.waiting import PATIENCE, eventually

OPT_IN = "tintme"

_CONFIG = """\
[data]
dir = "data"

[accounts.main]
platform = "instagram"
username = "{username}"
proxy = "{proxy}"
ca_file = "{ca_file}"
media_hosts = ["{media_host}"]
request_delay = [0, 0]
timeout = "{timeout}"
mentions_every = "off"

[[tracks]]
account = "main"
hashtag = "sunset"
every = "{every}"

[replies]
mode = "{mode}"
approval = {approval}
comment = "{comment}"
reconcile = ["1s", "1s"]
opt_in_hashtags = ["{opt_in}"]
per_day = 1000
per_author_per_day = 1000

[pacing]
read = "off"
media = "off"
login = "off"
upload = "off"
publish = "off"
comment = "off"
dm = "off"

[log]
level = "debug"

[health]
listen = "{listen}"
"""


Process = subprocess.Popen[bytes] | Forked


class Running:
    """One configuration, started and stopped as often as a test likes."""

    def __init__(
        self, folder: Path, configuration: str, secrets: dict[str, str], *, by_command: bool
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.by_command = folder, by_command
        self.path = folder / "config.toml"
        self.data = folder / "data"
        self.output = folder / "output.log"
        self._running: list[Process] = []
        self.path.write_text(configuration)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TAGECHO_")}
        self.environ = kept | secrets

    @property
    def settings(self) -> Settings:
        return config.load(self.path, self.environ)

    @property
    def process(self) -> Process:
        return self._running[-1]

    def start(self) -> None:
        """Returns when it says that it runs."""
        before = self.count("service started")
        self.spawn()
        eventually(
            "the service runs", lambda: self.count("service started") > before or self.dead()
        )
        assert self.process.poll() is None, self.output.read_text()[-2000:]

    def spawn(self, *arguments: str) -> Process:
        """`python -m bot run`, or another verb, without waiting for anything."""
        words = [*(arguments or ("run",)), "--config", str(self.path)]
        process = self._command(words) if self.by_command else self._fork(words)
        self._running.append(process)
        return process

    def _command(self, words: list[str]) -> Process:
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "bot", *words],
                env=self.environ,
                stdout=output,
                stderr=output,
            )

    def _fork(self, words: list[str]) -> Process:
        return Forked(words, self.environ, self.output)

    def run(self, *arguments: str) -> int:
        """A verb beside the service; its exit code. What it prints is in `output`, too."""
        process = self.spawn(*arguments)
        self._running.remove(process)
        try:
            return process.wait(PATIENCE)
        finally:
            process.kill()

    def dead(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()

    def lines(self) -> list[dict[str, Any]]:
        """The log, from all starts."""
        path = self.data / "logs" / "tagecho.jsonl"
        if not path.exists():
            return []
        texts = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(text) for text in texts if text.endswith("\n")]

    def count(self, event: str, **fields: Any) -> int:
        return len(self.logged(event, **fields))

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.lines()
            if line["event"] == event and fields.items() <= line.items()
        ]

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database; nothing while there is none."""
        path = self.data / "tagecho.db"
        if not path.exists():
            return []
        uri = f"file:{path}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
            try:
                return database.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def change(self, statement: str, *values: Any) -> None:
        with contextlib.closing(sqlite3.connect(self.data / "tagecho.db", timeout=30)) as database:
            database.execute(statement, values)
            database.commit()


class Service(Running):
    """On a loopback Instagram."""

    def __init__(
        self, box: Sandbox, folder: Path, *, by_command: bool = False, **options: Any
    ) -> None:
        self.box = box
        values = {
            "every": "1s", "mode": "post", "approval": "false", "comment": "", "listen": "",
            "timeout": "30s", "opt_in": OPT_IN, "media_host": box.media_host,
            "username": box.username, "proxy": box.proxy_url, "ca_file": box.ca_file,
        }  # fmt: skip
        secrets = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": box.password}
        if box.totp_secret:
            secrets["TAGECHO_ACCOUNTS__MAIN__TOTP_SECRET"] = box.totp_secret
        configuration = _CONFIG.format(**(values | options))
        super().__init__(folder, configuration, secrets, by_command=by_command)

    def state(self, post: Post) -> str:
        rows = self.query("SELECT state FROM replies WHERE source_post = ?", str(post.pk))
        return rows[0][0] if rows else ""

    def steps(self, post: Post) -> dict[str, str]:
        rows = self.query(
            "SELECT kind, s.state FROM reply_steps s JOIN replies r ON r.id = s.reply "
            "WHERE source_post = ? ORDER BY way, seq",
            str(post.pk),
        )
        return dict(rows)

    def until_state(self, post: Post, *states: str) -> None:
        eventually(f"the reply is {states}", lambda: self.state(post) in states or self._died(post))

    def _died(self, post: Post) -> bool:
        assert not self.dead(), f"the service ended while the reply was {self.state(post)!r}"
        return False

    # the network

    def asking(self, author: str = "ana", *, picture: Picture | None = None) -> Post:
        """A post with a real photo that asks for a reply."""
        self.person(author)
        pictures = [picture or self.box.gallery.pick(0)]
        return self.box.world.add_post(author, f"#sunset #{OPT_IN}", pictures=pictures)

    def person(self, name: str) -> None:
        with contextlib.suppress(ValueError):  # known already
            self.box.world.add_user(name)

    def published(self, post: Post) -> int:
        return self.box.journal.replies_by_source().get(post.code, 0)

    def polls(self, tag: str = "sunset") -> int:
        return len(self.box.journal.requests(f"/tags/{tag}/sections/"))


@contextlib.contextmanager
def service(
    box: Sandbox, folder: Path, *, by_command: bool = False, **options: Any
) -> Iterator[Service]:
    made = Service(box, folder, by_command=by_command, **options)
    try:
        yield made
    finally:
        made.close()
