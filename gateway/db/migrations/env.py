"""Run by Alembic: applies the steps on the connection that gateway/db/migrate.py hands over. There is no other way to run it.

A connection in a transaction keeps it to the end (SQLite); on one without, each step is a transaction of its own (PostgreSQL).
"""

from alembic import context

from gateway.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transactional_ddl=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
