"""The completion alert: due at the local hour, whatever the run looks like; one alert for one trouble."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from airflow.models.dagrun import DagRun
from airflow.sdk import DeadlineReference
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from overnight.alerts import deadline
from overnight.alerts.deadline import NightDue
from overnight.alerts.notifier import night_alert
from overnight.clock import NightTimes
from overnight.ledger import alerts
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file

BERLIN = ZoneInfo("Europe/Berlin")


def due_of(logical_date: datetime | None, run_after: datetime, conf: dict[str, str] | None = None) -> datetime | None:
    """What Airflow would be told: our reference, read back from its stored form, asking Airflow's own DagRun table."""
    engine = create_engine("sqlite://")
    DagRun.metadata.create_all(engine, tables=[DagRun.__table__])  # type: ignore[list-item]
    with Session(engine) as session:
        session.execute(
            DagRun.__table__.insert().values(  # type: ignore[attr-defined]
                id=1,
                dag_id="blog_drafts",
                run_id="r",
                logical_date=logical_date,
                run_after=run_after,
                conf=conf or {},
                run_type="manual",
                state="queued",
                log_template_id=1,
                clear_number=0,
                span_status="x",
                updated_at=run_after,
            )  # fmt: skip
        )
        stored = NightDue("Europe/Berlin", NightTimes()).serialize_reference()
        return NightDue.deserialize_reference(stored)._evaluate_with(session=session, dag_id="blog_drafts", run_id="r")


@pytest.mark.parametrize("evening", ["2026-03-28", "2026-10-24", "2026-11-23"])
def test_a_night_is_due_at_half_past_eight_local_also_when_the_clocks_change(evening: str) -> None:
    """Both nights of a clock change, and an ordinary one; from the logical date."""
    base = datetime.fromisoformat(f"{evening}T17:00").replace(tzinfo=BERLIN).astimezone(UTC)
    due = due_of(base, base)
    assert due is not None
    assert due.astimezone(BERLIN).strftime("%H:%M") == "08:30"
    assert timedelta(hours=14) < due - base < timedelta(hours=17)


def test_a_run_without_a_logical_date_has_a_deadline_too() -> None:
    """The built-in reference would make none, silently; ours takes run_after."""
    run_after = datetime(2026, 11, 23, 19, 12, tzinfo=UTC)
    due = due_of(None, run_after, {"start": "now"})
    assert due == datetime(2026, 11, 24, 7, 30, tzinfo=UTC)


def test_the_reference_can_be_registered_with_airflow() -> None:
    """Airflow asks for a class that can be made without arguments."""
    assert DeadlineReference.register_custom_reference(NightDue) is NightDue


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Night:
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", f"sqlite://{sqlite_ledger.url.database}")
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body\nr1,S,5,Soft fabric.\n")
    made = Night(sqlite_ledger, "review_sentiment")
    made.check()
    return made


def fire(night: Night) -> str:
    context = {
        "dag_run": {"dag_run_id": night.run_id},
        "deadline": {"id": "x", "deadline_time": datetime(2026, 11, 24, 7, 30, tzinfo=UTC)},
    }
    return asyncio.run(deadline.not_exported("review_sentiment", context))


def raised(night: Night) -> list[dict]:  # type: ignore[type-arg]
    with night.ledger.read() as conn:
        return [dict(a) for a in alerts.of_run(conn, "review_sentiment", night.run_id)]


def test_a_night_that_is_late_is_alerted_once_in_the_ledger(night: Night) -> None:
    """Kind, words, time; a second firing counts and does not repeat."""
    assert fire(night) == "alerted"
    fire(night)
    (alert,) = raised(night)
    assert alert["kind"] == "not_exported"
    assert alert["seen"] == 2
    assert "the night is open" in alert["message"]
    assert night.problems() == []


def test_a_run_that_failed_and_is_then_late_is_one_alert_not_two(night: Night) -> None:
    """The failure alerts in the evening; the deadline adds its words to that alert."""
    night_alert(
        night.ledger, "task_failed", "review_sentiment", night.row()["night"], night.run_id, "Task drain failed: x", now=night.now
    )
    assert fire(night) == "added to the alert of this night"
    (alert,) = raised(night)
    assert alert["kind"] == "task_failed"
    assert "Task drain failed" in alert["message"]
    assert "Not exported by" in alert["message"]


def test_a_night_that_was_exported_after_all_raises_nothing(night: Night) -> None:
    """Airflow keeps the deadline of a run that was late and then made it; the ledger knows better."""
    for batch_id in night.drain():
        night.batch(batch_id)
    night.validate()
    night.export()
    assert fire(night) == "exported after all"
    assert raised(night) == []
