"""The collected images to look at, and a person's word on them: for the console and its API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import UsageError
from bot.flow.curate import SAMPLE
from bot.service.app import App
from bot.verbs.search import ExampleFinder, SearchQuery, filters_of
from storage import gallery, human_labels, search
from storage.gallery import GridImage, GridPage, PostDetails

EXPORTED = 10_000  # images in one list


def browse(app: App, wanted: SearchQuery, before: int | None = None) -> GridPage:
    """Images that match, newest first. Raises UsageError for an author whom nobody knows."""
    terms = search.parse(wanted.text)
    if wanted.text.strip() and not terms:
        return GridPage([], None)  # the text has no word
    with app.database.read() as session:
        filters = filters_of(session, wanted)
        return gallery.page(session, terms, filters, wanted.limit, before)


def everything(
    app: App, wanted: SearchQuery, before: int | None = None, most: int = EXPORTED
) -> Iterator[GridImage]:
    """The same, page after page, `most` at most."""
    left = most
    while left > 0:
        page = browse(app, replace(wanted, limit=min(left, 500)), before)
        yield from page.images[:left]
        left -= len(page.images)
        before = page.following
        if before is None:
            return


def similar(
    app: App, finder: ExampleFinder, settings: Settings, example: bytes | int, wanted: SearchQuery
) -> list[GridImage]:
    """Images like an uploaded one, or like a stored one by its number, most similar first.

    Raises UsageError, and NothingToDo if too few stored images have a vector.
    """
    if isinstance(example, bytes):
        found = finder.like_image(settings, example, wanted)
    else:
        with app.database.read() as session:
            sha256 = gallery.stored_hash(session, example)
        if sha256 is None:
            raise UsageError(f"there is no stored image {example}")
        found = finder.like_stored(settings, sha256, wanted)
    with app.database.read() as session:
        media = gallery.media_of(session, [(post, sha256) for post, sha256, _ in found])
        cosines = {
            media[post, name]: cosine for post, name, cosine in found if (post, name) in media
        }
        images = gallery.images(session, list(cosines))
    return [replace(one, cosine=round(cosines[one.media], 4)) for one in images]


def post(app: App, number: int) -> PostDetails:
    """All that is known of a post. Raises UsageError when there is none."""
    with app.database.read() as session:
        found = gallery.details(session, number)
    if found is None:
        raise UsageError(f"there is no post {number}")
    return found


def label_images(
    app: App, media: Sequence[int], accepted: bool | None, who: str, why: str = ""
) -> None:
    """Accept or reject images, or take the word back (None); their verdicts follow at once.

    All or none. Raises UsageError.
    """
    with app.database.write() as session:
        for one in media:
            human_labels.label_image(session, one, accepted, why, who, utc_now())
    app.curator.judge(media, app.curator.limits(SAMPLE))


def label_hashtag(app: App, number: int, hashtag: str, fits: bool | None, who: str) -> None:
    """Say whether a hashtag fits its post, or take the word back (None). Raises UsageError."""
    with app.database.write() as session:
        human_labels.label_hashtag(session, number, hashtag, fits, who, utc_now())
        held = [media for _, media in search.media(session, search.Filters(), [number])]
    app.curator.judge(held, app.curator.limits(SAMPLE))
