"""What really happened on the network: every request and every applied write.

One JSON object per line, flushed at once, so another process may read it at any time. The tests and
the demo judge the service by this file, never by the service's own database.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

Line = dict[str, Any]

REPLIES: Final = ("post", "story", "dm_photo")  # the kinds that publish a reply image


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request and its outcome. Status 0: no whole answer was sent."""

    host: str
    method: str
    path: str
    http: str  # "1.1" or "2"
    status: int
    user: str = ""
    fault: str = ""
    note: str = ""


class Journal:
    """Written by the sandbox; `Journal.read(path)` gives the same questions to another process.

    A request line: type="request", at, host, method, path, http ("1.1" or "2"), status, ms, user,
    fault, note. Status 0 means that no whole answer was sent. A write line: type="write", at, kind
    (login, upload, post, story, comment, dm_text, dm_upload, dm_photo, edit, delete), actor,
    target, source, token, ids.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: list[Line] = []
        self._file = None if path is None else path.open("a", encoding="utf-8")
        self.path = path

    @classmethod
    def read(cls, path: Path) -> Journal:
        """A snapshot of a journal on disk. A last line still being written is left out."""
        journal = cls(None)
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                journal._lines.append(json.loads(line))
        return journal

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def request(self, seen: SeenRequest, started: float) -> None:
        """`started`: by `time.monotonic`."""
        ms = round((time.monotonic() - started) * 1000, 2)
        self._add({"type": "request", "at": self._clock(), "ms": ms, **asdict(seen)})

    def write(
        self,
        kind: str,
        *,
        actor: str,
        target: str = "",
        source: str = "",
        token: str = "",
        ids: dict[str, Any] | None = None,
    ) -> None:
        """`source` is the shortcode of the post a write refers to, as far as the write shows it."""
        self._add(
            {
                "type": "write", "at": self._clock(), "kind": kind, "actor": actor,
                "target": target, "source": source, "token": token, "ids": ids or {},
            }
        )  # fmt: skip

    def _add(self, line: Line) -> None:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with self._lock:
            self._lines.append(line)
            if self._file is not None:
                self._file.write(text)
                self._file.flush()

    def requests(self, path: str = "", *, host: str = "", method: str = "") -> list[Line]:
        """Requests whose path contains `path`; empty arguments match everything."""
        return [
            line
            for line in self._of("request")
            if path in line["path"]
            and host in ("", line["host"])
            and method in ("", line["method"])
        ]

    def writes(self, kind: str = "", *, actor: str = "") -> list[Line]:
        return [
            line
            for line in self._of("write")
            if kind in ("", line["kind"]) and actor in ("", line["actor"])
        ]

    def replies_by_source(self, actor: str = "") -> dict[str, int]:
        """Published reply images per source post (shortcode).

        The source is what the write itself shows: a post by the link in its caption, a story by its
        link sticker, re-shared post or caption, a photo message by the post linked in its thread
        before it. Writes that show no source are left out: see `replies_without_source`.
        """
        return dict(Counter(w["source"] for w in self._replies(actor) if w["source"]))

    def replies_without_source(self, actor: str = "") -> list[Line]:
        return [write for write in self._replies(actor) if not write["source"]]

    def duplicate_replies(self, actor: str = "") -> int:
        """How many replies were published beyond the first one to each source.

        Where a write shows no source, the same image sent to the same people again is a duplicate.
        """
        unknown = Counter(
            (w["kind"], w["target"], w["ids"]["sha256"]) for w in self.replies_without_source(actor)
        )
        counts = [*self.replies_by_source(actor).values(), *unknown.values()]
        return sum(count - 1 for count in counts)

    def _replies(self, actor: str) -> list[Line]:
        return [write for write in self.writes(actor=actor) if write["kind"] in REPLIES]

    def _of(self, kind: str) -> list[Line]:
        with self._lock:
            return [line for line in self._lines if line["type"] == kind]
