"""What there is on the server: people, statuses, images, notifications, and who listens."""

from __future__ import annotations

import html
import queue
import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_TOKEN = re.compile(
    r"(?P<url>https?://\S+)"
    r"|(?<![\w/&])#(?P<tag>\w*[^\W\d_]\w*)"
    r"|(?<![\w=/@])@(?P<name>[A-Za-z0-9_]+(?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?(?:@[\w.:-]*\w)?)"
)


@dataclass(frozen=True, slots=True)
class Person:
    person_id: str
    name: str
    note: str = ""
    bot: bool = False
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    image_id: str
    data: bytes
    description: str = ""
    size: tuple[int, int] = (0, 0)
    looks: int = 0  # so often it is still worked on
    sent: bool = False  # by a client


@dataclass(frozen=True, slots=True)
class Status:
    status_id: str
    person: Person
    text: str
    created: float
    images: tuple[Image, ...] = ()
    visibility: str = "public"
    spoiler_text: str = ""
    sensitive: bool = False
    language: str = ""
    reply_to: str = ""
    boost_of: str = ""
    key: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    notification_id: str
    to: str  # a person's id
    status_id: str


@dataclass
class World:
    """Thread-safe. `clock` gives POSIX seconds. Ids grow with time, as the server's own do."""

    domain: str
    clock: Callable[[], float] = time.time
    idempotent: bool = True  # False: keys are not looked at
    people: dict[str, Person] = field(default_factory=dict)  # by name
    statuses: dict[str, Status] = field(default_factory=dict)  # in the order they came
    images: dict[str, Image] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)  # a person's name by their token
    lock: threading.RLock = field(default_factory=threading.RLock)
    _last: int = 0
    _listeners: list[tuple[str, queue.SimpleQueue[tuple[str, object] | None]]] = field(
        default_factory=list
    )

    def join(self, name: str, **said: Any) -> Person:
        """A person of this name; the same one when they are there already."""
        with self.lock:
            if name not in self.people:
                self.people[name] = Person(self.new_id(), name, **said)
            return self.people[name]

    def change(self, name: str, **said: Any) -> None:
        with self.lock:
            self.people[name] = replace(self.people[name], **said)

    def person(self, person_id: str) -> Person | None:
        with self.lock:
            return next((p for p in self.people.values() if p.person_id == person_id), None)

    def named(self, acct: str) -> Person | None:
        """Somebody by their name, with this server or without one."""
        name, _, server = acct.lower().partition("@")
        return self.people.get(name) if server in ("", self.domain) else None

    def keep(self, data: bytes, description: str, size: tuple[int, int], **more: Any) -> Image:
        with self.lock:
            image = Image(self.new_id(), data, description, size, **more)
            self.images[image.image_id] = image
            return image

    def publish(self, name: str, text: str, images: tuple[Image, ...] = (), **more: Any) -> Status:
        """A status; the one that is there under the same key. Raises KeyError for a reply to what
        is not there."""
        with self.lock:
            person, key = self.join(name), more.get("key", "")
            for known in self.statuses.values() if key and self.idempotent else ():
                if (known.key, known.person.name) == (key, name) and not known.gone:
                    return known
            if more.get("reply_to"):
                self.status(more["reply_to"])
            status = Status(
                self.new_id(),
                person,
                text,
                self.clock(),
                images,
                **more,
            )
            self.statuses[status.status_id] = status
            self._tell(status)
            return status

    def status(self, status_id: str) -> Status:
        """Raises KeyError."""
        with self.lock:
            found = self.statuses[status_id]
            if found.gone:
                raise KeyError(status_id)
            return replace(found, person=self.people[found.person.name])

    def remove(self, status_id: str) -> None:
        """Raises KeyError."""
        with self.lock:
            self.statuses[status_id] = replace(self.status(status_id), gone=True)

    def shown(self) -> list[Status]:
        """What is not gone, newest first."""
        with self.lock:
            return [self.status(key) for key, s in self.statuses.items() if not s.gone][::-1]

    def replies(self, status_id: str, name: str = "") -> list[Status]:
        return [s for s in self.shown() if s.reply_to == status_id and name in ("", s.person.name)]

    def replies_of(self, name: str) -> dict[str, int]:
        """How many replies with an image somebody made to each status, the gone ones among them."""
        counts: dict[str, int] = {}
        with self.lock:
            for status in self.statuses.values():
                if status.reply_to and status.images and status.person.name == name:
                    counts[status.reply_to] = counts.get(status.reply_to, 0) + 1
        return counts

    def mentioned(self, text: str) -> list[Person]:
        found = (self.named(one["name"]) for one in _TOKEN.finditer(text) if one["name"])
        return list(dict.fromkeys(person for person in found if person is not None))

    def listen(self, topic: str) -> queue.SimpleQueue[tuple[str, object] | None]:
        """Events of a topic, `tag:NAME` or `person:ID`; None at the end."""
        events: queue.SimpleQueue[tuple[str, object] | None] = queue.SimpleQueue()
        with self.lock:
            self._listeners.append((topic, events))
        return events

    def leave(self, events: object) -> None:
        with self.lock:
            self._listeners = [one for one in self._listeners if one[1] is not events]

    def listeners(self) -> int:
        with self.lock:
            return len(self._listeners)

    def end_streams(self) -> None:
        with self.lock:
            for _, events in self._listeners:
                events.put(None)

    def new_id(self) -> str:
        with self.lock:
            self._last = max(self._last + 1, int(self.clock() * 1000) << 16)
            return str(self._last)

    def _tell(self, status: Status) -> None:
        for person in self.mentioned(status.text):
            if person.person_id != status.person.person_id:
                said = Notification(self.new_id(), person.person_id, status.status_id)
                self.notifications.append(said)
                self._push(f"person:{person.person_id}", ("notification", said))
        if status.visibility == "public" and not status.boost_of:
            for tag in tags_of(status):
                self._push(f"tag:{tag}", ("update", status))

    def _push(self, topic: str, event: tuple[str, object]) -> None:
        for listened, events in self._listeners:
            if listened == topic:
                events.put(event)


