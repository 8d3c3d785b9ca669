"""Retention: what is over loses its texts and not its figures; days of the log leave into an archive that still proves itself."""

import gzip
import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from overnight.batches import raw
from overnight.brand import Retention
from overnight.delivery.deliver import deliver
from overnight.governance import audit_digest, retention
from overnight.ledger import overview, spending, verify
from overnight.ledger import retention as clearing
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.month import one_night
from tests.support.night import EVENING, Night, sample

ALL = Retention(texts_days=30, audit_days=90)
ADA = Actor("human", "Ada Byron")
SECRET = "Soft"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERNIGHT_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("OVERNIGHT_RAW_DIR", str(tmp_path / "raw"))
    return tmp_path


def decided_and_delivered(ledger: Ledger, folder: Path) -> datetime:
    """A night of drafts: twenty approved, three edited, two sent back; what is approved is delivered."""
    over: datetime
    over, _ = one_night(ledger, 0, as_is=20, edit=3, usd=Decimal("0.01"))
    deliver(ledger, folder / "delivery", run_id="r", task_id="deliver", now=over)
    return over


def figures(ledger: Ledger) -> Any:
    with ledger.read() as conn:
        nights = [overview.describe(conn, night) for night in overview.list_nights(conn)]
        return [(n["night"], n["items"], n["outcomes"], n["cost_usd"]) for n in nights], spending.last_nights(
            conn, ["blog_drafts", "review_sentiment"]
        )


def everything_said(ledger: Ledger, tables: str = "items step_items requests request_items answers findings decisions exhibits nights") -> str:  # fmt: skip
    with ledger.read() as conn:
        return json.dumps(
            [[dict(row) for row in conn.execute(text(f"SELECT * FROM {name}")).mappings()] for name in tables.split()],
            default=str,
        )


def test_after_its_days_a_night_has_its_figures_and_none_of_its_texts(ledger: Ledger, tmp_path: Path) -> None:
    """Inputs, answers, notes and edits are gone from every table; what is still somebody's work keeps all of it."""
    over = decided_and_delivered(ledger, tmp_path)
    before, said = figures(ledger), everything_said(ledger)
    assert "A title" in said or "title" in said
    assert retention.due(ledger, ALL, now=over + timedelta(days=20)) == retention.Removed()
    later = over + timedelta(days=31)
    assert retention.due(ledger, ALL, now=later).items == 23
    done = retention.apply(ledger, ALL, actor=ADA, now=later)
    assert done.items == 23, "two were sent back: they wait for the next night, with all they say"
    assert done.nights == 0
    assert figures(ledger) == before
    with ledger.read() as conn:
        assert verify.problems(conn) == []
        gone = conn.execute(text("SELECT count(*) FROM items WHERE output IS NULL AND texts_removed_at IS NOT NULL")).scalar()
        kept = conn.execute(
            text("SELECT count(*) FROM items WHERE state = 'rework' AND note IS NOT NULL AND output IS NOT NULL")
        ).scalar()
        edits = conn.execute(text("SELECT count(*) FROM decisions WHERE edited IS NOT NULL OR edit_diff IS NOT NULL")).scalar()
        told = conn.execute(text("SELECT count(*) FROM audit_events WHERE verb = 'forget' AND actor = 'Ada Byron'")).scalar()
    assert (gone, kept, edits, told) == (23, 2, 0, 23)
    assert retention.apply(ledger, ALL, actor=ADA, now=later) == retention.Removed(), "a second time there is nothing to remove"


