"""How long what is kept."""

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To the newer shape."""


def downgrade() -> None:
    """Back to the older shape."""
