"""Keys of edges, each with a state, and the codes that let an edge join."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To the newer shape; keys that were pinned are active ones since the edge was last heard of, or since ever."""
    op.create_table(
        "edge_keys",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("until", sa.Float()),
        sa.Column("ended_by", sa.Text()),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("site", "edge", "key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "join_codes",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("answer_key", sa.Text()),
        sa.Column("site", sa.Text()),
        sa.Column("edge", sa.Text()),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("guesses", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.Float()),
        sa.Column("used_site", sa.Text()),
        sa.Column("used_edge", sa.Text()),
        sa.Column("used_key", sa.Text()),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("handle"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rotations",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("new_key", sa.Text()),
        sa.Column("done_at", sa.Float()),
        sa.PrimaryKeyConstraint("site", "edge"),
    )
    op.create_table(
        "knocks",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("site", "edge", "key"),
    )
    op.execute(
        "INSERT INTO edge_keys (site, edge, key, state, since, by) SELECT site, edge, key, 'active', "
        "COALESCE((SELECT MIN(received_at) FROM alerts WHERE alerts.site = edges.site AND alerts.edge = edges.edge), "
        "state_at, 0), '' FROM edges WHERE key IS NOT NULL"
    )
    op.drop_column("edges", "key")
