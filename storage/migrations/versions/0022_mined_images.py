"""images that are like pictures on which a network failed

Revision: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mined_images",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("aspects", sa.JSON(), nullable=False),
        sa.Column("doubt", sa.Text(), nullable=False),
        sa.Column("at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", "failure"),
    )


def downgrade() -> None:
    op.drop_table("mined_images")
