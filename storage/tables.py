"""Every table, one class each. What a row is and when it changes stands in its docstring.

Text keys are the platform's own ids; integer keys are ours. All times are aware and UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, UTC in the database; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime: every time in the database is aware")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_KEY = BigInteger().with_variant(Integer, "sqlite")  # there only an INTEGER key is the rowid
_DOCUMENT = Text().with_variant(TSVECTOR, "postgresql")


class MediaState(StrEnum):
    PENDING = "pending"  # its bytes are not downloaded yet
    STORED = "stored"  # its bytes are in `originals/`
    QUARANTINED = "quarantined"  # downloaded, but not an image we can use; the reason says why
    GONE = "gone"  # the platform no longer serves it


class ReplyState(StrEnum):
    QUEUED = "queued"  # a post asked for a reply; its image will be rendered
    RENDERING = "rendering"  # the networks are at work
    AWAITING_APPROVAL = "awaiting_approval"  # rendered; a person approves or rejects it
    APPROVED = "approved"  # goes out as soon as caps, quiet hours and pacing allow it
    SENDING = "sending"  # a write is on its way to the platform
    SENT = "sent"  # published; `url` says where
    UNKNOWN = "unknown"  # a write was sent and its answer was lost; it will be read back
    FAILED = "failed"  # it cannot be rendered, or every mode was refused; `reason` says why
    REJECTED = "rejected"  # a person said no
    EXPIRED = "expired"  # not approved, or not sent, within `approval_expires`
    CANCELLED = "cancelled"  # the post is deleted or no longer asks, or its author opted out
    DRY_RUN = "dry_run"  # rendered during a dry run; it will never be sent


class StepState(StrEnum):
    PLANNED = "planned"
    SENDING = "sending"  # committed before the request leaves
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Health(StrEnum):
    NEW = "new"  # never polled
    OK = "ok"  # the latest poll worked
    QUIET = "quiet"  # polls work, but have brought nothing new for a day
    FAILING = "failing"  # the latest poll failed; the next one tries again


class RequestState(StrEnum):
    WAITING = "waiting"  # for the service, or for `not_before`
    RUNNING = "running"  # the service works on it
    DONE = "done"
    FAILED = "failed"  # `error` says why
    CANCELLED = "cancelled"  # whoever asked does not want it any more


class LoginState(StrEnum):
    LOGGING_IN = "logging_in"  # the service began, or the session ended, and no login worked yet
    LOGGED_IN = "logged_in"
    FAILED = "failed"  # the latest login failed


class AuthorRow(SQLModel, table=True):
    """A person, keyed by the platform's user id; `username` is the latest one seen."""

    __tablename__ = "authors"
    platform: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    username: str = Field(index=True)
    full_name: str = ""
    is_private: bool = False
    first_seen: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)


class AuthorName(SQLModel, table=True):
    """A user name somebody had, and when we first and last saw it."""

    __tablename__ = "author_names"
    platform: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    username: str = Field(primary_key=True)  # as the platform wrote it
    normal: str = Field(index=True)  # by `bot.core.normal_form`: names are found by it
    first_seen: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)


