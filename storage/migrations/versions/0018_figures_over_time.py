"""what is plotted over time: indexes by time, and how the limits of accounts were used

Revision: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limit_hours",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("hour", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("fewest", sa.Float(), nullable=True),
        sa.Column("waits", sa.Integer(), nullable=False),
        sa.Column("waited", sa.Float(), nullable=False),
        sa.Column("pauses", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "action", "hour"),
    )
    op.create_index("ix_limit_hours_hour", "limit_hours", ["hour"])
    op.create_index("ix_posts_first_seen", "posts", ["first_seen"])
    op.create_index("ix_replies_sent", "replies", ["sent_at"])
    op.create_index("ix_reply_events_at", "reply_events", ["at", "new"])


def downgrade() -> None:
    op.drop_index("ix_reply_events_at", "reply_events")
    op.drop_index("ix_replies_sent", "replies")
    op.drop_index("ix_posts_first_seen", "posts")
    op.drop_table("limit_hours")
