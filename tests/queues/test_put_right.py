"""A row that was refused is put right, or waits and is hurried: what people change in the sheet holds."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from overnight.ledger import alerts
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from tests.conftest import Sandbox
from tests.support.night import EVENING, Night, queue_file
from tests.support.project import Project

DAY = timedelta(days=1)
HEAD = "review_id,sku,rating,title,body,priority\n"


def states(ledger: Ledger) -> dict[str, tuple[str, int]]:
    with ledger.read() as conn:
        return {row.key: (row.state, row.priority) for row in conn.execute(select(items.c.key, items.c.state, items.c.priority))}


def evening(ledger: Ledger, number: int, workflow: str = "review_sentiment", **change: object) -> Night:
    at = EVENING + number * DAY
    night = Night(ledger, workflow, run_id=f"scheduled__{number}", base=at, now=at, change=change)
    night.check()
    night.drain()
    return night


def test_a_row_that_was_refused_for_its_priority_is_taken_when_that_is_put_right(
    ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """Its words are the same: it is no new row, and was refused for good."""
    # Every column is filled in: what is kept of the refused row is what is kept of the good one.
    text = "prompt_id,panel,prompt,intent,funnel_stage,locale,priority\nq1,W1,Which tent?,{intent},{stage},en,{{}}\n"
    text = text.format(intent="category", stage="top")
    queue_file(queue, "ai_visibility", "a.csv", text.format("hgih"))
    evening(ledger, 0, "ai_visibility")
    assert states(ledger)["q1"] == ("rejected", 0)
    queue_file(queue, "ai_visibility", "a.csv", text.format("high"))
    evening(ledger, 1, "ai_visibility")
    assert states(ledger) == {"q1": ("locked", 1)}, "the same item, and as urgent as it says now"
    with ledger.read() as conn:
        assert conn.execute(select(items.c.id)).scalars().all() == [1]


def test_a_row_that_is_still_wrong_says_what_is_wrong_with_it_today(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Another mistake than yesterday's."""
    text = "prompt_id,panel,prompt,brand,priority\nq1,W1,Which tent?,Fernweh,{}\n"
    queue_file(queue, "ai_visibility", "a.csv", text.format("hgih"))
    evening(sqlite_ledger, 0, "ai_visibility")
    queue_file(queue, "ai_visibility", "a.csv", text.format("now"))
    evening(sqlite_ledger, 1, "ai_visibility")
    assert "Unknown priority 'now'" in (queue / "ai_visibility" / "a.status.csv").read_text()


def test_a_row_that_waits_is_hurried_by_its_priority(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """Over the cap yesterday; somebody wrote "high" today."""
    rows = [f"r{n},S,5,,Soft fabric number {n}.,{{}}\n" for n in range(4)]
    queue_file(queue, "review_sentiment", "a.csv", HEAD + "".join(row.format("") for row in rows))
    evening(sqlite_ledger, 0, cap=1)
    assert states(sqlite_ledger)["r3"] == ("carried_over", 0)
    queue_file(
        queue, "review_sentiment", "a.csv", HEAD + "".join(row.format("high" if n == 3 else "") for n, row in enumerate(rows))
    )
    evening(sqlite_ledger, 1, cap=1)
    assert states(sqlite_ledger)["r3"] == ("locked", 1)
    assert states(sqlite_ledger)["r1"] == ("carried_over", 0)


def test_rows_that_cannot_wait_are_told_of_once(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, project: Project) -> None:
    """They stand in the queue until somebody takes them out; an alert that repeats itself every night is not read."""
    head = "return_id,sku,order_date,return_date,reason_code,comment,value_usd\n"
    first = "r1,S,2026-11-01,2026-11-09,DEFECTIVE,It caught fire.,50\n"
    queue_file(queue, "returns_triage", "a.csv", head + first)
    evening(sqlite_ledger, 0, "returns_triage")
    evening(sqlite_ledger, 1, "returns_triage")
    queue_file(queue, "returns_triage", "a.csv", head + first + "r2,S,2026-11-01,2026-11-09,DEFECTIVE,I got a shock.,50\n")
    evening(sqlite_ledger, 2, "returns_triage")
    with sqlite_ledger.read() as conn:
        told = [row["message"] for row in alerts.listed(conn) if row["kind"] == "urgent_rows"]
    assert [message.partition(". Look")[0][-4:].strip(" :") for message in reversed(told)] == ["r1", "r2"]


def test_an_urgent_row_is_told_of_though_its_answer_cannot_be_written(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """The sheet refuses the write, through all tries: somebody's lamp is on fire all the same."""
    head = "return_id,sku,order_date,return_date,reason_code,comment,value_usd\n"
    queue_file(queue, "returns_triage", "a.csv", head + "r1,S,2026-11-01,2026-11-09,DEFECTIVE,It caught fire.,50\n")
    (queue / "returns_triage" / "a.status.csv").mkdir()
    with pytest.raises(IsADirectoryError):
        evening(sqlite_ledger, 0, "returns_triage")
    with sqlite_ledger.read() as conn:
        assert [row["kind"] for row in alerts.listed(conn)] == ["urgent_rows"]
