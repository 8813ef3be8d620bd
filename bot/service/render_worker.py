"""The thread that renders the replies of all accounts."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

from bot.core.clock import utc_now
from bot.core.errors import StorageError
from bot.flow.gate import rendered_state
from bot.flow.ingest import NO_IMAGE_YET
from bot.flow.render import WAIT_FOR_IMAGE, NotRenderable, Renderer, claim
from bot.service.app import App
from bot.service.observe import RENDER
from bot.service.rules import Rules
from bot.service.worker import Worker
from models.base import ImageRejected
from models.images.decoder import DecoderUnavailable
from storage import outbox
from storage.tables import Reply, ReplyState

log = structlog.get_logger()
MAX_RENDERS = 3
RENDER_NICE = 10
STORAGE_PAUSE = timedelta(seconds=30)


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
