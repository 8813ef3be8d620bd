"""Questions to the text index, and filters that narrow them; the same answers on every database.

Any input is a valid query. All words must be there; "quotes" make a phrase, `word*` finds what
begins so, `#tag` only the hashtag, `-word` leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from bot.core.normal_form import hashtag
from storage import tokens
from storage.tables import MediaState
from storage.texts import (
    BETWEEN,
    ID_BITS,
    author_mark,
    dataset_mark,
    platform_mark,
    second,
)

NARROW = 2000  # filters with at most so many posts are asked first, and the text of those
RANKED = 10_000  # by relevance: among so many of the newest that match
SCANNED = 20_000  # posts that one page looks at, however few of them pass
ACCEPTED, REJECTED, UNLABELLED = LABELS = ("accepted", "rejected", "unlabelled")
FIT = "combined"  # the method of `label_scores` that a filter asks
_WORD = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
_NAMED = re.compile(r":([a-z]\w*)")
_LEAST_PREFIX = 2  # characters before a `*`; fewer would be half of all words
_ID = f"& {(1 << ID_BITS) - 1}"
# Behind an EXISTS: PostgreSQL asks it of each post, and joins no table as a whole for 60 of them.
_EACH = " LIMIT 1 OFFSET 0"


@dataclass(frozen=True, slots=True)
class Term:
    """Tokens that stand side by side; of the last one maybe only the beginning is given."""

    tokens: tuple[str, ...]
    prefix: bool = False
    without: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """What a post, and its image, must be. Unset ones let everything through."""

    hashtags: tuple[str, ...] = ()
    author: tuple[str, str] | None = None  # platform, user id
    platform: str = ""
    dataset: str = ""  # of a track that found it
    since: datetime | None = None
    until: datetime | None = None  # before it
    fit: float | None = None  # probability that a hashtag (of `hashtags`, if any) fits, at least
    size: int | None = None  # px, the short side of a stored image, at least
    clean: bool = False  # with a stored image that passed every check
    checks: tuple[str, ...] = ()  # with a stored image that did not pass one of these
    label: str = ""  # with a stored image that a person ACCEPTED, REJECTED, or UNLABELLED
    doubt: float | None = None  # probability of a hashtag (of `hashtags`, if any), at most
    tags: tuple[str, ...] = ()  # with a stored image to which a network or person gave all of these

    def marks(self) -> list[Term]:
        found = [Term((tag,)) for tag in map(tokens.hashtag, self.hashtags) if tag]
        if self.author:
            found.append(Term((author_mark(*self.author),)))
        if self.platform:
            found.append(Term((platform_mark(self.platform),)))
        if self.dataset:
            found.append(Term((dataset_mark(self.dataset),)))
        return found


@dataclass(frozen=True, slots=True)
class Hit:
    post: int
    score: float  # larger is better; 0 when sorted by time
    key: int = 0  # of `search_texts`: larger is newer


def parse(query: str) -> tuple[Term, ...]:
    """Terms of whatever a person wrote; empty when there is nothing in it to look for."""
    terms = []
    for minus, phrase, word in _WORD.findall(query):
        term = _hashtag(word) if word.startswith(("#", "\uff03")) else _words(phrase or word)
        if term:
            terms.append(Term(term.tokens, term.prefix, bool(minus)))
    return tuple(terms)


def posts(
    session: Session,
    query: Sequence[Term] = (),
    filters: Filters | None = None,
    limit: int = 20,
    relevance: bool = False,
) -> list[Hit]:
    """Posts that have all of it: newest first, or best first among the RANKED newest."""
    asked = _Asked(session, [*query, *(filters or Filters()).marks()], filters or Filters())
    few = asked.few()
    return asked.among(few, limit) if few is not None else asked.all(limit, relevance)


def newest(
    session: Session, query: Sequence[Term], filters: Filters, limit: int, before: int | None
) -> tuple[list[Hit], int | None]:
    """Posts with a stored image, newest first, and where the next page begins (None: nowhere).

    `before`: where this page begins. A page looks at SCANNED posts and may find fewer than `limit`,
    or none, where hardly any pass: so it costs the same at any depth.
    """
    asked = _Asked(session, [*query, *filters.marks()], filters, pictured=True)
    few = asked.few()
    if few is not None:
        found, floor = asked.among(few, limit, before), None
    else:
        floor = asked.floor(before) if asked.sparse else None
        found = asked.all(limit, False, before, floor)
    return found, found[-1].key if len(found) == limit else floor


def matching(
    session: Session, candidates: Sequence[int], query: Sequence[Term], filters: Filters
) -> set[int]:
    """Those of these posts that have all of it."""
    asked = _Asked(session, [*query, *filters.marks()], filters)
    return {hit.post for hit in asked.among(candidates, len(candidates))} if candidates else set()


def images(
    session: Session,
    filters: Filters,
    *,
    posts: Sequence[int] = (),
    hashes: Sequence[str] = (),
) -> list[tuple[int, str]]:
    """(post, SHA-256) of stored images that are large and clean enough: those of these posts, and
    those with these bytes, whoever posted them."""
    asked = _Asked(session, [], filters)
    found = []
    names = [f"'{bytes.fromhex(name).hex()}'" for name in hashes]  # nothing but digits
    for which, values in (("m.post", list(map(str, map(int, posts)))), ("m.sha256", names)):
        if values:
            found += asked.run(
                f"SELECT m.post, m.sha256 FROM media m WHERE m.sha256 IS NOT NULL AND "  # noqa: S608
                f"{which} IN ({','.join(values)}) AND {asked.image}"
            )
    return [(post, sha256) for post, sha256 in found]


def media(session: Session, filters: Filters, posts: Sequence[int]) -> list[tuple[int, int]]:
    """(post, media) of the stored images of these posts that the filters let through, in order."""
    if not posts:
        return []
    asked = _Asked(session, [], filters)
    return [
        (post, media)
        for post, media in asked.run(
            f"SELECT m.post, m.id FROM media m WHERE m.sha256 IS NOT NULL AND {asked.image} "  # noqa: S608
            f'AND m.post IN ({_numbers(posts)}) ORDER BY m.post, m."index"'
        )
    ]


class _Asked:
    """One question, as SQL. Only numbers and our own tokens stand in it, the rest is bound."""

    def __init__(
        self, session: Session, terms: list[Term], filters: Filters, pictured: bool = False
    ) -> None:
        self.pictured = pictured  # only posts with a stored image
        self.connection = session.connection()
        self.sqlite = self.connection.dialect.name == "sqlite"
        self.terms, self.filters = terms, filters
        self.values: dict[str, Any] = {"stored": MediaState.STORED.value}
        self.image = self._image()
        self.tags = [f"h{n}" for n, _ in enumerate(filters.hashtags)]
        self.values |= dict(zip(self.tags, map(hashtag, filters.hashtags), strict=True))

    def run(self, statement: str, **more: Any) -> list[Any]:
        values = self.values | more
        named = {name: values[name] for name in _NAMED.findall(statement)}
        return list(self.connection.execute(text(statement), named))

    def few(self) -> list[int] | None:
        """Posts that pass a filter which hardly any pass; None when there is no such filter."""
        wanted = self.filters
        if wanted.size is not None:
            found = self.run(
                "SELECT post FROM media WHERE width >= :size AND height >= :size LIMIT :most",
                most=NARROW + 1,
            )
            if len(found) <= NARROW:
                return [row[0] for row in found]
        if wanted.fit is not None and wanted.hashtags:
            found = self.run(
                f"SELECT post FROM label_scores WHERE {self._fits()} LIMIT :most",  # noqa: S608
                most=NARROW + 1,
            )
            if len(found) <= NARROW:
                return [row[0] for row in found]
        if wanted.checks:
            found = self.run(
                "SELECT m.post FROM verdicts v JOIN media m ON m.id = v.media "  # noqa: S608
                f"WHERE {self._failed()} LIMIT :most",
                most=NARROW + 1,
            )
            if len(found) <= NARROW:
                return [row[0] for row in found]
        if wanted.tags:
            found = self.run(
                "SELECT m.post FROM image_tags g JOIN media m ON m.sha256 = g.sha256 "
                "WHERE g.tag = :g0 LIMIT :most",
                most=NARROW + 1,
            )
            if len(found) <= NARROW:
                return [row[0] for row in found]
        if wanted.label in (ACCEPTED, REJECTED):
            found = self.run(
                "SELECT m.post FROM image_labels l JOIN media m ON m.id = l.media "
                "WHERE l.accepted = :accepted LIMIT :most",
                most=NARROW + 1,
            )
            if len(found) <= NARROW:
                return [row[0] for row in found]
        return None

    @property
    def sparse(self) -> bool:
        """Whether there is a condition that the full-text index cannot answer."""
        return bool(self._conditions("post"))

    def floor(self, before: int | None) -> int | None:
        """The key down to which a page looks; None: to the oldest post."""
        where = "WHERE key < :before " if before is not None else ""
        found = self.run(
            f"SELECT key FROM search_texts {where}ORDER BY key DESC LIMIT 1 OFFSET :scanned",  # noqa: S608
            before=before,
            scanned=SCANNED,
        )
        return int(found[0][0]) if found else None

    def all(
        self, limit: int, relevance: bool, before: int | None = None, floor: int | None = None
    ) -> list[Hit]:
        """By the full-text index, whose rows come newest first without being sorted."""
        everything = not self.terms  # then the table itself is as good, and quicker
        by_text = self.sqlite and not everything
        name = "search_fts.rowid" if by_text else "search_texts.key"
        where = " AND ".join(
            [*self._times(name, before, floor), *self._conditions(f"({name} {_ID})")]
        )
        if by_text:
            table, score = "search_fts", "-bm25(search_fts)"
            where = f"search_fts MATCH :match{' AND ' + where if where else ''}"
            self.values["match"] = _fts(self.terms)
        else:
            table, score = "search_texts", "ts_rank(document, CAST(:match AS tsquery))"
            self.values["match"] = "" if everything else _tsquery(self.terms)
            parts = ["document @@ CAST(:match AS tsquery)"] * (not everything)
            where = " AND ".join([*parts, *([where] if where else [])]) or "true"
        relevance = relevance and bool(self.terms)
        newest = (
            f"SELECT {name} AS key, {score if relevance else '0.0'} AS score FROM {table} "  # noqa: S608
            f"WHERE {where} ORDER BY {name} DESC LIMIT :most"
        )
        if relevance:
            newest = f"SELECT key, score FROM ({newest}) AS newest ORDER BY score DESC, key DESC LIMIT :limit"  # noqa: S608, E501
        found = self.run(newest, most=RANKED if relevance else limit, limit=limit)
        return [Hit(int(k) & ((1 << ID_BITS) - 1), float(score), int(k)) for k, score in found]

    def among(self, posts: Sequence[int], limit: int, before: int | None = None) -> list[Hit]:
        """By the documents of these posts, newest first."""
        if not posts:
            return []
        where = [
            f"post IN ({_numbers(posts)})",
            *self._times("key", before),
            *self._conditions("search_texts.post"),
        ]
        if self.sqlite:
            for n, term in enumerate(self.terms):
                self.values[f"t{n}"] = f" {' '.join(term.tokens)}" + ("" if term.prefix else " ")
                place = f"instr(' ' || document || ' ', :t{n})"
                where.append(f"{place} = 0" if term.without else f"{place} > 0")
        elif self.terms:
            self.values["match"] = _tsquery(self.terms)
            where.append("document @@ CAST(:match AS tsquery)")
        statement = f"SELECT post, key FROM search_texts WHERE {' AND '.join(where)}"  # noqa: S608
        found = self.run(f"{statement} ORDER BY key DESC LIMIT :limit", limit=limit)
        return [Hit(post, 0.0, int(key)) for post, key in found]

    def _times(self, key: str, before: int | None = None, floor: int | None = None) -> list[str]:
        wanted, found = self.filters, []
        if before is not None:
            found.append(f"{key} < {int(before)}")
        if floor is not None:
            found.append(f"{key} >= {int(floor)}")
        if wanted.since is not None:
            found.append(f"{key} >= {second(wanted.since) << ID_BITS}")
        if wanted.until is not None:
            found.append(f"{key} < {second(wanted.until) << ID_BITS}")
        return found

    def _conditions(self, post: str) -> list[str]:
        # The mark of a hashtag is one of several that look alike; this one decides.
        found = [
            f"EXISTS (SELECT 1 FROM post_hashtags WHERE post = {post} AND hashtag = :{tag}{_EACH})"  # noqa: S608
            for tag in self.tags
        ]
        if self.filters.fit is not None:
            found.append(
                f"EXISTS (SELECT 1 FROM label_scores WHERE post = {post} AND {self._fits()}{_EACH})"  # noqa: S608
            )
        if self.filters.doubt is not None:
            found.append(
                f"EXISTS (SELECT 1 FROM label_scores WHERE post = {post} "  # noqa: S608
                f"AND {self._doubted()}{_EACH})"
            )
        asked = self.filters
        if (
            self.pictured
            or asked.size is not None
            or asked.clean
            or asked.checks
            or asked.label
            or asked.tags
        ):
            found.append(
                f"EXISTS (SELECT 1 FROM media m WHERE m.post = {post} AND {self.image}{_EACH})"  # noqa: S608
            )
        return found

    def _image(self) -> str:
        # Not the plain column: SQLite would look through all stored images for each post.
        parts = ["(m.state || '') = :stored"]
        if self.filters.size is not None:
            self.values["size"] = self.filters.size
            parts.append("m.width >= :size AND m.height >= :size")
        if self.filters.clean:
            parts.append("NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.media = m.id)")
        if self.filters.checks:
            failed = f"v.media = m.id AND {self._failed()}"
            parts.append(f"EXISTS (SELECT 1 FROM verdicts v WHERE {failed})")  # noqa: S608
        for n, tag in enumerate(self.filters.tags):
            self.values[f"g{n}"] = hashtag(tag)
            given = f"g.sha256 = m.sha256 AND g.tag = :g{n}"
            parts.append(f"EXISTS (SELECT 1 FROM image_tags g WHERE {given})")  # noqa: S608
        if self.filters.label == UNLABELLED:
            parts.append("NOT EXISTS (SELECT 1 FROM image_labels l WHERE l.media = m.id)")
        elif self.filters.label:
            self.values["accepted"] = self.filters.label == ACCEPTED
            said = "l.media = m.id AND l.accepted = :accepted"
            parts.append(f"EXISTS (SELECT 1 FROM image_labels l WHERE {said})")  # noqa: S608
        return " AND ".join(parts)

    def _failed(self) -> str:
        names = [f"c{n}" for n, _ in enumerate(self.filters.checks)]
        self.values |= dict(zip(names, self.filters.checks, strict=True))
        return f'v."check" IN ({", ".join(f":{name}" for name in names)})'

    def _fits(self) -> str:
        self.values |= {"method": FIT, "fit": self.filters.fit}
        return f"{self._scored()} AND probability >= :fit"

    def _doubted(self) -> str:
        self.values |= {"method": FIT, "doubt": self.filters.doubt}
        return f"{self._scored()} AND probability <= :doubt"

    def _scored(self) -> str:
        names = ", ".join(f":{tag}" for tag in self.tags)
        return f"{f'hashtag IN ({names}) AND ' if names else ''}method = :method"


def _hashtag(word: str) -> Term | None:
    tag = tokens.hashtag(word)
    return Term((tag,), prefix=word.endswith("*")) if tag else None


def _words(given: str) -> Term | None:
    found = tuple(tokens.words(given))
    if not found:
        return None
    prefix = given.endswith("*") and not tokens.unspaced(found[-1])
    return Term(found, prefix and len(found[-1]) >= _LEAST_PREFIX)


def _fts(terms: Sequence[Term]) -> str:
    """FTS5's language; our tokens hold no quotes."""

    def one(term: Term) -> str:
        return f'"{" ".join(term.tokens)}"' + ("*" if term.prefix else "")

    wanted = " AND ".join(one(t) for t in terms if not t.without) or f'"{BETWEEN}"'
    left_out = " OR ".join(one(t) for t in terms if t.without)
    return f"({wanted}) NOT ({left_out})" if left_out else wanted


def _tsquery(terms: Sequence[Term]) -> str:
    """A tsquery literal; our tokens hold neither quotes nor backslashes."""

    def one(term: Term) -> str:
        quoted = [f"'{token}'" for token in term.tokens]
        quoted[-1] += ":*" if term.prefix else ""
        return ("!" if term.without else "") + f"({' <-> '.join(quoted)})"

    return " & ".join(map(one, terms))


def _numbers(values: Sequence[int]) -> str:
    return ",".join(str(int(value)) for value in values)
