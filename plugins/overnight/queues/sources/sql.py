"""A table in any database as the queue: `overnight_queue_<workflow>`, its `status` and `message` ours.

Connection `overnight_queue_sql` (postgres, sqlite, or whatever SQLAlchemy has a driver for). The table needs the
workflow's columns, with its id column as the key by which answers find their row.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, MetaData, Table, bindparam, create_engine, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from overnight.ledger.connect import database_url
from overnight.queues import cells
from overnight.queues.source import Columns, Reading, RowAnswer, Source, Trouble
from overnight.services.settings import ServiceError
from overnight.workflow import workflow as find_workflow

CONN_ID = "overnight_queue_sql"


def make() -> "SqlSource":
    """The source of the connection; the database is opened on first use."""
    return SqlSource()


class SqlSource(Source):
    """One table a workflow."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def check(self, workflow: str) -> str | None:
        """The table is there, with our two columns in it."""
        try:
            with self._open(workflow) as (_, table):
                missing = [name for name in (cells.STATUS, cells.MESSAGE) if name not in _by_name(table)]
        except ServiceError as trouble:
            return f"The queue in the database: {trouble}"
        if missing:
            return f"The queue table {table.name!r} has no column {' and '.join(missing)} (text): add them for the answers."
        return None

    def read(self, workflow: str, columns: Columns) -> Reading:
        """Every row of the table."""
        reading = Reading()
        with self._open(workflow) as (conn, table):
            try:
                header = cells.header_of([column.name for column in table.columns], columns)
            except cells.Unusable as trouble:
                reading.troubles.append(Trouble(table.name, str(trouble)))
                return reading
            for number, line in enumerate(conn.execute(select(table)), start=1):
                fields = {name: _text(value) for name, value in zip(header, line, strict=True)}
                if cells.is_ours(fields, workflow):
                    reading.rows.append(cells.row(f"{(fields.get(columns.id_field) or '(no id)')[:250]} #{number}", fields))
        return reading

    def answer(self, workflow: str, night: str, answers: Sequence[RowAnswer], troubles: Sequence[Trouble]) -> None:
        """Status and message beside each row of the key; a row without a key cannot be told apart and gets none."""
        told = [
            {"k": a.key, "s": a.status, "m": a.message} for a in answers if a.key and not a.message.startswith("Duplicate id")
        ]
        if not told:
            return
        with self._open(workflow) as (conn, table):
            names = _by_name(table)
            id_field = find_workflow(workflow).id_field
            key = names.get(id_field, names.get(cells.ID))
            if key is None:
                return
            values: dict[str, Any] = {names[cells.STATUS].name: bindparam("s"), names[cells.MESSAGE].name: bindparam("m")}
            conn.execute(update(table).where(key == bindparam("k")).values(values), told)
            conn.commit()

    @contextmanager
    def _open(self, workflow: str) -> Any:
        name = f"overnight_queue_{workflow}"
        try:
            engine = self._engine = self._engine or _connect()
            if not inspect(engine).has_table(name):
                raise ServiceError(f"there is no table {name!r}. Make one with the workflow's columns, status and message.")
            table = Table(name, MetaData(), autoload_with=engine)
            with engine.connect() as conn:
                yield conn, table
        except SQLAlchemyError as trouble:
            kind = type(trouble).__name__
            raise ServiceError(f"the database of connection {CONN_ID!r} does not answer as it should ({kind}).") from trouble


def _connect() -> Engine:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        conn = BaseHook.get_connection(CONN_ID)
    except AirflowNotFoundException as missing:
        raise ServiceError(f"There is no connection {CONN_ID!r}; docs/how-to says how to make it.") from missing
    return create_engine(database_url(conn), pool_pre_ping=True, hide_parameters=True)


def _by_name(table: Table) -> dict[str, Any]:
    return {cells.tidy(column.name): column for column in table.columns}


def _text(value: Any) -> str:
    return "" if value is None else str(value)
