"""The one place where a state changes. It refuses what `states.MOVES` does not allow and writes each change to the audit log.

No other module may write the `state` column of an existing row: a test reads the source and holds the house to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select, update

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.errors import IllegalMove
from overnight.ledger.review_tables import deliveries, lessons
from overnight.ledger.states import MOVES
from overnight.ledger.tables import batches, items, nights, requests, steps

CHUNK = 500
T = TypeVar("T")
TABLES: dict[str, Table] = {
    "item": items, "night": nights, "step": steps, "request": requests, "batch": batches, "delivery": deliveries,
    "lesson": lessons,
}  # fmt: skip
"""kind → its table: everything that has a state."""


def move(
    conn: Connection,
    kind: str,
    ids: Iterable[int],
    to: str,
    *,
    workflow: str,
    actor: Actor,
    now: datetime,
    detail: dict[str, Any] | None = None,
    **columns: Any,
) -> int:
    """Move rows of one kind to one state, with other columns that change in the same breath.

    Args:
        kind: one of `TABLES`.
        ids: the rows; none of them moves unless all may.
        to: the new state; a row that is there already is an illegal move, too (callers know what they did).
        detail: small facts for the audit row of each.
        columns: further columns of the table, the same for all rows.

    Returns:
        How many rows moved.

    Raises:
        IllegalMove: one of the rows is missing or may not go there; the caller's transaction should not commit.
    """
    table, moved, facts = TABLES[kind], 0, detail or {}
    for chunk in chunks(ids, CHUNK):
        before = _states(conn, table, chunk)
        _refuse_illegal(kind, chunk, before, to)
        conn.execute(update(table).where(table.c.id.in_(chunk)).values(state=to, **columns))
        entries = [Entry("move", kind, str(i), before[i], to, facts) for i in chunk]
        moved += audit.append(conn, workflow, entries, actor=actor, now=now)
    return moved


def created(
    conn: Connection,
    kind: str,
    ids: Iterable[int],
    state: str,
    *,
    workflow: str,
    actor: Actor,
    now: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write into the audit log that rows came into being in `state` (the start of each row's history)."""
    facts = detail or {}
    for chunk in chunks(ids, CHUNK):
        entries = [Entry("create", kind, str(i), "", state, facts) for i in chunk]
        audit.append(conn, workflow, entries, actor=actor, now=now)


def chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut an iterable into lists of at most `size` (databases limit the parameters of one statement)."""
    chunk: list[T] = []
    for thing in things:
        chunk.append(thing)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _states(conn: Connection, table: Table, chunk: Sequence[int]) -> dict[int, str]:
    query = select(table.c.id, table.c.state).where(table.c.id.in_(chunk)).with_for_update()
    return {row_id: state for row_id, state in conn.execute(query).all()}


def _refuse_illegal(kind: str, chunk: Sequence[int], before: dict[int, str], to: str) -> None:
    moves = MOVES[kind]
    for i in chunk:
        if i not in before:
            raise IllegalMove(f"{kind} {i} is not in the ledger, so it cannot become {str(to)!r}. Nothing was changed.")
        if to not in moves[before[i]]:
            allowed = ", ".join(sorted(moves[before[i]])) or "nothing: it is an end"
            raise IllegalMove(
                f"{kind} {i} is {before[i]!r} and cannot become {str(to)!r}; what may follow is {allowed}. Nothing was changed."
            )
