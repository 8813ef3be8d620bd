"""What the threads of the service go by: the configuration as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.flow.curate import Curator
from bot.flow.fetch import Limits
from bot.flow.policy import Policy, Track
from bot.service.app import App, limits_of, policy_of, tracks_of


@dataclass(frozen=True, slots=True)
class Adopted:
    """What one version of the configuration says: its parts belong together."""

    policy: Policy
    tracks: Mapping[str, Track]
    limits: Limits
    curator: Curator | None  # None: images are not judged when they come
    accounts: tuple[str, ...]

    @property
    def polled(self) -> Mapping[str, Track]:
        """The tracks that are not paused."""
        return {key: track for key, track in self.tracks.items() if not track.paused}


class Rules:
    """What the configuration says now, shared by the threads; a reload is one assignment."""

    def __init__(self, app: App) -> None:
        self.ours: set[str] = set()
        self.adopt(app)

    def adopt(self, app: App) -> None:
        settings = app.settings
        self.now = Adopted(
            policy=policy_of(settings),
            tracks=tracks_of(settings),
            limits=limits_of(settings),
            curator=app.curator if settings.curation.at_ingest else None,
            accounts=tuple(settings.accounts),
        )

    @property
    def tracks(self) -> Mapping[str, Track]:
        return self.now.tracks

    @property
    def polled(self) -> Mapping[str, Track]:
        return self.now.polled
