"""The text index: what is searched of each post, in the same transaction as the post.

A document is a line of tokens (`storage.tokens`). SQLite: an FTS5 table that reads `search_texts`
and follows it by triggers. PostgreSQL: the same tokens as a tsvector, past its own parser. Rows go
with their post by the foreign key, whoever removes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, and_, event, insert, inspect, text
from sqlalchemy import select as columns_of  # SQLModel's takes four at most
from sqlmodel import Session, col, delete, select

from storage import tokens
from storage.database import Database
from storage.tables import (
    AuthorName,
    AuthorRow,
    CaptionRow,
    Control,
    ImageTag,
    MediaRow,
    MediaState,
    PostHashtag,
    PostRevision,
    PostRow,
    PostTrack,
    SearchText,
)

VERSION = "1"  # of the tokens: another one, and the index has to be made anew
STAMP = "search:texts"  # in `controls`: the version of a complete index
BETWEEN = "¦"  # a token between fields, so that no phrase reaches over; every document has it
ID_BITS = 30  # posts.id in the lower bits of a key, the second it was taken at above
_MOST_SECONDS = 2**33 - 1
_CHUNK = 500  # a database takes only so many parameters at once
_RENAMED = 1000  # posts of somebody renamed that follow at once, the newest
_POSITION, _PLACES = 16_383, 256  # of one lexeme in PostgreSQL: the last one, and how many
_PENDING = "search"  # in Session.info
_SAID = "captions"  # a table
_SAYING: WeakSet[Engine] = WeakSet()  # databases of which it is known that they have it

_FTS = (  # the ascii tokenizer takes whatever is not ASCII as part of a word, as our tokens need
    "CREATE VIRTUAL TABLE search_fts USING fts5(document, content='search_texts', "
    "content_rowid='key', prefix='2 3', tokenize=\"ascii tokenchars '#@~=_'\")"
)
_INSERT = "INSERT INTO search_texts (key, post, document) VALUES (:key, :post, "
_CAST = "CAST(:document AS tsvector))"
_TRIGGERS = {
    "INSERT": "INSERT INTO search_fts(rowid, document) VALUES (new.key, new.document);",
    "DELETE": "INSERT INTO search_fts(search_fts, rowid, document) "
    "VALUES ('delete', old.key, old.document);",
}
_TRIGGERS["UPDATE"] = _TRIGGERS["DELETE"] + " " + _TRIGGERS["INSERT"]


@dataclass(slots=True)
class Document:
    """What is searched of one post. Marks are found exactly, words also as phrases."""

    fields: list[list[str]] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)

    def line(self) -> str:
        """For SQLite: fields, then marks."""
        parts = [" ".join(words) for words in self.fields if words]
        return f" {BETWEEN} ".join([*parts, " ".join(sorted(self.marks))]) + f" {BETWEEN}"

    def vector(self) -> str:
        """For PostgreSQL: a tsvector literal; our tokens hold neither quotes nor backslashes."""
        places: dict[str, list[int]] = {mark: [] for mark in sorted(self.marks)}
        position = 0
        for words in self.fields:
            for position, word in enumerate(words, position + 1):  # noqa: B020 - goes on
                places.setdefault(word, []).append(min(position, _POSITION))
            position += 1
        return " ".join(
            f"'{word}'" + (":" + ",".join(map(str, at[:_PLACES])) if at else "")
            for word, at in places.items()
        )


def key_of(taken_at: datetime, post: int) -> int:
    """Larger is newer."""
    return second(taken_at) << ID_BITS | post


def second(moment: datetime) -> int:
    return min(max(int(moment.timestamp()), 0), _MOST_SECONDS)


def author_mark(platform: str, user_id: str) -> str:
    return tokens.mark("@", platform, user_id)


def platform_mark(platform: str) -> str:
    return tokens.mark("~", platform)


def dataset_mark(name: str) -> str:
    return tokens.mark("=", name)


# --- the index ------------------------------------------------------------------------------------


def note(session: Session, post: int) -> None:
    """Remember that the words of this post changed; they are indexed at commit."""
    session.info.setdefault(_PENDING, set()).add(post)


def note_author(session: Session, platform: str, user_id: str) -> None:
    """Remember that a person was renamed: the newest posts are indexed at commit, the others by
    `index_all`.
    """
    theirs = (
        select(PostRow.id)
        .where(PostRow.platform == platform, PostRow.author_id == user_id)
        .order_by(col(PostRow.taken_at).desc())
        .limit(_RENAMED)
    )
    for post in session.exec(theirs):
        note(session, post or 0)


@event.listens_for(Session, "before_commit")
def _index_noted(session: Session) -> None:
    """Once for all posts of a transaction, so that it costs a few statements, not some for each."""
    if posts := session.info.pop(_PENDING, None):
        session.flush()
        index(session.connection(), sorted(posts))


def index(connection: Connection, posts: Sequence[int]) -> None:
    """(Re)make the documents of these posts; those that are gone are passed over."""
    for start in range(0, len(posts), _CHUNK):
        chunk = posts[start : start + _CHUNK]
        connection.execute(delete(SearchText).where(col(SearchText.post).in_(chunk)))
        _insert(connection, list(documents(connection, chunk)))


def create(connection: Connection) -> None:
    """What makes `search_texts` searchable, and documents of all posts. For the migration."""
    _fill(connection)
    follow(connection)
    stamp(connection)


def follow(connection: Connection) -> None:
    """SQLite: the full-text table of what `search_texts` has now, and triggers for what comes."""
    if connection.dialect.name != "sqlite":
        return
    connection.exec_driver_sql(_FTS)
    connection.exec_driver_sql("INSERT INTO search_fts(search_fts) VALUES ('rebuild')")
    for name, work in _TRIGGERS.items():
        connection.exec_driver_sql(
            f"CREATE TRIGGER search_texts_{name.lower()} AFTER {name} ON search_texts "
            f"BEGIN {work} END"
        )


def drop(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        for name in _TRIGGERS:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS search_texts_{name.lower()}")
        connection.exec_driver_sql("DROP TABLE IF EXISTS search_fts")
    connection.execute(delete(Control).where(col(Control.key) == STAMP))


def complete(session: Session) -> bool:
    """Whether every stored post is in the index, by this version's tokens."""
    return session.exec(select(Control.value).where(Control.key == STAMP)).first() == VERSION


