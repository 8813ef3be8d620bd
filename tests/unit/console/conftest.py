"""The real console on a real socket, and people who ask it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bot import config
from bot.console.server import serving
from bot.service.app import App, opened

if TYPE_CHECKING:
    from tests.unit.console.window import Window

PASSWORD, VIEWING = "correct horse", "only looking"
CONFIG = """\
# Kept as it is.
[data]
dir = "data"

[accounts.main]
platform = "instagram"
username = "imagebot"

[[tracks]]
account = "main"
hashtag = "sunset"  # a comment
every = "15m"

[console]
listen = "127.0.0.1:0"
hosts = ["tagecho.example"]
"""


@dataclass
class Console:
    """A console that runs."""

    address: str
    path: Path
    app: App

    def program(self, token: str = "") -> httpx.Client:
        """A program: no cookies, no origin."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.address, headers=headers, trust_env=False, timeout=60)

    def browser(self) -> Browser:
        return Browser(self.address)


class Browser(httpx.Client):
    """What a browser says of itself, and the cookies that it keeps."""

    def __init__(self, address: str) -> None:
        headers = {
            "accept": "text/html",
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "navigate",
        }
        super().__init__(base_url=address, headers=headers, trust_env=False, timeout=60)

    def csrf(self) -> str:
        """The token in the page."""
        return self.get("/").text.partition('name="csrf" content="')[2].partition('"')[0]

    def log_in(self, password: str = PASSWORD, name: str = "eva") -> httpx.Response:
        return self.post("/login", data={"name": name, "password": password})

    def change(self, path: str, body: object, csrf: str | None = None) -> httpx.Response:
        """As a script of a page does."""
        token = self.csrf() if csrf is None else csrf
        return self.post(path, json=body, headers={"x-csrf-token": token, "accept": "*/*"})


Starts = Callable[..., Console]


@pytest.fixture
def start(tmp_path: Path, empty_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starts]:
    """Starts a console; `guarded`: with passwords."""
    with ExitStack() as stack:

        def begin(*, guarded: bool = False, text: str = CONFIG) -> Console:
            if guarded:
                monkeypatch.setenv("TAGECHO_CONSOLE__PASSWORD", PASSWORD)
                monkeypatch.setenv("TAGECHO_CONSOLE__VIEWER_PASSWORD", VIEWING)
            path = tmp_path / "config.toml"
            path.write_text(text)
            shutil.copytree(empty_data, tmp_path / "data", dirs_exist_ok=True)
            app = stack.enter_context(opened(config.load(path)))
            return Console(stack.enter_context(serving(path, app)), path, app)

        yield begin


@pytest.fixture
def console(start: Starts) -> Console:
    """Without a password, as on a person's own machine."""
    return start()


@pytest.fixture
def guarded(start: Starts) -> Console:
    """With a password for each role."""
    return start(guarded=True)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    from tests.unit.console.window import CHROMIUM

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def window(chromium: Any, console: Console) -> Iterator[Window]:
    from tests.unit.console.window import Window

    made = Window(chromium, console)
    yield made
    made.close()
