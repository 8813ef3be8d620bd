"""The people of the demo: who they are, and how they post."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Pillow

from bot.platforms.loopback.crowd import OPT_IN, Crowd
from bot.platforms.mastodon_sandbox.world import Image, Status, World
from bot.platforms.sandbox.photos import Gallery

_NAMES = ("ana_lima", "bjork", "chidi", "daria_k", "emre", "fatima_z", "giulia", "haruto")
_UNASKED = ("quote_bot", "in_peace")


def crowd(
    world: World,
    folder: Path,
    *,
    bot: str,
    opt_in: str = OPT_IN,
    hashtags: Sequence[str] = (),
    profiles: Sequence[str] = (),
    rate: float = 0.0,
    seed: int = 0,
) -> Crowd:
    """They have joined, and post nothing before they are started. `profiles`: more of them."""
    names = [name.partition("@")[0] for name in profiles]
    people = [name for name in dict.fromkeys((*_NAMES, *names)) if name != bot]
    for name in people:
        world.join(name)
    world.join("quote_bot", bot=True)
    world.join("in_peace", note="I like people. #nobot")
    gallery = Gallery(folder, seed)

    def publish(author: str, text: str, photo: int) -> Status:
        return world.publish(author, text, (_kept(world, gallery, photo),))

    return Crowd(
        publish,
        people=people,
        unasked=_UNASKED,
        bot=bot,
        opt_in=opt_in,
        hashtags=hashtags,
        rate=rate,
        seed=seed,
    )


def _kept(world: World, gallery: Gallery, number: int) -> Image:
    data = gallery.read(gallery.pick(number).key)
    with Pillow.open(io.BytesIO(data)) as image:
        return world.keep(data, "", image.size)
