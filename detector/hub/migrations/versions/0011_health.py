"""Gaps and late alerts of edges."""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To the newer shape."""


def downgrade() -> None:
    """Back to the older shape."""
