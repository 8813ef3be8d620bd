"""How Mastodon lets us reply: under the post, with the image, in two writes."""

from __future__ import annotations

from bot.platforms.mastodon.deletion import STATUS
from bot.platforms.mastodon.text_limits import TEXT
from bot.platforms.reply_modes import Idempotence, Mode, StepKind, Ways
from models.images.canvas import Canvas

CANVAS = Canvas(width=1080, tallest=1 / 2, widest=2.0, max_bytes=8_000_000)
UPLOAD = StepKind("upload", "upload", Idempotence.REPEATABLE, visible=False, image=True)
# It carries an idempotency key; some servers do not look at it: RECONCILE, the default.
REPLY = StepKind("reply", "publish", text=TEXT, leaves=STATUS)

WAYS = Ways(
    (
        Mode(
            "reply", "a reply under the post, with the image and a mention", (UPLOAD, REPLY), CANVAS
        ),
    )
)
