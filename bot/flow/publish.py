"""The one gate through which anything leaves, and the sending behind it.

Only this module calls `Platform.send`. Dry run, approval, caps, opt-out, quiet hours and the kill
switch are asked here and nowhere else.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlmodel import Session

from bot.core.clock import Clock, utc_now
from bot.core.errors import (
    ActionBlocked,
    AuthError,
    LoginRequired,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TargetGone,
    Unavailable,
)
from bot.core.events import Author, Mode, Step, StepKind
from bot.flow.forget import Files, drop, source_deleted
from bot.flow.policy import Policy, Track
from bot.flow.trigger import Us, still_wanted
from bot.platforms.base import Platform
from storage import dataset, outbox, steps
from storage.blobs import BlobStore
from storage.database import Database
from storage.optouts import OptOuts
from storage.tables import AuthorRow, Control, Reply, ReplyState, ReplyStep, StepState

log = structlog.get_logger()
S = ReplyState
PAUSE = "pause"  # control key of the kill switch; "pause:ACCOUNT" stops one account
MAX_UPLOADS = 3
AUTH_HOLD = timedelta(hours=1)
RETRY_HOLD = timedelta(minutes=1)
UPLOAD_HOLD = timedelta(seconds=5)
FAULT_HOLD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Go:
    pass


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Not by itself any more."""

    state: ReplyState
    reason: str


Verdict = Go | Hold | Stop


def rendered_state(policy: Policy) -> ReplyState:
    """Where a reply goes once its image is there."""
    if policy.dry_run:
        return S.DRY_RUN
    return S.AWAITING_APPROVAL if policy.approval else S.APPROVED


def paused(session: Session, account: str) -> bool:
    keys = (PAUSE, f"{PAUSE}:{account}")
    return any((row := session.get(Control, key)) is not None and row.value == "on" for key in keys)


def gate(session: Session, reply: Reply, policy: Policy, now: datetime) -> Verdict:
    """Everything that can be asked without the network. What is half out passes its own caps."""
    if paused(session, reply.account):
        return Hold(now + RETRY_HOLD, "paused by the operator")
    if not policy.enabled:
        return Hold(now + RETRY_HOLD, "replies are switched off")
    half_out = reply.sending_at is not None and steps.visible(session, _id(reply))
    if policy.dry_run:
        reason = "dry run"
        return Hold(now + RETRY_HOLD, reason) if half_out else Stop(S.DRY_RUN, reason)
    if half_out:
        return Go()
    if policy.approval and not reply.approved_by:
        return Stop(S.AWAITING_APPROVAL, "approval was switched on")
    if reply.expires_at <= now:
        return Stop(S.EXPIRED, "waited too long")
    if (until := policy.quiet_until(now)) is not None:
        return Hold(until, "quiet hours")
    start, end = policy.day(now)
    if outbox.sent_since(session, reply.account, start) >= policy.per_day:
        return Hold(end, f"the cap of {policy.per_day} a day is reached")
    if (
        outbox.sent_since(session, reply.account, start, reply.author_id)
        >= policy.per_author_per_day
    ):
        return Hold(end, f"the cap of {policy.per_author_per_day} a day for this author is reached")
    return Go()