class PostRow(SQLModel, table=True):
    """A post as first seen. Later edits are `post_revisions`; only `*_latest` counts move."""

    __tablename__ = "posts"
    __table_args__ = (
        UniqueConstraint("platform", "post_id"),
        Index("ix_posts_author", "platform", "author_id"),
        Index("ix_posts_taken", "platform", "taken_at"),
        Index("ix_posts_first_seen", "first_seen"),
    )
    id: int | None = Field(default=None, primary_key=True)
    platform: str
    post_id: str
    author_id: str
    url: str = Field(sa_type=Text)
    caption: str = Field(sa_type=Text)
    place: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    like_count: int | None = Field(default=None, sa_type=BigInteger)
    comment_count: int | None = Field(default=None, sa_type=BigInteger)
    like_count_latest: int | None = Field(default=None, sa_type=BigInteger)
    comment_count_latest: int | None = Field(default=None, sa_type=BigInteger)
    pinned: bool = False
    taken_at: datetime = Field(sa_type=UtcDateTime)
    first_seen: datetime = Field(sa_type=UtcDateTime)
    last_seen: datetime = Field(sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # when we noticed
    content_hash: str  # of the fields whose change is an edit
    raw: dict[str, Any] = Field(sa_type=JSON)


class PostHashtag(SQLModel, table=True):
    __tablename__ = "post_hashtags"
    post: int = Field(primary_key=True, foreign_key="posts.id", ondelete="CASCADE")
    hashtag: str = Field(primary_key=True, index=True)


class PostMention(SQLModel, table=True):
    """A person named in the caption (user_id empty) or tagged in an image (x, y in [0, 1])."""

    __tablename__ = "post_mentions"
    post: int = Field(primary_key=True, foreign_key="posts.id", ondelete="CASCADE")
    media_index: int = Field(primary_key=True)  # -1: in the caption
    username: str = Field(primary_key=True, index=True)
    user_id: str = ""
    x: float | None = None
    y: float | None = None


class PostTrack(SQLModel, table=True):
    """Which track found a post, for which dataset, and what was decided about a reply."""

    __tablename__ = "post_tracks"
    post: int = Field(primary_key=True, foreign_key="posts.id", ondelete="CASCADE")
    track: str = Field(primary_key=True, index=True)
    dataset: str = Field(default="", index=True)
    found_at: datetime = Field(sa_type=UtcDateTime)
    decision: str = ""  # the trigger, or why there was none


class PostRevision(SQLModel, table=True):
    """A change noticed after the post was first stored. `field` is 'deleted' for a deletion."""

    __tablename__ = "post_revisions"
    id: int | None = Field(default=None, primary_key=True)
    post: int = Field(foreign_key="posts.id", ondelete="CASCADE", index=True)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    field: str
    old: Any = Field(default=None, sa_type=JSON)
    new: Any = Field(default=None, sa_type=JSON)


class BlobRow(SQLModel, table=True):
    """Bytes on disk by SHA-256; the file goes when `refs` falls to 0."""

    __tablename__ = "blobs"
    sha256: str = Field(primary_key=True)
    size: int
    mime: str
    refs: int
    created: datetime = Field(sa_type=UtcDateTime)


class MediaRow(SQLModel, table=True):
    """One image of a post and where its bytes are."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("post", "index"),
        Index("ix_media_size", "width", "height"),
    )
    id: int | None = Field(default=None, primary_key=True)
    post: int = Field(foreign_key="posts.id", ondelete="CASCADE")
    index: int
    kind: str
    url: str = Field(sa_type=Text)
    state: str = Field(default=MediaState.PENDING, index=True)
    reason: str = Field(default="", sa_type=Text)
    attempts: int = 0
    sha256: str | None = Field(default=None, index=True)
    width: int = 0  # of the stored image, upright
    height: int = 0
    notes: str = ""  # what decoding remarked: exif-rotated, cmyk, first-frame ...


class Artifact(SQLModel, table=True):
    """An intermediate image by the hash of what made it, so nothing is computed twice."""

    __tablename__ = "artifacts"
    key: str = Field(primary_key=True)
    stage: str
    sha256: str = Field(index=True)
    source_sha256: str = Field(index=True)  # the original it derives from
    facts: dict[str, Any] = Field(sa_type=JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class Reply(SQLModel, table=True):
    """The one reply of an account to a source post."""

    __tablename__ = "replies"
    __table_args__ = (
        UniqueConstraint("platform", "source_post", "account"),  # in the order it is searched
        Index("ix_replies_state", "state", "account", "sending_at"),
        Index("ix_replies_author", "account", "author_id", "sending_at"),
        Index("ix_replies_sending", "account", "sending_at"),
        Index("ix_replies_sent", "sent_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    platform: str
    account: str
    source_post: str  # the platform's post id
    source_url: str = Field(sa_type=Text)
    post: int | None = Field(default=None, foreign_key="posts.id", ondelete="SET NULL", index=True)
    author_id: str
    track: str
    trigger: str
    style: str
    text: str = Field(default="", sa_type=Text)  # by a person, in place of [replies] caption
    media_index: int = 0
    state: str = ReplyState.QUEUED
    reason: str = Field(default="", sa_type=Text)  # why it is where it is
    seed: int = 0
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    not_before: datetime = Field(sa_type=UtcDateTime)  # holds and back-off
    approved_by: str = ""
    sending_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    mode: str = ""  # the way it was (or is being) sent
    url: str = ""
    attempts: int = 0  # failed renders
    before_sha256: str | None = None
    mask_sha256: str | None = None
    after_sha256: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # stages, versions, timings


class ReplyStep(SQLModel, table=True):
    """One network write of a reply. The token is committed before the write leaves."""

    __tablename__ = "reply_steps"
    __table_args__ = (UniqueConstraint("reply", "way", "seq"),)
    id: int | None = Field(default=None, primary_key=True)
    reply: int = Field(foreign_key="replies.id", ondelete="CASCADE")
    way: int  # 0: the configured mode; 1..: fallbacks
    seq: int
    mode: str
    kind: str
    token: str
    text: str = Field(default="", sa_type=Text)
    visible: bool = True  # people see something once it is done
    leaves: str = ""  # the kind of thing that can be deleted, by `remote_id`; "" for none
    state: str = StepState.PLANNED
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sends: int = 0
    remote_id: str = ""
    outputs: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    error: str = Field(default="", sa_type=Text)
    readings: list[dict[str, str]] = Field(default_factory=list, sa_type=JSON)
    next_read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ReplyEvent(SQLModel, table=True):
    """One change of state of a reply: the reply log."""

    __tablename__ = "reply_events"
    __table_args__ = (Index("ix_reply_events_at", "at", "new"),)
    id: int | None = Field(default=None, primary_key=True)
    reply: int = Field(foreign_key="replies.id", ondelete="CASCADE", index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    old: str
    new: str
    who: str
    why: str = Field(default="", sa_type=Text)


WHOEVER = "*"  # for the id of whom a track follows: who has the name at the next look


class TrackState(SQLModel, table=True):
    """Health of a track: 'nothing new' told apart from 'broken'."""

    __tablename__ = "track_states"
    track: str = Field(primary_key=True)
    health: str = Health.NEW
    last_attempt: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_ok: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_new: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str = Field(default="", sa_type=Text)
    polls: int = 0
    found: int = 0
    last_gap: datetime | None = Field(default=None, sa_type=UtcDateTime)  # posts may be missing
    user_id: str = (
        ""  # of a profile: whom it follows, whoever has the name; "" until known, or WHOEVER
    )


class AccountLogin(SQLModel, table=True):
    """How the running service came along with the login of an account; it writes each change."""

    __tablename__ = "account_logins"
    account: str = Field(primary_key=True)
    state: str = LoginState.LOGGING_IN
    since: datetime = Field(sa_type=UtcDateTime)  # when it came into this state
    kind: str = ""  # of the error: the name of its class
    error: str = Field(default="", sa_type=Text)
    next_try: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Gap(SQLModel, table=True):
    """Posts between `since` and `until` that a poll of a track did not come to; see flow.gaps."""

    __tablename__ = "gaps"
    id: int | None = Field(default=None, primary_key=True)
    track: str = Field(index=True)
    cursor: str = Field(sa_type=Text)  # of the next page, towards older posts
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)  # the newest known before it
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)  # the oldest listed
    opened: datetime = Field(sa_type=UtcDateTime)
    not_before: datetime = Field(sa_type=UtcDateTime)
    found: int = 0
    failures: int = 0  # in a row
    given_up: bool = False
    error: str = Field(default="", sa_type=Text)


class Bucket(SQLModel, table=True):
    """A token bucket of an account and action class."""

    __tablename__ = "buckets"
    account: str = Field(primary_key=True)
    action: str = Field(primary_key=True)
    tokens: float
    updated: datetime = Field(sa_type=UtcDateTime)


class BreakerRow(SQLModel, table=True):
    """A circuit breaker of an account and action class ('*': all of them)."""

    __tablename__ = "breakers"
    account: str = Field(primary_key=True)
    action: str = Field(primary_key=True)
    open_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    latched: bool = False  # open until a person resumes
    failures: int = 0
    reason: str = Field(default="", sa_type=Text)


class LimitHour(SQLModel, table=True):
    """How the limit of an account and action class was used in one hour; `action` '*': pauses of
    all of them."""

    __tablename__ = "limit_hours"
    account: str = Field(primary_key=True)
    action: str = Field(primary_key=True)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime, index=True)  # when it begins
    taken: int = 0  # requests
    fewest: float | None = None  # tokens that were left; None: no limit was asked
    waits: int = 0  # times that no token was left
    waited: float = 0.0  # seconds until there was one again, added up
    pauses: int = 0  # times that the platform, or a login that failed, stopped it
    paused: float = 0.0  # seconds, added up; 0 for one that a person has to end


class OptOut(SQLModel, table=True):
    """A person or post that must not come back: keyed hash of platform and id, nothing else."""

    __tablename__ = "optouts"
    digest: str = Field(primary_key=True)
    created: datetime = Field(sa_type=UtcDateTime)


class Control(SQLModel, table=True):
    """Switches the CLI turns and the daemon reads: 'pause', 'pause:ACCOUNT'; and what an account
    must not forget: 'account:…', 'stream:ACCOUNT' (`storage.cursors`)."""

    __tablename__ = "controls"
    key: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)
    changed: datetime = Field(sa_type=UtcDateTime)


class Embedding(SQLModel, table=True):
    """What a network saw in a stored image; goes with the image."""

    __tablename__ = "embeddings"
    sha256: str = Field(primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE")
    model_version: str = Field(primary_key=True)
    vector: bytes = Field(sa_type=LargeBinary)  # float32, little-endian
    computed_at: datetime = Field(sa_type=UtcDateTime)


class LabelScore(SQLModel, table=True):
    """How probable it is that a hashtag fits its post's images, by one method."""

    __tablename__ = "label_scores"
    __table_args__ = (Index("ix_label_scores_fit", "hashtag", "method", "probability", "post"),)
    post: int = Field(primary_key=True, foreign_key="posts.id", ondelete="CASCADE")
    hashtag: str = Field(primary_key=True)
    method: str = Field(primary_key=True)
    probability: float  # in [0, 1]; 0.5: as likely as a hashtag drawn at random
    model_version: str  # of the network whose embeddings were asked
    computed_at: datetime = Field(sa_type=UtcDateTime)


class Curation(SQLModel, table=True):
    """What was measured of a stored image; a row of an older version is measured again."""

    __tablename__ = "curations"
    media: int = Field(primary_key=True, foreign_key="media.id", ondelete="CASCADE")
    version: str = Field(index=True)  # of the measurements and of the networks asked
    scores: dict[str, float] = Field(sa_type=JSON)  # check → score, passed or not
    phash: int | None = Field(default=None, sa_type=BigInteger, index=True)  # signed, 64 bits
    original: int | None = Field(  # of its group of near duplicates; None: itself
        default=None, foreign_key="media.id", ondelete="SET NULL", index=True
    )
    thumbnail: bytes | None = Field(default=None, sa_type=LargeBinary)  # grey, 64×64 bytes
    computed_at: datetime = Field(sa_type=UtcDateTime, index=True)


class Verdict(SQLModel, table=True):
    """A check that an image did not pass. Nothing is deleted for it."""

    __tablename__ = "verdicts"
    media: int = Field(primary_key=True, foreign_key="media.id", ondelete="CASCADE")
    check: str = Field(primary_key=True, index=True)
    score: float
    reason: str = Field(sa_type=Text)
    version: str
    computed_at: datetime = Field(sa_type=UtcDateTime)


class SearchText(SQLModel, table=True):
    """What text search knows of a post: its words, made by `storage.search`; goes with the post.

    SQLite's full-text table `search_fts` reads this one and follows it by triggers; PostgreSQL has
    an inverted index here. Neither has an equal in the other, so only the migration knows them.
    """

    __tablename__ = "search_texts"
    key: int = Field(  # newest first is largest first: the second it was taken at, then posts.id
        primary_key=True, sa_type=_KEY, sa_column_kwargs={"autoincrement": False}
    )
    post: int = Field(foreign_key="posts.id", ondelete="CASCADE", unique=True)
    document: str = Field(sa_type=_DOCUMENT)


class VectorStamp(SQLModel, table=True):
    """How often the embeddings of a network changed, counted by triggers: is a cache still true?"""

    __tablename__ = "vector_stamps"
    model_version: str = Field(primary_key=True)
    changes: int = Field(sa_type=BigInteger)


class Collection(SQLModel, table=True):
    """How far a bulk collection of a hashtag or profile has come."""

    __tablename__ = "collections"
    key: str = Field(primary_key=True)  # ACCOUNT:KIND:NAME
    cursor: str = Field(default="", sa_type=Text)  # the platform's, of the next page
    complete: bool = False  # the last page was reached
    newest: datetime | None = Field(default=None, sa_type=UtcDateTime)
    oldest: datetime | None = Field(default=None, sa_type=UtcDateTime)
    seen: int = 0
    stored: int = 0
    updated: datetime = Field(sa_type=UtcDateTime)


class CollectRequest(SQLModel, table=True):
    """A collection that a person asked the running service for."""

    __tablename__ = "collect_requests"
    __table_args__ = (Index("ix_collect_requests_open", "account", "state"),)
    id: int | None = Field(default=None, primary_key=True)
    account: str
    kind: str  # of the target: hashtag | profile
    name: str
    dataset: str | None = None  # None: that of the track, else the name
    most: int | None = None  # posts of it to have in all
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    filter: str = Field(default="", sa_type=Text)
    comments: int = 0
    state: str = RequestState.WAITING
    asked_by: str = ""
    summary: dict[str, int] = Field(default_factory=dict, sa_type=JSON)  # of all turns so far
    complete: bool = False
    failures: int = 0  # in a row
    error: str = Field(default="", sa_type=Text)  # why it waits, or failed
    exit_code: int = 0  # of a verb that waits for it
    not_before: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


class NoticeRow(SQLModel, table=True):
    """What people were told last about one kind of occasion, and when."""

    __tablename__ = "notices"
    kind: str = Field(primary_key=True)
    told: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)  # what it was about
    told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # told or not
    error: str = Field(default="", sa_type=Text)  # of the latest try; "" when it was told


