"""Which workflow is tightened, and why; and the investigations that are open. A tightening and a release are on record."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.errors import LedgerError
from overnight.ledger.quality_tables import investigations, postures
from overnight.ledger.rows import Row


def get(conn: Connection, workflow: str) -> Row | None:
    """A workflow's posture; None: it was never tightened."""
    return conn.execute(select(postures).where(postures.c.workflow == workflow)).mappings().one_or_none()


def tightened(conn: Connection, workflow: str) -> Row | None:
    """The posture of a workflow that is tightened now, else None."""
    row = get(conn, workflow)
    return row if row is not None and row["tightened"] else None


def change(
    conn: Connection, workflow: str, *, tight: bool, reason: str, after_night_id: int, actor: Actor, now: datetime
) -> None:  # fmt: skip
    """Tighten a workflow or release it; who and why go into the audit log."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = {
        "tightened": tight, "reason": reason, "by": actor.name, "after_night_id": after_night_id, "changed_at": now
    }  # fmt: skip
    statement = make(postures).values(workflow=workflow, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["workflow"], set_=values))
    entry = Entry("tightened" if tight else "released", "workflow", workflow, detail={"reason": reason[:300]})
    audit.append(conn, workflow, [entry], actor=actor, now=now)


def investigate(
    conn: Connection, workflow: str, night_id: int, kind: str, what: str, *, actor: Actor, now: datetime
) -> bool:  # fmt: skip
    """Open an investigation, once a night and kind; returns whether it is new."""
    known = select(investigations.c.id).where(investigations.c.night_id == night_id, investigations.c.kind == kind)
    if conn.execute(known).first() is not None:
        return False
    row = {"workflow": workflow, "night_id": night_id, "kind": kind, "what": what, "opened_at": now}
    number = conn.execute(insert(investigations).values(row).returning(investigations.c.id)).scalar_one()
    entry = Entry("open", "case", str(number), detail={"kind": kind})
    audit.append(conn, workflow, [entry], actor=actor, now=now)
    return True


def open_cases(conn: Connection, workflow: str | None = None) -> list[Row]:
    """Investigations nobody has closed, oldest first."""
    query = select(investigations).where(investigations.c.closed_at.is_(None)).order_by(investigations.c.id)
    return list(conn.execute(query.where(investigations.c.workflow == workflow) if workflow else query).mappings())


def close_case(conn: Connection, number: int, *, by: str, finding: str, now: datetime) -> Row:
    """Close an investigation with what was found.

    Raises:
        LedgerError: there is none of that number, or it is closed.
    """
    query = select(investigations).where(investigations.c.id == number).with_for_update()
    row = conn.execute(query).mappings().one_or_none()
    if row is None or row["closed_at"] is not None:
        why = "is closed already" if row is not None else "is not there"
        raise LedgerError(f"Investigation {number} {why}. Nothing was changed; `bin/overnight quality` lists the open ones.")
    conn.execute(update(investigations).where(investigations.c.id == number).values(closed_at=now, closed_by=by, finding=finding))
    entry = Entry("close", "case", str(number), detail={"kind": row["kind"]})
    audit.append(conn, row["workflow"], [entry], actor=Actor("human", by), now=now)
    return row
