"""The loopback network in a process of its own, with a hashtag of many posts already there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.platforms.sandbox.things import Details

HASHTAG = "bench"


@contextlib.contextmanager
def network(folder: Path, posts: int, side: int = 0) -> Iterator[Mapping[str, str]]:
    """Addresses, as `Sandbox.addresses` gives them.

    `side`: width in px of photos that all differ; 0 for those of the loopback network's gallery.
    """
    command = [sys.executable, "-m", "bench.network", str(folder), str(posts), str(side)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("no pipes to the network")
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()  # tells it to stop
        process.wait(30)
        process.stdout.close()


def large(box: Any, posts: int, side: int) -> None:
    """Posts with photos of side x 1.25 side px: parts of scikit-image's, no two the same."""
    import io
    import random

    from PIL import Image
    from skimage import data

    whole = [Image.fromarray(make()) for make in (data.astronaut, data.chelsea, data.coffee)]
    dice = random.Random(3)
    author = box.world.add_user("large").username
    now = box.world.clock()
    for number in range(posts):
        photo = whole[number % len(whole)]
        share = dice.uniform(0.5, 0.9)
        width, height = share * photo.width, share * photo.height
        left = dice.uniform(0, photo.width - width)
        top = dice.uniform(0, photo.height - height)
        part = (left, top, left + width, top + height)
        out = io.BytesIO()
        size = (side, side * 5 // 4)
        photo.resize(size, Image.Resampling.BICUBIC, part).save(out, "JPEG", quality=88)
        picture = box.gallery.keep(f"large{number}", out.getvalue())
        at = now - (posts - number)
        box.world.add_post(
            author, f"#{HASHTAG} {number}", pictures=[picture], details=Details(at=at)
        )


def main() -> None:
    from bot.platforms.sandbox.people import bulk
    from bot.platforms.sandbox.server import Sandbox

    box = Sandbox(Path(sys.argv[1]))
    box.net.page_size = 50
    posts, side = int(sys.argv[2]), int(sys.argv[3])
    if side:
        large(box, posts, side)
    else:
        bulk(box.world, HASHTAG, posts)
        box.gallery.warm()
    with box:
        print(json.dumps(box.addresses()), flush=True)
        done = threading.Thread(target=sys.stdin.read)
        done.start()
        done.join()


if __name__ == "__main__":
    main()
