"""what a network write shows and leaves behind is a column of its own

Until now it followed from the write's kind, all of which were Instagram's. The id by which a thing
is deleted becomes `remote_id` itself: of a comment POST/COMMENT, of a message THREAD/MESSAGE. A
message whose thread nobody knows cannot be deleted; it keeps its id.

Revision: 0008
Revises: 0007
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LEAVES = {"post": "post", "story": "story", "comment": "comment", "dm_text": "dm", "dm_photo": "dm"}
UPLOADS = ("upload", "dm_upload")
STEPS = sa.table(
    "reply_steps",
    sa.column("id", sa.Integer),
    sa.column("reply", sa.Integer),
    sa.column("kind", sa.String),
    sa.column("remote_id", sa.String),
    sa.column("outputs", sa.JSON),
    sa.column("visible", sa.Boolean),
    sa.column("leaves", sa.String),
)
REPLIES = sa.table("replies", sa.column("id", sa.Integer), sa.column("source_post", sa.String))


def upgrade() -> None:
    with op.batch_alter_table("reply_steps") as table:
        table.add_column(
            sa.Column("visible", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        table.add_column(sa.Column("leaves", sa.String(), nullable=False, server_default=""))
    connection = op.get_bind()
    connection.execute(sa.update(STEPS).where(STEPS.c.kind.in_(UPLOADS)).values(visible=False))
    for kind, leaves in LEAVES.items():
        connection.execute(sa.update(STEPS).where(STEPS.c.kind == kind).values(leaves=leaves))
    for row, under in _under(connection):
        changed = {"remote_id": f"{under}/{row.remote_id}"} if under else {"leaves": ""}
        connection.execute(sa.update(STEPS).where(STEPS.c.id == row.id).values(changed))


def downgrade() -> None:
    connection = op.get_bind()
    for row, _ in _under(connection):
        own = row.remote_id.rpartition("/")[2]
        connection.execute(sa.update(STEPS).where(STEPS.c.id == row.id).values(remote_id=own))
    with op.batch_alter_table("reply_steps") as table:
        table.drop_column("leaves")
        table.drop_column("visible")


def _under(connection: sa.Connection) -> list[tuple[sa.Row, str]]:
    """Comments and messages with an id, each with the id of what it lies under."""
    statement = (
        sa.select(
            STEPS.c.id, STEPS.c.kind, STEPS.c.remote_id, STEPS.c.outputs, REPLIES.c.source_post
        )
        .join(REPLIES, REPLIES.c.id == STEPS.c.reply)
        .where(STEPS.c.kind.in_(("comment", "dm_text", "dm_photo")), STEPS.c.remote_id != "")
    )
    rows = connection.execute(statement).all()
    return [(row, row.source_post if row.kind == "comment" else _thread(row)) for row in rows]


def _thread(row: sa.Row) -> str:
    outputs = json.loads(row.outputs) if isinstance(row.outputs, str) else row.outputs
    return str((outputs or {}).get("thread_id") or "")
