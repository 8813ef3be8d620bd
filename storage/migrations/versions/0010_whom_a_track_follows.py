"""whom a profile's track follows

Revision: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("track_states") as table:
        table.add_column(sa.Column("user_id", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("track_states") as table:
        table.alter_column("user_id", existing_type=sa.String(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("track_states") as table:
        table.drop_column("user_id")
