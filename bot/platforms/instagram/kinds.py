"""The names that rows of the database have for what is Instagram's own."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How a reply is published."""

    POST = "post"
    STORY = "story"
    DM = "dm"


class StepKind(StrEnum):
    """One network write of a reply; each is a row of its own in `reply_steps`."""

    UPLOAD = "upload"  # bytes to the platform; shows nothing to anybody, so it may be repeated
    POST = "post"  # turns an upload into a feed post
    STORY = "story"  # turns an upload into a story
    DM_TEXT = "dm_text"  # names the source; opens the thread where there is none
    DM_UPLOAD = "dm_upload"
    DM_PHOTO = "dm_photo"
    COMMENT = "comment"  # a text comment under the source post


class Remote(StrEnum):
    """Something of ours that can be deleted there. The id of a comment is `POST/COMMENT`, of a
    message `THREAD/MESSAGE`: what it lies under is needed to find it."""

    POST = "post"
    STORY = "story"
    COMMENT = "comment"
    DM = "dm"
