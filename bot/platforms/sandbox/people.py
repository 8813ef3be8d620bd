"""The people of the demo: who they are, and what they keep posting.

A share of their posts asks the bot for a reply; the others look like they might and must not get
one: old posts, private accounts, other bots, and a mention by somebody else in a comment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.platforms.sandbox.net import Network
from bot.platforms.sandbox.things import Details, Post, PostKind, Profile, Spot, Tag
from bot.platforms.sandbox.world import World

COMMON: Final = "photooftheday"  # on every post of the crowd
TRIGGER_SHARE: Final = 0.4
_NAMES = (
    "ana.lima", "bjork.foto", "chidi.o", "daria_k", "emre.yildiz", "fatima_z", "giulia.rossi",
    "haruto_jp", "ines.m", "jonas_weber", "kofi.art", "lena_s", "mateo.cam", "noor.pics",
    "olga_v", "priya.sees", "quentin_d", "rosa.films", "sven_outdoors", "tomoko.h",
)  # fmt: skip
_TEXTS = (
    "Sunday light", "Endlich Wochenende!", "今日の一枚", "صباح الخير", "Доброе утро", "오늘의 사진",
    "Qué día tan bonito", "शुभ प्रभात", "no filter needed 😍✨", "work in progress 🛠️",
)  # fmt: skip
_SPOTS = (
    Spot(212988663, "New York, New York", 40.7142, -74.0064),
    Spot(213385402, "London, United Kingdom", 51.5141, -0.1094),
    Spot(214424288, "東京", 35.6894, 139.6917),
)
_KINDS: tuple[PostKind, ...] = ("photo", "album", "reel")


@dataclass(frozen=True, slots=True)
class Habits:
    """How people post."""

    opt_in: str = "imagebotplease"  # one of the ways in which they ask for a reply
    hashtags: Sequence[str] = ()  # each post carries one of them, if there are any
    profiles: Sequence[str] = ()  # people who post more than the others do
    rate: float = 0.0  # posts per second; 0: none


class Crowd:
    """Seeds the world and posts; its `rate` may be changed any time."""

    def __init__(
        self,
        net: Network,
        bot: str,
        habits: Habits,
        seed: int = 0,
    ) -> None:
        self._net = net
        self._chance = random.Random(seed)  # noqa: S311 - variety, not secrets
        self._bot = bot
        self._hashtags = tuple(habits.hashtags)
        self._profiles = tuple(habits.profiles)
        self.opt_in = habits.opt_in
        self.rate = habits.rate
        self.posted = 0
        self.triggers: list[str] = []  # shortcodes of the posts that ask for a reply
        self._people: list[str] = []

    def populate(self, old_posts: int = 20) -> None:
        """People of every kind and posts older than a day, none of which may be answered."""
        world = self._net.world
        names = {name.lower(): name for name in (*_NAMES, *self._profiles)}
        names.pop(self._bot.lower(), None)
        for name in names.values():
            world.add_user(name, name.partition(".")[0].title())
            self._people.append(name)
        world.add_user("quiet.corner", "Quiet Corner", profile=Profile(is_private=True))
        world.add_user(
            "daily_quote_bot",
            "Daily Quotes",
            profile=Profile(biography="🤖 automated account, I am a bot"),
        )
        world.add_user("no.messages", "No Messages", profile=Profile(takes_dms=False))
        self._people.append("no.messages")
        for _ in range(old_posts):
            age = self._chance.uniform(25, 24 * 30) * 3600
            self._publish(self._somebody(), f"@{self._bot}", at=world.clock() - age)

    async def run(self) -> None:
        """Post for as long as the sandbox runs."""
        while True:
            if self.rate <= 0 or not self._people:
                await asyncio.sleep(0.1)
                continue
            await asyncio.sleep(self._chance.expovariate(self.rate))
            self.post()

    def post(self) -> Post:
        """One more post of somebody."""
        self.posted += 1
        if self._chance.random() < TRIGGER_SHARE:
            return self._asking()
        return self._not_asking()

    def _somebody(self) -> str:
        known = [name for name in self._people if name in self._profiles]
        return self._chance.choice(known if known and self._chance.random() < 0.3 else self._people)

    def _asking(self) -> Post:
        author, bot = self._somebody(), self._net.world.user(self._bot)
        place = Tag(bot.pk, round(self._chance.random(), 2), round(self._chance.random(), 2))
        ways: tuple[tuple[str, tuple[Tag, ...]], ...] = (
            (f"@{self._bot} please!", ()),
            (f"#{self.opt_in}", ()),
            ("", (place,)),
        )
        ask, tags = self._chance.choice(ways)
        post = self._publish(author, ask, tags=tags)
        self.triggers.append(post.code)
        return post

    def _not_asking(self) -> Post:
        world = self._net.world
        author = self._somebody()
        other = self._chance.choice([name for name in self._people if name != author])
        way = self._chance.randrange(6)
        if way == 0:
            return self._publish("quiet.corner", f"@{self._bot}")
        if way == 1:
            return self._publish("daily_quote_bot", f"@{self._bot} #{self.opt_in}")
        if way == 2:
            post = self._publish(author, "")
            world.comment(post.pk, other, f"@{self._bot} look at this")
            return post
        if way == 3:
            return self._publish(author, f"@{self._bot}", at=world.clock() - 25 * 3600)
        if way == 4:
            friend = Tag(world.user(other).pk, 0.5, 0.5)
            return self._publish(author, f"with @{other}", tags=(friend,))
        return self._publish(author, "")

    def _publish(
        self, author: str, ask: str, at: float | None = None, tags: tuple[Tag, ...] = ()
    ) -> Post:
        chance, gallery = self._chance, self._net.gallery
        serial = chance.randrange(10**9)
        kind: PostKind = chance.choices(_KINDS, (8, 1, 1))[0]
        pictures = [gallery.pick(serial, index) for index in range(3 if kind == "album" else 1)]
        about = [*gallery.subject(pictures[0]), COMMON]
        if self._hashtags:
            about.append(chance.choice(self._hashtags))
        tagged = " ".join(f"#{tag}" for tag in about)
        caption = f"{chance.choice(_TEXTS)} {tagged} {ask}".strip()
        return self._net.world.add_post(
            author,
            caption,
            kind=kind,
            pictures=pictures,
            tags=tags,
            details=Details(
                at=at, place=chance.choice((None, None, *_SPOTS)), likes=chance.randrange(500)
            ),
        )


def bulk(world: World, hashtag: str, count: int, *, authors: int = 50, step_s: float = 1.0) -> None:
    """A hashtag with `count` posts, `step_s` seconds apart, the newest now; for benchmarks."""
    names = [world.add_user(f"bulk_{hashtag}_{number}").username for number in range(authors)]
    now = world.clock()
    for number in range(count):
        at = now - (count - number) * step_s
        world.add_post(names[number % authors], f"#{hashtag} {number}", details=Details(at=at))
