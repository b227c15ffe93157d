"""Alembic's entry: `store.migrate` hands over the connection; there is no other way in."""

from alembic import context

from detector.hub.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
