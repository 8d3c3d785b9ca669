"""Where each workflow is on its way to live, and what it showed since it came there. Every change is on record."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.governance_tables import launches
from overnight.ledger.quality_tables import measures
from overnight.ledger.rows import Row
from overnight.ledger.tables import nights


def get(conn: Connection, workflow: str) -> Row | None:
    """A workflow's launch state with the versions it was reached with; None: it never opened a night."""
    return conn.execute(select(launches).where(launches.c.workflow == workflow)).mappings().one_or_none()


def every(conn: Connection) -> list[Row]:
    """All of them, by name."""
    return list(conn.execute(select(launches).order_by(launches.c.workflow)).mappings())


def put(
    conn: Connection, workflow: str, state: str, *, reason: str, versions: Row, actor: Actor, now: datetime,
    before: str | None = None, after_night_id: int | None = None,
) -> None:  # fmt: skip
    """Set the state.

    Args:
        versions: prompt_version, models and policy_hash that it holds for.
        after_night_id: only nights after it count for leaving the state; by default those after the newest.
    """
    earlier = get(conn, workflow)
    newest = select(func.max(nights.c.id)).where(nights.c.workflow == workflow)
    after = after_night_id if after_night_id is not None else conn.execute(newest).scalar() or 0
    values: dict[str, Any] = {
        "state": state, "before": before, **versions, "by": actor.name, "reason": reason, "after_night_id": after,
        "changed_at": now,
    }  # fmt: skip
    if earlier is None:
        conn.execute(insert(launches).values(workflow=workflow, **values))
    else:
        conn.execute(update(launches).where(launches.c.workflow == workflow).values(values))
    was = earlier["state"] if earlier is not None else ""
    entry = Entry("launch", "workflow", workflow, was, state, detail={"reason": reason[:300], **versions})
    audit.append(conn, workflow, [entry], actor=actor, now=now)


def fill_in(conn: Connection, workflow: str, versions: Row) -> None:
    """The versions of a workflow that was live before there was a gate."""
    conn.execute(update(launches).where(launches.c.workflow == workflow).values(versions))


def measured_since(conn: Connection, workflow: str, night_id: int, purpose: str) -> list[Row]:
    """The counts of a workflow's nights after one, of one purpose, oldest first."""
    query = (
        select(measures)
        .join(nights, nights.c.id == measures.c.night_id)
        .where(nights.c.workflow == workflow, nights.c.id > night_id, nights.c.purpose == purpose)
        .order_by(nights.c.id)
    )
    return list(conn.execute(query).mappings())
