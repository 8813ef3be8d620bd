"""How long a text may be in memory, in characters."""

from __future__ import annotations

from bot.platforms.text_limit import TextLimit

TEXT = TextLimit(160)