def test_a_night_of_the_vendors_loses_its_raw_files_its_requests_and_its_digest(
    ledger: Ledger, queue: Path, vendors: Sandbox, tmp_path: Path
) -> None:
    """Nothing that was asked or answered stands in the ledger or on the disk any more; its bill does; nothing is bought again."""
    sample(queue, "review_sentiment")
    night = Night(ledger, "review_sentiment")
    night.run()
    with ledger.write() as conn:  # as if a digest's yes and a delivery had ended them all
        conn.execute(text("UPDATE items SET state = 'delivered'"))
    files = list(raw.folder().glob("*.gz"))
    asked = "content"
    assert files
    assert asked
    before = figures(ledger)
    done = retention.apply(ledger, ALL, actor=ADA, now=EVENING + timedelta(days=92))
    assert (done.raw_files, done.nights) == (len(files), 1)
    assert list(raw.folder().glob("*.gz")) == []
    assert figures(ledger) == before
    with ledger.read() as conn:
        for query in (
            "SELECT count(*) FROM requests WHERE content <> '(removed)'", "SELECT count(*) FROM answers WHERE output IS NOT NULL",
            "SELECT count(*) FROM nights WHERE summary IS NOT NULL", "SELECT count(*) FROM request_items WHERE masks IS NOT NULL",
            "SELECT count(*) FROM findings WHERE evidence IS NOT NULL", "SELECT count(*) FROM exhibits WHERE said IS NOT NULL",
        ):  # fmt: skip
            assert conn.execute(text(query)).scalar() == 0, query
    again = Night(ledger, "review_sentiment", run_id="again", base=EVENING + timedelta(days=93), now=EVENING + timedelta(days=93))
    assert again.run()["locked"] == 0, "the same rows are known by their hash: they are not bought a second time"
    assert again.row()["state"] == "closed"


def test_days_of_the_log_leave_into_an_archive_and_the_rest_still_verifies(ledger: Ledger, tmp_path: Path) -> None:
    """The chain's end, its length and the archive's hash stay behind; the archive holds by itself and is refused when changed."""
    over = decided_and_delivered(ledger, tmp_path)
    one_night(ledger, 80, as_is=25)
    later = over + timedelta(days=100)
    due = retention.due(ledger, ALL, now=later)
    assert due.audit_days > 0
    done = retention.apply(ledger, ALL, actor=ADA, now=later)
    assert (done.audit_days, done.audit_rows) == (due.audit_days, due.audit_rows)
    archives = sorted(retention.folder().glob("*.jsonl.gz"))
    assert len(archives) == done.audit_days
    assert sum(retention.check(path)[1] for path in archives) == done.audit_rows
    assert all(retention.check(path)[0] == [] for path in archives)
    with ledger.read() as conn:
        assert verify.problems(conn) == []
        assert audit_digest.digest(conn, now=later).problems == []
    tampered = archives[0]
    tampered.write_bytes(gzip.compress(gzip.decompress(tampered.read_bytes()).replace(b"blog_drafts", b"blog_draft5", 1)))
    assert "its content was changed" in retention.check(tampered)[0][0]


