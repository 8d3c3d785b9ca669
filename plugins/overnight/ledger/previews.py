"""What the next lock would do, as it was last looked at: one row a workflow, written over each time."""

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger.quality_tables import previews
from overnight.ledger.rows import Row


def keep(conn: Connection, row: Row) -> None:
    """Write a workflow's preview down."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    changed = {name: value for name, value in row.items() if name != "workflow"}
    conn.execute(make(previews).values(row).on_conflict_do_update(index_elements=["workflow"], set_=changed))


def of(conn: Connection, workflows: Sequence[str]) -> dict[str, Row]:
    """The previews of these workflows, by name; those that were never looked at are not in it."""
    query = select(previews).where(previews.c.workflow.in_(list(workflows)))
    return {row["workflow"]: row for row in conn.execute(query).mappings()}
