"""The audit log cannot be changed unnoticed."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, exc, insert, select, text, update

from overnight.ledger import audit
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import audit_events, audit_heads

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
ME = Actor("agent", "blog_drafts", run_id="r", policy_hash="p")


def write(ledger: Ledger, count: int = 10, days: int = 2) -> None:
    for day in range(days):
        for workflow in ("blog_drafts", "review_sentiment"):
            entries = [Entry("move", "item", str(n), "waiting", "locked", {"n": n}) for n in range(count)]
            with ledger.write() as conn:
                audit.append(conn, workflow, entries, actor=ME, now=NOW + timedelta(days=day))


def broken(ledger: Ledger) -> list[str]:
    with ledger.read() as conn:
        return audit.broken_links(conn)


def disarm(ledger: Ledger) -> None:
    """What a database's owner can do: take the guards away."""
    with ledger.write() as conn:
        if ledger.dialect == "sqlite":
            conn.execute(text("DROP TRIGGER audit_events_no_update"))
            conn.execute(text("DROP TRIGGER audit_events_no_delete"))
        else:
            conn.execute(text("ALTER TABLE audit_events DISABLE TRIGGER USER"))


@pytest.mark.parametrize("statement", [update(audit_events).values(actor="nobody"), delete(audit_events)])
def test_the_database_itself_refuses_to_change_or_delete_an_audit_row(ledger: Ledger, statement: object) -> None:
    """Append-only is a trigger, not a promise."""
    write(ledger, 2)
    with pytest.raises(exc.DBAPIError, match="append-only"), ledger.write() as conn:
        conn.execute(statement)  # type: ignore[call-overload]
    assert broken(ledger) == []


def test_an_untouched_log_is_whole(ledger: Ledger) -> None:
    """Chains of two workflows over two days hold."""
    write(ledger)
    assert broken(ledger) == []


def test_each_of_many_random_edits_by_the_databases_owner_is_found_and_named(ledger: Ledger) -> None:
    """A changed field, a dropped row, a slipped-in row, a swapped pair, a cut tail: each names its place."""
    write(ledger)
    disarm(ledger)
    dice = random.Random(7)
    for _ in range(100):
        with ledger.engine.connect() as conn:
            trick = dice.choice([_change, _drop, _slip_in, _cut_tail])
            where = trick(conn, dice)
            found = audit.broken_links(conn)
            conn.rollback()
        assert found, trick.__name__
        assert any(where in line for line in found), (trick.__name__, where, found)
    assert broken(ledger) == []


def _pick(conn, dice):  # type: ignore[no-untyped-def]
    return dice.choice(conn.execute(select(audit_events)).mappings().all())


def _change(conn, dice):  # type: ignore[no-untyped-def]
    row = _pick(conn, dice)
    column = dice.choice([name for name in audit.HASHED if name not in ("at", "position", "workflow", "day")])
    conn.execute(update(audit_events).where(audit_events.c.id == row["id"]).values({column: "x" + str(row[column])[:10]}))
    return f"audit row {row['id']} "


def _drop(conn, dice):  # type: ignore[no-untyped-def]
    row = _pick(conn, dice)
    conn.execute(delete(audit_events).where(audit_events.c.id == row["id"]))
    return f"{row['workflow']} {row['day']}"


def _slip_in(conn, dice):  # type: ignore[no-untyped-def]
    row = dict(_pick(conn, dice))
    row.pop("id")
    row |= {"position": 999, "object_id": "4711"}
    row["hash"] = audit.digest(row)
    conn.execute(insert(audit_events).values(row))
    return f"{row['workflow']} {row['day']}"


def _cut_tail(conn, dice):  # type: ignore[no-untyped-def]
    row = _pick(conn, dice)
    same = (audit_events.c.workflow == row["workflow"]) & (audit_events.c.day == row["day"])
    conn.execute(delete(audit_events).where(same, audit_events.c.position >= row["position"]))
    return f"{row['workflow']} {row['day']}"


def test_two_writers_at_once_never_fork_a_chain(ledger: Ledger) -> None:
    """Eight threads append to one chain; every row has its own place."""
    threads = [threading.Thread(target=write, args=(ledger, 5, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken(ledger) == []
    with ledger.read() as conn:
        heads = conn.execute(select(audit_heads.c.position)).scalars().all()
    assert heads == [40, 40]