def tags_of(status: Status) -> list[str]:
    """As the server keeps them: lower case, without accents."""
    found = (one["tag"] for one in _TOKEN.finditer(f"{status.spoiler_text} {status.text}"))
    return list(dict.fromkeys(folded(tag) for tag in found if tag))


def folded(tag: str) -> str:
    letters = unicodedata.normalize("NFKD", tag.lower())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def as_html(text: str, world: World, base: str) -> str:
    """As the server writes a text: links, hashtags and mentions of people whom it knows."""
    paragraphs = (
        "".join(_marked(part, world, base)).replace("\n", "<br />") for part in text.split("\n\n")
    )
    return "".join(f"<p>{one}</p>" for one in paragraphs)


def _marked(text: str, world: World, base: str) -> Iterator[str]:
    end = 0
    for found in _TOKEN.finditer(text):
        yield html.escape(text[end : found.start()], quote=False)
        end = found.end()
        shown = html.escape(found[0], quote=False)
        if found["url"]:
            head, rest = shown[: shown.index("//") + 2], shown[shown.index("//") + 2 :]
            yield (
                f'<a href="{shown}" rel="nofollow"><span class="invisible">{head}</span>'
                f'<span class="ellipsis">{rest[:30]}</span>'
                f'<span class="invisible">{rest[30:]}</span></a>'
            )
        elif found["tag"]:
            address = f"{base}/tags/{folded(found['tag'])}"
            yield f'<a href="{address}" class="hashtag">#<span>{found["tag"]}</span></a>'
        elif world.named(found["name"]) is None:
            yield shown
        else:
            yield (
                f'<span class="h-card"><a href="{base}/@{found["name"]}" class="u-url mention">'
                f"@<span>{found['name']}</span></a></span>"
            )
    yield html.escape(text[end:], quote=False)
