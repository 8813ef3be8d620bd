"""one normal form for hashtags and names; derived rows follow the caption as last seen

Hashtags were kept in one of several forms, without emoji, and never made anew when a caption was
edited. Names had no form to be compared by, and no date of their last sight.

Revision: 0007
Revises: 0006
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from bot.core import normal_form as text
from bot.core.hashtags import hashtags
from bot.core.mentions import mentions
from storage import texts
from storage.derived import MAX_NAME
from storage.tables import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PAGE = 500
HASHTAG = ":hashtag:"
OF_POST = "WHERE post = :post"


def upgrade() -> None:
    connection = op.get_bind()
    _names(connection)
    _tracks(connection)
    _dataset_names(connection)
    _queries(connection)
    changed = [post for post in _posts(connection) if _derive(connection, *post)]
    texts.index(connection, sorted(post for post, *_ in changed))


def downgrade() -> None:
    with op.batch_alter_table("author_names") as table:
        table.drop_index("ix_author_names_normal")
        table.drop_column("normal")
        table.drop_column("last_seen")


def _names(connection: sa.Connection) -> None:
    with op.batch_alter_table("author_names") as table:
        table.add_column(sa.Column("normal", sa.String(), nullable=True))
        table.add_column(sa.Column("last_seen", UtcDateTime(timezone=True), nullable=True))
    connection.execute(
        sa.text(
            "UPDATE author_names SET last_seen = coalesce((SELECT a.last_seen FROM authors a "
            "WHERE a.platform = author_names.platform AND a.user_id = author_names.user_id "
            "AND a.username = author_names.username), first_seen)"
        )
    )
    op.create_index("names_while_migrating", "author_names", ["username"])
    for old in _column(connection, "SELECT DISTINCT username FROM author_names"):
        connection.execute(
            sa.text("UPDATE author_names SET normal = :new WHERE username = :old"),
            {"old": old, "new": text.username(old)},
        )
    op.drop_index("names_while_migrating", "author_names")
    with op.batch_alter_table("author_names") as table:
        table.alter_column("normal", existing_type=sa.String(), nullable=False)
        table.alter_column("last_seen", existing_type=UtcDateTime(timezone=True), nullable=False)
        table.create_index("ix_author_names_normal", ["normal"])


def _tracks(connection: sa.Connection) -> None:
    """Keys of tracks hold the hashtag they follow."""
    for table, column in (
        ("post_tracks", "track"),
        ("replies", "track"),
        ("track_states", "track"),
        ("collections", "key"),
    ):
        for old in _column(connection, f"SELECT DISTINCT {column} FROM {table}"):
            account, found, target = old.partition(HASHTAG)
            if found:
                _rename(connection, table, column, old, text.track_key(account, "hashtag", target))


def _dataset_names(connection: sa.Connection) -> None:
    _keep_names_of_manifests(connection)
    for table, column in (
        ("post_tracks", "dataset"),
        ("datasets", "name"),
        ("snapshots", "dataset"),
    ):
        for old in _column(connection, f"SELECT DISTINCT {column} FROM {table}"):
            _rename(connection, table, column, old, text.name(old))
    for old in _column(connection, "SELECT key FROM controls WHERE key LIKE 'dataset-key:%'"):
        _rename(connection, "controls", "key", old, text.name(old))


def _keep_names_of_manifests(connection: sa.Connection) -> None:
    """The hash of a snapshot's manifest is that of the name it was made under."""
    made = sa.table("snapshots", sa.column("id"), sa.column("dataset"), sa.column("facts", sa.JSON))
    for row in connection.execute(sa.select(made)).all():
        if text.name(row.dataset) != row.dataset:
            facts = {**row.facts, "dataset": row.dataset}
            connection.execute(sa.update(made).where(made.c.id == row.id).values(facts=facts))


def _rename(connection: sa.Connection, table: str, column: str, old: str, new: str) -> None:
    """Where the new name is taken in a table in which each is there once, the old row stays."""
    if old == new:
        return
    unique = {"track_states": "track", "collections": "key", "datasets": "name", "controls": "key"}
    free = ""
    if table in unique:
        free = f" AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{column} = :new)"
    if (table, column) == ("post_tracks", "track"):
        free = (
            " AND NOT EXISTS (SELECT 1 FROM post_tracks t WHERE t.post = post_tracks.post "
            "AND t.track = :new)"
        )
    if table == "snapshots":
        free = (
            " AND NOT EXISTS (SELECT 1 FROM snapshots t WHERE t.dataset = :new "
            "AND t.name = snapshots.name)"
        )
    connection.execute(
        sa.text(f"UPDATE {table} SET {column} = :new WHERE {column} = :old{free}"),
        {"old": old, "new": new},
    )


