"""The weekly audit digest: a page and a file that say what ran, what was denied, who decided what; tampering included."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from overnight.governance import audit_digest
from overnight.ledger import alerts, audit_week, measures, reviews
from overnight.ledger.connect import Ledger
from overnight.ledger.reviews import DecisionRefused
from overnight.ledger.tables import decisions
from overnight.ui import taking
from overnight.ui.shows import audit as audit_page
from tests.conftest import Sandbox
from tests.support.month import FIRST, one_night
from tests.support.night import Night, sample
from tests.support.visitors import Guest, press


@pytest.fixture
def week(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    """A night, a denial, and decisions by two people."""
    sample(queue, "email_sms")
    night = Night(sqlite_ledger, "email_sms")
    night.run()
    with sqlite_ledger.read() as conn:
        rows = [row for row in reviews.entries(conn, night.row()["id"]) if row["state"] == "in_review"]
    decide(night, rows[0], "ben", decision="approve")
    decide(night, rows[1], "dana | <b>", decision="rework", reason_code="off_brand_voice", note="too loud")
    with pytest.raises(DecisionRefused):
        decide(night, rows[2], "emil", decision="approve")
    with sqlite_ledger.write() as conn:
        words = "This needs the yes of Ben Okafor"
        taking.refused(conn, night.row(), rows[2]["id"], words, who=Guest("emil"), now=night.clock())
    return night


def decide(night: Night, row: Any, who: str, **form: str) -> None:
    with night.ledger.write() as conn:
        press(conn, night.row()["id"], row["id"], {"output_hash": row["output_hash"], **form}, who=who, now=night.clock())


def test_the_digest_says_what_ran_was_denied_and_was_decided(week: Night, tmp_path: Path) -> None:
    """Both files, and a message that names them; nothing a person typed breaks the table."""
    path, made = audit_digest.write(week.ledger, tmp_path / "audit", now=week.now + timedelta(days=1))
    words = path.read_text()
    assert path.name == "2026-W48.md"
    assert "| email_sms | 1 |" in words
    assert "| Ben Okafor | email_sms | 1 | 0 | 0 |" in words
    assert "| dana \\| &lt;b> | email_sms | 0 | 0 | 1 |" in words
    assert "| email_sms | off_brand_voice | 1 |" in words
    assert "This needs the yes of Ben Okafor" in words
    assert "Every chain holds." in words
    assert json.loads(path.with_suffix(".json").read_text())["problems"] == []
    assert {head[0] for head in made.heads} >= {"email_sms"}
    with week.ledger.read() as conn:
        (row,) = [row for row in alerts.listed(conn) if row["kind"] == "audit_digest"]
    assert (row["severity"], "1 nights, 1 denials" in row["message"]) == ("info", True)


def test_tampering_is_said_by_the_digest_and_it_names_the_row(week: Night, tmp_path: Path) -> None:
    """The owner of the database took the triggers off and changed who decided."""
    with week.ledger.engine.begin() as conn:
        for name in conn.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            conn.execute(text(f"DROP TRIGGER {name}"))
        changed = conn.execute(text("SELECT id FROM audit_events WHERE verb = 'decide' ORDER BY id LIMIT 1")).scalar()
        conn.execute(text("UPDATE audit_events SET actor = 'Nobody' WHERE id = :id"), {"id": changed})
    path, made = audit_digest.write(week.ledger, tmp_path, now=week.now)
    assert any(f"audit row {changed} " in problem for problem in made.problems)
    assert f"PROBLEM: audit row {changed} " in path.read_text()
    with week.ledger.read() as conn:
        assert alerts.listed(conn)[0]["severity"] == "critical"


def test_the_page_shows_what_its_reader_may_see_and_no_more(week: Night) -> None:
    """A reader of another workflow finds nothing of this one's."""
    with week.ledger.read() as conn:
        mine = audit_page.week(conn, ["email_sms"], now=week.now)["digest"]
        theirs = audit_page.week(conn, ["blog_drafts"], now=week.now)["digest"]
    assert [row["workflow"] for row in mine.nights] == ["email_sms"]
    assert (list(theirs.nights), list(theirs.denied), list(theirs.reviewers), list(theirs.heads)) == ([], [], [], [])


@pytest.mark.parametrize("seed", range(3))
def test_the_weeks_pace_reckoned_in_the_database_is_the_pace_of_the_decisions_themselves(seed: int, ledger: Ledger) -> None:
    """Counts and median gaps of each person, pauses left out, are what the rows say when they are read one by one."""
    dice = random.Random(seed)
    one_night(ledger, 0, as_is=15, edit=4)
    with ledger.write() as conn:
        now = FIRST
        for row in conn.execute(select(decisions.c.id)).all():
            now += timedelta(seconds=dice.choice([dice.uniform(0, 4), dice.uniform(0, 90), dice.uniform(800, 1000)]))
            changed = {"decided_at": now, "reviewer": dice.choice(["Ada Byron", "Ben Okafor"])}
            conn.execute(decisions.update().where(decisions.c.id == row.id).values(changed))
    with ledger.read() as conn:
        found, _ = audit_week.decided(conn, FIRST, FIRST + timedelta(days=7), ["blog_drafts"])
        rows = conn.execute(select(decisions).order_by(decisions.c.decided_at)).all()
    assert [row["reviewer"] for row in found] == ["Ada Byron", "Ben Okafor"]
    for row in found:
        own = [r for r in rows if r.reviewer == row["reviewer"]]
        for kind in ("approve", "edit", "rework"):
            assert row[kind] == sum(r.decision == kind for r in own)
        assert row["median_seconds"] == pytest.approx(measures.pace([r.decided_at for r in own]), abs=0.11)


def test_a_decision_that_was_taken_back_counts_neither_for_its_reviewer_nor_among_the_reasons(ledger: Ledger) -> None:
    """What nobody acted on is not what reviewers said; in the log it stays."""
    one_night(ledger, 0, as_is=15, edit=4)
    week = (FIRST, FIRST + timedelta(days=7), ["blog_drafts"])
    with ledger.read() as conn:
        (before,), reasons = audit_week.decided(conn, *week)
    assert ((before["approve"], before["edit"], before["rework"]), reasons) == ((15, 4, 6), [("blog_drafts", "fact_wrong", 6)])
    with ledger.write() as conn:
        undone = {"superseded_at": FIRST + timedelta(hours=1), "collected_at": None}
        conn.execute(decisions.update().where(decisions.c.decision == "rework").values(undone))
    with ledger.read() as conn:
        (after,), reasons = audit_week.decided(conn, *week)
    assert ((after["approve"], after["edit"], after["rework"]), reasons) == ((15, 4, 0), [])


def test_very_fast_approval_and_a_reviewer_unlike_the_others_are_named() -> None:
    """Edge cases are what a person should look at, with the numbers."""
    rows = [
        {"reviewer": "Ada", "workflow": "w", "approve": 40, "edit": 0, "rework": 0, "median_seconds": 3.0},
        {"reviewer": "Ben", "workflow": "w", "approve": 20, "edit": 10, "rework": 10, "median_seconds": 60.0},
    ]
    said = audit_digest._edges(rows, {"w": {"T3": 2, "T4": 1}})
    assert said[0].startswith("Ada decided 40 items of w in 3 s each")
    assert "Ada approves 40 of 40" in said[1]
    assert len(said) == 4
