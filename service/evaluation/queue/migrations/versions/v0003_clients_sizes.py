"""Who sent an evaluation and how much, by which its turn is found, and an index for what was done of late."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; rows from before are nobody's, and small."""
    op.add_column("evaluations", sa.Column("client", sa.String(64), nullable=False, server_default=""))
    op.add_column("evaluations", sa.Column("upload_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_evaluations_ended", "evaluations", ["ended"])
