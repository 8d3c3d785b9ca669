"""Every queue source keeps one contract: read, lock, answer back beside the row, whatever people do to the rows meanwhile."""

import csv
import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from overnight import finder
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from overnight.queues import intake
from overnight.queues.source import Trouble, source
from overnight.rehearsal.desk import QUEUE_BASE, SHEET, queue_id
from overnight.workflow import workflow
from tests.support.desk import Desk
from tests.support.night import EVENING, Night

WORKFLOW = "review_sentiment"
HEADER = ["id", "sku", "rating", "body", "priority", "context", "type"]
GOOD = [
    ["r1", "S1", "5", "Lovely and warm", "", "", ""],
    ["r2", "S1", "1", "=HYPERLINK(\"http://x\")", "high", "", WORKFLOW],
    ["r3", "S2", "9", "Stars out of range", "", "", ""],
    ["r4", "S2", "4", "A customer waits", "urgent", "", ""],
    ["r5", "S2", "4", "Of another workflow", "", "", "blog_drafts"],
]  # fmt: skip


class Place(ABC):
    """Where people put rows: filled and looked at by hand, as a person would."""

    @abstractmethod
    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        """Rows below a header."""

    @abstractmethod
    def answers(self) -> dict[str, tuple[str, str]]:
        """id → (status, message)."""


class CsvPlace(Place):
    def __init__(self, queue: Path) -> None:
        self.file = queue / WORKFLOW / "a.csv"

    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        with self.file.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    def answers(self) -> dict[str, tuple[str, str]]:
        with self.file.with_suffix(".status.csv").open() as file:
            return {row["id"]: (row["status"], row["message"]) for row in csv.DictReader(file)}


class SheetsPlace(Place):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        self.desk.make("spreadsheet", id=SHEET, tabs={WORKFLOW: [header, *rows]})

    def answers(self) -> dict[str, tuple[str, str]]:
        return {row["id"]: (row.get("status", ""), row.get("message", "")) for row in self.desk.tab(WORKFLOW)}


class NotionPlace(Place):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        kinds = {name: {"rich_text": {}} if n else {"title": {}} for n, name in enumerate(header)}
        pages = [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]
        self.desk.make("notion", id=queue_id(WORKFLOW), properties=kinds, pages=pages)

    def answers(self) -> dict[str, tuple[str, str]]:
        from overnight.services.notion import plain

        found = {}
        for page in self.desk.dump("notion_page"):
            values = {name: plain(value) for name, value in page["properties"].items()}
            found[values["id"]] = (values.get("status", ""), values.get("message", ""))
        return found


class AirtablePlace(Place):
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        self.desk.make("airtable", id=QUEUE_BASE, tables={f"queue {WORKFLOW}": [header, *rows]})

    def answers(self) -> dict[str, tuple[str, str]]:
        base = next(b for b in self.desk.dump("airtable_base") if b["id"] == QUEUE_BASE)
        records = [record["fields"] for record in base["tables"][0]["records"]]
        return {r["id"]: (r.get("status", ""), r.get("message", "")) for r in records}


class SqlPlace(Place):
    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> None:
        columns = ", ".join(f'"{name}" TEXT' for name in (*header, "status", "message"))
        with sqlite3.connect(self.path) as db:
            db.execute(f"DROP TABLE IF EXISTS overnight_queue_{WORKFLOW}")
            db.execute(f"CREATE TABLE overnight_queue_{WORKFLOW} ({columns})")
            names = ", ".join(f'"{name}"' for name in header)
            marks = ", ".join("?" * len(header))
            db.executemany(f"INSERT INTO overnight_queue_{WORKFLOW} ({names}) VALUES ({marks})", rows)

    def answers(self) -> dict[str, tuple[str, str]]:
        with sqlite3.connect(self.path) as db:
            rows = db.execute(f"SELECT id, status, message FROM overnight_queue_{WORKFLOW}").fetchall()
        return {key: (status or "", message or "") for key, status, message in rows}


