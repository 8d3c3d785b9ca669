"""Many rows at once, by the driver's own executemany: landing 100,000 answers spends its time on answers, not on statements.

SQLAlchemy still compiles the statement and converts every value (money, times, JSON), so a row written here reads like any
other; what is left out is its per-row work on parameters it already knows.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, String, Table
from sqlalchemy.engine import Dialect

from overnight.ledger.rows import Row


def insert(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns."""
    if not rows:
        return
    names = tuple(rows[0])
    statement, processors = _prepared(conn.dialect, table, names)
    pick = itemgetter(*names)
    columns: list[Any] = list(zip(*map(pick, rows), strict=True))
    for place, process in processors:
        columns[place] = _processed(columns[place], process)
    conn.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _processed(values: Sequence[Any], process: Callable[[Any], Any]) -> list[Any]:
    """A column's values as the driver's own; one that is the same in every row (the time, the night) is turned once."""
    first = values[0]
    if all(value is first for value in values):
        return [process(first)] * len(values)
    return [process(value) for value in values]


@lru_cache(maxsize=32)
def _prepared(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
    """The statement in the driver's own words, and how each column's values are turned into the driver's own."""
    columns = [table.c[name] for name in names]
    quote = dialect.identifier_preparer.quote
    marks = []
    for column in columns:
        cast = column.type.compile(dialect) if dialect.name == "postgresql" else None
        if isinstance(column.type, String) and cast is not None:
            cast = cast.partition("(")[0]  # a cast to VARCHAR(500) would cut a longer text without a word; the column refuses it
        marks.append(f"%s::{cast}" if cast else "?")
    named = ", ".join(quote(name) for name in names)
    statement = f"INSERT INTO {quote(table.name)} ({named}) VALUES ({', '.join(marks)})"  # noqa: S608 - our own column names
    processors: list[tuple[int, Callable[[Any], Any]]] = [
        (place, process)
        for place, column in enumerate(columns)
        if (process := column.type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    return statement, processors