def index_all(database: Database, progress: Callable[[Sequence[int]], Iterable[int]]) -> int:
    """Make the whole index anew, in short transactions: whoever else writes need not wait.

    Returns how many posts it has. Broken off, `complete` says so, and it begins anew.
    """
    with database.write() as session:
        connection = session.connection()
        drop(connection)
        connection.exec_driver_sql("DELETE FROM search_texts")
        follow(connection)
        found = connection.exec_driver_sql("SELECT id FROM posts ORDER BY taken_at, id")
        posts = [int(row[0]) for row in found]
    for start in progress(range(0, len(posts), _CHUNK)):
        with database.write() as session:
            index(session.connection(), posts[start : start + _CHUNK])
    with database.write() as session:
        stamp(session.connection())
    return len(posts)


def documents(connection: Connection, posts: Sequence[int]) -> Iterator[tuple[int, int, Document]]:
    """(key, post, document) of those that exist: as last seen, under every name of the author."""
    person = and_(
        col(PostRow.platform) == col(AuthorRow.platform),
        col(PostRow.author_id) == col(AuthorRow.user_id),
    )
    columns = (
        col(PostRow.id),
        col(PostRow.platform),
        col(PostRow.author_id),
        col(PostRow.taken_at),
        col(PostRow.caption),
        col(PostRow.place),
        col(AuthorRow.full_name),
    )
    rows = connection.execute(
        columns_of(*columns).outerjoin(AuthorRow, person).where(col(PostRow.id).in_(posts))
    ).all()
    edits = connection.execute(
        select(PostRevision.post, PostRevision.field, PostRevision.new)
        .where(col(PostRevision.post).in_(posts), col(PostRevision.field).in_(("caption", "place")))
        .order_by(col(PostRevision.id))
    )
    latest = {(post, name): new for post, name, new in edits}
    tags = _listed(
        connection,
        select(PostHashtag.post, PostHashtag.hashtag).where(col(PostHashtag.post).in_(posts)),
    )
    filed = _listed(
        connection, select(PostTrack.post, PostTrack.dataset).where(col(PostTrack.post).in_(posts))
    )
    names = _listed(
        connection,
        select(PostRow.id, AuthorName.username)
        .join(
            AuthorName,
            and_(
                col(PostRow.platform) == col(AuthorName.platform),
                col(PostRow.author_id) == col(AuthorName.user_id),
            ),
        )
        .where(col(PostRow.id).in_(posts)),
    )
    said = _said(connection, posts)
    for post, platform, author, taken_at, caption, place, full_name in rows:
        found = _document(
            (platform, author),
            str(latest.get((post, "caption"), caption) or ""),
            tags.get(post, []),
            [*names.get(post, []), full_name or ""],
            str((latest.get((post, "place"), place) or {}).get("name") or ""),
            filed.get(post, []),
            said.get(post, []),
        )
        yield key_of(taken_at, post), post, found