def _queries(connection: sa.Connection) -> None:
    normal: dict[str, Callable[[str], str]] = {
        "any_hashtags": text.hashtag,
        "all_hashtags": text.hashtag,
        "no_hashtags": text.hashtag,
        "datasets": text.name,
    }
    datasets = sa.table("datasets", sa.column("name"), sa.column("query", sa.JSON))
    for name, query in connection.execute(sa.select(datasets.c.name, datasets.c.query)).all():
        new = {
            key: [normal[key](one) for one in value] if key in normal else value
            for key, value in query.items()
        }
        if new != query:
            connection.execute(sa.update(datasets).where(datasets.c.name == name).values(query=new))


def _posts(connection: sa.Connection) -> Iterator[tuple[int, str, str]]:
    """(id, caption as first seen, as last seen) of every post."""
    last = 0
    while True:
        rows = connection.execute(
            sa.text("SELECT id, caption FROM posts WHERE id > :last ORDER BY id LIMIT :page"),
            {"last": last, "page": PAGE},
        ).all()
        if not rows:
            return
        revisions = sa.table(
            "post_revisions",
            sa.column("id"),
            sa.column("post"),
            sa.column("field"),
            sa.column("new", sa.JSON),
        )
        edits = connection.execute(
            sa.select(revisions.c.post, revisions.c.new)
            .where(revisions.c.post.between(rows[0].id, rows[-1].id))
            .where(revisions.c.field == "caption")
            .order_by(revisions.c.id)
        )
        latest = {post: str(new or "") for post, new in edits}
        for row in rows:
            yield row.id, row.caption, latest.get(row.id, row.caption)
        last = rows[-1].id


def _derive(connection: sa.Connection, post: int, first: str, latest: str) -> bool:
    """Give it the hashtags of its caption; those that no caption spelled stay. True if changed."""
    stored = set(_column(connection, "SELECT hashtag FROM post_hashtags WHERE post = :post", post))
    listed = {text.hashtag(tag) for tag in stored if not _spelled(tag, first)}
    wanted = {tag for tag in listed | set(hashtags(latest)) if 0 < len(tag) <= MAX_NAME}
    if latest != first:
        _edited(connection, post, latest, stored - wanted)
    if wanted == stored:
        return False
    for tag in sorted(stored - wanted):
        for table in ("post_hashtags", "label_scores"):
            _run(connection, f"DELETE FROM {table} {OF_POST} AND hashtag = :name", post, tag)
    for tag in sorted(wanted - stored):
        _run(
            connection, "INSERT INTO post_hashtags (post, hashtag) VALUES (:post, :name)", post, tag
        )
    return True


def _edited(connection: sa.Connection, post: int, latest: str, gone: Collection[str]) -> None:
    """Mentions, and the tracks whose hashtag was taken out."""
    for track in _column(connection, f"SELECT track FROM post_tracks {OF_POST}", post):
        if track.partition(HASHTAG)[2] in gone:
            _run(connection, f"DELETE FROM post_tracks {OF_POST} AND track = :name", post, track)
    _run(connection, f"DELETE FROM post_mentions {OF_POST} AND media_index = -1", post)
    add = (
        "INSERT INTO post_mentions (post, media_index, username, user_id) "
        "VALUES (:post, -1, :name, '')"
    )
    for name in mentions(latest):
        _run(connection, add, post, name)


def _spelled(tag: str, caption: str) -> bool:
    """Whether the former rules found this hashtag in a caption."""
    where = text.words(text.usual_width(caption))
    return re.search(rf"#{re.escape(text.words(tag))}(?!\w)", where) is not None


def _run(connection: sa.Connection, statement: str, post: int, name: str = "") -> None:
    values = {"post": post, "name": name}
    connection.execute(
        sa.text(statement), {key: values[key] for key in values if f":{key}" in statement}
    )


def _column(connection: sa.Connection, statement: str, post: int | None = None) -> list[Any]:
    values = {} if post is None else {"post": post}
    return list(connection.execute(sa.text(statement), values).scalars())
