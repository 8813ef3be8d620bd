"""The next reply of an account: through the gate, then way by way until it is sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.core.errors import AuthError, LoginRequired, RateLimited, Refused, TargetGone, Unavailable
from bot.core.events import Author
from bot.flow.forget import Files, drop, source_deleted
from bot.flow.gate import Hold, Stop, ask
from bot.flow.policy import Policy, Track
from bot.flow.reply_rule import Us, still_wanted
from bot.flow.sending import Channel, Sending, known_author, pause_after, reply_id
from bot.platforms.reply_modes import StepKind, Ways
from storage import dataset, outbox, steps
from storage.tables import Reply, ReplyState, ReplyStep, StepState

log = structlog.get_logger()
S = ReplyState
FAULT_HOLD = timedelta(minutes=10)


class Publisher:
    """Sends the replies of one account, one at a time. Belongs to the account's thread.

    `in_force` gives the operator's rules as they are now, which is asked before every write;
    `sent` is told the seconds from the trigger to the published reply; `files` is where the images
    of a post are that is removed because its source is gone.
    """

    def __init__(
        self,
        channel: Channel,
        us: Us,
        in_force: Callable[[], Policy],
        sent: Callable[[float], object] = bool,
        files: Sequence[Files] = (),
    ) -> None:
        self._channel = channel
        self._us = us
        self._in_force = in_force
        self._sent = sent
        self._files = files

    def next(self, tracks: Mapping[str, Track]) -> bool:
        """Handle the oldest approved reply whose time has come. False when there is none.

        Raises LoginRequired, with the reply held for a while, when the session ended.
        """
        channel, policy = self._channel, self._in_force()
        now = channel.clock()
        with channel.database.write() as session:
            for stuck in outbox.due(session, S.SENDING, now, channel.platform.account):
                outbox.interrupted(session, stuck, now)  # only this thread sends, and it is here
            rows = outbox.due(
                session, S.APPROVED, now, channel.platform.account, newest=policy.newest
            )
            if not rows:
                return False
            reply = rows[0]
            facts = channel.facts(session, reply, policy)
            answer = ask(facts, policy)
            if isinstance(answer, Hold):
                outbox.hold(session, reply_id(reply), answer.until, answer.reason, now)
                log.info("reply held", reply=reply.id, until=answer.until, reason=answer.reason)
                return True
            if isinstance(answer, Stop):
                channel.move(session, reply, S.APPROVED, answer.state, answer.reason)
                return True
            known = known_author(session, reply)
        try:
            # Of what is half out, neither a deleted source nor a change of mind undoes the rest.
            track = tracks.get(reply.track)
            author = known if facts.half_out else self._wanted_author(reply, policy, track)
            if author is not None:
                _Delivery(Sending(channel, reply, author, self._in_force), self._sent).run()
        except LoginRequired:
            raise
        except Exception as error:
            # One broken row must not keep the account from everything else.
            with channel.database.write() as session:
                why = f"{type(error).__name__}: {error}"
                outbox.hold(session, reply_id(reply), now + FAULT_HOLD, why, now)
            raise
        return True

    def _wanted_author(self, reply: Reply, policy: Policy, track: Track | None) -> Author | None:
        """Who gets the reply, by a fresh look at the source. None when it was held or cancelled."""
        try:
            post = self._channel.platform.post(reply.source_post)
            # Listings say little of people: whether they are private, or a bot, says their profile.
            post = replace(post, author=self._channel.platform.author(post.author.user_id))
        except Refused as error:
            self._source_gone(reply, error, policy)
            return None
        except (Unavailable, RateLimited, AuthError) as error:
            now = self._channel.clock()
            with self._channel.database.write() as session:
                outbox.hold(session, reply_id(reply), now + pause_after(error), str(error), now)
            if isinstance(error, LoginRequired):
                raise
            return None
        with self._channel.database.write() as session:
            out = self._channel.opted_out(session, post.author, reply.source_post)
            if reply.post is not None and not out:
                dataset.see(session, reply.post, post, self._channel.clock())
            why = still_wanted(
                post,
                reply.trigger,
                track,
                policy,
                self._us,
                opted_out=out,
                known_as=dataset.names_of(session, post.platform, post.author.user_id),
            )
            if why is not None:
                self._channel.move(session, reply, S.APPROVED, S.CANCELLED, why)
        return post.author if why is None else None

    def _source_gone(self, reply: Reply, error: Refused, policy: Policy) -> None:
        gone = isinstance(error, TargetGone)
        dead: list[str] = []
        with self._channel.database.write() as session:
            why = "the source was deleted" if gone else f"the source is closed to us: {error}"
            self._channel.move(session, reply, S.APPROVED, S.CANCELLED, why)
            if gone and reply.post is not None:
                treat, now = policy.deleted_posts, self._channel.clock()
                dead = source_deleted(session, reply.post, treat, now, str(error))
        drop(self._files, dead)


class _Delivery:
    """One reply on its way out: way by way, write by write, until sent, refused or in doubt."""

    def __init__(self, sending: Sending, sent: Callable[[float], object]) -> None:
        self._sending = sending
        self._channel = sending.channel
        self._reply = sending.reply
        self._id = reply_id(sending.reply)
        self._policy = sending.in_force()  # for what is planned: a plan is made once
        self._kinds = sending.channel.platform.ways
        self._told = sent

    def run(self) -> None:
        with self._channel.database.write() as session:
            rows = steps.of_reply(session, self._id)
            # What counts for the caps is the day on which something of it was first to be seen.
            now = self._channel.clock()
            sending_at = self._reply.sending_at if steps.shown(rows) else now
            if not self._sending.move(session, S.APPROVED, S.SENDING, "", sending_at=sending_at):
                return  # rejected or cancelled a moment ago
        ways, refusal = self._ways(rows), ""
        for number in range(max((row.way for row in rows), default=0), len(ways)):
            outcome = self._send_way(number, ways[number])
            if outcome is None:
                return
            refusal = outcome
            log.warning("way refused", reply=self._id, mode=ways[number], reason=refusal)
            with self._channel.database.read() as session:
                if steps.visible(session, self._id):
                    break  # the person has a part of it: another way would be a second reply
        with self._channel.database.write() as session:
            self._sending.move(session, S.SENDING, S.FAILED, f"refused: {refusal}")

    def _ways(self, rows: list[ReplyStep]) -> list[str]:
        """The modes that were tried already, then the configured ones that the reply was rendered
        for.

        The configuration may have changed since.
        """
        after: dict[str, str] = self._reply.facts["after"]
        begun = {row.way: row.mode for row in rows}
        wanted = [mode for mode in self._policy.modes() if mode in after] or list(after)
        return list(dict.fromkeys([*begun.values(), *wanted]))

    def _send_way(self, way: int, mode: str) -> str | None:
        """Send all writes of a mode. Returns the refusal if the next mode may start; else None."""
        with self._channel.database.write() as session:
            rows = steps.plan(session, self._id, way, mode, self._plan(mode))
        note = ""
        outputs: dict[str, str] = {}
        for planned in rows:
            row = planned
            if row.state == StepState.PLANNED:
                outcome = self._sending.send(row, mode, outputs)
                if outcome is None:
                    return None  # held or in doubt: the rows say which
                row = outcome
            if row.state == StepState.REFUSED and not self._kinds.step(row.kind).optional:
                return row.error
            if row.state == StepState.REFUSED:
                note = f"comment not sent: {row.error}"
            outputs |= row.outputs
        self._sent(mode, note)
        return None

    def _plan(self, mode: str) -> list[steps.PlannedStep]:
        author = self._sending.author.username
        return [
            steps.PlannedStep(
                kind.name,
                secrets.token_hex(16),
                text_of(kind, self._kinds, self._policy, self._reply, author),
                kind.visible,
                kind.leaves,
            )
            for kind in self._kinds.plan(mode, comment=bool(self._policy.comment))
        ]

    def _sent(self, mode: str, note: str) -> None:
        with self._channel.database.write() as session:
            done = [s for s in steps.of_reply(session, self._id) if s.state == StepState.DONE]
            url = next((s.outputs["url"] for s in done if s.outputs.get("url")), "")
            now = self._channel.clock()
            self._sending.move(session, S.SENDING, S.SENT, note, sent_at=now, mode=mode, url=url)
        self._told((now - self._reply.created).total_seconds())


def text_of(kind: StepKind, ways: Ways, policy: Policy, reply: Reply, username: str) -> str:
    """Comment or caption from the operator's template; "" for a write without text. What a person
    wrote for this reply goes before the template of the caption.

    The source link is always in a caption: a post of unknown outcome is found again by it.
    """
    if kind.text is None:
        return ""
    url = reply.source_url
    fields = {"author": username, "url": url, "style": reply.facts["compose"]["style"]}
    if kind == ways.comment:
        return kind.text.fitted(_fill(policy.comment, fields), "")
    text = _fill(reply.text or policy.caption, fields)
    return kind.text.fitted(text if url in text else f"{text}\n{url}".strip(), url)


def _fill(template: str, fields: dict[str, str]) -> str:
    """Replace {author}, {url} and {style}; other braces stay, so no template can break a reply."""
    for name, value in fields.items():
        template = template.replace("{" + name + "}", value)
    return template