class Publisher:
    """Sends the replies of one account, one at a time. Belongs to the account's thread.

    `sent` is told the seconds from the trigger to the published reply; `files` is where the images
    of a post are that is removed because its source is gone.
    """

    def __init__(
        self,
        database: Database,
        artifacts: BlobStore,
        optouts: OptOuts,
        platform: Platform,
        us: Us,
        clock: Clock = utc_now,
        sent: Callable[[float], object] = bool,
        files: Sequence[Files] = (),
    ) -> None:
        self.database = database
        self._files = files
        self.artifacts = artifacts
        self._optouts = optouts
        self.platform = platform
        self._us = us
        self.clock = clock
        self.sent = sent

    def next(self, policy: Policy, tracks: Mapping[str, Track]) -> bool:
        """Handle the oldest approved reply whose time has come. False when there is none.

        Raises LoginRequired, with the reply held for a while, when the session ended.
        """
        now = self.clock()
        with self.database.write() as session:
            for stuck in outbox.due(session, S.SENDING, now, self.platform.account):
                outbox.interrupted(session, stuck, now)  # only this thread sends, and it is here
            rows = outbox.due(session, S.APPROVED, now, self.platform.account)
            if not rows:
                return False
            reply = rows[0]
            verdict = gate(session, reply, policy, now)
            if isinstance(verdict, Hold):
                outbox.hold(session, _id(reply), verdict.until, verdict.reason, now)
                log.info("held", reply=reply.id, until=verdict.until, reason=verdict.reason)
                return True
            if isinstance(verdict, Stop):
                self.move(session, reply, S.APPROVED, verdict.state, verdict.reason)
                return True
            begun = steps.visible(session, _id(reply))
            known = known_author(session, reply)
            if begun and self.opted_out(session, known, reply.source_post):
                self.move(session, reply, S.APPROVED, S.CANCELLED, "opted out: the rest stays")
                return True
        try:
            # Of what is half out, neither a deleted source nor a change of mind undoes the rest.
            track = tracks.get(reply.track)
            author = known if begun else self._wanted_author(reply, policy, track)
            if author is not None:
                _Sending(self, reply, author, policy).run()
        except LoginRequired:
            raise
        except Exception as error:
            # One broken row must not keep the account from everything else.
            with self.database.write() as session:
                why = f"{type(error).__name__}: {error}"
                outbox.hold(session, _id(reply), now + FAULT_HOLD, why, now)
            raise
        return True

    def opted_out(self, session: Session, author: Author, post_id: str) -> bool:
        """Of the author, or of the source alone. Without an id, the row was stripped for that."""
        person = author.user_id
        posts = {post_id: person}
        return not person or bool(self._optouts.unwelcome(session, author.platform, posts))

    def _wanted_author(self, reply: Reply, policy: Policy, track: Track | None) -> Author | None:
        """Who gets the reply, by a fresh look at the source. None when it was held or cancelled."""
        try:
            post = self.platform.post(reply.source_post)
            # Listings say little of people: whether they are private, or a bot, says their profile.
            post = replace(post, author=self.platform.author(post.author.user_id))
        except Refused as error:
            self._source_gone(reply, error, policy)
            return None
        except (Unavailable, RateLimited, AuthError) as error:
            now = self.clock()
            with self.database.write() as session:
                outbox.hold(session, _id(reply), now + pause_after(error), str(error), now)
            if isinstance(error, LoginRequired):
                raise
            return None
        with self.database.write() as session:
            out = self.opted_out(session, post.author, reply.source_post)
            if reply.post is not None and not out:
                dataset.see(session, reply.post, post, self.clock())
            why = still_wanted(post, reply.trigger, track, policy, self._us, opted_out=out)
            if why is not None:
                self.move(session, reply, S.APPROVED, S.CANCELLED, why)
        return post.author if why is None else None

    def _source_gone(self, reply: Reply, error: Refused, policy: Policy) -> None:
        gone = isinstance(error, TargetGone)
        dead: list[str] = []
        with self.database.write() as session:
            why = "the source was deleted" if gone else f"the source is closed to us: {error}"
            self.move(session, reply, S.APPROVED, S.CANCELLED, why)
            if gone and reply.post is not None:
                treat, now = policy.deleted_posts, self.clock()
                dead = source_deleted(session, reply.post, treat, now, str(error))
        drop(self._files, dead)

    def move(
        self,
        session: Session,
        reply: Reply,
        old: ReplyState,
        new: ReplyState,
        why: str,
        **values: object,
    ) -> bool:
        moved = outbox.move(
            session, _id(reply), old, new, who="publish", why=why, now=self.clock(), **values
        )
        if moved:
            log.info("reply", reply=reply.id, post=reply.source_post, state=new, reason=why)
        return moved


