"""Alembic's entry: always online, on the connection that `Database.migrate` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import storage.tables  # noqa: F401 - fills the metadata

# APScheduler owns its table; Alembic must neither create nor drop it. What makes text searchable
# (`storage.texts`) differs between the databases and is in no model.
FOREIGN = ("apscheduler_jobs", "search_fts", "ix_search_texts_document")


def _ours(_object: object, name: str | None, _kind: str, _reflected: bool, _other: object) -> bool:
    return not (name or "").startswith(FOREIGN)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    include_object=_ours,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