SOURCES = ("airtable", "csv", "notion", "sheets", "sql")


@pytest.fixture(params=SOURCES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    name = request.param
    queue = request.getfixturevalue("queue")
    if name == "csv":
        from tests.conftest import connect

        connect(monkeypatch, request.getfixturevalue("shared_sandbox").hosts)
        yield name, CsvPlace(queue)
        return
    desk = request.getfixturevalue("desk")
    monkeypatch.setenv(
        "AIRFLOW_CONN_OVERNIGHT_QUEUE_SQL", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "queue.db")})
    )
    places = {"sheets": SheetsPlace, "notion": NotionPlace, "airtable": AirtablePlace}
    yield name, SqlPlace(tmp_path / "queue.db") if name == "sql" else places[name](desk)


def night_of(ledger: Ledger, name: str, run_id: str = "manual__1") -> Night:
    return Night(ledger, WORKFLOW, run_id=run_id, change={"source": name, "surface": "page", "pack": 1})


def test_every_source_there_is_keeps_the_contract() -> None:
    """A sixth source joins this file by its name."""
    assert finder.names("overnight.queues.sources") == sorted(SOURCES)


def test_at_the_lock_every_row_gets_its_answer_where_the_person_looks(place: tuple[str, Any], sqlite_ledger: Ledger) -> None:
    """Locked, rejected and why, urgent work pointed to its lane; a row of another workflow is left alone."""
    name, there = place
    there.fill(GOOD)
    night = night_of(sqlite_ledger, name)
    night.check()
    night.drain()
    told = there.answers()
    assert told["r1"][0] == told["r2"][0] == "locked"
    assert told["r3"][0] == "rejected"
    assert "less than or equal to 5" in told["r3"][1]
    assert told["r4"][0] == "rejected"
    assert "Use the real-time lane" in told["r4"][1]
    assert told.get("r5", ("", ""))[0] == ""
    with sqlite_ledger.read() as conn:
        from overnight.ledger import queue as rows

        kept = rows.known_rows(conn, WORKFLOW, name, ["r2"])["r2"]
    assert len(kept) == 1, "one row, one item"


def test_the_same_rows_are_never_taken_twice_and_answering_again_changes_nothing(
    place: tuple[str, Any], sqlite_ledger: Ledger
) -> None:
    """A drain that is run again, and the next night's, find the rows taken."""
    name, there = place
    there.fill(GOOD[:2])
    night = night_of(sqlite_ledger, name)
    night.check()
    planned = night.drain()
    before = there.answers()
    assert night.drain() == planned
    assert there.answers() == before
    night.batch(planned[0])
    night.validate()
    night.export()
    after = night_of(sqlite_ledger, name, "manual__2")
    after.check()
    assert list(after.drain()) == []
    assert {status for status, _ in there.answers().values()} == {"in_review"}


def test_rows_that_are_sorted_changed_and_added_after_the_lock_are_told_the_truth(
    place: tuple[str, Any], sqlite_ledger: Ledger
) -> None:
    """Each keeps its own answer wherever it stands now; what is new goes to the next night."""
    name, there = place
    there.fill(GOOD[:2])
    night = night_of(sqlite_ledger, name)
    night.check()
    night.drain()
    there.fill(
        [GOOD[1], ["r9", "S1", "4", "Added after the lock", "", "", ""], [*GOOD[0][:3], "Edited after the lock", "", "", ""]]
    )
    night.drain()
    told = there.answers()
    assert told["r2"][0] == "locked"
    for late in ("r9", "r1"):
        assert told[late] == ("waiting", "added or changed after the lock; goes to the next night")