class CommentRow(SQLModel, table=True):
    """A comment under a post, collected on request."""

    __tablename__ = "comments"
    __table_args__ = (UniqueConstraint("platform", "comment_id"),)
    id: int | None = Field(default=None, primary_key=True)
    platform: str
    comment_id: str
    post: int = Field(foreign_key="posts.id", ondelete="CASCADE", index=True)
    author_id: str = Field(index=True)
    username: str
    text: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    first_seen: datetime = Field(sa_type=UtcDateTime)


class Dataset(SQLModel, table=True):
    """A named query over tracks, hashtags and verdicts."""

    __tablename__ = "datasets"
    name: str = Field(primary_key=True)
    query: dict[str, Any] = Field(sa_type=JSON)
    created: datetime = Field(sa_type=UtcDateTime)
    updated: datetime = Field(sa_type=UtcDateTime)


class Snapshot(SQLModel, table=True):
    """A dataset frozen. Its manifest is made of its items, so nothing forgotten stays in a file."""

    __tablename__ = "snapshots"
    __table_args__ = (UniqueConstraint("dataset", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    dataset: str = Field(index=True)
    name: str
    query: dict[str, Any] = Field(sa_type=JSON)
    facts: dict[str, Any] = Field(sa_type=JSON)  # model versions, counts, seed of the splits
    manifest_sha256: str  # "" while its items are being written
    items: int
    created: datetime = Field(sa_type=UtcDateTime)


class SnapshotItem(SQLModel, table=True):
    """An image in a snapshot. When its post is forgotten, the row stays and says nothing more."""

    __tablename__ = "snapshot_items"
    snapshot: int = Field(primary_key=True, foreign_key="snapshots.id", ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    media: int | None = Field(default=None, foreign_key="media.id", ondelete="SET NULL", index=True)
    sha256: str = ""
    split: str = ""
    record: dict[str, Any] = Field(sa_type=JSON)  # what an export writes; {} when forgotten
    digest: str = ""  # SHA-256 of its line in the manifest; salted by the record, so it may stay


class Export(SQLModel, table=True):
    """A folder or archive that was written from a snapshot."""

    __tablename__ = "exports"
    id: int | None = Field(default=None, primary_key=True)
    snapshot: int = Field(foreign_key="snapshots.id", ondelete="CASCADE", index=True)
    format: str
    path: str = Field(sa_type=Text)
    items: int
    created: datetime = Field(sa_type=UtcDateTime)


class LearningRun(SQLModel, table=True):
    """One `tagecho learn`: what it trained on, what came out, and whether it was promoted."""

    __tablename__ = "learning_runs"
    id: int | None = Field(default=None, primary_key=True)
    state: str = Field(index=True)  # running | promoted | kept_out | failed | cancelled
    stage: str = ""
    reason: str = Field(default="", sa_type=Text)
    model_version: str = ""  # of the network that came out
    images: int = 0
    newest_post: int = 0  # posts.id up to which it knew; what came later is new
    facts: dict[str, Any] = Field(sa_type=JSON)  # recipe, figures, timings
    started: datetime = Field(sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LearningAuthor(SQLModel, table=True):
    """Whose images a run learned from: asked when somebody is forgotten, and deleted then."""

    __tablename__ = "learning_authors"
    run: int = Field(primary_key=True, foreign_key="learning_runs.id", ondelete="CASCADE")
    platform: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)


class Retraction(SQLModel, table=True):
    """Something of ours on the network that is to be deleted there."""

    __tablename__ = "retractions"
    __table_args__ = (UniqueConstraint("platform", "account", "kind", "remote_id"),)
    id: int | None = Field(default=None, primary_key=True)
    platform: str
    account: str
    kind: str  # one of the platform's own
    remote_id: str
    state: str = Field(default="waiting", index=True)  # waiting | done | gone | failed
    attempts: int = 0
    error: str = Field(default="", sa_type=Text)
    not_before: datetime = Field(sa_type=UtcDateTime)
    created: datetime = Field(sa_type=UtcDateTime)
    finished: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ConsoleAction(SQLModel, table=True):
    """Something that a person did, or tried, in the console."""

    __tablename__ = "console_actions"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    who: str
    address: str = ""
    action: str
    target: str = Field(default="", sa_type=Text)
    outcome: str = Field(default="", sa_type=Text)


class ImageLabel(SQLModel, table=True):
    """A person's word on an image: it belongs into datasets and training, or it does not."""

    __tablename__ = "image_labels"
    media: int = Field(primary_key=True, foreign_key="media.id", ondelete="CASCADE")
    accepted: bool
    why: str = Field(default="", sa_type=Text)
    who: str
    at: datetime = Field(sa_type=UtcDateTime)


class HashtagLabel(SQLModel, table=True):
    """A person's word on a hashtag of a post; `label_scores` has it as 1 or 0."""

    __tablename__ = "hashtag_labels"
    post: int = Field(primary_key=True, foreign_key="posts.id", ondelete="CASCADE")
    hashtag: str = Field(primary_key=True)
    fits: bool
    probability: float | None = None  # what the networks said, for when the word is taken back
    model_version: str = ""  # of them
    who: str
    at: datetime = Field(sa_type=UtcDateTime)


class DrawnMask(SQLModel, table=True):
    """A version of the mask of an image, as a person drew it. Rows are added, never changed."""

    __tablename__ = "drawn_masks"
    source_sha256: str = Field(primary_key=True)  # the original
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})  # from 1
    sha256: str = Field(index=True)  # the PNG, among the artifacts
    width: int
    height: int
    coverage: float  # share of the image that is object
    who: str
    origin: str  # editor | import
    at: datetime = Field(sa_type=UtcDateTime)


class CaptionRow(SQLModel, table=True):
    """What a network, or a person, says in a sentence of an image; goes with the bytes.

    An answer without a sentence is an answer as well: that network has been asked.
    """

    __tablename__ = "captions"
    sha256: str = Field(primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE")
    network: str = Field(primary_key=True)  # the pack that was asked, or `person`
    version: str  # of the network; of a person, whose sentence it was before
    sentence: str = Field(default="", sa_type=Text)
    language: str = ""  # of the sentence; "" of tags alone, which are in the stream's own
    score: float | None = None  # in [0, 1]: mean probability of its words
    who: str = ""  # the person
    at: datetime = Field(sa_type=UtcDateTime)


class ImageTag(SQLModel, table=True):
    """A tag that the same answer gives to the image."""

    __tablename__ = "image_tags"
    sha256: str = Field(primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE")
    network: str = Field(primary_key=True)
    tag: str = Field(primary_key=True, index=True)  # as a hashtag is stored
    score: float | None = None  # in [0, 1]: how probably it fits; None: the network does not say


class ApiKey(SQLModel, table=True):
    """A key of the search API. Only its hash is kept; nobody can read it back."""

    __tablename__ = "api_keys"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    digest: str = Field(unique=True)  # SHA-256 of the key
    per_day: int | None = None  # free queries; None: what the configuration says
    created: datetime = Field(sa_type=UtcDateTime)
    revoked: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiUse(SQLModel, table=True):
    """How many queries of a key were answered on a day, UTC."""

    __tablename__ = "api_uses"
    key: int = Field(primary_key=True, foreign_key="api_keys.id", ondelete="CASCADE")
    day: str = Field(primary_key=True)  # 2026-03-01
    used: int


class WatchedPicture(SQLModel, table=True):
    """A picture of the operator that is looked for in what is collected. Its file stays theirs."""

    __tablename__ = "watched_pictures"
    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sha256: str = Field(unique=True)
    path: str = Field(sa_type=Text)
    version: str  # of the landmarks
    width: int
    height: int
    landmarks: bytes = Field(sa_type=LargeBinary)
    phash: int = Field(sa_type=BigInteger)
    mirrored_phash: int = Field(sa_type=BigInteger)
    thumbnail: bytes = Field(sa_type=LargeBinary)  # grey, 64×64 bytes
    added: datetime = Field(sa_type=UtcDateTime)


class WatchCheck(SQLModel, table=True):
    """A collected image was compared with all watched pictures up to a number."""

    __tablename__ = "watch_checks"
    sha256: str = Field(primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE")
    version: str  # of the landmarks and of the comparison
    newest: int  # watched_pictures.id
    error: str = Field(default="", sa_type=Text)  # why it could not be read


class WatchMatch(SQLModel, table=True):
    """A watched picture, or a part of it, is in a collected image."""

    __tablename__ = "watch_matches"
    picture: int = Field(primary_key=True, foreign_key="watched_pictures.id", ondelete="CASCADE")
    sha256: str = Field(
        primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE", index=True
    )
    similarity: float  # in [0, 1]
    covered: float  # share of the picture that the image shows
    landmarks: int  # that agree; 0: the same bytes, or alike as a whole
    mirrored: bool
    outline: Any = Field(sa_type=JSON)  # corners of the picture in the image, px
    shown: Any = Field(sa_type=JSON)  # corners of the image in the picture, px
    found: datetime = Field(sa_type=UtcDateTime)


class ObjectState(StrEnum):
    """How far an image is with a recipe. Empty is an answer: nothing of what was asked is in it."""

    WAITING = "waiting"
    DONE = "done"
    EMPTY = "empty"
    FAILED = "failed"  # the reason says why; it may be tried again


class ObjectRecipe(SQLModel, table=True):
    """How objects are found: classes, networks with their versions, limits."""

    __tablename__ = "object_recipes"
    id: str = Field(primary_key=True)  # from its facts
    facts: dict[str, Any] = Field(sa_type=JSON)
    created: datetime = Field(sa_type=UtcDateTime)


class ObjectJob(SQLModel, table=True):
    """An image that is, or is to be, looked at by a recipe."""

    __tablename__ = "object_jobs"
    __table_args__ = (Index("ix_object_jobs_state", "recipe", "state"),)
    recipe: str = Field(primary_key=True, foreign_key="object_recipes.id", ondelete="CASCADE")
    sha256: str = Field(
        primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE", index=True
    )
    state: str = ObjectState.WAITING
    reason: str = Field(default="", sa_type=Text)
    attempts: int = 0
    changed: datetime = Field(sa_type=UtcDateTime)


class ObjectLabel(SQLModel, table=True):
    """An object in an image: its class, box (px of the image, upright) and perhaps mask."""

    __tablename__ = "object_labels"
    __table_args__ = (Index("ix_object_labels_image", "recipe", "sha256"),)
    id: int | None = Field(default=None, primary_key=True)
    recipe: str = Field(foreign_key="object_recipes.id", ondelete="CASCADE")
    sha256: str = Field(foreign_key="blobs.sha256", ondelete="CASCADE", index=True)
    name: str  # of the class
    score: float  # in [0, 1]
    left: float
    top: float
    right: float
    bottom: float
    mask: Any = Field(default=None, sa_type=JSON)  # COCO's run lengths, at the image's size
    made_by: str  # versions of networks, or "person"


class MinedImage(SQLModel, table=True):
    """A stored image that is like a picture on which a network failed."""

    __tablename__ = "mined_images"
    sha256: str = Field(primary_key=True, foreign_key="blobs.sha256", ondelete="CASCADE")
    failure: str = Field(primary_key=True)  # the SHA-256 of the operator's file
    score: float  # how like it is, by the weights that were asked
    aspects: dict[str, float] = Field(sa_type=JSON)  # object, background, light
    doubt: str = Field(default="", sa_type=Text)  # why the teacher is not sure; empty: it teaches
    at: datetime = Field(sa_type=UtcDateTime)
