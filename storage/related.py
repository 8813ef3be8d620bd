"""What goes with a set of hashtags: other hashtags, and the people who use them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func
from sqlalchemy import select as rows
from sqlmodel import Session, col

from storage.tables import AuthorRow, LabelScore, PostHashtag, PostRow

METHOD = "combined"  # of the label scores: the one that is trusted most


@dataclass(frozen=True, slots=True)
class Related:
    name: str  # hashtag or user name
    platform: str  # of a person; "" for a hashtag
    user_id: str
    posts: int  # in which it goes with a seed
    score: float  # 0..1


def related_hashtags(session: Session, seeds: Sequence[str], least: int) -> list[Related]:
    """Hashtags in posts with a seed, best first.

    The score is Ochiai's coefficient with weights: the weight of posts that have both over the
    geometric mean of what each has. So what stands under everything ("#love") is not near anything.
    """
    seed_posts, total = _seed_posts(seeds), _total(session, seeds)
    weighted = (
        rows(
            col(PostHashtag.hashtag),
            func.count(),
            func.sum(seed_posts.c.weight * _fit()),
        )
        .join(seed_posts, seed_posts.c.post == PostHashtag.post)
        .outerjoin(LabelScore, _scored())
        .where(col(PostHashtag.hashtag).not_in(seeds))
        .group_by(col(PostHashtag.hashtag))
        .having(func.count() >= least)
    )
    found = [tuple(row) for row in session.connection().execute(weighted)]
    sizes = _sizes(session, [name for name, _, _ in found])
    related = [
        Related(name, "", "", posts, float(weight) / math.sqrt(total * sizes[name]))
        for name, posts, weight in found
    ]
    return sorted(related, key=lambda tag: (-tag.score, tag.name))


def related_authors(session: Session, seeds: Sequence[str], least: int) -> list[Related]:
    """People with posts under a seed, best first; private accounts are left out.

    The score is the share of a person's posts that fit a seed, shrunk by one post without any.
    """
    seed_posts = _seed_posts(seeds)
    mine = rows(
        col(PostRow.platform),
        col(PostRow.author_id),
        func.count().label("posts"),
        func.sum(func.coalesce(seed_posts.c.weight, 0.0)).label("weight"),
        func.count(seed_posts.c.post).label("hits"),
    ).outerjoin(seed_posts, seed_posts.c.post == PostRow.id)
    people = mine.group_by(col(PostRow.platform), col(PostRow.author_id)).subquery()
    same = and_(
        people.c.platform == col(AuthorRow.platform), people.c.author_id == col(AuthorRow.user_id)
    )
    counts = (people.c.hits, people.c.weight, people.c.posts)
    statement = (
        rows(col(AuthorRow.username), col(AuthorRow.platform), col(AuthorRow.user_id), *counts)
        .join(people, same)
        .where(people.c.hits >= least, col(AuthorRow.is_private).is_(False))
    )
    related = [
        Related(name, platform, user_id, hits, float(weight) / (posts + 1))
        for name, platform, user_id, hits, weight, posts in session.connection().execute(statement)
    ]
    return sorted(related, key=lambda person: (-person.score, -person.posts, person.name))


def _seed_posts(seeds: Sequence[str]) -> Any:
    """Each post with a seed once, with the probability of its best fitting one."""
    statement: Select[Any] = (
        rows(col(PostHashtag.post), func.max(_fit()).label("weight"))
        .outerjoin(LabelScore, _scored())
        .where(col(PostHashtag.hashtag).in_(seeds))
        .group_by(col(PostHashtag.post))
    )
    return statement.subquery()


def _total(session: Session, seeds: Sequence[str]) -> float:
    seed_posts = _seed_posts(seeds)
    found = session.connection().execute(rows(func.sum(seed_posts.c.weight))).scalar()
    return float(found or 0.0)


def _sizes(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Posts of each hashtag."""
    sizes: dict[str, int] = {}
    for start in range(0, len(names), 500):
        statement = (
            rows(col(PostHashtag.hashtag), func.count())
            .where(col(PostHashtag.hashtag).in_(names[start : start + 500]))
            .group_by(col(PostHashtag.hashtag))
        )
        sizes |= {name: count for name, count in session.connection().execute(statement)}  # noqa: C416 - rows are no pairs to mypy
    return sizes


def _fit() -> Any:
    return func.coalesce(LabelScore.probability, 1.0)


def _scored() -> Any:
    return and_(
        col(LabelScore.post) == col(PostHashtag.post),
        col(LabelScore.hashtag) == col(PostHashtag.hashtag),
        col(LabelScore.method) == METHOD,
    )
