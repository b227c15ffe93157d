"""API tokens and what else people need to come in."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To the newer shape."""


def downgrade() -> None:
    """Back to the older shape."""
