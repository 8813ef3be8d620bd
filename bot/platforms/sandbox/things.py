"""What there is on the network: people, posts, stories, messages. Times are POSIX seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from bot.platforms.sandbox import ids

PostKind = Literal["photo", "album", "reel"]
MessageKind = Literal["text", "link", "photo"]

# Emoji are part of hashtags; #️⃣ is one itself.
_HASHTAG = re.compile("#((?![\ufe0f\u20e3])[\\w\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]+)")
_MENTION = re.compile(r"@([A-Za-z0-9._]*[A-Za-z0-9_])")
_LINK = re.compile(r"instagram\.com/(?:p|reel)/([A-Za-z0-9_-]+)")


@dataclass(slots=True)
class Person:
    pk: str
    username: str
    full_name: str = ""
    biography: str = ""
    is_private: bool = False
    is_verified: bool = False
    is_business: bool = False
    takes_dms: bool = True
    password: str = ""  # empty: nobody can log in as this person
    totp_secret: str = ""  # base32; empty: no second factor
    followers: int = 0
    following: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person says of themselves, and how they log in; as in `Person`."""

    biography: str = ""
    is_private: bool = False
    is_verified: bool = False
    is_business: bool = False
    takes_dms: bool = True
    password: str = ""
    totp_secret: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """A person at a place of an image; x, y in [0, 1] from the top left."""

    user_pk: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Picture:
    key: str  # what the gallery knows the bytes by
    width: int
    height: int
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    pk: int
    name: str
    lat: float
    lng: float


@dataclass(slots=True)
class Comment:
    pk: str
    user_pk: str
    text: str
    at: float
    token: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What most posts do not say."""

    at: float | None = None  # None: now
    place: Spot | None = None
    likes: int = 0
    pinned: bool = False
    alt_text: str = ""
    upload_id: str = ""


@dataclass(slots=True)
class Post:
    pk: int
    user_pk: str
    at: float
    kind: PostKind
    pictures: tuple[Picture, ...]
    caption: str = ""
    place: Spot | None = None
    likes: int = 0
    pinned: bool = False
    alt_text: str = ""
    upload_id: str = ""
    edited: bool = False
    deleted: bool = False
    comments: list[Comment] = field(default_factory=list)

    @property
    def code(self) -> str:
        return ids.code(self.pk)

    @property
    def media_id(self) -> str:
        return f"{self.pk}_{self.user_pk}"

    @property
    def url(self) -> str:
        return f"https://www.instagram.com/{'reel' if self.kind == 'reel' else 'p'}/{self.code}/"


@dataclass(slots=True)
class Story:
    pk: int
    user_pk: str
    at: float
    picture: Picture
    caption: str = ""
    mentions: tuple[Tag, ...] = ()
    link: str = ""
    reshared_pk: str = ""
    upload_id: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What somebody says to somebody."""

    kind: MessageKind
    text: str = ""
    picture: Picture | None = None
    context: str = ""
    source: str = ""  # shortcode of the post it refers to, where that can be known
    sha256: str = ""  # of a photo


@dataclass(slots=True)
class Message:
    pk: str
    user_pk: str
    at: float
    kind: MessageKind
    text: str = ""
    picture: Picture | None = None
    context: str = ""
    source: str = ""
    sha256: str = ""


@dataclass(slots=True)
class Thread:
    pk: str  # thread_v2_id
    thread_id: str  # the long one
    members: tuple[str, ...]
    pending_for: set[str] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class News:
    """One line of a person's activity: `kind` is usertag, mention or comment_mention."""

    pk: str
    kind: str
    actor_pk: str
    post_pk: int
    at: float
    text: str


def hashtags(text: str) -> list[str]:
    return [tag.lower() for tag in _HASHTAG.findall(text)]


def mentions(text: str) -> list[str]:
    return [name.lower() for name in _MENTION.findall(text)]


def linked_code(text: str) -> str:
    """The shortcode of the first Instagram post a text links to; empty when it links to none."""
    found = _LINK.search(text)
    return found.group(1) if found else ""
