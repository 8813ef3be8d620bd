"""The network itself: people, entries in the order they came, faults on demand. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from bot.core.clock import Clock, utc_now
from bot.core.errors import (
    ActionBlocked,
    ChallengeRequired,
    LoginRequired,
    NetworkError,
    OutcomeUnknown,
    PleaseWait,
    RateLimited,
    Refused,
    TagechoError,
    TargetGone,
    Unavailable,
)
from bot.core.events import Author

WRITES = frozenset({"write", "delete"})
_NETWORKS: dict[str, Network] = {}
_LOCK = threading.Lock()


class Fault(StrEnum):
    """What the next request of an action meets."""

    REFUSED = "refused"  # a definitive no to a write
    GONE = "gone"  # what it is about is not there
    UNAVAILABLE = "unavailable"  # nothing usable came back, and nothing was applied
    LOST_BEFORE = "lost_before"  # the connection broke before it was applied
    LOST_AFTER = "lost_after"  # ... and after
    THROTTLED = "throttled"
    WAIT = "wait"  # the whole account is to rest
    BLOCKED = "blocked"  # this kind of action is frozen
    ENDED = "ended"  # the session
    CHALLENGE = "challenge"  # a person is wanted


_ERRORS: dict[Fault, TagechoError] = {
    Fault.GONE: TargetGone("memory: gone"),
    Fault.THROTTLED: RateLimited("memory: throttled", retry_after=30.0),
    Fault.WAIT: PleaseWait("memory: please wait"),
    Fault.BLOCKED: ActionBlocked("memory: this action is blocked"),
    Fault.ENDED: LoginRequired("memory: the session ended"),
    Fault.CHALLENGE: ChallengeRequired("memory: a person is wanted"),
}


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Something that somebody published. Gone entries stay in the record, without being shown."""

    entry_id: str  # "at://DID/post/KEY"
    author: Author
    text: str
    created: datetime
    images: tuple[bytes, ...] = ()
    alt_text: str = ""
    reply_to: str = ""
    gone: bool = False


@dataclass
class Network:
    """One server. `clock` gives the time of what is published; a page holds `per_page` entries."""

    server: str
    clock: Clock = utc_now
    per_page: int = 20
    entries: list[JournalEntry] = field(default_factory=list)  # in the order they came
    people: dict[str, Author] = field(default_factory=dict)  # by user id
    requests: list[str] = field(default_factory=list)  # the action of each, in order
    _faults: dict[str, list[Fault]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def join(self, name: str, *, is_private: bool = False, is_bot: bool = False) -> Author:
        """A person by the name before the server's; the same one when they are there already."""
        with self._lock:
            user_id = f"did:memory:{name}"
            person = Author("memory", user_id, f"{name}@{self.server}", name, is_private, is_bot)
            return self.people.setdefault(user_id, person)

    def rename(self, name: str, new: str) -> None:
        """Another user name; the id stays."""
        with self._lock:
            person = self.join(name)
            self.people[person.user_id] = replace(person, username=f"{new}@{self.server}")

    def publish(
        self,
        name: str,
        text: str,
        images: tuple[bytes, ...] = (),
        *,
        key: str = "",
        alt_text: str = "",
        reply_to: str = "",
    ) -> JournalEntry:
        """The entry, or the one that is there under the same key. Raises TargetGone for a reply to
        what is not there."""
        with self._lock:
            person = self.join(name)
            entry_id = f"at://{person.user_id}/post/{key or f'k{len(self.entries):06d}'}"
            known = next((one for one in self.entries if one.entry_id == entry_id), None)
            if known is not None:
                return known
            if reply_to:
                self.entry(reply_to)
            made = JournalEntry(entry_id, person, text, self.clock(), images, alt_text, reply_to)
            self.entries.append(made)
            return made

    def entry(self, entry_id: str) -> JournalEntry:
        """Raises TargetGone."""
        with self._lock:
            for one in self.entries:
                if one.entry_id == entry_id and not one.gone:
                    return replace(one, author=self.people[one.author.user_id])
        raise TargetGone(f"{entry_id}: no such entry")

    def shown(self) -> list[JournalEntry]:
        """What is not gone, in the order it came, with its authors as they are named now."""
        with self._lock:
            return [
                replace(one, author=self.people[one.author.user_id])
                for one in self.entries
                if not one.gone
            ]

    def replies(self, entry_id: str) -> list[JournalEntry]:
        return [one for one in self.shown() if one.reply_to == entry_id]

    def remove(self, entry_id: str) -> None:
        """Raises TargetGone."""
        with self._lock:
            self.entry(entry_id)
            at = next(i for i, one in enumerate(self.entries) if one.entry_id == entry_id)
            self.entries[at] = replace(self.entries[at], gone=True, text="", images=())

    def fail(self, action: str, fault: Fault, times: int = 1) -> None:
        """The next requests of this action meet the fault."""
        with self._lock:
            self._faults.setdefault(action, []).extend([fault] * times)

    def relent(self) -> None:
        """Forget the faults that no request met."""
        with self._lock:
            self._faults.clear()

    @contextmanager
    def request(self, action: str) -> Iterator[None]:
        """One request: what is done inside is what the network applies."""
        with self._lock:
            self.requests.append(action)
            waiting = self._faults.get(action, [])
            fault = waiting.pop(0) if waiting else None
            if fault is not None and fault is not Fault.LOST_AFTER:
                raise _error(fault, action)
            yield
            if fault is not None:
                raise _error(fault, action)


def network_of(server: str) -> Network:
    """The network of this server in this process, which all its accounts share."""
    with _LOCK:
        return _NETWORKS.setdefault(server, Network(server))


def _error(fault: Fault, action: str) -> TagechoError:
    if fault in _ERRORS:
        return _ERRORS[fault]
    if action not in WRITES:
        return Unavailable(f"memory: {fault}")
    if fault is Fault.REFUSED:
        return Refused("memory: refused")
    lost: NetworkError = OutcomeUnknown(f"memory: {fault}")
    return lost
