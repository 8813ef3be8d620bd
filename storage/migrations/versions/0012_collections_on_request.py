"""collections that the running service is asked for

Revision: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "collect_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=True),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("since", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("comments", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("not_before", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_collect_requests_open", "collect_requests", ["account", "state"])


def downgrade() -> None:
    op.drop_index("ix_collect_requests_open", table_name="collect_requests")
    op.drop_table("collect_requests")
