"""The two kinds of threads: one per account that talks to its network, one that renders."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import structlog

from bot.core.clock import utc_now
from bot.core.errors import AuthError, LoginRequired, StorageError, TagechoError
from bot.flow.curate import Curator
from bot.flow.fetch import Limits
from bot.flow.forget import gone_at_source
from bot.flow.gaps import Gaps
from bot.flow.gate import rendered_state
from bot.flow.ingest import NO_IMAGE_YET, Ingest
from bot.flow.listen import Listener
from bot.flow.policy import Policy, Track
from bot.flow.poll import Poller
from bot.flow.publisher import Publisher
from bot.flow.reconcile import Reconciler
from bot.flow.render import WAIT_FOR_IMAGE, NotRenderable, Renderer, claim
from bot.flow.reply_rule import Us, Watch
from bot.flow.retract import Retractor
from bot.flow.sending import Channel
from bot.platforms.base import Platform
from bot.platforms.pacing import Backoff
from bot.service.app import (
    App,
    account_of,
    descriptor_of,
    limits_of,
    our_names,
    policy_of,
    tracks_of,
)
from bot.service.collecting import Requested
from bot.service.observe import FAULTS, LATENCY, POLLS, POSTS, RENDER, TRIGGERS
from models.base import ImageRejected
from models.images.decoder import DecoderUnavailable
from storage import account_logins, outbox
from storage.tables import Reply, ReplyState

log = structlog.get_logger()
TICK = 0.5  # seconds between looks at the database when there is nothing to do
MAX_PAUSE = 60.0
MAX_STORAGE_PAUSE = 5.0  # a look at the disk costs nobody anything
# Between two logins that fail for a passing reason; the login bucket keeps the password rarer.
LOGIN_PAUSE = Backoff(first=20.0, longest=300.0)
RETRY_MEDIA_EVERY = 10.0
MAX_RENDERS = 3
RENDER_NICE = 10
STORAGE_PAUSE = timedelta(seconds=30)


class Worker(threading.Thread):
    """Works until it is told to stop, survives its own faults, and shows that it is alive."""

    def __init__(self, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = stop
        self.wake = threading.Event()
        self._pause = 1.0
        self.alive()

    def alive(self) -> None:
        """Give a sign of life. Long work calls this from time to time."""
        self.alive_at = time.monotonic()

    def run(self) -> None:
        structlog.contextvars.bind_contextvars(worker=self.name)
        try:
            while not self.stopping.is_set():
                self._turn()
        finally:
            self.clean_up()

    def work(self) -> bool:
        """Do one thing. False when there was nothing to do."""
        raise NotImplementedError  # pragma: no cover - abstract

    def clean_up(self) -> None:
        """Release what belongs to this thread."""

    def _turn(self) -> None:
        self.alive()
        try:
            busy = self.work()
            self._pause = 1.0
        except Exception as error:
            FAULTS.labels(self.name).inc()
            expected = isinstance(error, TagechoError)
            log.error("worker failed", error=str(error), exc_info=not expected)
            self.stopping.wait(self._pause)
            longest = MAX_STORAGE_PAUSE if isinstance(error, StorageError) else MAX_PAUSE
            self._pause = min(self._pause * 2, longest)
            return
        if not busy:
            self.wake.wait(TICK)
            self.wake.clear()


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


class RenderWorker(Worker):
    """Renders queued replies of all accounts, one at a time; the networks live in this thread."""

    def __init__(
        self,
        app: App,
        renderer: Renderer,
        rules: Rules,
        stop: threading.Event,
        *,
        rendered: Callable[[str], None],
        idle: Callable[[], Any],
    ) -> None:
        super().__init__("render", stop)
        self._app = app
        self._renderer = renderer
        self._rules = rules
        self._rendered = rendered
        self._idle = idle
        self._broken_off = False  # something may have been left in `rendering`

    def run(self) -> None:
        """Listening and publishing come first. What the networks start in this thread inherits."""
        with contextlib.suppress(OSError, AttributeError):  # no Linux
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), RENDER_NICE)
        super().run()

    def work(self) -> bool:
        if self._broken_off:
            self._requeue()
        self._broken_off = True  # unless we come to one of the ends below
        for account in self._rules.now.accounts:
            reply = claim(self._app.database, account, self._rules.now.policy, utc_now())
            if reply is not None:
                self._render(reply)
                self._broken_off = False
                return True
        self._broken_off = False
        self._idle()
        return False

    def _requeue(self) -> None:
        """Put replies in `rendering` back into the queue: only this thread renders, so nobody works
        on them.
        """
        with self._app.database.read() as session:
            left = outbox.listing(session, ReplyState.RENDERING)
        for reply in left:
            if reply.account in self._rules.now.accounts:
                self._move(reply, ReplyState.QUEUED, "rendering was broken off")

    def _render(self, reply: Reply) -> None:
        policy = self._rules.now.policy
        bound = log.bind(reply=reply.id, post=reply.source_post)
        try:
            columns = self._renderer.render(reply, policy)
        except (NotRenderable, ImageRejected) as error:
            bound.warning("cannot be rendered", reason=str(error))
            self._move(reply, ReplyState.FAILED, f"cannot be rendered: {error}")
        except StorageError as error:  # the disk's fault or the database's, and no attempt
            bound.error("render waits for its storage", error=str(error))
            self._move(reply, ReplyState.QUEUED, str(error), not_before=utc_now() + STORAGE_PAUSE)
        except DecoderUnavailable as error:  # no attempt either
            self._move(reply, ReplyState.QUEUED, str(error), not_before=utc_now() + STORAGE_PAUSE)
        except Exception as error:  # noqa: BLE001 - counted, retried, then given up visibly
            bound.exception("render broke")
            self._try_again(reply, error)
        else:
            if columns is None:
                later = utc_now() + WAIT_FOR_IMAGE
                self._move(reply, ReplyState.QUEUED, NO_IMAGE_YET, not_before=later)
                return
            facts = columns["facts"]
            state = rendered_state(policy, facts["doubt"])
            RENDER.observe(facts["seconds"])
            self._move(reply, state, facts["doubt"], **columns)
            bound.info("rendered", seconds=facts["seconds"], state=state)
            self._rendered(reply.account)

    def _try_again(self, reply: Reply, error: Exception) -> None:
        attempts, why = reply.attempts + 1, f"{type(error).__name__}: {error}"
        if attempts >= MAX_RENDERS:
            self._move(reply, ReplyState.FAILED, why, attempts=attempts)
            return
        later = utc_now() + timedelta(seconds=30 * attempts)
        self._move(reply, ReplyState.QUEUED, why, attempts=attempts, not_before=later)

    def _move(self, reply: Reply, new: ReplyState, why: str, **columns: Any) -> None:
        with self._app.database.write() as session:
            outbox.move(
                session,
                reply.id or 0,
                ReplyState.RENDERING,
                new,
                who="render",
                why=why,
                now=utc_now(),
                **columns,
            )


@dataclass(frozen=True, slots=True)
class Adopted:
    """What one version of the configuration says: its parts belong together."""

    policy: Policy
    tracks: Mapping[str, Track]
    limits: Limits
    curator: Curator | None  # None: images are not judged when they come
    accounts: tuple[str, ...]

    @property
    def polled(self) -> Mapping[str, Track]:
        """The tracks that are not paused."""
        return {key: track for key, track in self.tracks.items() if not track.paused}


class Rules:
    """What the configuration says now, shared by the threads; a reload is one assignment."""

    def __init__(self, app: App) -> None:
        self.ours: set[str] = set()
        self.adopt(app)

    def adopt(self, app: App) -> None:
        settings = app.settings
        self.now = Adopted(
            policy=policy_of(settings),
            tracks=tracks_of(settings),
            limits=limits_of(settings),
            curator=app.curator if settings.curation.at_ingest else None,
            accounts=tuple(settings.accounts),
        )

    @property
    def tracks(self) -> Mapping[str, Track]:
        return self.now.tracks

    @property
    def polled(self) -> Mapping[str, Track]:
        return self.now.polled
