"""Everything that only reads: people, feeds, hashtags, single posts, stories, activity."""

from __future__ import annotations

import base64
import binascii
import zlib

from bot.platforms.sandbox import shapes
from bot.platforms.sandbox.net import Answer, Call, Network, Refusal, Routes, fail, ok
from bot.platforms.sandbox.things import Person, Post

routes = Routes()
_ROW = 3  # posts of one section of a hashtag's grid


def found_post(net: Network, ref: str) -> Post:
    try:
        return net.world.post(ref)
    except (KeyError, ValueError):
        raise Refusal(fail(400, "Media not found or unavailable")) from None


def found_user(net: Network, ref: str) -> Person:
    try:
        return net.world.user(ref)
    except KeyError:
        raise Refusal(fail(404, "User not found")) from None


def _visible(net: Network, call: Call, pk: str) -> Person:
    person = found_user(net, pk)
    if person.is_private and person.pk != call.me.pk:
        raise Refusal(fail(400, "Not authorized to view user"))
    return person


@routes("GET", r"/api/v1/accounts/current_user/")
def current_user(net: Network, call: Call) -> Answer:
    return ok(user=shapes.user_full(net, call.me) | {"email": "", "phone_number": ""})


@routes("GET", r"/api/v1/users/(?P<name>[^/]+)/usernameinfo/")
@routes("GET", r"/api/v1/users/(?P<name>\d+)/info/")
def user_info(net: Network, call: Call, name: str) -> Answer:
    return ok(user=shapes.user_full(net, found_user(net, name)))


@routes("GET", r"/api/v1/users/web_profile_info/")
def web_profile(net: Network, call: Call) -> Answer:
    return ok(data={"user": shapes.user_web(net, found_user(net, call.query.get("username", "")))})


@routes("GET", r"/api/v1/feed/user/(?P<pk>\d+)/")
def user_feed(net: Network, call: Call, pk: str) -> Answer:
    person = _visible(net, call, pk)
    wanted = _number(call.query.get("count")) or 12
    limit = max(1, min(wanted, 33))
    posts, more = net.world.of_user(person.pk, _pk(call.query.get("max_id")), limit)
    answer = {"items": [shapes.media(net, post) for post in posts], "num_results": len(posts)}
    if more and posts:
        answer["next_max_id"] = posts[-1].media_id
    return ok(**answer, more_available=more, user=shapes.user_short(net, person))


@routes("GET", r"/api/v1/usertags/(?P<pk>\d+)/feed/")
def tagged_feed(net: Network, call: Call, pk: str) -> Answer:
    person = _visible(net, call, pk)
    posts, more = net.world.of_tagged(person.pk, _pk(call.query.get("max_id")), net.page_size)
    answer = {"items": [shapes.media(net, post) for post in posts], "total_count": len(posts)}
    if more and posts:
        answer["next_max_id"] = str(posts[-1].pk)
    return ok(**answer, more_available=more)


@routes("POST", r"/api/v1/tags/(?P<tag>[^/]+)/sections/")
def hashtag_sections(net: Network, call: Call, tag: str) -> Answer:
    """The cursor names the last post shown (recent) or how many were shown (top)."""
    cursor = _cursor(call.text("max_id"))
    if call.text("tab") == "recent":
        posts, more = net.world.of_hashtag(tag, cursor, net.page_size)
        following = str(posts[-1].pk) if posts else ""
    else:
        posts, more = net.world.top_of_hashtag(tag, cursor or 0, net.page_size)
        following = str((cursor or 0) + len(posts))
    cells = [{"media": shapes.media(net, post)} for post in posts]
    sections = [
        {
            "layout_type": "media_grid",
            "feed_type": "media",
            "layout_content": {"medias": cells[at : at + _ROW]},
        }
        for at in range(0, len(cells), _ROW)
    ]
    answer = {"sections": sections, "more_available": more and bool(posts), "auto_load_more": True}
    if answer["more_available"]:
        answer |= {
            "next_max_id": base64.urlsafe_b64encode(following.encode()).decode(),
            "next_media_ids": [post.pk for post in posts[-3:]],
            "next_page": 1,
        }
    return ok(**answer)


@routes("GET", r"/api/v1/tags/(?P<tag>[^/]+)/info/")
def hashtag_info(net: Network, call: Call, tag: str) -> Answer:
    count = net.world.count_of(hashtag=tag)
    return ok(id=str(zlib.crc32(tag.encode())), name=tag, media_count=count, profile_pic_url=None)


@routes("GET", r"/api/v1/media/(?P<ref>[\w-]+)/info/")
def media_info(net: Network, call: Call, ref: str) -> Answer:
    post = found_post(net, ref)
    _visible(net, call, post.user_pk)
    return ok(items=[shapes.media(net, post)], num_results=1, more_available=False)


@routes("GET", r"/api/v1/media/(?P<ref>[\w-]+)/(stream_)?comments/")
def comments(net: Network, call: Call, ref: str) -> Answer:
    """Newest first, in pages of 20; `max_id` counts the comments already shown."""
    post = found_post(net, ref)
    newest = post.comments[::-1]
    at = _number(call.query.get("max_id")) or 0
    more = len(newest) > at + 20
    answer = {"comments": [shapes.comment(net, made) for made in newest[at : at + 20]]}
    if more:
        answer |= {"next_max_id": str(at + 20)}  # type: ignore[dict-item]
    return ok(**answer, comment_count=len(newest), has_more_comments=more)


@routes("GET", r"/api/v1/feed/user/(?P<pk>\d+)/story/")
def user_story(net: Network, call: Call, pk: str) -> Answer:
    person = _visible(net, call, pk)
    shown = [shapes.story(net, made) for made in net.world.stories_of(person.pk)]
    if not shown:
        return ok(reel=None, broadcast=None)
    user = shapes.user_short(net, person)
    return ok(reel={"id": person.pk, "user": user, "items": shown, "media_count": len(shown)})


@routes("POST", r"/api/v1/feed/reels_tray/")
def reels_tray(net: Network, call: Call) -> Answer:
    return ok(tray=[], broadcasts=[])


@routes("POST", r"/api/v1/feed/timeline/")
def timeline(net: Network, call: Call) -> Answer:
    return ok(feed_items=[], num_results=0, more_available=False)


@routes("GET", r"/api/v1/news/inbox/")
def news_inbox(net: Network, call: Call) -> Answer:
    with net.world.lock:
        lines = net.world.news.get(call.me.pk, [])[::-1][:100]
    shown = [shapes.news(net, line) for line in lines]
    return ok(new_stories=shown, old_stories=[], counts={}, last_checked=net.world.clock())


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _pk(cursor: str | None) -> int | None:
    return _number((cursor or "").split("_")[0])


def _cursor(text: str) -> int | None:
    try:
        return _number(base64.urlsafe_b64decode(text).decode())
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal(fail(400, "Invalid max_id")) from None
