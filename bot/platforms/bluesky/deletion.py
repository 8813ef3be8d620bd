"""What remains on Bluesky when something of ours is deleted."""

from __future__ import annotations

from bot.platforms.deletion import Deletion

DELETION = {
    "reply": Deletion("the record is gone; who reads the stream of events may have a copy of it")
}
