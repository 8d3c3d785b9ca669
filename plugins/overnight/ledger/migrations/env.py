"""Alembic's entry: it is handed an open connection by `ledger/migrate.py` and never makes one of its own."""

from alembic import context

from overnight.ledger import governance_tables, quality_tables, review_tables  # noqa: F401 - each adds its tables
from overnight.ledger.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")

if connection.dialect.name == "postgresql":
    # Two processes that migrate at once wait for each other; the number only has to be ours and always the same.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(170008302300)")
with context.begin_transaction():
    context.run_migrations()
