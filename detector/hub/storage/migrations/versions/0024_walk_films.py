"""Walk tests: the name of what was filmed meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """To the newer shape."""
    id_type = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("walk_tests", sa.Column("film", id_type, nullable=True))