def _document(
    author: tuple[str, str],
    caption: str,
    tags: list[str],
    names: list[str],
    place: str,
    datasets: list[str],
    said: list[str],
) -> Document:
    texts = [" ".join(tags), caption, *names, place, *datasets, *said]
    marks = {tokens.hashtag(tag) for tag in tags} | set(tokens.hashtags(caption))
    marks |= {author_mark(*author), platform_mark(author[0]), *map(dataset_mark, datasets)}
    for part in texts:
        marks |= tokens.runs(part)
    return Document([tokens.words(part) for part in texts], marks - {""})


def _said(connection: Connection, posts: Sequence[int]) -> dict[int, list[str]]:
    """The sentences and tags of the images of these posts, whoever gave them."""
    if connection.engine not in _SAYING and not inspect(connection).has_table(_SAID):
        return {}  # an older migration asks
    _SAYING.add(connection.engine)
    found: dict[int, set[str]] = {}
    for table, column in ((CaptionRow, CaptionRow.sentence), (ImageTag, ImageTag.tag)):
        statement = (
            select(MediaRow.post, column)
            .join(table, col(table.sha256) == col(MediaRow.sha256))
            .where(col(MediaRow.post).in_(posts), col(MediaRow.state) == MediaState.STORED)
            .distinct()
        )
        for post, words in _listed(connection, statement).items():
            found.setdefault(post, set()).update(words)
    return {post: sorted(words) for post, words in found.items()}


def _insert(connection: Connection, made: list[tuple[int, int, Document]]) -> None:
    """By key: FTS5 writes a segment whenever a smaller one follows a larger one."""
    sqlite = connection.dialect.name == "sqlite"
    rows = [
        {"key": key, "post": post, "document": found.line() if sqlite else found.vector()}
        for key, post, found in sorted(made, key=lambda row: row[0])
    ]
    if rows:
        connection.execute(text(_INSERT + (":document)" if sqlite else _CAST)), rows)


def _fill(connection: Connection) -> None:
    found = connection.exec_driver_sql("SELECT id FROM posts ORDER BY taken_at, id")
    posts = [int(row[0]) for row in found]
    for start in range(0, len(posts), _CHUNK):
        _insert(connection, list(documents(connection, posts[start : start + _CHUNK])))


def stamp(connection: Connection) -> None:
    """Record that the index has every post."""
    connection.execute(delete(Control).where(col(Control.key) == STAMP))
    connection.execute(insert(Control).values(key=STAMP, value=VERSION, changed=datetime.now(UTC)))


def _listed(connection: Connection, statement: Any) -> dict[int, list[str]]:
    """Distinct, non-empty second columns by the first, sorted: the same document every time."""
    found: dict[int, set[str]] = {}
    for post, value in connection.execute(statement):
        if value:
            found.setdefault(post, set()).add(value)
    return {post: sorted(values) for post, values in found.items()}
