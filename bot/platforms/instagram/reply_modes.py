"""How Instagram lets us reply: a post tags the author, a story mentions them, or a message."""

from __future__ import annotations

from bot.platforms.instagram.kinds import Mode as ModeName
from bot.platforms.instagram.kinds import Remote
from bot.platforms.instagram.kinds import StepKind as Kind
from bot.platforms.instagram.text_limits import CAPTION, MESSAGE
from bot.platforms.reply_modes import Idempotence, Mode, Ways
from bot.platforms.reply_modes import StepKind as Step
from models.images.canvas import Canvas

_MOST_BYTES = 8_000_000
_FEED = Canvas(width=1080, tallest=4 / 5, widest=1.91, max_bytes=_MOST_BYTES)
_STORY = Canvas(width=1080, tallest=9 / 16, widest=9 / 16, max_bytes=_MOST_BYTES)
_REPEATABLE = Idempotence.REPEATABLE

# They carry tokens; whether the platform keeps to them, nobody says: RECONCILE, the default.
_UPLOAD = Step(Kind.UPLOAD, "upload", _REPEATABLE, visible=False, image=True)
_POST = Step(Kind.POST, "publish", text=CAPTION, leaves=Remote.POST)
_STORY_STEP = Step(Kind.STORY, "publish", text=CAPTION, leaves=Remote.STORY)
_DM_UPLOAD = Step(Kind.DM_UPLOAD, "upload", _REPEATABLE, visible=False, image=True)
_DM_TEXT = Step(Kind.DM_TEXT, "dm", text=MESSAGE, leaves=Remote.DM)
_DM_PHOTO = Step(Kind.DM_PHOTO, "dm", leaves=Remote.DM)
_COMMENT = Step(Kind.COMMENT, "comment", text=CAPTION, leaves=Remote.COMMENT, optional=True)

WAYS = Ways(
    modes=(
        Mode(ModeName.POST, "a post in our own feed that tags the author", (_UPLOAD, _POST), _FEED),
        Mode(ModeName.STORY, "a story that mentions the author", (_UPLOAD, _STORY_STEP), _STORY),
        # text last: it is seen
        Mode(
            ModeName.DM, "a direct message to the author", (_DM_UPLOAD, _DM_TEXT, _DM_PHOTO), _FEED
        ),
    ),
    comment=_COMMENT,
)
