"""`tagecho caption` and `captions`: a sentence and tags for every image of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.config import Settings
from bot.core.clock import utc_now
from bot.core.errors import ModelError, NothingToDo, NotInstalled, StorageError, UsageError
from bot.dataset.lookup import images_of
from bot.schema.problems import did_you_mean
from bot.service.app import App, ServingStages, opened
from bot.service.progress import progress
from bot.verbs import learned_words
from bot.verbs.learned_words import WordEyes
from bot.verbs.replies import who_types
from models.base import Image, ImageRejected
from models.images.decoder import decode
from models.serving.catalogue import names
from models.serving.describe import LONG_SIDE, Describer
from models.serving.network_process import NetworkFailed
from storage import words
from storage.tables import MediaRow, MediaState
from storage.words import PERSON, CurrentWords, Words

EMBEDDED = "embedded"
BATCH = 64  # images whose tags are stored at once
AHEAD = 4  # images that are decoded while the network looks at another one
MOST_TAGS = 10
LEAST_PROBABILITY = 0.2  # of a tag: hashtags are rare, and most fitting ones are not written
GIVE_UP = 5  # failures in a row, after which the network is given up
SHOWN = 20
MOST_SENTENCE = 1000  # characters


@dataclass(slots=True)
class CaptionSummary:
    network: str
    version: str = ""
    images: int = 0  # of the dataset, each once
    before: int = 0  # of these, answered by an earlier run
    captioned: int = 0  # by this run
    tagged: int = 0  # of these, with at least one tag
    left: int = 0  # beyond --limit
    unreadable: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # image and why; tried again by the next run
    figures: dict[str, Any] = field(default_factory=dict)  # of learned tags

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def networks() -> tuple[str, ...]:
    """What can be asked: the embedded tags, and the official networks."""
    return (EMBEDDED, *names("captioner"))


def caption(
    settings: Settings, dataset: str, network: str, *, limit: int | None, again: bool
) -> CaptionSummary:
    """Ask the network about the images that it has not answered yet (`again`: about all).

    May be killed at any point and run again: what is stored is not computed twice. Raises
    UsageError, NothingToDo, ModelError, NotInstalled.
    """
    _check(network)
    summary = CaptionSummary(network)
    with opened(settings) as app:
        todo = _todo(app, settings, dataset, summary, limit, again=again)
        if not todo:
            return summary
        if network == EMBEDDED:
            _tag(app, todo, summary)
        else:
            _describe(app, todo, summary)
    return summary


def report(settings: Settings, dataset: str) -> CaptionSummary:
    """How good the learned tags and words are, on people who taught nothing; stores no tag.

    Raises as `caption`.
    """
    summary = CaptionSummary(EMBEDDED)
    with opened(settings) as app:
        images = _todo(app, settings, dataset, summary, None, again=True)
        eyes = WordEyes(app)
        eyes.look_at(images)
        found = learned_words.current(app, eyes)
    summary.version, summary.figures = found.version, found.figures
    summary.unreadable = eyes.unreadable
    return summary


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures of learned words, for people."""
    tags, search = figures.get("tags"), figures.get("search")
    if tags:
        yield (
            f"tags: {tags['tags']} of {tags['posts']} posts by {tags['people']} people, "
            "measured on people who taught nothing"
        )
        yield (
            f"  mean average precision per post    {tags['map']:.3f} "
            f"({tags['map_low']:.3f} to {tags['map_high']:.3f}); "
            f"the most frequent tags {tags['map_frequent']:.3f}; "
            f"difference {tags['gain_low']:+.3f} to {tags['gain_high']:+.3f}"
        )
        yield (
            f"  mean average precision per tag     {tags['map_by_tag']:.3f}; "
            f"by chance {tags['map_by_tag_frequent']:.3f}"
        )
        yield f"  calibration error                  {tags['calibration_error']:.4f}"
    if search:
        yield (
            f"search by words: {search['queries']} held-out captions among {search['images']:.0f} "
            "images, half of them without text"
        )
        yield (
            f"  recall@10  text index {search['text']:.3f}, learned {search['learned']:.3f}, both "
            f"{search['fused']:.3f} (gain {search['gain_low']:+.3f} to {search['gain_high']:+.3f})"
        )


def _check(network: str) -> None:
    if network not in networks():
        known = ", ".join(networks())
        raise UsageError(
            f"--network: no {network!r}{did_you_mean(network, networks())}; there are {known}"
        )


def _todo(
    app: App,
    settings: Settings,
    dataset: str,
    summary: CaptionSummary,
    limit: int | None,
    *,
    again: bool,
) -> list[str]:
    """SHA-256 of the images to look at, in their order. Raises NothingToDo for an empty dataset."""
    images = list(dict.fromkeys(one.sha256 for one in images_of(app, settings, dataset)))
    if not images:
        raise NothingToDo(f"{dataset} finds no image")
    summary.images = len(images)
    if not again:
        with app.database.read() as session:
            done = words.asked(session, summary.network)
        todo = [image for image in images if image not in done]
        summary.before = len(images) - len(todo)
        images = todo
    kept = images if limit is None else images[:limit]
    summary.left = len(images) - len(kept)
    return kept


# --- learned tags ---------------------------------------------------------------------------------