class _Sending:
    """One reply on its way out: way by way, write by write, until sent, refused or in doubt."""

    def __init__(self, publisher: Publisher, reply: Reply, author: Author, policy: Policy) -> None:
        self._p = publisher
        self._reply = reply
        self._id = _id(reply)
        self._author = author
        self._policy = policy

    def run(self) -> None:
        with self._p.database.write() as session:
            rows = steps.of_reply(session, self._id)
            # What counts for the caps is the day on which something of it was first to be seen.
            now = self._p.clock()
            sending_at = self._reply.sending_at if steps.shown(rows) else now
            if not self._move(session, S.APPROVED, S.SENDING, "", sending_at=sending_at):
                return  # rejected or cancelled a moment ago
        ways, refusal = self._ways(rows), ""
        for number in range(max((row.way for row in rows), default=0), len(ways)):
            outcome = self._send_way(number, ways[number])
            if outcome is None:
                return
            refusal = outcome
            log.warning("refused", reply=self._id, mode=ways[number], reason=refusal)
            with self._p.database.read() as session:
                if steps.visible(session, self._id):
                    break  # the person has a part of it: another way would be a second reply
        with self._p.database.write() as session:
            self._move(session, S.SENDING, S.FAILED, f"refused: {refusal}")

    def _ways(self, rows: list[ReplyStep]) -> list[Mode]:
        """Those already tried, then the configured ones it was rendered for: the configuration may
        have changed since."""
        after: dict[str, str] = self._reply.facts["after"]
        begun = {row.way: Mode(row.mode) for row in rows}
        wanted = [m for m in self._policy.modes() if m.value in after] or [Mode(m) for m in after]
        return list(dict.fromkeys([*begun.values(), *wanted]))

    def _send_way(self, way: int, mode: Mode) -> str | None:
        """All writes of one way. The refusal, when the next way may start; else None."""
        with self._p.database.write() as session:
            rows = steps.plan(session, self._id, way, mode, self._plan(mode))
        note = ""
        outputs: dict[str, str] = {}
        for planned in rows:
            row = planned
            if row.state == StepState.PLANNED:
                outcome = self._send_step(row, mode, outputs)
                if outcome is None:
                    return None  # held or in doubt: the rows say which
                row = outcome
            if row.state == StepState.REFUSED and row.kind != StepKind.COMMENT:
                return row.error
            if row.state == StepState.REFUSED:
                note = f"comment not sent: {row.error}"
            outputs |= row.outputs
        self._sent(mode, note)
        return None

    def _plan(self, mode: Mode) -> list[steps.PlannedStep]:
        kinds = self._p.platform.plan(mode, comment=bool(self._policy.comment))
        return [steps.PlannedStep(kind, secrets.token_hex(16), self._text(kind)) for kind in kinds]

    def _text(self, kind: StepKind) -> str:
        """Comment or caption from the operator's template. The source link is always in a caption:
        a post of unknown outcome is found again by it."""
        url = self._reply.source_url
        fields = {
            "author": self._author.username,
            "url": url,
            "style": self._reply.facts["compose"]["style"],
        }
        if kind is StepKind.COMMENT:
            return _fill(self._policy.comment, fields)
        text = _fill(self._policy.caption, fields)
        return text if url in text else f"{text}\n{url}".strip()

    def _send_step(self, row: ReplyStep, mode: Mode, outputs: dict[str, str]) -> ReplyStep | None:
        """One write. The row as it is now, or None when the reply is no longer `sending`."""
        step_id = steps.step_id(row)
        with self._p.database.write() as session:
            if paused(session, self._reply.account):
                later = self._p.clock() + RETRY_HOLD
                self._move(session, S.SENDING, S.APPROVED, "paused", not_before=later)
                return None
            if self._p.opted_out(session, self._author, self._reply.source_post):
                self._move(session, S.SENDING, S.APPROVED, "opted out")  # the gate cancels it
                return None
            if not steps.begin(session, step_id, self._p.clock()):
                return None  # somebody else has it
        bound = log.bind(reply=self._id, step=step_id, kind=row.kind, post=self._reply.source_post)
        try:
            receipt = self._p.platform.send(self._step(row, mode, outputs))
        except (Refused, ActionBlocked) as error:
            if self._was_in_doubt(step_id):
                self._in_doubt(row, f"refused when sent again, so it may be there: {error}")
                return None
            if isinstance(error, Refused):
                return self._refused(row, error)
            return self._blocked(row, error)
        except (RateLimited, AuthError) as error:
            return self._not_applied(row, error)
        except OutcomeUnknown as error:
            bound.warning("outcome unknown", error=str(error))
            self._in_doubt(row, str(error))
            return None
        except Exception as error:  # noqa: BLE001
            # A fault of ours after the request may have left: the only safe reading is "unknown".
            bound.exception("send broke")
            self._in_doubt(row, f"{type(error).__name__}: {error}")
            return None
        with self._p.database.write() as session:
            steps.finish(session, step_id, receipt, self._p.clock())
            bound.info("step sent", remote=receipt.remote_id)
            return session.get_one(ReplyStep, step_id)

    def _was_in_doubt(self, step_id: int) -> bool:
        """Sent before, with an unknown outcome: "already used" is then no proof of absence."""
        with self._p.database.read() as session:
            row = session.get_one(ReplyStep, step_id)
        return row.kind not in steps.UPLOADS and row.sends > 1

    def _step(self, row: ReplyStep, mode: Mode, outputs: dict[str, str]) -> Step:
        step = as_step(self._reply, self._author, row, outputs)
        if step.kind not in steps.UPLOADS:
            return step
        width, height = self._reply.facts["compose"]["sizes"][mode.value]
        image = self._p.artifacts.get(self._reply.facts["after"][mode.value])
        return replace(step, image=image, size=(width, height))

    def _refused(self, row: ReplyStep, error: Exception) -> ReplyStep:
        with self._p.database.write() as session:
            steps.refuse(session, steps.step_id(row), str(error), self._p.clock())
            return session.get_one(ReplyStep, steps.step_id(row))

    def _blocked(self, row: ReplyStep, error: ActionBlocked) -> ReplyStep | None:
        """The platform froze this kind of action: this write is never tried again, in no other way
        either; the breaker keeps the next replies back."""
        refused = self._refused(row, error)
        if row.kind == StepKind.COMMENT:
            return refused
        with self._p.database.write() as session:
            self._move(session, S.SENDING, S.FAILED, f"blocked by the platform: {error}")
        return None

    def _not_applied(self, row: ReplyStep, error: RateLimited | AuthError) -> ReplyStep | None:
        """Nothing was applied, and not for a reason in this reply: it waits for better times.
        A comment does not: the image is out, and a late comment would only puzzle."""
        if row.kind == StepKind.COMMENT:
            return self._refused(row, error)
        with self._p.database.write() as session:
            steps.unsend(session, steps.step_id(row), str(error))
            until = self._p.clock() + pause_after(error)
            self._move(session, S.SENDING, S.APPROVED, str(error), not_before=until)
        if isinstance(error, LoginRequired):
            raise error
        return None

    def _in_doubt(self, row: ReplyStep, why: str) -> None:
        step_id, now = steps.step_id(row), self._p.clock()
        with self._p.database.write() as session:
            sends = session.get_one(ReplyStep, step_id).sends
            if row.kind not in steps.UPLOADS:
                steps.doubt(session, step_id, why, now + self._policy.reads[0])
                self._move(session, S.SENDING, S.UNKNOWN, why)
            elif sends < MAX_UPLOADS:
                steps.replan(session, step_id, why)
                self._move(session, S.SENDING, S.APPROVED, why, not_before=now + UPLOAD_HOLD)
            else:
                steps.refuse(session, step_id, why, now)
                self._move(session, S.SENDING, S.FAILED, f"upload keeps failing: {why}")

    def _sent(self, mode: Mode, note: str) -> None:
        with self._p.database.write() as session:
            done = [s for s in steps.of_reply(session, self._id) if s.state == StepState.DONE]
            url = next((s.outputs["url"] for s in done if s.outputs.get("url")), "")
            now = self._p.clock()
            self._move(session, S.SENDING, S.SENT, note, sent_at=now, mode=mode.value, url=url)
        self._p.sent((now - self._reply.created).total_seconds())

    def _move(
        self, session: Session, old: ReplyState, new: ReplyState, why: str, **values: object
    ) -> bool:
        return self._p.move(session, self._reply, old, new, why, **values)


