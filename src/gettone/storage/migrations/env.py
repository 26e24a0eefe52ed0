"""Alembic's door: runs the revisions on the connection of `gettone.storage.upgrade`, in its transaction."""

from alembic import context

from gettone.storage.schema import organisation

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=organisation.metadata,
    # The connection begins and commits by itself, on SQLite too, where Alembic would not expect it.
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
