"""the scheduler calls a function by its path, which changed

Its table is its own and made outside of Alembic. Rows that name the former path could not be loaded
again; the service adds a job for each track at its next start.

Revision: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("apscheduler_jobs"):
        op.execute("DELETE FROM apscheduler_jobs")


downgrade = upgrade  # an older version cannot load the newer path either
