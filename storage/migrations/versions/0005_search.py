"""full-text search, changes of embeddings counted

Revision: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from storage import texts

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EVENTS = ("INSERT", "UPDATE", "DELETE")
COUNT = """
INSERT INTO vector_stamps (model_version, changes) VALUES ({version}, 1)
ON CONFLICT (model_version) DO UPDATE SET changes = vector_stamps.changes + 1;
"""


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "search_texts",
        sa.Column("key", sa.Integer() if sqlite else sa.BigInteger(), autoincrement=False),
        sa.Column("post", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text() if sqlite else postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(["post"], ["posts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("post"),
    )
    op.create_table(
        "vector_stamps",
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("model_version"),
    )
    op.create_index("ix_media_size", "media", ["width", "height"])
    op.create_index(
        "ix_label_scores_fit", "label_scores", ["hashtag", "method", "probability", "post"]
    )
    if sqlite:
        _count_on_sqlite()
    else:
        _count_on_postgres()
    # Derived data: the newest way of making it is the right one, and a later change of it clears
    # the stamp. Posts are read by columns that the first migration made.
    texts.create(op.get_bind())
    if not sqlite:
        # After filling: built at once, and smaller. Without fastupdate: its list of pending entries
        # makes the planner think the index dear, and read every post for a rare word.
        op.create_index(
            "ix_search_texts_document",
            "search_texts",
            ["document"],
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        )


def downgrade() -> None:
    texts.drop(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        for name in EVENTS:
            op.execute(f"DROP TRIGGER embeddings_{name.lower()}")
    else:
        op.execute("DROP TRIGGER embeddings_changed ON embeddings")
        op.execute("DROP FUNCTION count_embedding()")
    op.drop_index("ix_label_scores_fit", "label_scores")
    op.drop_index("ix_media_size", "media")
    op.drop_table("vector_stamps")
    op.drop_table("search_texts")


def _count_on_sqlite() -> None:
    for name in EVENTS:
        row = "old" if name == "DELETE" else "new"
        work = COUNT.format(version=f"{row}.model_version")
        op.execute(
            f"CREATE TRIGGER embeddings_{name.lower()} AFTER {name} ON embeddings BEGIN {work} END"
        )


def _count_on_postgres() -> None:
    op.execute(
        "CREATE FUNCTION count_embedding() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'DELETE' THEN " + COUNT.format(version="OLD.model_version") + " "
        "ELSE " + COUNT.format(version="NEW.model_version") + " END IF; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER embeddings_changed AFTER INSERT OR UPDATE OR DELETE ON embeddings "
        "FOR EACH ROW EXECUTE FUNCTION count_embedding()"
    )
