"""How long Instagram's texts may be, in characters."""

from __future__ import annotations

from bot.platforms.text_limit import TextLimit

CAPTION = TextLimit(2200)  # comments, too
MESSAGE = TextLimit(1000)
