"""People and posts that must not come back: a keyed hash of which they are, nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, select

from bot.core.errors import StorageError
from bot.core.folders import private_folder
from storage.tables import Control, OptOut

_CHECK = "optout-key-check"
_KEY_BYTES = 32


class OptOuts:
    """Tombstones under a secret key that lies beside the database, 0600.

    User ids are short numbers, so a plain hash could be tried through; the key prevents that. The
    database remembers a check value: a lost key is an error, not a silent return of everybody.
    """

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._key = b""

    def open(self, session: Session, now: datetime) -> None:
        """Read or make the key. Raises StorageError when the tombstones have another one."""
        row = session.get(Control, _CHECK)
        if row is not None and not self._key_file.exists():
            raise StorageError(
                f"{self._key_file} is missing: without it people who opted out would come back. "
                "Restore it from the backup the database came from."
            )
        self._key = _key(self._key_file)
        check = self._digest("check", "check")
        if row is None:
            session.add(Control(key=_CHECK, value=check, changed=now))
        elif not hmac.compare_digest(row.value, check):
            raise StorageError(f"{self._key_file} does not belong to this database")

    def add(self, session: Session, platform: str, user_id: str, now: datetime) -> None:
        """Keep this person out from now on. Adding twice changes nothing."""
        digest = self._digest(platform, user_id)
        if session.get(OptOut, digest) is None:
            session.add(OptOut(digest=digest, created=now))
            session.flush()

    def has(self, session: Session, platform: str, user_id: str) -> bool:
        return session.get(OptOut, self._digest(platform, user_id)) is not None

    def among(self, session: Session, platform: str, user_ids: set[str]) -> set[str]:
        """Those of `user_ids` who opted out."""
        digests = {self._digest(platform, user_id): user_id for user_id in user_ids}
        statement = select(OptOut.digest).where(OptOut.digest.in_(digests))  # type: ignore[attr-defined]
        return {digests[digest] for digest in session.exec(statement)}

    def add_posts(
        self, session: Session, platform: str, post_ids: Iterable[str], now: datetime
    ) -> None:
        """Keep these posts out from now on, whoever lists them."""
        for post_id in post_ids:
            digest = self._post_digest(platform, post_id)
            if session.get(OptOut, digest) is None:
                session.add(OptOut(digest=digest, created=now))
        session.flush()

    def unwelcome(self, session: Session, platform: str, posts: Mapping[str, str]) -> set[str]:
        """Those of `posts` (post id → its author's user id) that are to be kept out."""
        left = self.among(session, platform, set(posts.values()))
        digests = {self._post_digest(platform, post_id): post_id for post_id in posts}
        statement = select(OptOut.digest).where(OptOut.digest.in_(digests))  # type: ignore[attr-defined]
        gone = {digests[digest] for digest in session.exec(statement)}
        return gone | {post_id for post_id, user_id in posts.items() if user_id in left}

    def digest(self, platform: str, user_id: str) -> str:
        """The tombstone this person has, or would have. It says nothing without the key."""
        return self._digest(platform, user_id)

    def _post_digest(self, platform: str, post_id: str) -> str:
        return self._digest("post", f"{platform}/{post_id}")  # "post" is no platform

    def _digest(self, platform: str, user_id: str) -> str:
        if not self._key:
            raise ValueError("open the opt-outs first")
        message = f"{platform}/{user_id}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def _key(path: Path) -> bytes:
    """The key in this file, made when there is none. Raises StorageError."""
    try:
        if not path.exists():
            _create_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise StorageError(f"opt-out key: {error}") from error
    if len(key) != _KEY_BYTES:
        raise StorageError(f"{path} is damaged: {len(key)} bytes instead of {_KEY_BYTES}")
    return key


def _create_key(path: Path) -> None:
    """Appears whole or not at all; of two processes that try at once, one wins."""
    private_folder(path.parent)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".key-") as file:  # mode 0600
        file.write(secrets.token_bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was faster
            path.hardlink_to(file.name)
