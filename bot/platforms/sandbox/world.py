"""The people of the loopback network, what they posted, and how it is found.

Everything is in memory and guarded by one lock, so tests may change the world from their own thread
while the server answers. Times are POSIX seconds of an injectable clock.
"""

from __future__ import annotations

import bisect
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields, replace
from typing import Protocol

from bot.platforms.sandbox import ids
from bot.platforms.sandbox.things import (
    Comment,
    Content,
    Details,
    Message,
    News,
    Person,
    Picture,
    Post,
    PostKind,
    Profile,
    Story,
    Tag,
    Thread,
    hashtags,
    mentions,
)

STORY_LIFE_S = 24 * 3600.0


class PictureSource(Protocol):
    def pick(self, serial: int, index: int = 0) -> Picture:
        """A picture for the `index`-th image of post `serial`; the same one every time."""


class World:
    """Users, posts, hashtags, stories and threads. Raises KeyError for who or what is not there."""

    def __init__(
        self, gallery: PictureSource, clock: Callable[[], float] = time.time, seed: int = 0
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.gallery = gallery
        self.show_private = True  # harsher than the real one: hashtags list private accounts too
        self.people: dict[str, Person] = {}
        self.posts: dict[int, Post] = {}
        self.stories: dict[str, list[Story]] = defaultdict(list)
        self.threads: list[Thread] = []
        self.news: dict[str, list[News]] = defaultdict(list)
        self._names: dict[str, str] = {}
        self._by_user: dict[str, list[int]] = defaultdict(list)
        self._by_hashtag: dict[str, list[int]] = defaultdict(list)
        self._by_tagged: dict[str, list[int]] = defaultdict(list)
        self._random = random.Random(seed)  # noqa: S311 - ids, not secrets
        self._serial = 0

    def next_pk(self, at: float | None = None) -> int:
        with self.lock:
            self._serial += 1
            return ids.media_pk(self.clock() if at is None else at, self._serial)

    # people

    def add_user(
        self,
        username: str,
        full_name: str = "",
        *,
        profile: Profile = Profile(),  # noqa: B008 - a constant
    ) -> Person:
        """Raises ValueError for a name that is taken."""
        with self.lock:
            if username.lower() in self._names:
                raise ValueError(f"user name {username!r} is taken")
            pk = str(self._random.randrange(10**9, 7 * 10**10))
            person = Person(
                pk,
                username,
                full_name or username,
                **asdict(profile),
                followers=self._random.randrange(20, 20_000),
                following=self._random.randrange(20, 900),
            )
            self.people[pk] = person
            self._names[username.lower()] = pk
            return person

    def user(self, name_or_pk: str) -> Person:
        with self.lock:
            pk = self._names.get(name_or_pk.lower(), name_or_pk)
            return self.people[pk]

    def rename(self, username: str, new_name: str) -> Person:
        with self.lock:
            if new_name.lower() in self._names:
                raise ValueError(f"user name {new_name!r} is taken")
            person = self.people[self._names.pop(username.lower())]
            person.username = new_name
            self._names[new_name.lower()] = person.pk
            return person

    # posts

    def add_post(
        self,
        author: str,
        caption: str = "",
        *,
        kind: PostKind = "photo",
        pictures: Sequence[Picture] | None = None,
        count: int | None = None,
        tags: Iterable[Tag] = (),
        details: Details = Details(),  # noqa: B008 - a constant
    ) -> Post:
        """Publish as `author` (name or pk). `tags` go on the first image unless it has its own.

        Without `pictures` the gallery gives `count` of them (3 for an album, else 1).
        """
        with self.lock:
            person = self.user(author)
            at = self.clock() if details.at is None else details.at
            pk = self.next_pk(at)
            if pictures is None:
                many = count or (3 if kind == "album" else 1)
                pictures = [self.gallery.pick(self._serial, index) for index in range(many)]
            first, *rest = pictures
            if tagged := tuple(tags):
                first = replace(first, tags=tagged)
            said = asdict(details) | {"at": at, "place": details.place}
            post = Post(pk, person.pk, kind=kind, pictures=(first, *rest), caption=caption, **said)
            self.posts[pk] = post
            bisect.insort(self._by_user[person.pk], pk)
            self._index(post)
            for picture in post.pictures:
                for tag in picture.tags:
                    self._tell(tag.user_pk, "usertag", post, person, "tagged you in a post")
            for name in mentions(caption):
                text = f"mentioned you in a post: {caption}"
                self._tell(self._names.get(name), "mention", post, person, text)
            return post

    def _index(self, post: Post) -> None:
        for tag in set(hashtags(post.caption)):
            bisect.insort(self._by_hashtag[tag], post.pk)
        for user_pk in {tag.user_pk for picture in post.pictures for tag in picture.tags}:
            bisect.insort(self._by_tagged[user_pk], post.pk)

    def _unindex(self, post: Post) -> None:
        for tag in set(hashtags(post.caption)):
            self._by_hashtag[tag].remove(post.pk)
        for user_pk in {tag.user_pk for picture in post.pictures for tag in picture.tags}:
            self._by_tagged[user_pk].remove(post.pk)

    def _tell(self, user_pk: str | None, kind: str, post: Post, actor: Person, text: str) -> None:
        if user_pk and user_pk != actor.pk:
            line = News(str(self.next_pk()), kind, actor.pk, post.pk, self.clock(), text)
            self.news[user_pk].append(line)

    def post(self, ref: str | int) -> Post:
        """By pk, `pk_userid` or shortcode; deleted posts raise KeyError."""
        with self.lock:
            text = str(ref).split("_")[0] if str(ref)[:1].isdigit() else str(ref)
            pk = int(text) if text.isdigit() and int(text) in self.posts else ids.pk_of(str(ref))
            post = self.posts[pk]
            if post.deleted:
                raise KeyError(ref)
            return post

    def edit(self, ref: str | int, caption: str) -> Post:
        with self.lock:
            post = self.post(ref)
            self._unindex(post)
            post.caption, post.edited = caption, True
            self._index(post)
            return post

    def delete(self, ref: str | int) -> Post:
        with self.lock:
            post = self.post(ref)
            self._unindex(post)
            self._by_user[post.user_pk].remove(post.pk)
            post.deleted = True
            return post

    def comment(self, ref: str | int, author: str, text: str, **more: str) -> Comment:
        """`more`: token, reply_to."""
        with self.lock:
            post, person = self.post(ref), self.user(author)
            made = Comment(str(self.next_pk()), person.pk, text, self.clock(), **more)
            post.comments.append(made)
            for name in mentions(text):
                line = f"mentioned you in a comment: {text}"
                self._tell(self._names.get(name), "comment_mention", post, person, line)
            return made

    # listings: newest first, `before` is the pk of the last post seen

    def of_user(self, user_pk: str, before: int | None, limit: int) -> tuple[list[Post], bool]:
        """A page of a profile and whether more follows; pinned posts lead the first page."""
        with self.lock:
            index = self._by_user[user_pk]
            pinned = [self.posts[pk] for pk in reversed(index) if self.posts[pk].pinned]
            lead = pinned if before is None else []
            room = max(1, limit - len(lead))
            page, more = self._page(index, before, room, skip_pinned=True)
            return lead + page, more

    def of_hashtag(self, tag: str, before: int | None, limit: int) -> tuple[list[Post], bool]:
        with self.lock:
            return self._page(self._by_hashtag.get(tag.lower(), []), before, limit)

    def of_tagged(self, user_pk: str, before: int | None, limit: int) -> tuple[list[Post], bool]:
        with self.lock:
            return self._page(self._by_tagged.get(user_pk, []), before, limit)

    def top_of_hashtag(self, tag: str, skip: int, limit: int) -> tuple[list[Post], bool]:
        """Most liked first among the newest 500."""
        with self.lock:
            newest, _ = self._page(self._by_hashtag.get(tag.lower(), []), None, 500)
            newest.sort(key=lambda post: (-post.likes, -post.pk))
            return newest[skip : skip + limit], len(newest) > skip + limit

    def count_of(self, *, user_pk: str = "", hashtag: str = "") -> int:
        with self.lock:
            if user_pk:
                return len(self._by_user.get(user_pk, ()))
            return len(self._by_hashtag.get(hashtag.lower(), ()))

    def _page(
        self, index: list[int], before: int | None, limit: int, *, skip_pinned: bool = False
    ) -> tuple[list[Post], bool]:
        at = len(index) if before is None else bisect.bisect_left(index, before)
        page: list[Post] = []
        while at > 0 and len(page) < limit:
            at -= 1
            post = self.posts[index[at]]
            hidden = self.people[post.user_pk].is_private and not self.show_private
            if not hidden and not (skip_pinned and post.pinned):
                page.append(post)
        return page, at > 0

    # stories and messages

    def add_story(self, author: str, picture: Picture, **more: object) -> Story:
        """`more`: caption, mentions, link, reshared_pk, upload_id (see Story)."""
        with self.lock:
            person, now = self.user(author), self.clock()
            story = Story(self.next_pk(now), person.pk, now, picture, **more)  # type: ignore[arg-type]
            self.stories[person.pk].append(story)
            return story

    def stories_of(self, user_pk: str) -> list[Story]:
        """Those of the last 24 hours, oldest first, as Instagram orders a reel."""
        with self.lock:
            oldest = self.clock() - STORY_LIFE_S
            return [s for s in self.stories.get(user_pk, ()) if s.at >= oldest and not s.deleted]

    def thread(self, members: Iterable[str], *, create: bool = False) -> Thread | None:
        """The thread of exactly these people (pks)."""
        with self.lock:
            key = tuple(sorted(set(members)))
            for thread in self.threads:
                if thread.members == key:
                    return thread
            if not create:
                return None
            number = self._random.randrange(10**14, 10**15)
            thread = Thread(f"178{number:014d}"[:17], f"340282366841710300949128{number:015d}", key)
            self.threads.append(thread)
            return thread

    def thread_by_id(self, ref: str) -> Thread:
        with self.lock:
            for thread in self.threads:
                if ref in (thread.pk, thread.thread_id):
                    return thread
            raise KeyError(ref)

    def say(self, thread: Thread, author: str, content: Content) -> Message:
        with self.lock:
            person = self.user(author)
            item = f"3{self.next_pk():019d}{self._random.randrange(10**15):015d}"
            said = {one.name: getattr(content, one.name) for one in fields(content)}
            made = Message(item, person.pk, self.clock(), **said)
            if not thread.messages:
                thread.pending_for = set(thread.members) - {person.pk}
            thread.pending_for.discard(person.pk)
            thread.messages.append(made)
            return made
