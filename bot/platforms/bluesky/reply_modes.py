"""The one way of replying on Bluesky: under the post, with the image."""

from __future__ import annotations

from bot.platforms.bluesky.text_limits import TEXT
from bot.platforms.reply_modes import Idempotence, Mode, StepKind, Ways
from models.images.canvas import Canvas

# Servers before 2026 take 1,000,000 bytes, newer ones twice that.
CANVAS = Canvas(width=1080, tallest=1 / 2, widest=2.0, max_bytes=1_000_000)
UPLOAD = StepKind("upload", "upload", Idempotence.REPEATABLE, visible=False, image=True)
REPLY = StepKind("reply", "write", Idempotence.TOKEN, text=TEXT, leaves="reply")

WAYS = Ways((Mode("reply", "a reply under the post, with the image", (UPLOAD, REPLY), CANVAS),))
