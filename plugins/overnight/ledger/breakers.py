"""The breakers: one per vendor and model. Open means the model is not to be trusted with new work before `open_until`."""

from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.rows import Row
from overnight.ledger.tables import breakers


def get(conn: Connection, vendor: str, model: str) -> Row | None:
    """The breaker of a model, None where it never failed."""
    query = select(breakers).where(breakers.c.vendor == vendor, breakers.c.model == model)
    return conn.execute(query).mappings().one_or_none()


def hold(conn: Connection, vendor: str, model: str, now: datetime) -> Row:
    """The same, made where there is none, and locked until the caller commits."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    fresh = make(breakers).values(vendor=vendor, model=model, failures=0, changed_at=now)
    conn.execute(fresh.on_conflict_do_nothing(index_elements=["vendor", "model"]))
    query = select(breakers).where(breakers.c.vendor == vendor, breakers.c.model == model)
    return conn.execute(query.with_for_update()).mappings().one()


def write(
    conn: Connection, vendor: str, model: str, *, failures: int, open_until: datetime | None, reason: str | None,
    workflow: str, actor: Actor, now: datetime,
) -> None:  # fmt: skip
    """Write a breaker down; opening and closing it goes into the audit log, a counted failure does not."""
    before = hold(conn, vendor, model, now)
    values = {"failures": failures, "open_until": open_until, "reason": reason, "changed_at": now}
    conn.execute(update(breakers).where(breakers.c.vendor == vendor, breakers.c.model == model).values(values))
    if (before["open_until"] is None) != (open_until is None):
        verb = "close_breaker" if open_until is None else "open_breaker"
        entry = Entry(verb, "breaker", f"{vendor} {model}"[:64], detail={"failures": failures, "until": open_until})
        audit.append(conn, workflow, [entry], actor=actor, now=now)


def every(conn: Connection) -> list[Row]:
    """All breakers, for ops."""
    return list(conn.execute(select(breakers).order_by(breakers.c.vendor, breakers.c.model)).mappings())
