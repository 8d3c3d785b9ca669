"""What rules found, item by item. A repaired item is judged by its newest answer: what was wrong before is history."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, insert, select, update

from overnight.ledger import transitions
from overnight.ledger.rows import Row
from overnight.ledger.states import AnswerState, ItemState
from overnight.ledger.tables import answers, findings, items


def of_night(conn: Connection, night_id: int, item_ids: Iterable[int] | None = None) -> dict[int, list[Row]]:
    """Findings by item, in the order they were found: those of the whole night, and those on the newest answer of each step.

    An answer that was no good speaks only where the item failed with it: a repaired one is history, and an optional step that
    brought nothing says nothing of what stands.

    Args:
        item_ids: of these items only.
    """
    newest = (
        select(answers.c.item_id, answers.c.step_id, func.max(answers.c.id).label("id"))
        .where(answers.c.night_id == night_id)
        .group_by(answers.c.item_id, answers.c.step_id)
        .subquery()
    )
    same_step = (findings.c.step_id == newest.c.step_id) | findings.c.step_id.is_(None)
    on_answers = (
        select(findings)
        .join(newest, (newest.c.item_id == findings.c.item_id) & same_step)
        .join(answers, answers.c.id == newest.c.id)
        .join(items, items.c.id == findings.c.item_id)
        .where(findings.c.night_id == night_id, findings.c.attempt == answers.c.attempt)
        .where((answers.c.state == AnswerState.VALID) | (items.c.state == ItemState.FAILED))
    )
    on_the_night = select(findings).where(findings.c.night_id == night_id, findings.c.attempt.is_(None))
    parts: Iterable[list[int] | None] = [None] if item_ids is None else transitions.chunks(item_ids, transitions.CHUNK)
    rows: dict[int, Row] = {}
    for part in parts:
        for query in (on_answers, on_the_night):
            of_part = query if part is None else query.where(findings.c.item_id.in_(part))
            rows |= {row["id"]: row for row in conn.execute(of_part).mappings()}
    found: dict[int, list[Row]] = {}
    for _, row in sorted(rows.items()):
        found.setdefault(row["item_id"], []).append(row)
    return found


def add(conn: Connection, rows: Sequence[Row]) -> None:
    """Findings of a look at the whole night (landing writes its own)."""
    if rows:
        conn.execute(insert(findings), list(rows))


def carry(conn: Connection, item_ids: Iterable[int], night_id: int, to: int) -> None:
    """What a step in code found about items that another night goes on with: it is not worked out there again."""
    for part in transitions.chunks(item_ids, transitions.CHUNK):
        its = findings.c.item_id.in_(part) & (findings.c.night_id == night_id) & findings.c.attempt.is_(None)
        conn.execute(update(findings).where(its).values(night_id=to))