def test_the_log_refuses_what_is_no_archived_day_and_a_purge_that_it_does_not_know_is_found(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Deleting needs the purge's row, and that row needs its word in the log: whoever forges one is named by `verify`."""
    over = decided_and_delivered(ledger, tmp_path)
    with pytest.raises(DBAPIError, match="append-only"), ledger.write() as conn:
        conn.execute(text("DELETE FROM audit_events"))
    retention.apply(ledger, ALL, actor=ADA, now=over + timedelta(days=100))
    for statement in ("DELETE FROM audit_purges", "UPDATE audit_purges SET rows = 0", "DELETE FROM audit_events"):
        with pytest.raises(DBAPIError, match="append-only"), ledger.write() as conn:
            conn.execute(text(statement))
    with ledger.write() as conn:
        day = conn.execute(text("SELECT max(day) FROM audit_events")).scalar()
        head = conn.execute(text("SELECT workflow, position, hash FROM audit_heads WHERE day = :day"), {"day": day}).first()
        forged = "INSERT INTO audit_purges VALUES (:w, :d, :p, :h, 'x', 'x', :at)"
        at = "2027-06-01 00:00:00"
        conn.execute(text(forged), {"w": head.workflow, "d": day, "p": head.position, "h": head.hash, "at": at})  # type: ignore[union-attr]
        conn.execute(text("DELETE FROM audit_events WHERE day = :day"), {"day": day})
    with ledger.read() as conn:
        assert any("the log knows nothing of it" in problem for problem in verify.problems(conn))


def test_a_broken_chain_is_evidence_and_is_never_archived(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    """Nothing is deleted of a day that does not verify; the error names the row."""
    over = decided_and_delivered(sqlite_ledger, tmp_path)
    with sqlite_ledger.engine.begin() as conn:
        conn.execute(text("DROP TRIGGER audit_events_no_update"))
        conn.execute(text("UPDATE audit_events SET actor = 'Nobody' WHERE id = 3"))
    rows = count(sqlite_ledger)
    with pytest.raises(audit_digest.ChainBroken, match="audit row 3 "):
        retention.apply(sqlite_ledger, Retention(audit_days=90), actor=ADA, now=over + timedelta(days=200))
    assert count(sqlite_ledger) == rows


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_killed_at_any_commit_it_is_finished_the_next_time(
    dies_at: int, sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was committed stands, the rest follows; the log holds at every moment."""
    over = decided_and_delivered(sqlite_ledger, tmp_path)
    before, later = figures(sqlite_ledger), over + timedelta(days=100)
    monkeypatch.setattr(retention, "PIECE", 10)

    class Mortal(Ledger):
        left = dies_at

        def write(self) -> Any:
            Mortal.left -= 1
            if Mortal.left == 0:
                raise KeyboardInterrupt
            return super().write()

    with pytest.raises(KeyboardInterrupt):
        retention.apply(Mortal(str(sqlite_ledger.url)), ALL, actor=ADA, now=later)
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []
    retention.apply(sqlite_ledger, ALL, actor=ADA, now=later)
    assert retention.due(sqlite_ledger, ALL, now=later) == retention.Removed()
    assert figures(sqlite_ledger) == before
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []


def test_the_command_says_what_is_due_and_checks_archives(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without days nothing is due; an archive is checked against itself and against the ledger."""
    from overnight.cli import app

    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", f"sqlite:////{tmp_path}/ledger.db")
    said = CliRunner().invoke(app, ["retention"])
    assert "kept for ever" in said.output
    assert "due to be removed: 0 raw files, the texts of 0 items" in said.output
    over = decided_and_delivered(sqlite_ledger, tmp_path)
    retention.apply(sqlite_ledger, ALL, actor=ADA, now=over + timedelta(days=100))
    paths = [str(path) for path in retention.folder().glob("*.jsonl.gz")]
    said = CliRunner().invoke(app, ["check-archive", *paths])
    assert said.exit_code == 0, said.output
    assert said.output.count("as the ledger says") == len(paths)


def count(ledger: Ledger) -> int:
    with ledger.read() as conn:
        return int(conn.execute(text("SELECT count(*) FROM audit_events")).scalar_one())


def test_what_a_person_is_to_write_keeps_its_texts(ledger: Ledger, tmp_path: Path) -> None:
    """It failed, and nothing follows by itself; but it stands in somebody's line until they wrote it."""
    over = decided_and_delivered(ledger, tmp_path)
    later = over + timedelta(days=400)
    with ledger.write() as conn:
        conn.execute(text("UPDATE nights SET state = 'closed'"))
        first, second = conn.execute(text("SELECT id FROM items WHERE state = 'delivered' ORDER BY id LIMIT 2")).scalars()
        conn.execute(text(f"UPDATE items SET state = 'failed', bucket = 'by_hand' WHERE id = {first}"))
        conn.execute(text(f"UPDATE items SET state = 'failed', bucket = 'failed' WHERE id = {second}"))
    with ledger.read() as conn:
        due = clearing.items_to_clear(conn, later, 1_000)
    assert second in due
    assert first not in due
