"""The queue and the log of replies, and a person's word on them: rows only, no network call."""

from __future__ import annotations

import getpass
import mimetypes
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.core.files import write_open
from bot.service.app import App, opened
from bot.verbs.report import ReplyRow, StateChange, side_for, write_page
from storage import outbox, reply_lists, reply_log, steps
from storage.blobs import BlobStore
from storage.redo import redo, retry
from storage.reply_lists import ReplySelection, people
from storage.tables import AuthorRow, BlobRow, PostRow, Reply, ReplyState
from storage.undo import undo

S = ReplyState
EXPORTED = 10_000  # replies in one list
PAGE = 500  # of them read at once


@dataclass(frozen=True, slots=True)
class Asked:
    """Which replies a person means: those that meet everything that is said."""

    ranges: Sequence[range] = ()
    state: str | None = None
    author: str | None = None  # a user name, a former one, or an id
    states: Collection[ReplyState] = ()  # in one of them, where `state` names none

    def selection(self, session: Session, states: Collection[ReplyState] = ()) -> ReplySelection:
        """`states`: those that are meant where no state is said. Raises UsageError."""
        if self.state is not None and self.state not in list(ReplyState):
            raise UsageError(f"no state {self.state!r}; there are {', '.join(ReplyState)}")
        authors = None if self.author is None else people(session, self.author)
        said = (ReplyState(self.state),) if self.state else self.states or states
        return ReplySelection(tuple(self.ranges), said, authors)


EVERYTHING = Asked()


