"""The collected images to look at, and a person's word on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import NothingToDo, UsageError
from bot.core.normal_form import hashtag
from bot.flow.curate import SAMPLE
from bot.service.app import App, opened
from bot.verbs.replies import who_types
from bot.verbs.search import ExampleFinder, SearchQuery, filters_of
from storage import audit, gallery, human_labels, search
from storage.checks import Check
from storage.gallery import GridImage, GridPage, PostDetails

EXPORTED = 10_000  # images in one list
WORDS = {True: "accept", False: "reject", None: "unlabel"}  # what the log calls them
HERE = "command line"  # in the log, in place of an address


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


def label_hashtags(
    app: App, number: int, hashtags: Sequence[str], fits: bool | None, who: str
) -> None:
    """Say whether hashtags fit their post, or take the word back (None). All or none.

    Raises UsageError.
    """
    with app.database.write() as session:
        for tag in hashtags:
            human_labels.label_hashtag(session, number, tag, fits, who, utc_now())
        held = [media for _, media in search.media(session, search.Filters(), [number])]
    app.curator.judge(held, app.curator.limits(SAMPLE))


def listing(settings: Settings, wanted: SearchQuery, limit: int) -> list[dict[str, Any]]:
    """Images that match, newest first. Raises UsageError for a check, a label or an author that
    there is not."""
    if wanted.label not in ("", *search.LABELS):
        raise UsageError(f"no label {wanted.label!r}; there are {', '.join(search.LABELS)}")
    for check in wanted.checks:
        if check not in list(Check):
            raise UsageError(f"no verdict {check!r}; there are {', '.join(Check)}")
    with opened(settings) as app:
        found = [asdict(one) for one in everything(app, wanted, most=limit)]
    return [{name: value for name, value in one.items() if name != "cosine"} for one in found]


def say_of_images(
    settings: Settings, ranges: Sequence[range], accepted: bool | None, why: str = ""
) -> tuple[list[int], int]:
    """A person's word on images, by number: every single one must be stored, of a range those that
    are. Returns them, and how many numbers were left out. Raises UsageError, NothingToDo."""
    with opened(settings) as app:
        with app.database.read() as session:
            held = gallery.stored(session, [span for span in ranges if len(span) > 1])
        chosen = sorted(held | {span.start for span in ranges if len(span) == 1})
        if not chosen:
            raise NothingToDo("there is no stored image of these numbers")
        label_images(app, chosen, accepted, who_types(), why)
        _note(app, f"image {WORDS[accepted]}", ", ".join(map(str, chosen)))
    return chosen, len({n for span in ranges for n in span}) - len(chosen)


def say_of_hashtags(
    settings: Settings, number: int, hashtags: Sequence[str], fits: bool | None
) -> list[str]:
    """A person's word on hashtags of a post, all or none; returns them. Raises UsageError."""
    said = list(dict.fromkeys(map(hashtag, hashtags)))
    with opened(settings) as app:
        label_hashtags(app, number, said, fits, who_types())
        target = f"{' '.join(f'#{tag}' for tag in said)} of post {number}"
        _note(app, f"hashtag {WORDS[fits]}", target)
    return said


def _note(app: App, action: str, target: str) -> None:
    with app.database.write() as session:
        audit.add(session, who_types(), HERE, action, target, "done", utc_now())
