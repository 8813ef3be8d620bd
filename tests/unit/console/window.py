"""A page in the Chromium of the system, and what axe says of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.unit.console.conftest import Console
from tests.waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
# Where screenshots are kept; by default with the other files of the test.
SHOTS = os.environ.get("TAGECHO_TEST_SCREENSHOTS", "")
MISSING = [
    name
    for name in ("playwright", "axe_playwright_python")
    if importlib.util.find_spec(name) is None
]
needs_chromium = pytest.mark.skipif(
    not CHROMIUM or bool(MISSING),
    reason=f"not installed: {', '.join(MISSING) or 'chromium (apt-get install chromium)'}",
)


class Window:
    """A page that is open, and what it complained of and asked other hosts for."""

    def __init__(
        self, chromium: Any, console: Console, size: str = "desktop", scheme: str = "light"
    ):
        width, height = SIZES[size]
        phone = size == "phone"
        self._context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            has_touch=phone,
            is_mobile=phone,
            base_url=console.address,
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)  # for what hangs
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.width = width
        host = urlsplit(console.address).netloc
        self.page.on("console", lambda said: said.type == "error" and self._complain(said.text))
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("dialog", lambda dialog: (self._complain("a dialog"), dialog.dismiss()))
        self.page.on(
            "request",
            lambda asked: _is_of_another(asked.url, host) and self.foreign.append(asked.url),
        )

    def _complain(self, text: str) -> None:
        self.complaints.append(text)

    def go(self, path: str) -> None:
        self.page.goto(path)

    def shows(self, selector: str) -> None:
        """Wait until it is to be seen, and until the page's scripts hear keys: they run later."""
        self.page.wait_for_selector(selector)
        self.page.wait_for_load_state()

    def close(self) -> None:
        self._context.close()
        assert not self.complaints and not self.foreign


def _is_of_another(url: str, host: str) -> bool:
    """`blob:` is what the page itself made."""
    return not url.startswith("blob:") and urlsplit(url).netloc != host


def serious(window: Window) -> list[Any]:
    """What axe finds serious or critical: rule and places."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in Axe().run(window.page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
