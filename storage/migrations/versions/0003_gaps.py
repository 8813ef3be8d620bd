"""when a track last missed posts

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("track_states", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("last_gap", storage.tables.UtcDateTime(timezone=True), nullable=True)
        )


def downgrade() -> None:
    with op.batch_alter_table("track_states", schema=None) as batch_op:
        batch_op.drop_column("last_gap")
