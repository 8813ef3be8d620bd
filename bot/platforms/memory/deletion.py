"""What remains in memory when something of ours is deleted."""

from __future__ import annotations

from bot.platforms.deletion import Deletion

DELETION = {"entry": Deletion("the reply is gone; a reader of the stream has seen it")}
