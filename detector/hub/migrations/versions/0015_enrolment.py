"""Keys of edges, each with a state, and the codes that let an edge join."""

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To the newer shape."""


def downgrade() -> None:
    """Back."""