def test_a_row_that_is_taken_out_while_it_waits_is_withdrawn_where_people_keep_the_queue(
    place: tuple[str, Any], sqlite_ledger: Ledger
) -> None:
    """Over the cap yesterday, gone today: bought for nobody. Put back, it is wanted again. A program's file is only replaced."""
    name, there = place
    rows = [[f"r{n}", "S1", "5", f"Soft fabric number {n}", "", "", ""] for n in range(4)]
    there.fill(rows)
    _evening(sqlite_ledger, name, 1)
    assert _states(sqlite_ledger) == {"r0": "locked", "r1": "carried_over", "r2": "carried_over", "r3": "carried_over"}
    there.fill([rows[0], rows[2]])
    _evening(sqlite_ledger, name, 2)
    if not source(name).gone_is_withdrawn:
        assert _states(sqlite_ledger) == {"r0": "locked", "r1": "locked", "r2": "carried_over", "r3": "carried_over"}
        return
    assert _states(sqlite_ledger) == {"r0": "locked", "r1": "rejected", "r2": "locked", "r3": "rejected"}
    there.fill([*rows[:3], [*rows[3][:3], "Words that were changed", *rows[3][4:]]])
    _evening(sqlite_ledger, name, 3)
    assert _states(sqlite_ledger) == {"r0": "locked", "r1": "locked", "r2": "locked", "r3": "carried_over"}
    assert there.answers()["r3"][0] == "carried_over"


def test_what_cannot_be_read_is_not_withdrawn(place: tuple[str, Any], sqlite_ledger: Ledger) -> None:
    """Somebody renamed a column at noon: what waits goes on waiting."""
    name, there = place
    there.fill([[f"r{n}", "S1", "5", f"Soft fabric number {n}", "", "", ""] for n in range(2)])
    _evening(sqlite_ledger, name, 1)
    there.fill([["r9", "S1", "5"]], HEADER[:3])
    _evening(sqlite_ledger, name, 2)
    assert _states(sqlite_ledger) == {"r0": "locked", "r1": "locked"}


def _evening(ledger: Ledger, name: str, number: int) -> None:
    night = Night(
        ledger, WORKFLOW, run_id=f"scheduled__{number}", base=EVENING + number * timedelta(days=1),
        now=EVENING + number * timedelta(days=1), change={"source": name, "surface": "page", "pack": 1, "cap": 1},
    )  # fmt: skip
    night.check()
    night.drain()


def _states(ledger: Ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(items.c.key, items.c.state).order_by(items.c.id)).tuples().all())


def test_a_queue_without_a_needed_column_takes_nothing_and_says_which(place: tuple[str, Any], sqlite_ledger: Ledger) -> None:
    """The whole file, tab or table is left alone."""
    name, there = place
    there.fill([row[:2] for row in GOOD], HEADER[:2])
    reading = source(name).read(WORKFLOW, intake.columns_of(workflow(WORKFLOW)))
    assert reading.rows == []
    (trouble,) = reading.troubles
    assert isinstance(trouble, Trouble)
    assert trouble.message.startswith("Missing columns: rating, body.")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sheets", "there is no tab 'review_sentiment'"),
        ("notion", "Could not find data_source with ID"),
        ("airtable", "Invalid permissions, or the requested model was not found"),
        ("sql", "there is no table 'overnight_queue_review_sentiment'"),
    ],
)
def test_what_is_missing_is_said_at_the_check_before_anything_is_locked(
    name: str, words: str, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tab, a share, a base, a table that is not there: in the evening, with what to do."""
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_QUEUE_SQL", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "none.db")}))
    assert words in (source(name).check(WORKFLOW) or "")


@pytest.mark.parametrize("name", ["sheets", "notion", "airtable", "sql"])
def test_a_missing_connection_is_said_at_the_check(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name."""
    conn_id = f"overnight_{name}" if name != "sql" else "overnight_queue_sql"
    monkeypatch.delenv(f"AIRFLOW_CONN_{conn_id.upper()}", raising=False)
    assert f"There is no connection {conn_id!r}" in (source(name).check(WORKFLOW) or "")
