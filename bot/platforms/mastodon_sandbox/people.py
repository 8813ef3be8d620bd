"""The people of the demo: who they are, and what they keep posting."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow

from bot.platforms.mastodon_sandbox.world import Image, Status, World
from bot.platforms.sandbox.photos import Gallery

COMMON = "photooftheday"  # on every post
_ASKS = 0.4  # of all posts
_NAMES = ("ana_lima", "bjork", "chidi", "daria_k", "emre", "fatima_z", "giulia", "haruto")
_TEXTS = ("Sunday light", "Endlich Wochenende!", "今日の一枚", "Доброе утро", "صباح الخير")


class Crowd:
    """Posts at `rate` posts per second, in a thread; 0: silent. It may be changed at any time.

    Some ask the bot for a reply. Others look as if, and must get none: bots, those who want none
    (`#nobot`), and posts that are not for everybody.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        bot: str,
        opt_in: str,
        hashtags: Sequence[str] = (),
        profiles: Sequence[str] = (),
        rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._world, self._bot, self._hashtags = world, bot, tuple(hashtags)
        self.opt_in, self.rate = opt_in, rate
        self.posted = 0
        self._gallery = Gallery(folder, seed)
        self._chance = random.Random(seed)  # noqa: S311 - variety, not secrets
        self._stopped = threading.Event()
        names = [name.partition("@")[0] for name in profiles]
        self._people = [name for name in dict.fromkeys((*_NAMES, *names)) if name != bot]
        for name in self._people:
            world.join(name)
        world.join("quote_bot", bot=True)
        world.join("in_peace", note="I like people. #nobot")

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def post(self) -> Status:
        self.posted += 1
        chance, text = self._chance, self._text()
        if chance.random() < _ASKS:
            ask = chance.choice((f"@{self._bot} please!", f"#{self.opt_in}"))
            return self._publish(chance.choice(self._people), f"{text} {ask}")
        author = chance.choice((*self._people, "quote_bot", "in_peace"))
        if author in ("quote_bot", "in_peace"):
            return self._publish(author, f"{text} #{self.opt_in}")
        return self._publish(author, text)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self.rate <= 0:
                self._stopped.wait(0.1)
            elif not self._stopped.wait(self._chance.expovariate(self.rate)):
                self.post()

    def _text(self) -> str:
        tags = [COMMON, *([self._chance.choice(self._hashtags)] if self._hashtags else ())]
        return " ".join((self._chance.choice(_TEXTS), *(f"#{tag}" for tag in tags)))

    def _publish(self, author: str, text: str) -> Status:
        return self._world.publish(author, text, (self._photo(),))

    def _photo(self) -> Image:
        picture = self._gallery.pick(self._chance.randrange(10**9))
        data = self._gallery.read(picture.key)
        with Pillow.open(io.BytesIO(data)) as image:
            return self._world.keep(data, "", image.size)
