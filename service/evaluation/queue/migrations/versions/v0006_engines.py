"""Where the engines of a service are reached by others."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; services of before are reached nowhere."""
    op.add_column("homes", sa.Column("engines", sa.String(4096), nullable=False, server_default=""))
