"""Where an upload lies and what a report's figures take, and the services that are heard of."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; the uploads of before lie in their homes, and what figures take is not known."""
    op.create_table(
        "homes",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("seen", sa.Float, nullable=False),
    )
    op.add_column("evaluations", sa.Column("storage", sa.String(255), nullable=False, server_default=""))
    op.add_column("evaluations", sa.Column("figures_bytes", sa.BigInteger))
