"""Alerts as the ledger keeps them: one row per trouble, however often it shows itself."""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.rows import Row
from overnight.ledger.tables import alerts, nights


def raise_once(conn: Connection, alert: Row, *, actor: Actor, now: datetime) -> bool:
    """Write an alert, or count a repetition of the one with the same `dedupe_key`; returns whether it is new."""
    query = select(alerts).where(alerts.c.dedupe_key == alert["dedupe_key"])
    earlier = conn.execute(query.with_for_update()).mappings().one_or_none()
    if earlier is None:
        conn.execute(insert(alerts).values(**alert, raised_at=now, last_seen_at=now))
        entry = Entry("alert", "alert", str(alert["dedupe_key"])[:64], detail={"kind": alert["kind"]})
        audit.append(conn, alert["workflow"], [entry], actor=actor, now=now)
        return True
    text = earlier["message"]
    if alert["message"] not in text:
        text = f"{text}\n{alert['message']}"
    values = {"seen": earlier["seen"] + 1, "last_seen_at": now, "message": text}
    conn.execute(update(alerts).where(alerts.c.id == earlier["id"]).values(values))
    return False


def without_night(conn: Connection, limit: int = 20) -> list[Row]:
    """The newest alerts of runs that never opened a night (a check that failed, for one)."""
    known = select(nights.c.run_id).where(nights.c.workflow == alerts.c.workflow, nights.c.run_id == alerts.c.run_id)
    query = select(alerts).where(~known.exists()).order_by(alerts.c.id.desc()).limit(limit)
    return list(conn.execute(query).mappings())


def of_run(conn: Connection, workflow: str, run_id: str) -> list[Row]:
    """The alerts of one run, oldest first."""
    query = select(alerts).where(alerts.c.workflow == workflow, alerts.c.run_id == run_id)
    return list(conn.execute(query.order_by(alerts.c.id)).mappings())


def listed(conn: Connection, *, since: datetime | None = None, limit: int = 200) -> list[Row]:
    """Every alert, newest first."""
    query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    return list(conn.execute(query.where(alerts.c.last_seen_at >= since) if since is not None else query).mappings())
