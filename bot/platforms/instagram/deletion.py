"""What remains on Instagram when something of ours is deleted."""

from __future__ import annotations

from datetime import timedelta

from bot.platforms.deletion import Deletion
from bot.platforms.instagram.kinds import Remote

DELETION: dict[str, Deletion] = {
    Remote.POST: Deletion("the post and its tag are gone for everybody"),
    Remote.STORY: Deletion("the story is gone; after a day it is by itself", timedelta(days=1)),
    Remote.COMMENT: Deletion("the comment is gone for everybody"),
    Remote.DM: Deletion("the message is taken back; a notification of it may have been read"),
}
