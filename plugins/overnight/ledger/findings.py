"""What rules found, item by item. A repaired item is judged by its newest answer: what was wrong before is history."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, insert, select

from overnight.ledger import transitions
from overnight.ledger.rows import Row
from overnight.ledger.tables import answers, findings


def of_night(conn: Connection, night_id: int, item_ids: Iterable[int] | None = None) -> dict[int, list[Row]]:
    """Findings by item, in the order they were found: those on its newest answer and those of the whole night.

    Args:
        item_ids: of these items only.
    """
    newest = (
        select(answers.c.item_id, func.max(answers.c.id).label("id"))
        .where(answers.c.night_id == night_id)
        .group_by(answers.c.item_id)
        .subquery()
    )
    query = (
        select(findings)
        .outerjoin(newest, newest.c.item_id == findings.c.item_id)
        .outerjoin(answers, answers.c.id == newest.c.id)
        .where(findings.c.night_id == night_id)
        .where(findings.c.attempt.is_(None) | (findings.c.attempt == answers.c.attempt))
        .order_by(findings.c.id)
    )
    found: dict[int, list[Row]] = {}
    parts: Iterable[list[int] | None] = [None] if item_ids is None else transitions.chunks(item_ids, transitions.CHUNK)
    for part in parts:
        of_part = query if part is None else query.where(findings.c.item_id.in_(part))
        for row in conn.execute(of_part).mappings():
            found.setdefault(row["item_id"], []).append(row)
    return found


def add(conn: Connection, rows: Sequence[Row]) -> None:
    """Findings of a look at the whole night (landing writes its own)."""
    if rows:
        conn.execute(insert(findings), list(rows))
