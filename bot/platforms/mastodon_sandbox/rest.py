"""The endpoints: each takes a call and gives status, JSON and headers."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

from PIL import Image as Pillow

from bot.platforms.mastodon_sandbox.shapes import Json, Shapes
from bot.platforms.mastodon_sandbox.world import Person, Status, World, folded, tags_of

T = TypeVar("T")
LIMITS = {
    "statuses": {"max_characters": 500, "max_media_attachments": 4},
    "media_attachments": {
        "supported_mime_types": ["image/jpeg", "image/png", "image/gif", "image/webp"],
        "image_size_limit": 16_777_216,
        "image_matrix_limit": 33_177_600,
        "description_limit": 1500,
    },
}


class Refusal(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    person: Person | None = None

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def me(self) -> Person:
        if self.person is None:
            raise Refusal(401, "The access token is invalid")
        return self.person


@dataclass
class Answer:
    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Rest:
    """`page_size`: the most that a listing holds. `looks`: so often an upload is not ready yet."""

    def __init__(self, world: World, base: str, page_size: int) -> None:
        self._world = world
        self._base = base
        self.shapes = Shapes(world, base)
        self._page_size = page_size
        self.limits: Json = LIMITS
        self.apps: dict[str, str] = {}  # the scopes of each, by its id
        self.looks = 0
        self.streams = True
        self.version_two = True

    def route(self, call: Call) -> tuple[str, Callable[[], Answer]]:
        """The endpoint's name, and what answers. Raises Refusal."""
        for method, pattern, name in _ROUTES:
            if method == call.method and (found := re.fullmatch(pattern, call.path)):
                handler = getattr(self, f"_{name}")
                return name, functools.partial(handler, call, *found.groups())
        raise Refusal(404, "Not Found")

    def _instance(self, call: Call) -> Answer:
        if "/v2/" in call.path and not self.version_two:
            raise Refusal(404, "Not Found")
        return Answer(
            {
                "domain": self._world.domain,
                "uri": self._world.domain,
                "version": "4.3.0",
                "configuration": {"urls": {"streaming": self._base}, **self.limits},
                "urls": {"streaming_api": self._base},
            }
        )

    def _app(self, call: Call) -> Answer:
        said = call.form
        self.apps[app := self._world.new_id()] = said["scopes"]
        return Answer(
            {
                "id": app,
                "name": said["client_name"],
                "client_id": app,
                "client_secret": f"secret of {app}",
            }
        )

    def _token(self, call: Call) -> Answer:
        """The code is what the page shows to somebody who is logged in and allows it: here a name
        of a person, for their token."""
        said = call.form
        scopes = self.apps.get(said.get("client_id", ""))
        good = scopes is not None and said.get("client_secret") == f"secret of {said['client_id']}"
        codes = {f"code-of-{name}": token for token, name in self._world.tokens.items()}
        token = codes.get(said.get("code", ""))
        if not good or token is None or said.get("scope") != scopes:
            raise Refusal(400, "The provided authorization grant is invalid")
        return Answer(
            {
                "access_token": token,
                "token_type": "Bearer",
                "scope": scopes,
                "created_at": int(self._world.clock()),
            }
        )

    def _whoami(self, call: Call) -> Answer:
        return Answer(self.shapes.person(call.me))

    def _lookup(self, call: Call) -> Answer:
        person = self._world.named(call.query.get("acct", ""))
        if person is None:
            raise Refusal(404, "Record not found")
        return Answer(self.shapes.person(person))

    def _account(self, call: Call, person_id: str) -> Answer:
        return Answer(self.shapes.person(self._person(person_id)))

    def _account_statuses(self, call: Call, person_id: str) -> Answer:
        person, boosts = self._person(person_id), call.query.get("exclude_reblogs") != "1"
        return self._listing(
            call,
            (
                one
                for one in self._seen(call)
                if one.person.person_id == person.person_id and (boosts or not one.boost_of)
            ),
        )

    def _timeline(self, call: Call, tag: str) -> Answer:
        wanted = folded(tag)
        return self._listing(
            call,
            (s for s in self._seen(call) if s.visibility == "public" and wanted in tags_of(s)),
        )

    def _notifications(self, call: Call) -> Answer:
        with self._world.lock:
            ours = [n for n in self._world.notifications if n.to == call.me.person_id][::-1]
        page, headers = self._page(call, ours, lambda one: one.notification_id)
        shown = (self.shapes.notification(one) for one in page)
        return Answer([one for one in shown if one], headers=headers)

    def _status(self, call: Call, status_id: str) -> Answer:
        return Answer(self.shapes.status(self._known(call, status_id)))

    def _context(self, call: Call, status_id: str) -> Answer:
        self._known(call, status_id)
        under = [self.shapes.status(one) for one in self._world.replies(status_id)[::-1]]
        return Answer({"ancestors": [], "descendants": under})

    def _publish(self, call: Call) -> Answer:
        said, media = call.form, []
        for name, value in parse_qsl(call.body.decode()):
            if name == "media_ids[]":
                image = self._world.images.get(value)
                if image is None or image.looks:
                    raise Refusal(422, "Cannot attach files that have not finished processing")
                media.append(image)
        if not said.get("status") and not media:
            raise Refusal(422, "Validation failed: Text can't be blank")
        if _counted(said.get("status", "")) > self.limits["statuses"]["max_characters"]:
            raise Refusal(422, "Validation failed: Text character limit of 500 exceeded")
        try:
            status = self._world.publish(
                call.me.name,
                said.get("status", ""),
                tuple(media),
                visibility=said.get("visibility", "public"),
                spoiler_text=said.get("spoiler_text", ""),
                sensitive=said.get("sensitive") in ("1", "true"),
                language=said.get("language", ""),
                reply_to=said.get("in_reply_to_id", ""),
                key=call.headers.get("idempotency-key", ""),
            )
        except KeyError:
            raise Refusal(404, "Record not found") from None
        return Answer(self.shapes.status(status))

    def _delete(self, call: Call, status_id: str) -> Answer:
        status = self._known(call, status_id)
        if status.person.person_id != call.me.person_id:
            raise Refusal(404, "Record not found")
        self._world.remove(status_id)
        return Answer(self.shapes.status(status))

    def _upload(self, call: Call) -> Answer:
        call.me  # noqa: B018 - raises for nobody
        head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
        parts = {
            str(part.get_param("name", header="content-disposition")): _payload(part)
            for part in message_from_bytes(head + call.body).walk()
        }
        data = parts.get("file", b"")
        try:
            with Pillow.open(io.BytesIO(data)) as image:
                size = image.size
        except OSError:
            raise Refusal(422, "Validation failed: File content type is invalid") from None
        words = parts.get("description", b"").decode()
        kept = self._world.keep(data, words, size, looks=self.looks, sent=True)
        return Answer(self.shapes.image(kept), 202 if kept.looks else 200)

    def _media(self, call: Call, image_id: str) -> Answer:
        with self._world.lock:
            image = self._world.images.get(image_id)
            if image is None:
                raise Refusal(404, "Record not found")
            if image.looks:
                self._world.images[image_id] = replace(image, looks=image.looks - 1)
        return Answer(self.shapes.image(image), 206 if image.looks else 200)

    def _file(self, call: Call, image_id: str) -> Answer:
        image = self._world.images.get(image_id)
        if image is None:
            raise Refusal(404, "Record not found")
        return Answer(image.data)

    def _stream(self, call: Call, topic: str) -> Answer:
        """The topic to listen to; the server does it."""
        if not self.streams:
            raise Refusal(404, "Not Found")
        if topic == "hashtag":
            return Answer(f"tag:{folded(call.query.get('tag', ''))}")
        return Answer(f"person:{call.me.person_id}")

    def _person(self, person_id: str) -> Person:
        person = self._world.person(person_id)
        if person is None:
            raise Refusal(404, "Record not found")
        return person

    def _known(self, call: Call, status_id: str) -> Status:
        found = next((one for one in self._seen(call) if one.status_id == status_id), None)
        if found is None:
            raise Refusal(404, "Record not found")
        return found

    def _seen(self, call: Call) -> Iterable[Status]:
        """Statuses that the caller may see, newest first."""
        me = call.person
        for one in self._world.shown():
            ours = me is not None and one.person.person_id == me.person_id
            asked = me is not None and me in self._world.mentioned(one.text)
            if one.visibility in ("public", "unlisted") or ours or asked:
                yield one

    def _listing(self, call: Call, statuses: Iterable[Status]) -> Answer:
        page, headers = self._page(call, list(statuses), lambda one: one.status_id)
        return Answer([self.shapes.status(one) for one in page], headers=headers)

    def _page(
        self, call: Call, items: list[T], key: Callable[[T], str]
    ) -> tuple[list[T], dict[str, str]]:
        """Of items that are newest first: `min_id` gives those right after it."""
        bounds = {name: int(call.query[name]) for name in _BOUNDS if call.query.get(name)}
        size = min(self._page_size, int(call.query.get("limit") or 20))
        after = max(bounds.get("since_id", 0), bounds.get("min_id", 0))
        fitting = [
            one
            for one in items
            if int(key(one)) > after and int(key(one)) < bounds.get("max_id", 1 << 90)
        ]
        page = fitting[-size:] if "min_id" in bounds else fitting[:size]
        if not page:
            return [], {}
        at = f"{self._base}{quote(call.path)}?"
        links = [f'<{at}min_id={key(page[0])}>; rel="prev"']
        if fitting and key(fitting[-1]) != key(page[-1]):
            links.insert(0, f'<{at}max_id={key(page[-1])}>; rel="next"')
        return page, {"Link": ", ".join(links)}


