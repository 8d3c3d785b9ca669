"""The watchdog says what no night's own task can, and leaves a heartbeat; the good morning has the night's numbers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from overnight.alerts import notifier, watchdog
from overnight.alerts.good_morning import good_morning, message
from overnight.governance.launch import State
from overnight.ledger import alerts
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import nights
from tests.conftest import Sandbox
from tests.governance.test_launch import put
from tests.support.listener import listening
from tests.support.night import EVENING, Night, sample
from tests.support.reviewed import NOW, draft, shown

LOCK = EVENING  # 17:00 in Berlin


def ran(ledger: Ledger, at: datetime, *, state: str = "closed", run: str = "scheduled__", workflow: str = "blog_drafts") -> None:
    """A night that the schedule opened."""
    label = at.date().isoformat()
    with ledger.write() as conn:
        conn.execute(
            insert(nights).values(
                workflow=workflow, night=label, run_id=f"{run}{label}", state=state, timezone="Europe/Berlin", vendor="a",
                model="m", surface="page", source="csv", policy_hash="", prompt_version="", cap=1, opened_at=at, start_at=at,
                cutoff_at=at + timedelta(hours=14), due_at=at + timedelta(hours=15),
            )
        )  # fmt: skip


def told(ledger: Ledger) -> list[tuple[str, str, str]]:
    with ledger.read() as conn:
        return [(row["kind"], row["severity"], row["message"]) for row in alerts.listed(conn)]


def test_that_nothing_ran_is_said_a_quarter_of_an_hour_after_the_lock_and_taken_back_when_it_did(ledger: Ledger) -> None:
    """The scheduler was dead at 17:00. Not before the grace is over, once, and over when a person caught up."""
    ran(ledger, LOCK - timedelta(days=1))
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=10)) == 0
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=16)) == 1
    watchdog.watch(ledger, now=LOCK + timedelta(minutes=21))
    ((kind, severity, words),) = told(ledger)
    assert (kind, severity) == ("nothing_ran", "critical")
    assert "Nothing ran at 17:00: no night of 2026-11-23 was opened" in words
    ran(ledger, LOCK + timedelta(minutes=30), run="manual__")
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=31)) == 0
    with ledger.read() as conn:
        assert alerts.listed(conn)[0]["recovered_at"] is not None


@pytest.mark.parametrize("why", ["by hand only", "long ago", "paused", "its check spoke"])
def test_a_night_that_nobody_expects_is_not_missed(why: str, ledger: Ledger) -> None:
    """A trial by hand, a workflow that was given up, one that a person paused, one whose own check said what is wrong."""
    ran(ledger, LOCK - timedelta(days=20 if why == "long ago" else 1), run="manual__" if why == "by hand only" else "scheduled__")
    if why == "paused":
        put(ledger, State.PAUSED, "blog_drafts")
    if why == "its check spoke":
        notifier.night_alert(
            ledger, "check_failed", "blog_drafts", "", "scheduled__2", "No key.", now=LOCK + timedelta(minutes=2)
        )
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=16)) == 0


def test_a_queue_that_is_not_drained_and_a_night_that_is_late_are_one_trouble(ledger: Ledger) -> None:
    """In minutes, not at the deadline; the deadline's own words join them."""
    ran(ledger, LOCK, state="open")
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=29)) == 0
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=31)) == 1
    with ledger.write() as conn:
        conn.execute(update(nights).values(state="locked"))
    assert watchdog.watch(ledger, now=LOCK + timedelta(hours=15, minutes=6)) == 1
    ((kind, _, words),) = told(ledger)
    assert kind == "not_drained"
    assert "its queue is not drained" in words
    assert "the night is locked" in words


