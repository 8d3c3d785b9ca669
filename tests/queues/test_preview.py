"""The look ahead: it says what the lock then does, and changes nothing."""

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from overnight.ledger import overview, previews, switches
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import metadata
from overnight.queues.preview import next_lock, preview
from tests.conftest import Sandbox
from tests.support.night import EVENING, Night, queue_file
from tests.support.project import Project

NOON = EVENING - timedelta(hours=4)
HEAD = "review_id,sku,rating,title,body\n"


def rows(first: int, count: int) -> str:
    return "".join(f"r{n},S{n},4,Good,The kettle number {n} boils in four minutes.\n" for n in range(first, first + count))


def everything(ledger: Ledger) -> dict[str, int]:
    """How many rows every table holds, but for the previews."""
    with ledger.read() as conn:
        return {
            t.name: conn.execute(select(func.count()).select_from(t)).scalar_one()
            for t in metadata.sorted_tables
            if t.name != "previews"
        }


def test_the_preview_says_what_the_lock_then_does_and_changes_nothing(
    ledger: Ledger, queue: Path, vendors: Sandbox, project: Project
) -> None:
    """Locked, over the cap with the place in line, refused with the reason, the cost, the minutes: word for word."""
    project.policy("review_sentiment", lambda policy: policy["action_scope"].update(max_items=5))
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(1, 7) + "r8,S8,9,Bad,A rating that cannot be.\n")
    before = everything(ledger)
    seen = preview(ledger, "review_sentiment", now=NOON)
    assert everything(ledger) == before
    assert list(queue.glob("review_sentiment/*.status.csv")) == []
    with ledger.read() as conn:
        kept = previews.of(conn, ["review_sentiment", "blog_drafts"])
    assert kept["review_sentiment"]["waits"] == seen["waits"]
    assert set(kept) == {"review_sentiment"}

    night = Night(ledger, "review_sentiment")
    night.check()
    night.drain()
    row = night.row()
    with ledger.read() as conn:
        counts = overview.outcomes(conn, row["id"])
    assert (seen["rows"], seen["locked"], seen["ready"], seen["rejected"], seen["cap"]) == (8, counts["locked"], 7, 1, 5)
    assert (seen["expected_usd"], seen["lock_at"]) == (row["estimate_usd"], EVENING)
    assert seen["troubles"] == []
    with (queue / "review_sentiment" / "a.status.csv").open(encoding="utf-8") as file:
        told = {row["id"]: row["message"] for row in csv.DictReader(file)}
    assert {wait["key"]: wait["why"] for wait in seen["waits"]} == {
        key: message for key, message in told.items() if key in {"r6", "r7", "r8"}
    }


def test_what_stands_in_the_way_is_said_by_day(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is gone, a switch that is engaged: hours before the lock; the queue is looked at all the same."""
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(1, 3))
    monkeypatch.delenv("AIRFLOW_CONN_OPENAI_DEFAULT")
    with sqlite_ledger.write() as conn:
        switches.throw(conn, "review_sentiment", engaged=True, by="Ada Byron", reason="a bad prompt", now=NOON)
    seen = preview(sqlite_ledger, "review_sentiment", now=NOON)
    said = " ".join(seen["troubles"])
    assert "engaged by Ada Byron: a bad prompt" in said
    assert "openai_default" in said
    assert seen["locked"] == 3


def test_a_queue_that_cannot_be_read_hides_no_other(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its preview says so; nothing of an error's own words, which may hold a text."""
    monkeypatch.setenv("OVERNIGHT_QUEUE_DIR", str(queue / "not-there"))
    seen = preview(sqlite_ledger, "review_sentiment", now=NOON)
    assert seen["troubles"]
    assert (seen["rows"], seen["locked"]) == (0, 0)


def test_after_the_lock_it_looks_at_the_next_evening(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """At 17:00 sharp tonight is locked; one second before, it is what is looked ahead to."""
    assert next_lock("review_sentiment", EVENING - timedelta(seconds=1)) == EVENING
    assert next_lock("review_sentiment", EVENING) == EVENING + timedelta(days=1)


def test_a_night_that_is_open_today_is_said_instead_of_a_guess(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """A run by hand holds the date: two runs never share a night, so the next lock would be refused."""
    queue_file(queue, "review_sentiment", "a.csv", HEAD + rows(1, 3))
    night = Night(sqlite_ledger, "review_sentiment", base=NOON, now=NOON)
    night.check()
    night.drain()
    seen: Any = preview(sqlite_ledger, "review_sentiment", now=NOON)
    assert "belongs to run" in " ".join(seen["troubles"])
