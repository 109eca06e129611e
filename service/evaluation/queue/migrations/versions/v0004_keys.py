"""API keys by their hashes, and whose key asked for an evaluation."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table; evaluations from before belong to no key."""
    op.create_table(
        "keys",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("expires", sa.Float),
        sa.Column("revoked", sa.Float),
        sa.Column("rate", sa.Float),
        sa.Column("concurrency", sa.Integer),
    )
    op.add_column("evaluations", sa.Column("key", sa.String(64)))
