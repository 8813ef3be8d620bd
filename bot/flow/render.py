"""Super-resolve → segment → compose, each stage kept by the hash of what it was computed from."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import numpy as np
import PIL.Image
import structlog
from sqlmodel import col, select

from bot.core.clock import Clock, utc_now
from bot.flow import caps
from bot.flow.policy import Policy
from bot.platforms.reply_modes import Mode
from models.base import Composer, Image, Mask, Segmenter, Upscaler
from models.compose.alt import with_sentence
from models.images import codec, decoder
from models.images.canvas import Canvas
from models.images.codec import encode, encode_png, png_mask
from models.images.fit import fit, placement
from models.segment.doubt import REVISION as DOUBT
from models.segment.doubt import doubt
from storage import outbox, words
from storage.artifacts import Artifacts, Kept, Recipe
from storage.blobs import BlobStore
from storage.database import Database
from storage.tables import (
    AuthorRow,
    MediaRow,
    MediaState,
    PostRow,
    Reply,
    ReplyState,
)

log = structlog.get_logger()
GAINS_FROM = 1.6  # times a picture is enlarged, from which the network helps
MAX_ASPECT = 4.0  # longer images are shown letterboxed anyway; more pixels would only cost time
_JPEG = b"\xff\xd8"  # how a file of it begins
BEYOND_CAPS = timedelta(minutes=10)  # until what the caps leave no room for is looked at again
WAIT_FOR_IMAGE = timedelta(seconds=10)


class Stages(Protocol):
    """The networks in service. `bot.service.app` provides them."""

    def upscaler(self, scale: int) -> Upscaler: ...

    def segmenter(self) -> Segmenter: ...

    def composer(self, style: str) -> Composer: ...

    def without_mask(self) -> str:
        """The style for images without a clear object."""

    def alt_text(self, style: str, username: str, mask: Mask) -> str: ...

    def badge(self, image: Image, text: str) -> Image:
        """The image with the visible 'made by a machine' label."""


@dataclass(frozen=True, slots=True)
class ReplySource:
    """What a reply is rendered from."""

    sha256: str
    username: str
    sentence: str = ""  # that a person accepted or wrote


@dataclass(frozen=True, slots=True)
class CutOut:
    """An enlarged image, and where its object is."""

    image: Image
    mask: Mask
    stage: Kept  # of the mask


class NotRenderable(Exception):
    """This reply can never be rendered; the message says why."""


class Renderer:
    """Renders one reply at a time. No transaction is open while a network runs."""

    def __init__(
        self,
        database: Database,
        originals: BlobStore,
        artifacts: BlobStore,
        stages: Stages,
        ways: Callable[[str, Sequence[str]], Sequence[Mode]],
        clock: Clock = utc_now,
    ) -> None:
        """`ways`: those of the wished ways of replying that a platform has."""
        self._ways = ways
        self._database = database
        self._originals = originals
        self._artifacts = artifacts
        self._kept = Artifacts(database, artifacts)
        self._stages = stages
        self._clock = clock

    def render(self, reply: Reply, policy: Policy) -> dict[str, Any] | None:
        """The columns of a rendered reply, or None while its image is still to be fetched.

        Raises NotRenderable for good, and what decoding or the networks raise otherwise.
        """
        with structlog.contextvars.bound_contextvars(reply=reply.id, post=reply.source_post):
            return self._rendered(reply, policy)

    def _rendered(self, reply: Reply, policy: Policy) -> dict[str, Any] | None:
        source = self._source(reply)
        if source is None:
            return None
        began = time.perf_counter()
        facts: dict[str, Any] = {}
        modes = self._ways(reply.platform, policy.modes())
        width = max(mode.canvas.width for mode in modes)
        large = self._enlarge(source, width, facts)
        found = self._segment(source, large, facts)
        after, style = self._compose(source, found, reply, policy, modes, facts)
        drawn = self._stages.composer(style).needs_mask
        facts["doubt"] = facts["segment"]["doubt"] if drawn else ""  # else no mask is shown
        facts["alt_text"] = self._alt_text(style, source, found.mask)
        facts["seconds"] = round(time.perf_counter() - began, 3)
        return {
            "facts": facts | {"after": after},
            "before_sha256": source.sha256,
            "mask_sha256": found.stage.sha256,
            "after_sha256": after[modes[0].name],
        }

    def _source(self, reply: Reply) -> ReplySource | None:
        """The image to answer with: the chosen one, else the first good one of the post."""
        with self._database.read() as session:
            if reply.post is None or (post := session.get(PostRow, reply.post)) is None:
                raise NotRenderable("the source post is no longer stored")
            rows = session.exec(
                select(MediaRow).where(MediaRow.post == reply.post).order_by(col(MediaRow.index))
            ).all()
            author = session.get(AuthorRow, (post.platform, post.author_id))
            hashes = {row.sha256 for row in rows if row.sha256}
            sentences = {one: words.accepted_sentence(session, one) for one in hashes}
        chosen = [row for row in rows if row.index == reply.media_index]
        for row in [*chosen, *rows]:
            if row.state == MediaState.STORED and row.sha256:
                name = author.username if author else ""
                return ReplySource(row.sha256, name, sentences[row.sha256])
            if row.state == MediaState.PENDING:
                return None
        reasons = sorted({row.reason for row in rows if row.reason})
        raise NotRenderable("; ".join(reasons) or "the post has no image")

    def _alt_text(self, style: str, source: ReplySource, mask: Mask) -> str:
        alt = self._stages.alt_text(style, source.username, mask)
        return with_sentence(alt, source.sentence)

    def _enlarge(self, source: ReplySource, target: int, facts: dict[str, Any]) -> Image:
        original = decoder.decode(self._originals.get(source.sha256), shrink_to=target).pixels
        height, width = original.shape[:2]
        facts["input"] = [width, height]
        scale = scale_for(original, target)
        if scale == 1:
            large, facts["superres"] = enlarged(original, target, self._stages)
            return large
        upscaler = self._stages.upscaler(scale)
        made: list[Image] = []  # what `compute` made need not be decoded again

        def compute() -> tuple[bytes, dict[str, Any]]:
            large, note = enlarged(original, target, self._stages)
            made.append(large)
            return encode_png(large), note

        params = {"scale": scale, "width": target}
        stage = self._cached("superres", upscaler.version, params, source, [], compute)
        facts["superres"] = stage.facts | {"version": upscaler.version}
        return made[0] if made else self._made(stage)

    def _made(self, stage: Kept) -> Image:
        """An artifact of ours."""
        return codec.decode(self._artifacts.get(stage.sha256)).pixels

    def _segment(self, source: ReplySource, image: Image, facts: dict[str, Any]) -> CutOut:
        segmenter = self._stages.segmenter()
        made: list[Mask] = []

        def compute() -> tuple[bytes, dict[str, Any]]:
            found = segmenter(image)
            made.append(found.mask)
            coverage = float(found.mask.mean())
            return png_mask(found.mask), {
                "doubt": doubt(found),
                "version": segmenter.version,  # a dataset says which network drew its masks
                "confidence": round(found.confidence, 4),
                "coverage": round(coverage, 4),
            }

        inputs = [facts["superres"].get("version", "1")]
        params = {"width": image.shape[1]}
        version = f"{segmenter.version}/{DOUBT}"
        stage = self._cached("segment", version, params, source, inputs, compute)
        facts["segment"] = stage.facts | {"version": segmenter.version}
        mask = made[0] if made else self._made(stage)[:, :, 0] >= 128
        return CutOut(image, mask, stage)

    def _compose(
        self,
        source: ReplySource,
        found: CutOut,
        reply: Reply,
        policy: Policy,
        modes: Sequence[Mode],
        facts: dict[str, Any],
    ) -> tuple[dict[str, str], str]:
        """One file per way of replying, since each has its canvas."""
        composer = self._stages.composer(reply.style)
        unfit = _unfit(found, facts["segment"]["doubt"], policy)
        if composer.needs_mask and unfit:
            composer = self._stages.composer(self._stages.without_mask())
            facts["fallback_style"], facts["fallback_reason"] = composer.style, unfit
        alt = self._alt_text(composer.style, source, found.mask)
        badge = policy.disclosure if policy.badge else ""
        composed: dict[tuple[int, int], Image] = {}  # once a shape, and only if a file is missing

        def compute(canvas: Canvas) -> tuple[bytes, dict[str, Any]]:
            size = placement(found.image.shape[1], found.image.shape[0], canvas).canvas
            if size not in composed:
                made = fit(composer(found.image, found.mask, seed=reply.seed, size=size), canvas)
                composed[size] = self._stages.badge(made, badge) if badge else made
            return _encoded(composed[size], canvas, alt), {"size": list(size)}

        after, sizes = {}, {}
        for mode in modes:
            canvas = asdict(mode.canvas)
            params = {"seed": reply.seed, "badge": badge, "canvas": canvas, "alt": alt}
            inputs = [found.stage.sha256, facts["superres"].get("version", "1")]
            stage = self._cached(
                "compose",
                composer.version,
                params,
                source,
                inputs,
                lambda c=mode.canvas: compute(c),  # type: ignore[misc]
            )
            after[mode.name], sizes[mode.name] = stage.sha256, stage.facts["size"]
        facts["compose"] = {"style": composer.style, "version": composer.version, "sizes": sizes}
        return after, composer.style

    def _cached(
        self,
        name: str,
        version: str,
        params: dict[str, Any],
        source: ReplySource,
        inputs: list[str],
        compute: Callable[[], tuple[bytes, dict[str, Any]]],
    ) -> Kept:
        recipe = Recipe(name, version, source.sha256, params, inputs)
        if (known := self._kept.find(recipe)) is not None:
            return replace(known, facts={**known.facts, "cached": True})
        began = time.perf_counter()
        data, facts = compute()
        facts["ms"] = round((time.perf_counter() - began) * 1000)
        mime = "image/jpeg" if data.startswith(_JPEG) else "image/png"
        made = self._kept.keep(recipe, data, mime, facts, self._clock())
        if made is None:  # while the network ran
            raise NotRenderable("the source was forgotten")
        log.info("stage computed", stage=name, ms=facts["ms"], source=source.sha256[:12])
        return made


def _unfit(found: CutOut, doubt: str, policy: Policy) -> str:
    """Why no style may show this mask; "" if one may.

    A doubtful mask is for a person to judge. Where nobody approves replies, the whole picture goes
    out instead, and nothing waits.
    """
    if not found.mask.any():
        return "no clear object"
    return "" if policy.approval else doubt


def scale_for(image: Image, target: int) -> int:
    """1 when the short side has nearly `target` px, else the smaller of 2 and 4 that suffices.

    Up to `GAINS_FROM` times, a plain resize is as good as the network and reduces nothing again: on
    12 photos of BSD100 the network is .8 dB behind it at 1.2 times, .1 dB at 1.5 times, and ahead
    from 1.8 times on.
    """
    short = min(image.shape[:2])
    return 1 if short * GAINS_FROM >= target else 2 if short * 2 >= target else 4


def enlarged(image: Image, target: int, stages: Stages) -> tuple[Image, dict[str, Any]]:
    """The image `target` px wide, super-resolved if it is small; and what was done."""
    scale = scale_for(image, target)
    if scale == 1:
        short = min(image.shape[:2])
        note = {"scale": 1, "skipped": f"short side {short} px is large enough"}
        return _to_width(image, target), note
    large = stages.upscaler(scale)(_bounded(image, target, scale))
    return _to_width(large, target), {"scale": scale}


def _encoded(image: Image, canvas: Canvas, alt: str) -> bytes:
    try:
        return encode(image, canvas, description=alt)
    except ValueError as error:
        raise NotRenderable(str(error)) from error


def claim(database: Database, account: str, policy: Policy, now: datetime) -> Reply | None:
    """Take the queued reply of this account that may go out first, for rendering.

    No more are rendered than the caps let out within AHEAD_DAYS: the rest stays queued.
    """
    room = outbox.Room(*caps.ahead(policy), policy.day(now)[0])
    with database.write() as session:
        reply = outbox.next_to_render(session, account, room, now, newest=policy.newest)
        if reply is None:
            held = outbox.hold_queued(session, account, now + BEYOND_CAPS, "beyond the caps", now)
            if held:
                log.info("replies left unrendered", account=account, replies=held)
            return None
        outbox.move(
            session, reply.id or 0, ReplyState.QUEUED, ReplyState.RENDERING, who="render", now=now
        )
        return reply


def _bounded(image: Image, target: int, scale: int) -> Image:
    """Shrink what would become far larger than the output, so that time and memory stay bounded."""
    height, width = image.shape[:2]
    longest = int(target * MAX_ASPECT / scale)
    if max(height, width) <= longest:
        return image
    factor = longest / max(height, width)
    return _resize(image, max(1, round(width * factor)), max(1, round(height * factor)))


def _to_width(image: Image, target: int) -> Image:
    """`target` px wide, unless that would make it absurdly tall."""
    height, width = image.shape[:2]
    if height > width * MAX_ASPECT:
        target = max(1, round(target * MAX_ASPECT * width / height))
    if width == target:
        return image
    return _resize(image, target, max(1, round(height * target / width)))


def _resize(image: Image, width: int, height: int) -> Image:
    resized = PIL.Image.fromarray(image).resize((width, height), PIL.Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.uint8)
