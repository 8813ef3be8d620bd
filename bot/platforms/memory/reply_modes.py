"""The one way of replying in memory: under the post, in one write with a key fixed before."""

from __future__ import annotations

from bot.platforms.memory.text_limits import TEXT
from bot.platforms.reply_modes import Idempotence, Mode, StepKind, Ways
from models.images.canvas import Canvas

CANVAS = Canvas(width=640, tallest=1 / 2, widest=2.0, max_bytes=2_000_000, formats=("PNG",))
REPLY = StepKind("reply", "write", Idempotence.TOKEN, image=True, text=TEXT, leaves="entry")

WAYS = Ways((Mode("reply", "a reply under the post, with the image", (REPLY,), CANVAS),))
