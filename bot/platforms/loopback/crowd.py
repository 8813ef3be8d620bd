"""The people of a demo on a network of short texts: what they keep posting."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence

COMMON = "photooftheday"  # on every post
OPT_IN = "imagebotplease"
_ASKS = 0.4  # of all posts
_TEXTS = ("Sunday light", "Endlich Wochenende!", "今日の一枚", "Доброе утро", "صباح الخير")
_MOST = 10**9  # photos that a network can tell apart


class Crowd:
    """Posts at `rate` posts per second, in a thread; 0: silent. It may be changed at any time.

    Some ask the bot for a reply. Others, `unasked`, look as if, and must get none: bots, and those
    who want none. `publish` is given an author, a text and the number of a photo.
    """

    def __init__(
        self,
        publish: Callable[[str, str, int], object],
        *,
        people: Sequence[str],
        unasked: Sequence[str],
        bot: str,
        opt_in: str = OPT_IN,
        hashtags: Sequence[str] = (),
        rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._publish = publish
        self._people, self._unasked = tuple(people), tuple(unasked)
        self._bot, self._hashtags = bot, tuple(hashtags)
        self.opt_in, self.rate = opt_in, rate
        self.posted = 0
        self._chance = random.Random(seed)  # noqa: S311 - variety, not secrets
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when nobody posts any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def post(self) -> None:
        chance, text = self._chance, self._text()
        if chance.random() < _ASKS:
            author = chance.choice(self._people)
            text += chance.choice((f" @{self._bot} please!", f" #{self.opt_in}"))
        else:
            author = chance.choice((*self._people, *self._unasked))
            if author in self._unasked:
                text += f" #{self.opt_in}"
        self._publish(author, text, chance.randrange(_MOST))
        self.posted += 1

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self.rate <= 0:
                self._stopped.wait(0.1)
            elif not self._stopped.wait(self._chance.expovariate(self.rate)):
                self.post()

    def _text(self) -> str:
        tags = [COMMON, *([self._chance.choice(self._hashtags)] if self._hashtags else ())]
        return " ".join((self._chance.choice(_TEXTS), *(f"#{tag}" for tag in tags)))
