"""The thread that talks to the network of one account."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.core.clock import utc_now
from bot.core.errors import AuthError, LoginRequired, StorageError, TagechoError
from bot.flow.forget import gone_at_source
from bot.flow.gaps import Gaps
from bot.flow.ingest import Ingest
from bot.flow.listen import Listener
from bot.flow.policy import Track
from bot.flow.poll import Poller
from bot.flow.publisher import Publisher
from bot.flow.reconcile import Reconciler
from bot.flow.reply_rule import Us, Watch
from bot.flow.retract import Retractor
from bot.flow.sending import Channel
from bot.platforms.base import Platform
from bot.platforms.pacing import Backoff
from bot.service.app import App, account_of, descriptor_of, our_names
from bot.service.collecting import Requested
from bot.service.observe import LATENCY, POLLS, POSTS, TRIGGERS
from bot.service.rules import Adopted, Rules
from bot.service.worker import Worker
from storage import account_logins

log = structlog.get_logger()
# Between two logins that fail for a passing reason; the login bucket keeps the password rarer.
LOGIN_PAUSE = Backoff(first=20.0, longest=300.0)
RETRY_MEDIA_EVERY = 10.0


class AccountWorker(Worker):
    """What one account does on its network: settle doubts, send, take back, poll, fetch."""

    def __init__(self, app: App, account: str, rules: Rules, stop: threading.Event) -> None:
        super().__init__(f"account-{account}", stop)
        self._app = app
        self.account = account
        self._rules = rules
        self._due: dict[str, None] = {}  # track keys in order, each once
        self._lock = threading.Lock()
        self._platform: Platform | None = None
        self._us: Us | None = None
        self._next_login, self._failed_logins = 0.0, 0
        self._rng = random.Random()  # noqa: S311 - jitter, not a secret
        self._next_retry = time.monotonic() + RETRY_MEDIA_EVERY
        self._ingest = Ingest(
            app.archive,
            rules.now.limits,
            alive=self.alive,
            curator=rules.now.curator,
            gone=self._source_gone,
            later=True,
        )
        self._deletion = descriptor_of(account_of(app.settings, account)).deletion
        self._files = (app.originals, app.artifacts, app.runs)
        self._poller = Poller(app.database, self._ingest, files=self._files)
        self._listener = Listener(app.database, self._ingest)
        self._gaps = Gaps(app.database, self._ingest)
        self._requested = Requested(app, account, self._ingest)
        self._finding = False  # a read may wait, and nothing else is half done
        self._broke: Exception | None = None  # what was done meanwhile

    @property
    def ready(self) -> bool:
        return self._us is not None

    @property
    def platform(self) -> Platform | None:
        """For downloads, which any thread may make; None while nobody is logged in."""
        return self._platform if self.ready else None

    def due(self, track: str) -> bool:
        """Ask for a poll of this track; asking again before it is done is one poll, and False."""
        with self._lock:
            new = track not in self._due
            self._due.setdefault(track)
        self.wake.set()
        return new

    def work(self) -> bool:
        rules = self._rules.now
        self._ingest.limits, self._ingest.curator = rules.limits, rules.curator
        if self._us is None and not self._log_in():
            return False
        platform, us = self._platform, self._us
        if platform is None or us is None:
            return False
        try:
            return self._act(platform, us, rules)
        except LoginRequired as error:
            log.warning("the session ended", account=self.account, error=str(error))
            self._us = None  # one login is worth a try; `_log_in` keeps attempts apart
            with self._app.database.write() as session:
                account_logins.begin(session, self.account, utc_now())
            return False

    def _act(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        """What is most urgent, once."""
        busy = (
            Reconciler(self._app.database, platform, files=self._files).next(rules.policy)
            or self._publish(platform, us, rules)
            or Retractor(self._app.database, platform, meaning=self._deletion).next()
            or self._find(platform, us, rules)
        )
        broke, self._broke = self._broke, None
        if broke is not None:
            raise broke
        return busy

    def clean_up(self) -> None:
        self._ingest.close()
        if self._platform is not None:
            self._platform.close()

    def _log_in(self) -> bool:
        if time.monotonic() < self._next_login:
            return False
        if self._platform is None:
            self._platform = self._app.platform(self.account, self._publish_meanwhile)
        try:
            me = self._platform.login()
        except TagechoError as error:
            self._login_failed(error)
            return False
        self._failed_logins = 0
        self._next_login = time.monotonic() + LOGIN_PAUSE.first
        self._rules.ours.add(me.user_id)
        self._us = Us(me, names=our_names(self._app.settings, me.platform))
        with self._app.database.write() as session:
            account_logins.succeed(session, self.account, utc_now())
        log.info("session opened", account=self.account, username=me.username)
        return True

    def _login_failed(self, error: TagechoError) -> None:
        """Try again for ever, at growing intervals.

        An account that waits for a person makes no request before `tagecho resume`.
        """
        waits = isinstance(error, AuthError) and not isinstance(error, LoginRequired)
        self._failed_logins = 1 if waits else self._failed_logins + 1
        pause = LOGIN_PAUSE(self._failed_logins, None, self._rng)
        self._next_login = time.monotonic() + pause
        kind, now = type(error).__name__, utc_now()
        with self._app.database.write() as session:
            later = now + timedelta(seconds=pause)
            account_logins.fail(session, self.account, error, now, later)
        log.error(
            "login failed",
            account=self.account,
            kind=kind,
            error=str(error),
            next_in_seconds=round(pause),
        )

    def _publish(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        app, ours = self._app, replace(us, ours=frozenset(self._rules.ours))
        channel = Channel(app.database, app.artifacts, app.optouts, platform)
        publisher = Publisher(
            channel, ours, lambda: self._rules.now.policy, sent=LATENCY.observe, files=self._files
        )
        return publisher.next(rules.tracks)

    def _find(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        """Read one page of the stream and do one other thing: an endless stream must not block the
        rest.
        """
        self._finding = True
        try:
            streamed = self._listen(platform, us, rules)
            found = (
                self._poll_one(platform, us, rules)
                or self._retry_media(platform)
                or self._collect(platform, us, rules)
                or self._close_gap(platform, us, rules)
            )
        finally:
            self._finding = False
        return streamed or found

    def _publish_meanwhile(self) -> None:
        """Send what may be sent while a read waits for its limit or its next attempt: it waits on
        this thread, and no reply should wait with it.

        Only a read that finds something waits so: those of a reply that is being sent or settled
        belong to it.
        """
        platform, us, ours = self._platform, self._us, self.ident == threading.get_ident()
        if platform is None or us is None or not (ours and self._finding) or self._broke:
            return
        self.alive()
        self._finding = False
        try:
            self._publish(platform, us, self._rules.now)
        except Exception as error:  # noqa: BLE001 - no fault of the read: `_act` raises it
            self._broke = error
        finally:
            self._finding = True

    def _listen(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        ours = replace(us, ours=frozenset(self._rules.ours))
        tracks = [one for one in rules.polled.values() if one.account == self.account]
        watches = [Watch(one, rules.policy, ours) for one in tracks]
        found = self._listener.next(platform, watches)
        if self._listener.wants_polls():
            for one in tracks:
                self.due(one.key)
        return found

    def _poll_one(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        """Run the poll that was asked for first. It stays in the list while it runs, and if it
        could not run.
        """
        with self._lock:
            key = next(iter(self._due), None)
        if key is None:
            return False
        track = rules.polled.get(key)
        again = False
        try:
            if track is not None:  # else it was removed or paused meanwhile
                self._poll(platform, track, us, rules)
        except (LoginRequired, StorageError):
            again = True
            raise
        finally:
            with self._lock:
                del self._due[key]
                if again:
                    self._due[key] = None  # at the end, so that the others get their turn
        return True

    def _poll(self, platform: Platform, track: Track, us: Us, rules: Adopted) -> None:
        ours = replace(us, ours=frozenset(self._rules.ours))
        try:
            polled = self._poller.poll(platform, Watch(track, rules.policy, ours))
        except TagechoError as error:
            POLLS.labels(track.key, type(error).__name__).inc()
            if isinstance(error, LoginRequired | StorageError):
                raise
        else:
            POLLS.labels(track.key, "gap" if polled.gap else "ok").inc()
            POSTS.labels(track.key).inc(polled.taken.new)
            TRIGGERS.labels(track.key).inc(polled.taken.triggers)

    def _source_gone(self, row_id: int, why: str) -> None:
        treat = self._rules.now.policy.deleted_posts
        gone_at_source(self._app.database, self._files, row_id, treat, utc_now(), why)

    def _close_gap(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        """Read one page of missed posts. It comes last, so that everything that is due is done
        before.
        """
        ours = replace(us, ours=frozenset(self._rules.ours))
        tracks = (t for t in rules.polled.values() if t.account == self.account)
        watches = {track.key: Watch(track, rules.policy, ours) for track in tracks}
        return self._gaps.next(platform, watches)

    def _collect(self, platform: Platform, us: Us, rules: Adopted) -> bool:
        """What a person asked for, some posts at a time."""
        return self._requested.next(
            platform, rules.policy, replace(us, ours=frozenset(self._rules.ours))
        )

    def _retry_media(self, platform: Platform) -> bool:
        """Fetch the missing images of one post; then everything else that is due has its turn."""
        if time.monotonic() < self._next_retry:
            return False
        tried = self._ingest.retry_pending(platform) > 0
        if not tried:
            self._next_retry = time.monotonic() + RETRY_MEDIA_EVERY
        return tried
