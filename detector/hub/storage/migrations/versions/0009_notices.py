"""Notifications: rules and the delivery log."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """To the newer shape."""
    op.create_table(
        "notice_targets",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("url_env", sa.Text(), nullable=True),
        sa.Column("url_file", sa.Text(), nullable=True),
        sa.Column("picture", sa.Boolean(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("rests_until", sa.Float(), nullable=False, server_default="0"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "notice_rules",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("target", NUMBER, nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=True),
        sa.Column("places", sa.JSON(), nullable=True),
        sa.Column("days", sa.JSON(), nullable=True),
        sa.Column("hours", sa.Text(), nullable=True),
        sa.Column("quiet", sa.Text(), nullable=True),
        sa.Column("breaks_through", sa.Boolean(), nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["notice_targets.number"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notice_rules_target", "notice_rules", ["target"])
    op.create_table(
        "notices",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("target", NUMBER, nullable=False),
        sa.Column("target_name", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("summary", NUMBER, nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("tried_at", sa.Float(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("incident", "target", "severity"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_due", "notices", ["state", "target", "due_at"])
    op.create_index("notices_by_summary", "notices", ["summary"])
    op.create_table(
        "notice_place",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
