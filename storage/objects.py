"""Objects in images: which images a recipe has still to look at, and what it found.

An image's answer and its state are one transaction, so an answer is never there twice, nor lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, delete, func, select, update

from storage.chunks import chunks
from storage.tables import BlobRow, ObjectJob, ObjectLabel, ObjectRecipe, ObjectState
from storage.text import storable


def recipe_of(facts: Mapping[str, Any]) -> str:
    """The name of a recipe: the same facts, the same name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def plan(session: Session, facts: Mapping[str, Any], images: Iterable[str], now: datetime) -> str:
    """Let a recipe look at these images; those that it knows stay as they are. Returns its name."""
    recipe = recipe_of(facts)
    if session.get(ObjectRecipe, recipe) is None:
        session.add(ObjectRecipe(id=recipe, facts=dict(facts), created=now))
        session.flush()
    for some in chunks(list(dict.fromkeys(images))):
        known = set(
            session.exec(
                select(ObjectJob.sha256).where(
                    ObjectJob.recipe == recipe, col(ObjectJob.sha256).in_(some)
                )
            )
        )
        here = set(session.exec(select(BlobRow.sha256).where(col(BlobRow.sha256).in_(some))))
        session.add_all(
            ObjectJob(recipe=recipe, sha256=sha256, state=ObjectState.WAITING, changed=now)
            for sha256 in some
            if sha256 in here and sha256 not in known
        )
    session.flush()
    return recipe


def again(session: Session, recipe: str, now: datetime) -> int:
    """Let what failed be tried again; how many images."""
    failed = update(ObjectJob).where(
        col(ObjectJob.recipe) == recipe, col(ObjectJob.state) == ObjectState.FAILED
    )
    return int(session.exec(failed.values(state=ObjectState.WAITING, changed=now)).rowcount)


def waiting(session: Session, recipe: str, images: Sequence[str]) -> list[str]:
    """Those of these images that wait, in their order."""
    found: set[str] = set()
    for some in chunks(list(images)):
        statement = select(ObjectJob.sha256).where(
            ObjectJob.recipe == recipe,
            ObjectJob.state == ObjectState.WAITING,
            col(ObjectJob.sha256).in_(some),
        )
        found |= set(session.exec(statement))
    return [sha256 for sha256 in dict.fromkeys(images) if sha256 in found]


def answer(
    session: Session, recipe: str, sha256: str, objects: Sequence[ObjectLabel], now: datetime
) -> bool:
    """Keep what was found; False when another process answered, or the image is gone."""
    state = ObjectState.DONE if objects else ObjectState.EMPTY
    if not _finish(session, recipe, sha256, state, "", now):
        return False
    session.exec(
        delete(ObjectLabel).where(
            col(ObjectLabel.recipe) == recipe, col(ObjectLabel.sha256) == sha256
        )
    )
    session.add_all(objects)
    session.flush()
    return True


def fail(session: Session, recipe: str, sha256: str, reason: str, now: datetime) -> bool:
    return _finish(session, recipe, sha256, ObjectState.FAILED, storable(reason)[:1000], now)


def counts(session: Session, recipe: str) -> dict[str, int]:
    """Images by state; every state is named."""
    statement = (
        select(ObjectJob.state, func.count())
        .where(ObjectJob.recipe == recipe)
        .group_by(col(ObjectJob.state))
    )
    return dict.fromkeys(map(str, ObjectState), 0) | dict(session.exec(statement).all())


def failures(session: Session, recipe: str, limit: int = 100) -> list[tuple[str, str]]:
    """(SHA-256, reason)"""
    statement = select(ObjectJob.sha256, ObjectJob.reason).where(
        ObjectJob.recipe == recipe, ObjectJob.state == ObjectState.FAILED
    )
    return list(session.exec(statement.order_by(col(ObjectJob.sha256)).limit(limit)).all())


def of_class(session: Session, recipe: str) -> dict[str, int]:
    """Objects by class, the most first."""
    number = func.count()
    statement = (
        select(ObjectLabel.name, number)
        .where(ObjectLabel.recipe == recipe)
        .group_by(col(ObjectLabel.name))
        .order_by(number.desc(), col(ObjectLabel.name))
    )
    return dict(session.exec(statement).all())


def found(session: Session, recipe: str, sha256: str) -> list[ObjectLabel]:
    """The objects of an image, the highest score first."""
    statement = select(ObjectLabel).where(
        ObjectLabel.recipe == recipe, ObjectLabel.sha256 == sha256
    )
    return list(
        session.exec(statement.order_by(col(ObjectLabel.score).desc(), col(ObjectLabel.id)))
    )


def recipe(session: Session, name: str = "") -> ObjectRecipe | None:
    """By the beginning of its name; the newest one for none."""
    statement = select(ObjectRecipe).order_by(col(ObjectRecipe.created).desc())
    if name:
        statement = statement.where(col(ObjectRecipe.id).startswith(name))
    return session.exec(statement.limit(1)).first()


def _finish(
    session: Session, recipe: str, sha256: str, state: ObjectState, reason: str, now: datetime
) -> bool:
    mine = update(ObjectJob).where(
        col(ObjectJob.recipe) == recipe,
        col(ObjectJob.sha256) == sha256,
        col(ObjectJob.state) == ObjectState.WAITING,
    )
    values = {"state": state, "reason": reason, "changed": now}
    done = session.exec(mine.values(**values, attempts=col(ObjectJob.attempts) + 1))
    return bool(done.rowcount)
