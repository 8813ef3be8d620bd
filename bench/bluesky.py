"""From a post on a real Bluesky network to the published reply, and the memory of the service.

`make e2e-bluesky` installs the network; it runs on the same cores. Not in `make bench`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row, rss_mb, show
from tests.bluesky.network import PASSWORD, Person, network, why_not
from tests.e2e.kit import Running
from tests.e2e.test_bluesky import CONFIG, photo
from tests.waiting import eventually

ASKED = 20


def main() -> None:
    if problem := why_not():
        sys.exit(problem)
    with network() as sky, tempfile.TemporaryDirectory() as folder:
        bot, ana = sky.join("echo"), sky.join("ana")
        said = {
            "username": bot.handle, "server": sky.pds, "directory": sky.plc, "events": "auto",
            "every": "1h", "approval": "false", "tag": "dawn",
        }  # fmt: skip
        secrets = {"TAGECHO_ACCOUNTS__MAIN__PASSWORD": PASSWORD}
        running = Running(Path(folder), CONFIG.format(**said), secrets, by_command=True)
        try:
            running.start()
            heard = "SELECT value FROM controls WHERE key = 'stream:main'"
            eventually("it listens", lambda: running.query(heard))
            took = [_answered(bot, ana, number) for number in range(ASKED)]
            memory = rss_mb(running.process.pid)
        finally:
            running.close()
    show(
        "Bluesky",
        [Row("post to published reply", took, rss_mb=memory, target="≤ 3000 ms")],
    )


def _answered(bot: Person, ana: Person, number: int) -> float:
    """Milliseconds."""
    image, began = photo(number, (640, 480)), time.monotonic()
    uri = ana.post(f"#dawn {number}", image, mention=bot)
    eventually("the reply is there", lambda: bot.replies_to(uri))
    return (time.monotonic() - began) * 1000


if __name__ == "__main__":
    main()
