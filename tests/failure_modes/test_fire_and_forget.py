"""Failure mode 5: fire and forget. It runs, nobody looks: undecided items, denials nobody read, approvals in three seconds."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from overnight.governance import audit_digest
from overnight.ledger import alerts, reviews
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from tests.support.month import SIZE, one_night
from tests.support.reviewed import NOW, bring_home, draft, shown


def test_a_week_of_waved_through_items_is_in_the_digest_and_in_an_alert(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    """Everything approved, two seconds an item: the morning's alert says that nobody reads, the week's digest who."""
    over, _ = one_night(sqlite_ledger, 0, as_is=SIZE, seconds=2)
    with sqlite_ledger.read() as conn:
        (alert,) = [row for row in alerts.listed(conn) if row["kind"] == "drift"]
    assert "in 2 seconds" in alert["message"] or "2 s" in alert["message"], alert["message"]
    path, made = audit_digest.write(sqlite_ledger, tmp_path, now=over + timedelta(days=1))
    assert any(f"decided {SIZE} items of blog_drafts in 2 s each" in line for line in made.edge_cases)
    assert "is anybody reading?" in path.read_text()


@pytest.mark.parametrize("mornings", [1, 3])
def test_what_nobody_decides_stays_undecided_however_many_mornings_pass(mornings: int, sqlite_ledger: Ledger) -> None:
    """No decision is no approval; nothing of it is delivered, and every message says what waits."""
    _, night = shown(sqlite_ledger, "page", [draft(n) for n in range(4)])
    for morning in range(mornings):
        bring_home(sqlite_ledger, now=NOW + timedelta(days=morning))
    with sqlite_ledger.read() as conn:
        assert len(reviews.in_review(conn, night["id"])) == 4
        assert set(conn.execute(select(items.c.state)).scalars()) == {"in_review"}
