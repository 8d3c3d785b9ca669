"""Failure mode 2: the queue outgrows the reviewers. Agents produce faster than people read, and people begin to wave through."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from overnight.governance import capacity
from overnight.ledger import alerts, reviews
from overnight.ledger.connect import Ledger
from overnight.ledger.states import ItemState
from overnight.ledger.tables import items
from tests.conftest import Sandbox
from tests.governance.test_capacity import full_queue
from tests.support.night import EVENING, Night


def test_a_queue_longer_than_the_morning_is_cut_at_the_lock_and_old_rows_rise(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reviewer with half an hour and fifteen drafts of five minutes: what fits is locked, the others are told their place in
    the same minute, and come first the next night. What nobody decided takes its minutes from that night, so that the pile
    cannot grow behind the reviewer's back.
    """
    path = tmp_path / "team.yaml"
    path.write_text(
        yaml.safe_dump(
            {"people": [{"name": "Ada", "minutes": 30, "skills": ["*"], "roles": ["owner", "brand_lead", "compliance"]}]}
        )
    )
    monkeypatch.setenv("OVERNIGHT_TEAM", str(path))
    full_queue(queue, "blog_drafts")
    first = Night(sqlite_ledger, "blog_drafts")
    first.run()
    locked = first.describe()["outcomes"]["locked"]
    with sqlite_ledger.read() as conn:
        (alert,) = [row for row in alerts.listed(conn) if row["kind"] == "over_capacity"]
        waiting = list(
            conn.execute(items.select().where(items.c.state == ItemState.CARRIED_OVER).order_by(items.c.id)).mappings()
        )
        morning = capacity.forecast(conn, "2026-11-24")
    assert 0 < locked < 15
    assert morning.minutes <= 30
    assert alert["raised_at"] - first.row()["locked_at"] < timedelta(minutes=1), "told at the lock, not at nine"
    assert (
        f"{15 - locked} items wait for a later night: the reviewers' morning: 30 of 30 minutes are left for it"
        in alert["message"]
    )
    said = {row["message"].rpartition("; ")[2] for row in waiting}
    assert said == {f"place {n} in line for the next night" for n in range(1, 16 - locked)}

    second = Night(sqlite_ledger, "blog_drafts", "manual__2", base=EVENING + timedelta(days=1), now=EVENING + timedelta(days=1))
    second.run()
    assert second.describe()["outcomes"]["locked"] == 0, "nobody decided: the whole morning is spoken for"
    with sqlite_ledger.read() as conn:
        assert all(
            row["nights_waited"] == 2 for row in conn.execute(items.select().where(items.c.state == "carried_over")).mappings()
        )
        shown = reviews.in_review(conn, first.row()["id"])
    assert len(shown) == locked, "undecided never means approved"