def as_step(reply: Reply, author: Author, row: ReplyStep, outputs: dict[str, str]) -> Step:
    """The write that a row stands for, without its image."""
    return Step(
        kind=StepKind(row.kind),
        token=row.token,
        source_post_id=reply.source_post,
        source_url=reply.source_url,
        author=author,
        text=row.text,
        alt_text=reply.facts.get("alt_text", ""),
        inputs=outputs,
        started_at=row.started_at,
    )


def known_author(session: Session, reply: Reply) -> Author:
    """The author of the source as stored; only the id is sure when the row is gone."""
    row = session.get(AuthorRow, (reply.platform, reply.author_id))
    return Author(reply.platform, reply.author_id, row.username if row else "")


def _fill(template: str, fields: dict[str, str]) -> str:
    """Replace {author}, {url} and {style}; other braces stay, so no template can break a reply."""
    for name, value in fields.items():
        template = template.replace("{" + name + "}", value)
    return template


def pause_after(error: Exception) -> timedelta:
    if isinstance(error, RateLimited) and error.retry_after:
        return timedelta(seconds=error.retry_after)
    if isinstance(error, LoginRequired):
        return RETRY_HOLD  # one login is worth a try, and what follows it says more
    return AUTH_HOLD if isinstance(error, AuthError) else RETRY_HOLD


def _id(reply: Reply) -> int:
    if reply.id is None:
        raise ValueError("reply has no id yet: flush first")
    return reply.id
