"""The loopback network in a process of its own, with a hashtag of many posts already there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

HASHTAG = "bench"


@contextlib.contextmanager
def network(folder: Path, posts: int) -> Iterator[Mapping[str, str]]:
    """Addresses, as `Sandbox.addresses` gives them."""
    command = [sys.executable, "-m", "bench.network", str(folder), str(posts)]
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


def main() -> None:
    from bot.platforms.sandbox.people import bulk
    from bot.platforms.sandbox.server import Sandbox

    box = Sandbox(Path(sys.argv[1]), page_size=50)
    bulk(box.world, HASHTAG, int(sys.argv[2]))
    box.gallery.warm()
    with box:
        print(json.dumps(box.addresses()), flush=True)
        done = threading.Thread(target=sys.stdin.read)
        done.start()
        done.join()


if __name__ == "__main__":
    main()
