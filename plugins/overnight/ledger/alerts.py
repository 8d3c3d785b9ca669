"""Alerts as the ledger keeps them: one row per trouble, however often it shows itself."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.governance_tables import alert_sends
from overnight.ledger.rows import Row
from overnight.ledger.tables import alerts, nights

SEVERITIES = ("info", "warning", "error", "critical")
RAISED, RECOVERED = "raised", "recovered"


def raise_once(conn: Connection, alert: Row, *, actor: Actor, now: datetime) -> bool:
    """Write an alert, or count a repetition of the one with the same `dedupe_key`.

    Returns:
        Whether it is news: new, worse than before, or back after it was over.
    """
    query = select(alerts).where(alerts.c.dedupe_key == alert["dedupe_key"])
    earlier = conn.execute(query.with_for_update()).mappings().one_or_none()
    if earlier is None and _added(conn, {**alert, "raised_at": now, "last_seen_at": now}):
        entry = Entry("alert", "alert", str(alert["dedupe_key"])[:64], detail={"kind": alert["kind"]})
        audit.append(conn, alert["workflow"], [entry], actor=actor, now=now)
        return True
    if earlier is None:  # another task said the same at the same moment
        earlier = conn.execute(query.with_for_update()).mappings().one()
    text = earlier["message"]
    if alert["message"] not in text:
        text = f"{text}\n{alert['message']}"
    values = {"seen": earlier["seen"] + 1, "last_seen_at": now, "message": text}
    worse = SEVERITIES.index(alert["severity"]) > SEVERITIES.index(earlier["severity"])
    back = earlier["recovered_at"] is not None
    if worse or back:
        values |= {"severity": alert["severity"], "kind": alert["kind"], "recovered_at": None, "recovery": None}
        again = update(alert_sends).where(alert_sends.c.alert_id == earlier["id"])
        conn.execute(again.values(state="waiting", tries=0, error=None, at=now))
    conn.execute(update(alerts).where(alerts.c.id == earlier["id"]).values(values))
    return worse or back


def _added(conn: Connection, alert: Row) -> bool:
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    statement = make(alerts).values(**alert).on_conflict_do_nothing(index_elements=["dedupe_key"])
    return conn.execute(statement.returning(alerts.c.id)).scalar_one_or_none() is not None


def recover(conn: Connection, key: str, words: str, *, actor_in: Callable[[str], Actor], now: datetime) -> Row | None:
    """Mark a trouble as over; None when there is none under this key, or it is over already.

    Args:
        actor_in: who says so, in the alert's workflow.
    """
    query = select(alerts).where(alerts.c.dedupe_key == key[:250], alerts.c.recovered_at.is_(None))
    earlier = conn.execute(query.with_for_update()).mappings().one_or_none()
    if earlier is None:
        return None
    conn.execute(update(alerts).where(alerts.c.id == earlier["id"]).values(recovered_at=now, recovery=words))
    entry = Entry("recovered", "alert", key[:64], detail={"kind": earlier["kind"]})
    audit.append(conn, earlier["workflow"], [entry], actor=actor_in(earlier["workflow"]), now=now)
    return earlier


def open_keys(conn: Connection, prefix: str) -> list[str]:
    """The keys of troubles that are not over and whose key begins so."""
    query = select(alerts.c.dedupe_key).where(alerts.c.dedupe_key.startswith(prefix, autoescape=True))
    return list(conn.execute(query.where(alerts.c.recovered_at.is_(None)).order_by(alerts.c.id)).scalars())


def open_of_kind(conn: Connection, kind: str) -> list[Row]:
    """The troubles of a kind that are not over, oldest first."""
    query = select(alerts).where(alerts.c.kind == kind, alerts.c.recovered_at.is_(None))
    return list(conn.execute(query.order_by(alerts.c.id)).mappings())


def to_send(conn: Connection, *, since: datetime, stale: datetime) -> list[tuple[Row, str]]:
    """Alerts, and recoveries of them, that no channel took yet, the least tried first: (alert, "raised" or "recovered").

    Args:
        since: what was last seen, or was over, before this is no news any more.
        stale: what somebody began to send before this has died on the way.
    """
    found: list[tuple[int, Row, str]] = []
    for notice, when in ((RAISED, alerts.c.last_seen_at), (RECOVERED, alerts.c.recovered_at)):
        mine = (alert_sends.c.alert_id == alerts.c.id) & (alert_sends.c.notice == notice)
        open_ = (
            alert_sends.c.id.is_(None)
            | alert_sends.c.state.in_(("waiting", "failed"))
            | (alert_sends.c.state == "sending") & (alert_sends.c.at < stale)
        )
        tries = func.coalesce(alert_sends.c.tries, 0).label("tried")
        query = select(alerts, tries).outerjoin(alert_sends, mine).where(when >= since, open_).order_by(alerts.c.id)
        if notice == RAISED:  # what is over is told as over, and no longer as a trouble: that would be the last word
            query = query.where(alerts.c.recovered_at.is_(None))
        found += [(row["tried"], row, notice) for row in conn.execute(query).mappings()]
    # What was tried most comes last: a service that is down for one notice must not keep the next one from the others.
    return [(row, notice) for _, row, notice in sorted(found, key=lambda one: one[0])]


def claim(conn: Connection, alert_id: int, notice: str, *, stale: datetime, now: datetime) -> int | None:
    """Take it upon oneself to send a notice; None when somebody else is at it, or did it."""
    mine = (alert_sends.c.alert_id == alert_id) & (alert_sends.c.notice == notice)
    row = conn.execute(select(alert_sends).where(mine).with_for_update()).mappings().one_or_none()
    if row is None:
        make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
        values = {"alert_id": alert_id, "notice": notice, "state": "sending", "tries": 1, "at": now}
        statement = make(alert_sends).values(values).on_conflict_do_nothing(index_elements=["alert_id", "notice"])
        return conn.execute(statement.returning(alert_sends.c.id)).scalar_one_or_none()
    if row["state"] == "sent" or (row["state"] == "sending" and row["at"] >= stale):
        return None
    values = {"state": "sending", "tries": row["tries"] + 1, "at": now}
    conn.execute(update(alert_sends).where(alert_sends.c.id == row["id"]).values(values))
    return int(row["id"])


def settle(conn: Connection, send_id: int, *, error: str | None, now: datetime) -> None:
    """What became of a notice."""
    values = {"state": "failed" if error else "sent", "error": error, "at": now}
    conn.execute(update(alert_sends).where(alert_sends.c.id == send_id).values(values))


def sends(conn: Connection, alert_id: int) -> dict[str, Row]:
    """What became of an alert's notices, by notice."""
    query = select(alert_sends).where(alert_sends.c.alert_id == alert_id)
    return {row["notice"]: row for row in conn.execute(query).mappings()}


