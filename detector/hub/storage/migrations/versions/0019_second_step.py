"""A second step of logging in: a code from a phone, or a recovery code."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """To the newer shape."""
    op.add_column("users", sa.Column("step_secret", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("step_used", sa.Integer(), nullable=True))
    op.create_table(
        "recovery_codes",
        sa.Column("user", sa.Text(), sa.ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", sa.Text(), primary_key=True),
    )
