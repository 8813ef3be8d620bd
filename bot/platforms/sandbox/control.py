"""A plain HTTP API for other processes: look at the world, change it, order faults.

GET  /health /world /journal (?type= &kind= &path=) /replies
POST /post /edit /delete /comment /user /rename /revoke /rate /bulk /fault /clear   (JSON bodies)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from bot.platforms.sandbox.app import App, Receive, Scope, Send, read_call, send_answer
from bot.platforms.sandbox.net import Answer, Call, Network, fail, ok
from bot.platforms.sandbox.people import Crowd, bulk
from bot.platforms.sandbox.things import Details, Post, Profile, Spot, Tag


class Control:
    """Answers on its own port and passes everything else on to the network."""

    def __init__(self, net: Network, crowd: Crowd, port: int, app: App) -> None:
        self._net = net
        self._crowd = crowd
        self._port = port
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["server"][1] != self._port:
            await self._app(scope, receive, send)
            return
        call = await read_call(scope, receive)
        await send_answer(send, self.answer(call))

    def answer(self, call: Call) -> Answer:
        """200, 404 for an unknown order or thing, 400 for a body that does not fit."""
        order = _ORDERS.get((call.method, call.path))
        if order is None:
            return fail(404, f"no such order: {call.method} {call.path}")
        try:
            given = dict(json.loads(call.body)) if call.body else dict(call.query)
            return order(self._net, self._crowd, **given)
        except KeyError as error:
            return fail(404, f"not there: {error}")
        except (ValueError, TypeError) as error:
            return fail(400, str(error))


def _health(net: Network, crowd: Crowd) -> Answer:
    return ok()


def _world(net: Network, crowd: Crowd) -> Answer:
    world = net.world
    with world.lock:
        return ok(
            users=len(world.people),
            posts=sum(not post.deleted for post in world.posts.values()),
            stories=sum(len(told) for told in world.stories.values()),
            threads=len(world.threads),
            rate=crowd.rate,
            posted=crowd.posted,
            triggers=crowd.triggers,
        )


def _journal(
    net: Network, crowd: Crowd, type: str = "write", kind: str = "", path: str = ""
) -> Answer:
    journal = net.journal
    return ok(lines=journal.writes(kind) if type == "write" else journal.requests(path))


def _replies(net: Network, crowd: Crowd, actor: str = "") -> Answer:
    journal = net.journal
    return ok(
        by_source=journal.replies_by_source(actor),
        duplicates=journal.duplicate_replies(actor),
        without_source=len(journal.replies_without_source(actor)),
    )


def _post(net: Network, crowd: Crowd, author: str, caption: str = "", **more: Any) -> Answer:
    """`more` as World.add_post and Details; tags are [user, x, y], place [pk, name, lat, lng]."""
    tags = [Tag(net.world.user(name).pk, float(x), float(y)) for name, x, y in more.pop("tags", ())]
    said = {one.name: more.pop(one.name) for one in fields(Details) if one.name in more}
    place = Spot(*said["place"]) if said.get("place") else None
    details = Details(**(said | {"place": place}))
    return _shown(net.world.add_post(author, caption, tags=tags, details=details, **more))


def _edit(net: Network, crowd: Crowd, ref: str, caption: str) -> Answer:
    return _shown(net.world.edit(ref, caption))


def _delete(net: Network, crowd: Crowd, ref: str) -> Answer:
    return _shown(net.world.delete(ref))


def _comment(net: Network, crowd: Crowd, ref: str, author: str, text: str) -> Answer:
    return ok(pk=net.world.comment(ref, author, text).pk)


def _user(net: Network, crowd: Crowd, username: str, full_name: str = "", **profile: Any) -> Answer:
    """`profile` as in Profile."""
    return ok(user=asdict(net.world.add_user(username, full_name, profile=Profile(**profile))))


def _rename(net: Network, crowd: Crowd, username: str, new_name: str) -> Answer:
    return ok(user=asdict(net.world.rename(username, new_name)))


def _revoke(net: Network, crowd: Crowd, username: str) -> Answer:
    return ok(ended=net.sessions.revoke(net.world.user(username)))


def _rate(net: Network, crowd: Crowd, rate: float) -> Answer:
    crowd.rate = max(0.0, float(rate))
    return ok(rate=crowd.rate)


def _bulk(net: Network, crowd: Crowd, hashtag: str, count: int, step_s: float = 1.0) -> Answer:
    bulk(net.world, hashtag, int(count), step_s=float(step_s))
    return ok(posts=net.world.count_of(hashtag=hashtag))


def _fault(net: Network, crowd: Crowd, kind: str, **options: Any) -> Answer:
    fault = net.faults.add(kind, **options)
    return ok(kind=fault.kind, path=fault.path, count=fault.count)


def _clear(net: Network, crowd: Crowd) -> Answer:
    net.faults.clear()
    return ok()


def _shown(post: Post) -> Answer:
    return ok(pk=str(post.pk), code=post.code, url=post.url, media_id=post.media_id)


_ORDERS: dict[tuple[str, str], Callable[..., Answer]] = {
    ("GET", "/health"): _health,
    ("GET", "/world"): _world,
    ("GET", "/journal"): _journal,
    ("GET", "/replies"): _replies,
    ("POST", "/post"): _post,
    ("POST", "/edit"): _edit,
    ("POST", "/delete"): _delete,
    ("POST", "/comment"): _comment,
    ("POST", "/user"): _user,
    ("POST", "/rename"): _rename,
    ("POST", "/revoke"): _revoke,
    ("POST", "/rate"): _rate,
    ("POST", "/bulk"): _bulk,
    ("POST", "/fault"): _fault,
    ("POST", "/clear"): _clear,
}
