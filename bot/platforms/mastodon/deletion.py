"""What remains on Mastodon when something of ours is deleted."""

from __future__ import annotations

from bot.platforms.deletion import Deletion

STATUS = "status"  # the kind of thing that a reply leaves

DELETION = {STATUS: Deletion("the reply is gone; other servers are told, and most delete it, too")}
