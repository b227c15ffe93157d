"""The spot that an incident's zone shows, where zones of other cameras may show it too."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

WHERE = sa.text("spot IS NOT NULL")


def upgrade() -> None:
    """To the newer shape; older edges named no spots."""
    op.add_column("incidents", sa.Column("spot", sa.Text(), nullable=True))
    op.create_index(
        "incidents_by_spot", "incidents", ["spot", "started_at"], sqlite_where=WHERE, postgresql_where=WHERE
    )
