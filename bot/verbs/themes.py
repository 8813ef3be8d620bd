"""`tagecho stats --themes`: the themes of a collection, how they overlap, what is rare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlmodel import Session, col, select

from bot.config import Settings
from bot.core.errors import ModelError, NothingToDo
from bot.dataset.lookup import images_of
from bot.service.app import App, networks_of, opened
from models.base import WeightsError
from models.words import kept
from models.words.features import Vectors
from models.words.themes import Theme, themes
from storage import labels, words
from storage.chunks import chunks
from storage.tables import MediaRow, MediaState, PostHashtag

SHOWN = 40  # lines of the table
DRAWN = 12  # themes of the plot


@dataclass(frozen=True, slots=True)
class OverlapCell:
    """A square of the plot: how much of one theme's images the other has, too."""

    row: int
    column: int
    share: float
    text: str


def collect_themes(settings: Settings, dataset: str = "") -> list[Theme]:
    """Of all stored images, or of a dataset. Raises NothingToDo without tags, UsageError."""
    with opened(settings) as app:
        found = _themes(app, settings, dataset)
    if not found:
        raise NothingToDo("no two images have a hashtag or tag in common")
    return found


def themes_or_none(app: App, settings: Settings) -> list[Theme]:
    """The same for a page, which is written also without them."""
    return _themes(app, settings, "")


def lines(found: Sequence[Theme]) -> Iterator[str]:
    """A table for people."""
    yield f"{'theme':<26}{'images':>8}{'share':>8}  overlaps with, and its tags"
    for theme in found[:SHOWN]:
        near = sorted(theme.overlaps.items(), key=lambda one: -one[1])[:3]
        with_others = ", ".join(f"{name} {share:.0%}" for name, share in near) or "nothing"
        rare = "  rare" if theme.rare else ""
        yield f"{theme.name[:25]:<26}{theme.images:>8}{theme.share:>8.1%}  {with_others}{rare}"
        yield f"{'':<44}#{' #'.join(theme.tags[:12])}"
    if len(found) > SHOWN:
        yield f"and {len(found) - SHOWN} smaller ones (--json has all)"


def cells(found: Sequence[Theme]) -> list[OverlapCell]:
    """The plot of the largest themes: rows and columns in their order."""
    shown = list(found[:DRAWN])
    made = []
    for row, theme in enumerate(shown):
        for column, other in enumerate(shown):
            share = 1.0 if theme is other else theme.overlaps.get(other.name, 0.0)
            text = f"{share:.0%} of {theme.name} is {other.name}, too"
            made.append(OverlapCell(row, column, share, text))
    return made


def _themes(app: App, settings: Settings, dataset: str) -> list[Theme]:
    with app.database.read() as session:
        if dataset:
            media = [one.media for one in images_of(app, settings, dataset)]
        else:
            stored = select(MediaRow.id).where(MediaRow.state == MediaState.STORED)
            media = [one or 0 for one in session.exec(stored.order_by(col(MediaRow.id)))]
        held = _tags(session, media)
    tags = [some for _, some in held]
    return themes(tags, _features(app, [sha256 for sha256, _ in held]))


def _tags(session: Session, media: Sequence[int]) -> list[tuple[str, set[str]]]:
    """(SHA-256, hashtags of its post and tags of its own) of each image that has any."""
    found = []
    for some in chunks(media):
        rows = session.exec(
            select(MediaRow.post, MediaRow.sha256).where(col(MediaRow.id).in_(some))
        ).all()
        hashtags: dict[int, set[str]] = {}
        posts = {post for post, _ in rows}
        for tag in session.exec(select(PostHashtag).where(col(PostHashtag.post).in_(posts))):
            hashtags.setdefault(tag.post, set()).add(tag.hashtag)
        told = words.current(session, [sha256 for _, sha256 in rows if sha256])
        for post, sha256 in rows:
            own = {tag for tag, _ in told[sha256].tags} if sha256 in told else set()
            if sha256 and (all_of_it := hashtags.get(post, set()) | own):
                found.append((sha256, all_of_it))
    return found


def _features(app: App, hashes: Sequence[str]) -> Vectors | None:
    """What is seen of all these images; None unless all have vectors and words were learned."""
    try:
        learned = kept.load(networks_of(app.settings))
    except WeightsError as error:
        raise ModelError(str(error)) from error
    if learned is None:
        return None
    with app.database.read() as session:
        seen = labels.vectors_of(session, learned.model, list(hashes))
        outlined = labels.vectors_of(session, learned.outline, list(hashes))
    if not hashes or any(one not in seen or one not in outlined for one in hashes):
        return None
    return learned.sight(
        np.stack([np.frombuffer(seen[one], "<f4") for one in hashes]),
        np.stack([np.frombuffer(outlined[one], "<f4") for one in hashes]),
    )
