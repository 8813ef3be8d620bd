"""captions and tags of images

Revision: 0020
Revises: 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "captions",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", "network"),
    )
    op.create_table(
        "image_tags",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["sha256"], ["blobs.sha256"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256", "network", "tag"),
    )
    op.create_index("ix_image_tags_tag", "image_tags", ["tag"])


def downgrade() -> None:
    op.drop_table("image_tags")
    op.drop_table("captions")