def _tag(app: App, todo: Sequence[str], summary: CaptionSummary) -> None:
    eyes = WordEyes(app)
    eyes.look_at(todo)
    summary.unreadable = eyes.unreadable
    learned = learned_words.current(app, eyes)
    summary.version, summary.figures = learned.version, learned.figures
    if learned.tagger is None:
        raise NothingToDo(
            "no hashtag is on enough posts of enough people yet, so there are no tags to give"
        )
    for start in progress(range(0, len(todo), BATCH), "tags"):
        some, seen, outlined = eyes.seen(todo[start : start + BATCH])
        if not some:
            continue
        features = learned.sight(seen, outlined)
        best = learned.tagger.best(features, LEAST_PROBABILITY, MOST_TAGS)
        said = {image: Words(tags=tuple(tags)) for image, tags in zip(some, best, strict=True)}
        _keep(app, summary, said)


def _keep(app: App, summary: CaptionSummary, said: dict[str, Words]) -> None:
    with app.database.write() as session:
        summary.captioned += words.keep(session, summary.network, summary.version, said, utc_now())
    summary.tagged += sum(bool(one.tags) for one in said.values())


# --- official networks ----------------------------------------------------------------------------


def _describe(app: App, todo: Sequence[str], summary: CaptionSummary) -> None:
    describer = ServingStages(app.settings).captioner(summary.network)
    summary.version = describer.version
    try:
        with ThreadPoolExecutor(1, "decoding") as pool:
            _describe_all(app, describer, _ahead(app, pool, todo), summary)
    finally:
        describer.stop()


def _ahead(
    app: App, pool: ThreadPoolExecutor, todo: Sequence[str]
) -> Iterator[tuple[str, Future[Image]]]:
    """The images, some of them decoded before they are asked for."""
    waiting: list[tuple[str, Future[Image]]] = []
    for image in progress(todo, "images"):
        waiting.append((image, pool.submit(_decoded, app, image)))
        if len(waiting) > AHEAD:
            yield waiting.pop(0)
    yield from waiting


def _describe_all(
    app: App,
    describer: Describer,
    images: Iterator[tuple[str, Future[Image]]],
    summary: CaptionSummary,
) -> None:
    in_a_row = 0
    for sha256, decoded in images:
        try:
            found = describer(decoded.result())
        except (ImageRejected, StorageError) as error:
            summary.unreadable.append(f"{sha256[:12]}: {error}")
            continue
        except NetworkFailed as error:
            in_a_row += 1
            if error.lasting or in_a_row == GIVE_UP:
                raise _given_up(summary, error) from error
            summary.failed.append(f"{sha256[:12]}: {error}")
            continue
        in_a_row = 0
        tags = tuple((tag, None) for tag in found.tags)
        said = Words(found.sentence, found.language, round(found.score, 4), tags)
        _keep(app, summary, {sha256: said})


def _given_up(summary: CaptionSummary, error: NetworkFailed) -> Exception:
    if error.needs_package:
        return NotInstalled(f"{summary.network} needs tagecho[official]: {error.detail}")
    return ModelError(f"{summary.network}: {error}; {summary.captioned} images are done")


def _decoded(app: App, sha256: str) -> Image:
    most = app.settings.limits.max_pixels
    return decode(app.originals.get(sha256), max_pixels=most, shrink_to=LONG_SIDE).pixels


# --- what people say ------------------------------------------------------------------------------


def listing(
    settings: Settings, dataset: str, *, unreviewed: bool, limit: int
) -> list[dict[str, Any]]:
    """The newest images of a dataset that have words: image, sentence, tags, by whom."""
    with opened(settings) as app:
        images = images_of(app, settings, dataset)[::-1]
        with app.database.read() as session:
            told = words.current(session, [one.sha256 for one in images])
    rows = [
        _row(one.media, told[one.sha256])
        for one in images
        if one.sha256 in told and not (unreviewed and told[one.sha256].accepted)
    ]
    return rows[:limit]


def review(
    settings: Settings,
    media: int,
    *,
    sentence: str | None,
    tags: Sequence[str] | None,
    language: str,
) -> dict[str, Any]:
    """A person accepts the words of an image (None), or writes their own. Raises UsageError."""
    with opened(settings) as app:
        return say(app, media, sentence, tags, language, who_types())


def say(
    app: App,
    media: int,
    sentence: str | None,
    tags: Sequence[str] | None,
    language: str,
    who: str,
) -> dict[str, Any]:
    """The same for whoever has the program open."""
    with app.database.write() as session:
        row = session.get(MediaRow, media)
        if row is None or row.state != MediaState.STORED or row.sha256 is None:
            raise UsageError(f"there is no stored image {media}")
        now = words.current(session, [row.sha256]).get(row.sha256, CurrentWords())
        if sentence is None and tags is None and not (now.sentence or now.tags):
            raise UsageError(f"nothing was said of image {media} yet: there is nothing to accept")
        text = now.sentence if sentence is None else " ".join(sentence.split())
        if len(text) > MOST_SENTENCE:
            raise UsageError(f"a sentence has at most {MOST_SENTENCE} characters")
        given = now.tags if tags is None else [(tag, 1.0) for tag in tags]
        spoken = language or (now.language if sentence is None else "")
        accepted = Words(text, spoken, None, tuple(given), who)
        words.keep(session, PERSON, now.sentence_by, {row.sha256: accepted}, utc_now())
        return _row(media, words.current(session, [row.sha256])[row.sha256])


def take_back(settings: Settings, media: int) -> None:
    """What a person said of an image goes. Raises UsageError."""
    with opened(settings) as app:
        unsay(app, media)


def unsay(app: App, media: int) -> None:
    """The same for whoever has the program open."""
    with app.database.write() as session:
        row = session.get(MediaRow, media)
        if row is None or row.sha256 is None:
            raise UsageError(f"there is no stored image {media}")
        words.take_back(session, row.sha256)


def _row(media: int, told: CurrentWords) -> dict[str, Any]:
    return {"image": media, **asdict(told), "accepted": told.accepted}