def newest(conn: Connection, kind: str) -> Row | None:
    """The last alert of a kind."""
    query = select(alerts).where(alerts.c.kind == kind).order_by(alerts.c.id.desc()).limit(1)
    return conn.execute(query).mappings().one_or_none()


def of_kind(conn: Connection, workflow: str, kind: str, limit: int = 10) -> list[Row]:
    """A workflow's last alerts of a kind, newest first."""
    query = select(alerts).where(alerts.c.workflow == workflow, alerts.c.kind == kind)
    return list(conn.execute(query.order_by(alerts.c.id.desc()).limit(limit)).mappings())


def raised_since(conn: Connection, workflow: str, since: datetime) -> list[Row]:
    """A workflow's troubles that began since then and are not over."""
    query = select(alerts).where(alerts.c.workflow == workflow, alerts.c.raised_at >= since, alerts.c.recovered_at.is_(None))
    return list(conn.execute(query.where(alerts.c.severity != "info").order_by(alerts.c.id)).mappings())


def without_night(conn: Connection, workflows: Sequence[str] | None = None, limit: int = 20) -> list[Row]:
    """The newest open alerts of no night (of these workflows and Dags): a check that failed, a lock at which nothing ran."""
    known = select(nights.c.run_id).where(nights.c.workflow == alerts.c.workflow, nights.c.run_id == alerts.c.run_id)
    open_ = (alerts.c.severity != "info", alerts.c.recovered_at.is_(None))
    query = select(alerts).where(~known.exists(), *open_).order_by(alerts.c.id.desc()).limit(limit)
    return list(conn.execute(query if workflows is None else query.where(alerts.c.workflow.in_(workflows))).mappings())


def of_run(conn: Connection, workflow: str, run_id: str) -> list[Row]:
    """The alerts of one run, oldest first."""
    query = select(alerts).where(alerts.c.workflow == workflow, alerts.c.run_id == run_id)
    return list(conn.execute(query.order_by(alerts.c.id)).mappings())


def listed(conn: Connection, *, since: datetime | None = None, limit: int = 200) -> list[Row]:
    """Every alert, newest first."""
    query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    return list(conn.execute(query.where(alerts.c.last_seen_at >= since) if since is not None else query).mappings())
