"""Kill switches: one for everything, one per workflow. Read before every side effect, thrown and re-armed by a named person."""

from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.rows import Row
from overnight.ledger.tables import kill_switches

ALL = "*"


def throw(conn: Connection, scope: str, *, engaged: bool, by: str, reason: str, now: datetime) -> None:
    """Engage or re-arm a switch; who and why go into the audit log."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = {"engaged": engaged, "by": by, "reason": reason, "changed_at": now}
    statement = make(kill_switches).values(scope=scope, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["scope"], set_=values))
    verb = "kill_switch_engaged" if engaged else "kill_switch_rearmed"
    entry = Entry(verb, "switch", scope, detail={"reason": reason})
    audit.append(conn, scope, [entry], actor=Actor("human", by), now=now)


def engaged(conn: Connection, workflow: str) -> Row | None:
    """The switch that stops this workflow now, the global one first; None when it may run."""
    query = select(kill_switches).where(kill_switches.c.scope.in_([ALL, workflow]), kill_switches.c.engaged.is_(True))
    return conn.execute(query.order_by(kill_switches.c.scope)).mappings().first()
