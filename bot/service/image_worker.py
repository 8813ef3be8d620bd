"""The thread that fetches the images of one account's posts."""

from __future__ import annotations

import threading

from bot.flow.ingest import Ingest
from bot.service.account_worker import AccountWorker
from bot.service.app import App
from bot.service.rules import Rules
from bot.service.worker import TICK, Worker


class ImageWorker(Worker):
    """Fetches the images of the posts that one account found, so that no poll waits for them."""

    def __init__(
        self, app: App, account: AccountWorker, rules: Rules, stop: threading.Event
    ) -> None:
        super().__init__(f"images-{account.account}", stop)
        self._account = account
        self._rules = rules
        limits, curator = rules.now.limits, rules.now.curator
        self._ingest = Ingest(
            app.archive,
            limits,
            alive=self.alive,
            curator=curator,
        )

    def work(self) -> bool:
        platform, rules = self._account.platform, self._rules.now
        if platform is None:
            return False
        self._ingest.limits, self._ingest.curator = rules.limits, rules.curator
        lock = _fetching(platform.name)
        if not lock.acquire(timeout=TICK):  # not for long: a worker gives signs of life
            return False
        try:
            return self._ingest.fetch_untried(platform) > 0
        finally:
            lock.release()

    def clean_up(self) -> None:
        self._ingest.close()


_FETCHING: dict[str, threading.Lock] = {}


def _fetching(platform: str) -> threading.Lock:
    """Accounts of one network share its posts: one of them fetches at a time, else both would."""
    return _FETCHING.setdefault(platform, threading.Lock())
