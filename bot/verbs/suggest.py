"""Suggest hashtags and profiles that appear together with the collected ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bot.config import Settings
from bot.core.bots import is_bot_name
from bot.core.errors import NothingToDo, UsageError
from bot.core.events import TrackKind
from bot.core.normal_form import hashtag, username
from bot.service.app import App
from storage.related import related_authors, related_hashtags

LEAST = 3  # posts; fewer are not enough for a suggestion


@dataclass(frozen=True, slots=True)
class Suggestion:
    target: str  # '#hashtag' or '@profile', as `tagecho track add` takes it
    platform: str
    score: float  # 0..1: how often it appears with the seeds, weighted by how well they fit
    posts: int  # posts in which it does

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def suggest(settings: Settings, seeds: list[str], limit: int) -> list[Suggestion]:
    """The best hashtags and profiles, at most `limit` of each, best first.

    Seeds are hashtags; the default is those of the tracks. A post counts by the probability that
    the seed fits it (1 without a score). Raises UsageError without seeds, NothingToDo if no post
    with a seed was collected. Our own opt-in hashtags and accounts, and bots, are left out.
    """
    names = [hashtag(seed) for seed in seeds]
    names = names or [t.name for t in settings.tracks if t.kind is TrackKind.HASHTAG]
    if not names:
        raise UsageError("name hashtags, or add tracks: there is no hashtag to start from")
    ours = {hashtag(tag) for tag in settings.replies.opt_in_hashtags}
    we = {username(account.username) for account in settings.accounts.values()}
    tracked = {(t.kind, t.name) for t in settings.tracks}
    app = App(settings)
    try:
        with app.database.read() as session:
            tags = related_hashtags(session, names, LEAST)
            people = related_authors(session, names, LEAST)
            gone = {
                person.platform: app.optouts.among(
                    session, person.platform, {p.user_id for p in people}
                )
                for person in people
            }
    finally:
        app.close()
    if not tags and not people:
        raise NothingToDo(f"too few posts with {', '.join('#' + name for name in names)} so far")
    hashtags = [
        Suggestion(f"#{tag.name}", "", round(tag.score, 4), tag.posts)
        for tag in tags
        if (TrackKind.HASHTAG, tag.name) not in tracked and tag.name not in ours
    ]
    profiles = [
        Suggestion(f"@{person.name}", person.platform, round(person.score, 4), person.posts)
        for person in people
        if (TrackKind.PROFILE, username(person.name)) not in tracked
        and person.user_id not in gone[person.platform]
        and username(person.name) not in we
        and not is_bot_name(person.name)
    ]
    return hashtags[:limit] + profiles[:limit]
