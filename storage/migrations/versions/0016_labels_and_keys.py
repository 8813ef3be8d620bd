"""what people say of images and hashtags; keys of the search API

Revision: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_labels",
        sa.Column("media", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["media"], ["media.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("media"),
    )
    op.create_table(
        "hashtag_labels",
        sa.Column("post", sa.Integer(), nullable=False),
        sa.Column("hashtag", sa.String(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["post"], ["posts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("post", "hashtag"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("per_day", sa.Integer(), nullable=True),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("revoked", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "api_uses",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["key"], ["api_keys.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", "day"),
    )


def downgrade() -> None:
    for table in ("api_uses", "api_keys", "hashtag_labels", "image_labels"):
        op.drop_table(table)
