"""Sessions of browsers. They end with the process; only hashes of their keys are kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock

IDLE = timedelta(hours=12)  # unused for so long, a session has ended
MOST = 1000  # sessions; beyond, the one that was unused for longest ends


class Role(StrEnum):
    VIEWER = "viewer"  # sees everything, changes nothing
    REVIEWER = "reviewer"  # decides, and changes tracks


@dataclass(slots=True)
class WebSession:
    """Somebody at a browser. `csrf` is what its pages send along with what they change."""

    name: str
    role: Role
    csrf: str
    used: datetime


class Sessions:
    """By the hash of the key in the cookie."""

    def __init__(self) -> None:
        self._known: dict[str, WebSession] = {}
        self._lock = Lock()

    def begin(self, name: str, role: Role, now: datetime) -> tuple[str, WebSession]:
        """The key for the cookie, and the session."""
        key = secrets.token_urlsafe(32)
        session = WebSession(name, role, secrets.token_urlsafe(32), now)
        with self._lock:
            self._drop(now)
            self._known[_hash(key)] = session
        return key, session

    def find(self, key: str, now: datetime) -> WebSession | None:
        """The session of this key, used now; None for one that ended or never was."""
        with self._lock:
            found = self._known.get(_hash(key))
            if found is None or now - found.used > IDLE:
                return None
            found.used = now
            return found

    def end(self, key: str) -> None:
        with self._lock:
            self._known.pop(_hash(key), None)

    def _drop(self, now: datetime) -> None:
        by_use = sorted(self._known.items(), key=lambda item: item[1].used)
        spare = len(by_use) - MOST + 1
        for at, (key, session) in enumerate(by_use):
            if at < spare or now - session.used > IDLE:
                del self._known[key]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
