"""What a row ends in, where its upload lies, what its numbers depend on, and what it takes on disk."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; rows from before are evaluations whose upload lies in the only state directory there was."""
    kind = sa.Column("kind", sa.String(16), nullable=False, server_default="evaluation")
    op.add_column("evaluations", kind)
    op.add_column("evaluations", sa.Column("home", sa.String(32)))
    op.add_column("evaluations", sa.Column("inputs_sha256", sa.String(64)))
    op.add_column("evaluations", sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_evaluations_inputs_sha256", "evaluations", ["inputs_sha256"])
