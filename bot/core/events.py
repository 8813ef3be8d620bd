"""What travels through the service: frozen values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class MediaKind(StrEnum):
    PHOTO = "photo"
    COVER = "cover"  # the cover image of a video


class TrackKind(StrEnum):
    HASHTAG = "hashtag"
    PROFILE = "profile"
    MENTIONS = "mentions"  # posts that tag or mention our own account


@dataclass(frozen=True, slots=True)
class Topic:
    """What a track follows: a hashtag or a profile by its name, or our own mentions ("")."""

    kind: TrackKind
    name: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """A person on a platform. `user_id` is stable; `username` may change at any time."""

    platform: str
    user_id: str
    username: str
    full_name: str = ""
    is_private: bool = False
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Media:
    """One image of a post. Pixels are fetched later, from `url`."""

    index: int
    url: str
    kind: MediaKind = MediaKind.PHOTO
    width: int = 0  # as the platform states it; 0 when unknown
    height: int = 0


@dataclass(frozen=True, slots=True)
class UserTag:
    """A person tagged in an image. `x`, `y` in [0, 1] from the top left; None when not placed."""

    user_id: str
    username: str
    x: float | None = None
    y: float | None = None
    media_index: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    name: str
    place_id: str = ""
    lat: float | None = None
    lng: float | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A post as the platform showed it at one moment. `taken_at` is aware, UTC."""

    platform: str
    post_id: str
    author: Author
    taken_at: datetime
    url: str
    caption: str = ""
    hashtags: tuple[str, ...] = ()  # lower case, without '#'
    mentions: tuple[str, ...] = ()  # lower-case user names found in the caption, without '@'
    usertags: tuple[UserTag, ...] = ()
    place: Place | None = None
    media: tuple[Media, ...] = ()
    like_count: int | None = None
    comment_count: int | None = None
    pinned: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first (pinned posts may come before newer ones)."""

    posts: tuple[Post, ...]
    cursor: str | None = None  # None: there is no further page
    aside: tuple[Post, ...] = ()  # found elsewhere: they do not show how far the listing has come
    owner: str = ""  # of a profile: the user id that its name stands for; "" where it is not said


@dataclass(frozen=True, slots=True)
class Comment:
    """A text under a post. `created_at` is aware, UTC."""

    comment_id: str
    author: Author
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CommentPage:
    comments: tuple[Comment, ...]
    cursor: str | None = None  # None: there is no further page


@dataclass(frozen=True, slots=True)
class Step:
    """Everything needed to send one write, fixed and stored before it is sent.

    `token` identifies the write to the platform wherever it takes such a thing (an idempotency key,
    a record's key); `inputs` holds what earlier steps of the same reply gave.
    """

    kind: str  # one of the platform's own (`bot.platforms.descriptor.StepKind`)
    token: str
    source_post_id: str
    source_url: str
    author: Author
    text: str = ""  # caption, comment or message
    alt_text: str = ""
    image: bytes | None = None  # a file as the mode's canvas wants it, where the step carries one
    size: tuple[int, int] = (0, 0)  # (width, height) of the image
    inputs: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime | None = None  # when the write was first sent; None before that


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform confirmed a write. `outputs` feed later steps of the same reply."""

    remote_id: str  # what `Platform.delete` and `exists` take for it; "" when nobody knows
    url: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


class Presence(StrEnum):
    """What reading the platform back said about a write of unknown outcome."""

    APPLIED = "applied"
    ABSENT = "absent"  # a complete, trustworthy reading did not show it
    UNKNOWN = "unknown"  # the reading was partial, failed, or cannot tell


@dataclass(frozen=True, slots=True)
class Reading:
    verdict: Presence
    receipt: Receipt | None = None  # set when APPLIED
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker of an account and action class; this default is closed, no history."""

    open_until: datetime | None = None  # aware
    failures: int = 0  # in a row; makes the next pause longer
    latched: bool = False  # open until a person closes it, whatever `open_until` says
    reason: str = ""
