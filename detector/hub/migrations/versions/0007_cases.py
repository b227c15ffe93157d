"""Cases and evidence packs."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To the newer shape."""


def downgrade() -> None:
    """Back to the older shape."""
