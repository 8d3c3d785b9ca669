"""Rows of the queue enter the ledger by the hundred, and each keeps its own number."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from overnight.ledger import queue, verify
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.states import ItemState

COMMON: dict[str, Any] = {
    "workflow": "blog_drafts", "actor": Actor("agent", "blog_drafts"), "now": datetime(2026, 11, 23, 16, 0, tzinfo=UTC),
}  # fmt: skip


def rows(count: int, version: str) -> list[dict[str, Any]]:
    made = [
        {
            "source": "csv",
            "source_ref": f"a.csv:{n}",
            "key": f"k{n}",
            "content_hash": f"{version}{n}",
            "input": {"n": n, "of": version},
        }
        for n in range(count)
    ]
    random.Random(count).shuffle(made)
    return made


def test_the_numbers_come_back_in_the_order_of_the_rows_also_where_older_versions_stand(ledger: Ledger) -> None:
    """More rows than one statement takes, in no order, beside older versions of the same rows: each number is its row's."""
    older, newer = rows(1_200, "old"), rows(1_203, "new")
    with ledger.write() as conn:
        first = queue.add(conn, older, ItemState.WAITING, **COMMON)
        second = queue.add(conn, iter(newer), ItemState.WAITING, **COMMON)
    with ledger.read() as conn:
        there = {row["id"]: row["input"] for row in queue.by_ids(conn, [*first, *second])}
        problems = verify.problems(conn)
        events = conn.exec_driver_sql("SELECT count(*) FROM audit_events WHERE verb = 'create'").scalar_one()
    assert [there[item_id] for item_id in [*first, *second]] == [row["input"] for row in [*older, *newer]]
    assert events == len(older) + len(newer)
    assert problems == []


def test_a_place_that_is_too_long_for_its_column_is_refused_and_not_cut(ledger: Ledger) -> None:
    """SQLite keeps any length; PostgreSQL refuses what does not fit, as it does everywhere else."""
    (row,) = rows(1, "v")
    far = {**row, "source_ref": "x" * 501}
    if ledger.engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError, match="too long"), ledger.write() as conn:
            queue.add(conn, [far], ItemState.WAITING, **COMMON)
        return
    with ledger.write() as conn:
        (item_id,) = queue.add(conn, [far], ItemState.WAITING, **COMMON)
        assert queue.by_ids(conn, [item_id])[0]["source_ref"] == far["source_ref"]


def test_each_waiting_row_is_told_its_own_words(ledger: Ledger) -> None:
    """What is said to many rows at once reaches each of them, and nobody else."""
    with ledger.write() as conn:
        ids = queue.add(conn, rows(1_100, "v"), ItemState.WAITING, **COMMON)
        queue.say(conn, {item_id: f"place {place}" for place, item_id in enumerate(ids[:1_050])})
    with ledger.read() as conn:
        words = {row["id"]: row["message"] for row in queue.waiting(conn, "blog_drafts")}
    assert [words[item_id] for item_id in ids] == [*(f"place {place}" for place in range(1_050)), *[None] * 50]
