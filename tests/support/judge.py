"""What became of items and money, by the ledger's books and by the vendor's own: lost, paid twice, wrong successes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import text

from overnight.ledger import overview, verify
from overnight.ledger.connect import Ledger

_VALID = (
    "SELECT r.custom_id, a.item_id, a.step_id, a.night_id FROM answers a JOIN requests r ON r.id = a.request_id "
    "WHERE a.state = 'valid' AND a.reused_from IS NULL"
)
OPEN = ("locked", "submitted", "answered")
"""States of an item that no finished night may leave behind."""


def judge(ledger: Ledger, vendor_state: Path, *, rows: int | None = None) -> dict[str, Any]:
    """Compare both books once the nights are over.

    Args:
        vendor_state: the local vendor's database.
        rows: how many rows were queued, where that is known; else an item is lost that is in no final state.
    """
    with ledger.read() as conn, closing(sqlite3.connect(vendor_state, timeout=20)) as vendor:
        items = dict(conn.execute(text("SELECT state, count(*) FROM items GROUP BY state")).tuples().all())
        nights = overview.list_nights(conn)
        outcomes = [overview.outcomes(conn, night["id"]) for night in nights]
        problems = verify.problems(conn)
        known = {_plain(row[0]) for row in conn.execute(text("SELECT vendor_batch_id FROM batches")) if row[0]}
        valid = conn.execute(text(_VALID)).all()
        held = {_plain(row[0]): row[1] for row in vendor.execute("SELECT id, error FROM batches")}
        twice = vendor.execute("SELECT custom_id FROM requests GROUP BY custom_id HAVING count(*) > 1").fetchall()
        answered = dict(vendor.execute("SELECT custom_id, outcome FROM requests").fetchall())
    bought_again = len(valid) - len({(row.item_id, row.step_id) for row in valid})
    orphans = [batch_id for batch_id, error in held.items() if error is None and batch_id not in known]
    unended = sum(items.get(state, 0) for state in OPEN)
    return {
        "states": items, "nights": outcomes, "night_states": [night["state"] for night in nights], "problems": problems[:5],
        "batches": len(held), "items": sum(items.values()),
        "lost": (sum(items.values()) if rows is None else rows) - sum(items.values()) + unended,
        "paid_twice": len(twice) + bought_again + len(orphans),
        "wrong_successes": sum(answered.get(row.custom_id) != "succeeded" for row in valid),
        "carried_over": items.get("carried_over", 0), "staged": items.get("in_review", 0) + items.get("staged", 0),
    }  # fmt: skip


def _plain(batch_id: str) -> str:
    return batch_id.removeprefix("batches/")
