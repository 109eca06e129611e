"""The tables of the database as they are now; `migrations` brings older ones here, and a test compares the two."""

import sqlalchemy as sa

METADATA = sa.MetaData()
EVALUATIONS = sa.Table(
    "evaluations",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False, server_default="evaluation"),
    sa.Column("status", sa.String(16), nullable=False, index=True),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("home", sa.String(32)),
    sa.Column("owner", sa.String(64)),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("progress", sa.Float, nullable=False, default=0.0),
    sa.Column("inputs_sha256", sa.String(64), index=True),
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("report", sa.JSON),
    sa.Column("problem", sa.JSON),
)
