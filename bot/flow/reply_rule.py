"""Does a post ask for a reply? Consent first: anything unclear is a no."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.bots import is_bot_name
from bot.core.events import Author, Post
from bot.core.normal_form import username
from bot.flow.policy import Policy, Track
from models.compose.styles import AUTO

AHEAD = timedelta(minutes=15)  # by which the clocks of two machines may differ
# What a service like this one says of its images, whoever runs it
_MADE = re.compile(r"made by a machine from https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A post that asked, and how."""

    kind: str  # mention | usertag | opt-in | track
    style: str
    media_index: int  # the image to answer with: where we are tagged, else the first


@dataclass(frozen=True, slots=True)
class NoTrigger:
    reason: str


@dataclass(frozen=True, slots=True)
class Us:
    """Who we are on this platform: the replying account, and all user ids that are ours.

    An account that never logged in has no id yet: `names`, lower case, are all that are configured.
    """

    me: Author
    ours: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Watch:
    """What we listen to, by which rules we answer, and who we are there."""

    track: Track
    policy: Policy
    us: Us


def decide(
    post: Post,
    watch: Watch,
    *,
    opted_out: bool,
    now: datetime,
    known_as: frozenset[str] = frozenset(),
) -> Trigger | NoTrigger:
    """The rules in the order an operator would ask them; each has a test that reads the network.

    `known_as`: every name we saw of the author, in the normal form.
    """
    policy, us = watch.policy, watch.us
    asked = _asked(post, watch.track, policy, us.me)
    if asked is None:
        return NoTrigger("nothing in it asks for a reply")
    refusal = _refusal(post, policy, us, known_as, opted_out=opted_out)
    if refusal is not None:
        return NoTrigger(refusal)
    if now - post.taken_at > policy.max_age:
        return NoTrigger("older than max_age")
    if post.taken_at - now > AHEAD:
        return NoTrigger("dated ahead: its time cannot be true")
    return asked


def still_wanted(
    post: Post,
    trigger: str,
    track: Track | None,
    policy: Policy,
    us: Us,
    *,
    opted_out: bool,
    known_as: frozenset[str] = frozenset(),
) -> str | None:
    """Before sending, on the fresh post: why the reply is no longer wanted, or None.

    Age is not asked again: the trigger was young when it was seen, and approvals expire on their
    own. A `track` trigger is the operator's word: no sign in the post, but one on the track.
    """
    refusal = _refusal(post, policy, us, known_as, opted_out=opted_out)
    if refusal is not None:
        return refusal
    if track is None:
        return "its track was removed"
    if _asked(post, track, policy, us.me) is not None:
        return None
    if trigger == "track":
        return "its track no longer replies"
    return "the post no longer asks for a reply"


def looks_automated(author: Author) -> bool:
    """Whether the platform, the profile or the person's own name says that it is a bot."""
    return author.is_bot or is_bot_name(author.username) or is_bot_name(author.full_name)


def is_reply(caption: str, template: str) -> bool:
    """Whether it is the caption of a reply, of ours or of a similar service. Replies to replies
    would never end.
    """
    literal = [re.escape(part) for part in re.split(r"\{(?:author|url|style)\}", template)]
    ours = bool(template) and re.fullmatch(r"\S+".join(literal), caption.strip())
    return bool(ours or _MADE.search(caption))


def _asked(post: Post, track: Track, policy: Policy, me: Author) -> Trigger | None:
    style = track.reply if track.reply not in (None, AUTO) else policy.style_for(post.post_id)
    if policy.mentions:
        for tag in post.usertags:
            if tag.user_id == me.user_id:
                return Trigger("usertag", style, tag.media_index)
        if username(me.username) in post.mentions:
            return Trigger("mention", style, 0)
    if policy.opt_in_hashtags.intersection(post.hashtags):
        return Trigger("opt-in", style, 0)
    if track.reply is not None:
        return Trigger("track", style, 0)
    return None


def _refusal(
    post: Post, policy: Policy, us: Us, known_as: frozenset[str], *, opted_out: bool
) -> str | None:
    author = post.author
    if not policy.enabled:
        return "replies are switched off"
    if author.user_id in {us.me.user_id, *us.ours} or username(author.username) in us.names:
        return "our own post"
    # Who had an ignored name and renamed is still the one that was meant; who took it may be.
    if policy.ignore & {author.user_id, username(author.username), *known_as}:
        return "on the ignore list"
    if looks_automated(author):
        return "a bot"
    if is_reply(post.caption, policy.caption):
        return "a reply itself"
    if author.is_private:
        return "a private account"
    if opted_out:
        return "opted out"
    if not post.media:
        return "no image in it"
    return None
