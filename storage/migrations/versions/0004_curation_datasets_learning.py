"""curation, bulk collection, datasets, learning runs, retractions

Revision: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("newest", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("oldest", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("stored", sa.Integer(), nullable=False),
        sa.Column("updated", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "datasets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "learning_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("newest_post", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("started", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("learning_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_learning_runs_state"), ["state"], unique=False)

    op.create_table(
        "retractions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("not_before", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished", storage.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("platform", "account", "kind", "remote_id"),
    )
    with op.batch_alter_table("retractions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_retractions_state"), ["state"], unique=False)

    op.create_table(
        "snapshots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.JSON(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("manifest_sha256", sa.String(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dataset", "name"),
    )
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshots_dataset"), ["dataset"], unique=False)

    op.create_table(
        "comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("comment_id", sa.String(), nullable=False),
        sa.Column("post", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.String(), nullable=False),
        sa.Column("username", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("first_seen", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["post"], ["posts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("platform", "comment_id"),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comments_author_id"), ["author_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_comments_post"), ["post"], unique=False)

    op.create_table(
        "exports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("created", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["snapshot"], ["snapshots.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("exports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_exports_snapshot"), ["snapshot"], unique=False)

    op.create_table(
        "learning_authors",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["learning_runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "platform", "user_id"),
    )
    op.create_table(
        "curations",
        sa.Column("media", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("phash", sa.BigInteger(), nullable=True),
        sa.Column("original", sa.Integer(), nullable=True),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=True),
        sa.Column("computed_at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["media"], ["media.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["original"], ["media.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("media"),
    )
    with op.batch_alter_table("curations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_curations_original"), ["original"], unique=False)
        batch_op.create_index(batch_op.f("ix_curations_phash"), ["phash"], unique=False)
        batch_op.create_index(batch_op.f("ix_curations_version"), ["version"], unique=False)
        batch_op.create_index(batch_op.f("ix_curations_computed_at"), ["computed_at"], unique=False)

    op.create_table(
        "snapshot_items",
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("media", sa.Integer(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["media"], ["media.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["snapshot"], ["snapshots.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("snapshot", "seq"),
    )
    with op.batch_alter_table("snapshot_items", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshot_items_media"), ["media"], unique=False)

    op.create_table(
        "verdicts",
        sa.Column("media", sa.Integer(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("computed_at", storage.tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["media"], ["media.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("media", "check"),
    )
    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verdicts_check"), ["check"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_verdicts_check"))

    op.drop_table("verdicts")
    with op.batch_alter_table("snapshot_items", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshot_items_media"))

    op.drop_table("snapshot_items")
    with op.batch_alter_table("curations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_curations_computed_at"))
        batch_op.drop_index(batch_op.f("ix_curations_version"))
        batch_op.drop_index(batch_op.f("ix_curations_phash"))
        batch_op.drop_index(batch_op.f("ix_curations_original"))

    op.drop_table("curations")
    op.drop_table("learning_authors")
    with op.batch_alter_table("exports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_exports_snapshot"))

    op.drop_table("exports")
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_comments_post"))
        batch_op.drop_index(batch_op.f("ix_comments_author_id"))

    op.drop_table("comments")
    with op.batch_alter_table("snapshots", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshots_dataset"))

    op.drop_table("snapshots")
    with op.batch_alter_table("retractions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_retractions_state"))

    op.drop_table("retractions")
    with op.batch_alter_table("learning_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_learning_runs_state"))

    op.drop_table("learning_runs")
    op.drop_table("datasets")
    op.drop_table("collections")