def reply_rows(settings: Settings, asked: Asked, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The newest of those that are asked for, and how many there are."""
    with opened(settings) as app:
        return listed(app, asked, limit)


def listed(app: App, asked: Asked, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The same on open storage."""
    with app.database.read() as session:
        wanted = asked.selection(session)
        rows = reply_lists.newest(session, wanted, limit)
        briefs = [_brief(reply) | {"author": _author(session, reply)} for reply in rows]
        return briefs, reply_lists.count(session, wanted)


def everything(
    app: App, author: str | None, states: Collection[ReplyState] = (), most: int = EXPORTED
) -> Iterator[dict[str, Any]]:
    """The same, page after page, `most` at most; of all numbers."""
    ranges: tuple[range, ...] = ()
    while most > 0:
        rows, _ = listed(app, Asked(ranges, None, author, states), min(most, PAGE))
        yield from rows
        if not rows:
            return
        most -= len(rows)
        ranges = (range(rows[-1]["id"]),)


def reply_details(settings: Settings, reply_id: int) -> dict[str, Any]:
    """All that is known of a reply, for people and for scripts. Raises UsageError."""
    with opened(settings) as app:
        return details(app, reply_id)


def details(app: App, reply_id: int) -> dict[str, Any]:
    """The same on open storage."""
    with app.database.read() as session:
        reply = session.get(Reply, reply_id)
        if reply is None:
            raise UsageError(f"there is no reply {reply_id}")
        author = _author(session, reply)
        return _brief(reply) | {
            "author": f"@{author}" if author else "",
            "author_id": reply.author_id,
            "style": _style(reply),
            "text": reply.text,
            "alt_text": reply.facts.get("alt_text", ""),
            "seconds": reply.facts.get("seconds"),
            "before": _path(app.originals, reply.before_sha256),
            "mask": _path(app.artifacts, reply.mask_sha256),
            "after": _path(app.artifacts, reply.after_sha256),
            "steps": [
                {
                    "way": s.way,
                    "kind": s.kind,
                    "state": s.state,
                    "sends": s.sends,
                    "remote_id": s.remote_id,
                    "error": s.error,
                    "readings": s.readings,
                }
                for s in steps.of_reply(session, reply_id)
            ],
            "history": [
                {"at": e.at, "from": e.old, "to": e.new, "who": e.who, "why": e.why}
                for e in reply_log.history(session, reply_id)
            ],
        }


def _style(reply: Reply) -> str:
    """The one that was made: a picture without an object gets another than the one asked for."""
    made: str = reply.facts.get("compose", {}).get("style", reply.style)
    return made


# What a person's word may be said on, where a range or a person is named and no state: an unknown
# reply may be on the network, so it is named by its number or its state only.
_MEANT = {
    "approve": (S.AWAITING_APPROVAL,),
    "reject": (S.AWAITING_APPROVAL, S.APPROVED),
    "confirm": (S.UNKNOWN,),
    "redo": (S.QUEUED, S.AWAITING_APPROVAL, S.APPROVED),
    "retry": (S.FAILED,),
    "cancel": (S.QUEUED, S.RENDERING, S.AWAITING_APPROVAL, S.APPROVED),
    "undo": (S.APPROVED, S.REJECTED),
}
VERBS = tuple(_MEANT)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of replies: their numbers with the new states, and how many were left out."""

    moved: list[tuple[int, ReplyState]]
    left_out: Mapping[str, int]  # by state; of numbers that do not exist, under ""


def settle(
    settings: Settings, asked: Asked, verb: str, what: str = "", text: str | None = None
) -> Settled:
    """A person's word on replies; `what`: the reason of a rejection or of a cancellation, or the
    style of a redo; `text`: that of a redo.

    All of those that are named by a single number, or nothing happens. Of a range, a state or an
    author, those that it can be said of. Raises UsageError.
    """
    if not asked.ranges and asked.state is None and asked.author is None:
        raise UsageError("say which: numbers, ranges, --state or --author")
    word = Word(verb, who_types(), what, text)
    with opened(settings) as app, app.database.write() as session:
        numbers, left_out = _meant(session, asked, verb)
        moved = [(n, word.on(session, n, utc_now())) for n in numbers]
    return Settled(moved, left_out)


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says of a reply: one of `VERBS`, and what it needs to know."""

    verb: str
    who: str
    what: str = ""  # a reason, or a style
    text: str | None = None  # of a redo, in place of the operator's caption

    def on(self, session: Session, reply_id: int, now: datetime) -> ReplyState:
        """Do it; the new state. Raises UsageError where the reply is not in a state for it."""
        if self.verb == "approve":
            return outbox.release(session, reply_id, self.who, now)
        if self.verb == "reject":
            return outbox.reject(session, reply_id, self.who, self.what, now)
        if self.verb == "cancel":
            return outbox.cancel(session, reply_id, self.who, self.what, now)
        if self.verb == "confirm":
            return outbox.confirm(session, reply_id, self.who, now)
        if self.verb == "undo":
            undo(session, reply_id, self.who, now)
            return S.AWAITING_APPROVAL
        if self.verb == "retry":
            retry(session, reply_id, self.who, now)
        else:
            redo(session, reply_id, self.what, self.who, now, self.text)
        return S.QUEUED


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of one reply that a word was said on."""

    reply: int
    done: bool
    state: str  # now; "" for one that there is not
    error: str = ""
    by: str = ""  # who changed it last
    at: datetime | None = None


def decide(app: App, numbers: Sequence[int], word: Word) -> list[Decided]:
    """A person's word on each of these replies by itself: of two who say it at once, one is first,
    and the other is told who it was."""
    found = []
    for number in dict.fromkeys(numbers):
        try:
            with app.database.write() as session:
                word.on(session, number, utc_now())
            error = ""
        except UsageError as refused:
            error = str(refused)
        found.append(_outcome(app, number, error))
    return found


def _outcome(app: App, number: int, error: str) -> Decided:
    with app.database.read() as session:
        reply = session.get(Reply, number)
        if reply is None:
            return Decided(number, False, "", error)
        last = reply_log.history(session, number)[-1]
    return Decided(number, not error, reply.state, error, last.who, last.at)


def _meant(session: Session, asked: Asked, verb: str) -> tuple[list[int], Mapping[str, int]]:
    """The numbers it is to be said of, oldest first, and what is left out of the ranges."""
    single = {span.start for span in asked.ranges if len(span) == 1}
    wide = tuple(span for span in asked.ranges if len(span) > 1)
    chosen = asked.state is not None or asked.author is not None
    numbers = set() if chosen else set(single)
    wanted = asked.selection(session, _MEANT[verb])
    if not chosen:
        wanted = replace(wanted, numbers=wide)
    if wide or chosen:
        numbers |= {reply.id or 0 for reply in reply_lists.newest(session, wanted)}
    everything = (
        reply_lists.newest(session, ReplySelection(wanted.numbers)) if wanted.numbers else []
    )
    left_out = Counter(str(r.state) for r in everything if r.id not in numbers)
    missing = sum(map(len, wanted.numbers)) - len(everything)
    return sorted(numbers), left_out + Counter({"": max(0, missing)})


def who_types() -> str:
    """For the log. In a container the user may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"uid {os.getuid()}"


def write_page_of(
    settings: Settings, file: Path, limit: int, title: str = "Replies", asked: Asked = EVERYTHING
) -> tuple[int, int]:
    """The replies as a page: what waits for a person first, what has no picture last. Returns how
    many it shows, and of how many."""
    with opened(settings) as app:
        with app.database.read() as session:
            wanted = asked.selection(session)
            ids = reply_lists.numbers_to_show(session, wanted, limit)
            total = reply_lists.count(session, wanted)
        rows = (_page_row(app, reply_id) for reply_id in ids)
        write_page(file, rows, title, total=total, side=side_for(len(ids)))
    return len(ids), total


def _page_row(app: App, reply_id: int) -> ReplyRow:
    with app.database.read() as session:
        reply = session.get_one(Reply, reply_id)
        post = session.get(PostRow, reply.post) if reply.post is not None else None
        author = _author(session, reply)
        history = reply_log.history(session, reply_id)
    return ReplyRow(
        reply_id=str(reply_id),
        state=reply.state,
        post_url=reply.source_url,
        author=author,
        created_at=reply.created,
        caption=post.caption if post else "",
        style=_style(reply),
        mode=reply.mode,
        trigger=reply.trigger,
        taken_at=post.taken_at if post else None,
        published_at=reply.sent_at,
        published_url=reply.url,
        reason=reply.reason,
        before=_bytes(app.originals, reply.before_sha256),
        mask=_bytes(app.artifacts, reply.mask_sha256),
        after=_bytes(app.artifacts, reply.after_sha256),
        history=tuple(StateChange(e.at, e.new, e.who, e.why) for e in history),
    )


def _author(session: Session, reply: Reply) -> str:
    """The user name that was seen last; "" when nobody is known any more."""
    author = session.get(AuthorRow, (reply.platform, reply.author_id))
    return author.username if author else ""


def _brief(reply: Reply) -> dict[str, Any]:
    return {
        "id": reply.id,
        "state": reply.state,
        "reason": reply.reason,
        "account": reply.account,
        "source_post": reply.source_post,
        "source_url": reply.source_url,
        "trigger": reply.trigger,
        "style": _style(reply),
        "confidence": reply.facts.get("segment", {}).get("confidence"),
        "mode": reply.mode,
        "picture": (reply.after_sha256 or "")[:12],
        "url": reply.url,
        "created": reply.created,
        "sent_at": reply.sent_at,
        "not_before": reply.not_before,
    }


def write_pictures(settings: Settings, reply_id: int, folder: Path) -> dict[str, Path]:
    """Write the pictures of a reply that are still there as NUMBER-before.jpg and so on, so that
    other programs know their kind; their paths. Raises UsageError, StorageError, OSError.
    """
    with opened(settings) as app, app.database.read() as session:
        reply = session.get(Reply, reply_id)
        if reply is None:
            raise UsageError(f"there is no reply {reply_id}")
        pictures = {
            "before": (app.originals, reply.before_sha256),
            "mask": (app.artifacts, reply.mask_sha256),
            "after": (app.artifacts, reply.after_sha256),
        }
        folder.mkdir(parents=True, exist_ok=True)
        written = {}
        for name, (store, sha256) in pictures.items():
            data = _bytes(store, sha256)
            if data is not None:
                row = session.get(BlobRow, sha256)
                suffix = mimetypes.guess_extension(row.mime) if row else None
                written[name] = folder / f"{reply_id}-{name}{suffix or ''}"
                write_open(written[name], data)
    return written


def _path(store: BlobStore, sha256: str | None) -> str | None:
    return str(store.path(sha256)) if sha256 else None


def _bytes(store: BlobStore, sha256: str | None) -> bytes | None:
    """None for an image that is gone, as after `forget`: the page says so."""
    if sha256 is None or not store.path(sha256).exists():
        return None
    return store.get(sha256)