_BOUNDS = ("max_id", "since_id", "min_id")
_ROUTES = (
    ("GET", r"/api/v[12]/instance/?", "instance"),
    ("POST", r"/api/v1/apps", "app"),
    ("POST", r"/oauth/token", "token"),
    ("GET", r"/api/v1/accounts/verify_credentials", "whoami"),
    ("GET", r"/api/v1/accounts/lookup", "lookup"),
    ("GET", r"/api/v1/accounts/(\d+)", "account"),
    ("GET", r"/api/v1/accounts/(\d+)/statuses", "account_statuses"),
    ("GET", r"/api/v1/timelines/tag/([^/]+)", "timeline"),
    ("GET", r"/api/v1/notifications", "notifications"),
    ("GET", r"/api/v1/statuses/(\w+)", "status"),
    ("GET", r"/api/v1/statuses/(\w+)/context", "context"),
    ("POST", r"/api/v1/statuses", "publish"),
    ("DELETE", r"/api/v1/statuses/(\w+)", "delete"),
    ("POST", r"/api/v2/media", "upload"),
    ("GET", r"/api/v1/media/(\w+)", "media"),
    ("GET", r"/media/(\w+)", "file"),
    ("GET", r"/api/v1/streaming/(hashtag|user/notification|user)", "stream"),
)


def _payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _counted(text: str) -> int:
    text = re.sub(r"https?://\S+", "x" * 23, text)
    return len(re.sub(r"(@\w+)@[\w.:-]*\w", r"\1", text))
