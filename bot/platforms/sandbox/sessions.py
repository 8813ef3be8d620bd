"""Who may act as whom: passwords as the app sends them, second factors, session tokens."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import json
import secrets
import struct
import threading
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.platforms.sandbox.things import Person

KEY_ID = 87
_STEP_S = 30


def totp(secret: str, at: float) -> str:
    """The RFC 6238 code (SHA-1, 6 digits, 30 s) of a base32 secret at a POSIX time."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.new(key, struct.pack(">Q", int(at) // _STEP_S), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def totp_fits(secret: str, code: str, at: float) -> bool:
    """Whether a code is right now, one step earlier or one later."""
    return any(
        hmac.compare_digest(totp(secret, at + drift), code) for drift in (-_STEP_S, 0, _STEP_S)
    )


class Sessions:
    """Tokens and half-finished logins, in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._people: dict[str, str] = {}  # session id -> person pk
        self._waiting: dict[str, str] = {}  # two-factor context -> person pk

    @functools.cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public_key(self) -> str:
        """What passwords are encrypted with, as the `ig-set-password-encryption-pub-key` header."""
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(pem).decode()

    def password(self, sent: str) -> str:
        """The plain text of `#PWD_INSTAGRAM:4:TIME:BASE64`. Raises ValueError for anything else."""
        prefix, _, rest = sent.partition(":")
        version, _, rest = rest.partition(":")
        stamp, _, packed = rest.partition(":")
        if prefix != "#PWD_INSTAGRAM" or version != "4":
            raise ValueError("not an encrypted password")
        try:
            raw = base64.b64decode(packed, validate=True)
            nonce, size = raw[2:14], int.from_bytes(raw[14:16], "little")
            session_key = self._key.decrypt(raw[16 : 16 + size], padding.PKCS1v15())
            tag, sealed = raw[16 + size : 32 + size], raw[32 + size :]
            plain = AESGCM(session_key).decrypt(nonce, sealed + tag, stamp.encode())
        except (binascii.Error, InvalidTag) as error:
            raise ValueError("the password cannot be decrypted") from error
        return plain.decode()

    def open(self, person: Person) -> str:
        """Start a session; returns the value of the `ig-set-authorization` header."""
        session_id = f"{person.pk}%3A{secrets.token_hex(12)}%3A{secrets.randbelow(30)}"
        with self._lock:
            self._people[session_id] = person.pk
        data = {"ds_user_id": person.pk, "sessionid": session_id}
        return "Bearer IGT:2:" + base64.b64encode(json.dumps(data).encode()).decode()

    def person_of(self, authorization: str, cookie: str) -> str:
        """The pk a request acts as; empty for a token that is unknown or was revoked."""
        session_id = _session_id(authorization) or _cookie(cookie, "sessionid")
        with self._lock:
            return self._people.get(session_id, "")

    def revoke(self, person: Person) -> int:
        """End every session of a person, as Instagram does at will; returns how many there were."""
        with self._lock:
            ended = [sid for sid, pk in self._people.items() if pk == person.pk]
            for session_id in ended:
                del self._people[session_id]
            return len(ended)

    def wait_for_code(self, person: Person) -> str:
        context = secrets.token_urlsafe(24)
        with self._lock:
            self._waiting[context] = person.pk
        return context

    def waiting(self, context: str) -> str:
        with self._lock:
            return self._waiting.get(context, "")


def _session_id(authorization: str) -> str:
    packed = authorization.rpartition(":")[2]
    try:
        data: Any = json.loads(base64.b64decode(packed))
    except (ValueError, UnicodeDecodeError):
        return ""
    return str(data.get("sessionid", "")) if isinstance(data, dict) else ""


def _cookie(header: str, name: str) -> str:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""
