"""Alembic environment: migrates over the connection, and in the transaction, of `serving.state.upgrade`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