def test_the_heartbeat_is_a_file_and_a_call_and_its_failure_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever listens outside hears the silence; the address is a secret."""
    monkeypatch.setenv("OVERNIGHT_HEARTBEAT_FILE", str(tmp_path / "alive" / "beat"))
    with listening() as (listener, port):
        conn = {"conn_type": "generic", "password": f"http://127.0.0.1:{port}/ping/s3cr3t"}
        monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_HEARTBEAT", json.dumps(conn))
        watchdog.beat(NOW)
        assert [(method, path) for method, path, _ in listener.heard] == [("GET", "/ping/s3cr3t")]
        listener.status = 500
        watchdog.beat(NOW + timedelta(minutes=5))
    watchdog.beat(NOW + timedelta(minutes=10))
    assert (tmp_path / "alive" / "beat").read_text() == "2026-11-24T07:10:00+00:00\n"
    assert "s3cr3t" not in caplog.text


def test_the_good_morning_says_what_waits_what_is_wrong_and_how_long_it_takes(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox
) -> None:
    """Once a morning, with a link to each review."""
    sample(queue, "blog_drafts")
    night = Night(sqlite_ledger, "blog_drafts")
    night.run()
    notifier.raise_alert(sqlite_ledger, "x", "drift", "blog_drafts", "words", night="2026-11-23", now=NOW)
    words = message(sqlite_ledger, "https://airflow.example/", now=NOW)
    number = night.row()["id"]
    assert f"blog_drafts 2026-11-23: {night.counts['staged']} to review" in words
    assert f"https://airflow.example/overnight/review/{number}" in words
    assert "WARNING drift: blog_drafts 2026-11-23" in words
    assert "of the team's 450 minutes" in words
    assert good_morning(sqlite_ledger, "", now=NOW)
    assert not good_morning(sqlite_ledger, "", now=NOW + timedelta(minutes=1))


def test_a_morning_after_no_night_says_so(sqlite_ledger: Ledger) -> None:
    """Silence would look like a mail that got lost."""
    assert message(sqlite_ledger, "", now=datetime(2026, 11, 24, 8, tzinfo=UTC)).startswith("No night ran.")


def test_an_older_night_that_does_not_end_hides_no_later_one_that_was_never_opened(ledger: Ledger) -> None:
    """Its alert is said again at every look; that is no word of tonight."""
    ran(ledger, LOCK - timedelta(days=1), state="open")
    watchdog.watch(ledger, now=LOCK - timedelta(hours=20))
    watchdog.watch(ledger, now=LOCK + timedelta(minutes=16))
    assert {kind for kind, _, _ in told(ledger)} == {"not_drained", "nothing_ran"}


def test_a_night_that_was_caught_up_after_midnight_takes_the_alert_back_and_hides_no_next_evening(ledger: Ledger) -> None:
    """It is called by its own date, which is the next evening's too."""
    ran(ledger, LOCK - timedelta(days=1))
    watchdog.watch(ledger, now=LOCK + timedelta(minutes=16))
    ran(ledger, LOCK + timedelta(hours=10), run="manual__")
    watchdog.watch(ledger, now=LOCK + timedelta(hours=11))
    with ledger.read() as conn:
        (row,) = alerts.listed(conn)
    assert row["recovered_at"] is not None
    watchdog.watch(ledger, now=LOCK + timedelta(days=1, minutes=16))
    with ledger.read() as conn:
        assert [row["night"] for row in alerts.listed(conn) if row["recovered_at"] is None] == ["2026-11-24"]


def test_one_trouble_does_not_grow_with_every_look(ledger: Ledger) -> None:
    """A night of looks says it once: the page and the mail stay short."""
    ran(ledger, LOCK, state="open")
    for minutes in range(31, 15 * 60, 5):
        watchdog.watch(ledger, now=LOCK + timedelta(minutes=minutes))
    ((_, _, words),) = told(ledger)
    assert words.count("\n") == 0
    assert "Opened at 17:00" in words


def test_what_kept_an_earlier_night_from_opening_is_over_when_a_later_one_is_exported(ledger: Ledger) -> None:
    """Nobody clears Monday's check any more; another workflow's trouble, and one of a night that is there, stay."""
    before = NOW - timedelta(days=2)
    for key, kind, workflow in (
        ("night:blog_drafts:mon", "check_failed", "blog_drafts"), ("nothing_ran:blog_drafts:2026-11-20", "nothing_ran", "blog_drafts"),
        ("night:email_sms:mon", "check_failed", "email_sms"), ("tripped:blog_drafts", "tripped", "blog_drafts"),
    ):  # fmt: skip
        notifier.raise_alert(ledger, key, kind, workflow, "No key.", run_id="mon", now=before)
    shown(ledger, "page", [draft(1)])
    with ledger.read() as conn:
        open_ = {row["dedupe_key"] for row in alerts.listed(conn) if row["recovered_at"] is None}
    assert open_ == {"night:email_sms:mon", "tripped:blog_drafts"}


def test_a_run_that_is_still_at_work_is_not_missed(ledger: Ledger) -> None:
    """A launch test from four o'clock: the scheduled night stands behind it, and whoever obeyed the alert bought a third."""
    ran(ledger, LOCK - timedelta(days=1))
    ran(ledger, LOCK - timedelta(minutes=30), state="locked", run="manual__")
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=20)) == 0
    assert told(ledger) == []


def test_a_workflow_that_was_paused_is_missed_no_more(ledger: Ledger) -> None:
    """The runbook's own way out left the alert open for good."""
    ran(ledger, LOCK - timedelta(days=1))
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=16)) == 1
    put(ledger, State.PAUSED, "blog_drafts")
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=21)) == 0
    with ledger.read() as conn:
        (row,) = alerts.listed(conn)
    assert row["recovered_at"] is not None
    assert "`bin/overnight launch blog_drafts --to paused --by NAME --reason WHY`" in row["message"]


def test_a_lessons_trial_is_no_night_of_the_morning(sqlite_ledger: Ledger) -> None:
    """It ends validated for good: NOT FINISHED, every morning."""
    ran(sqlite_ledger, EVENING, state="validated", workflow="blog_drafts_replay")
    with sqlite_ledger.write() as conn:
        conn.execute(update(nights).values(source="replay"))
    assert message(sqlite_ledger, "", now=EVENING + timedelta(hours=15)).startswith("No night ran.")


def test_a_night_that_was_caught_up_takes_the_alert_back_while_it_is_still_at_work(ledger: Ledger) -> None:
    """Also when it is the next morning, and the evening's own has another date: the alert stayed open for ever."""
    ran(ledger, LOCK - timedelta(days=1))
    assert watchdog.watch(ledger, now=LOCK + timedelta(minutes=16)) == 1
    ran(ledger, LOCK + timedelta(hours=17), state="locked", run="manual__")
    assert watchdog.watch(ledger, now=LOCK + timedelta(hours=17, minutes=5)) == 0
    with ledger.read() as conn:
        assert alerts.open_of_kind(conn, "nothing_ran") == []
