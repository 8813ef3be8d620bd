"""what a person wrote for a reply

Revision: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("replies", sa.Column("text", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    # Not in a batch: that makes the table anew, and what hangs on the old one would go with it.
    op.drop_column("replies", "text")
