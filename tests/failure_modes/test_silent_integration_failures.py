"""Failure mode 3: an integration fails in silence. A key expires, a sheet moves, a scheduler dies; at nine the review is empty."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from overnight.alerts import watchdog
from overnight.alerts.failure import task_failed
from overnight.governance.check import CheckFailed
from overnight.ledger import alerts
from overnight.ledger.connect import Ledger
from overnight.review.export import ExportMismatch, export
from tests.alerts.test_channels import Instance, connect
from tests.alerts.test_watchdog import LOCK, ran
from tests.conftest import Sandbox
from tests.support.listener import listening
from tests.support.night import Night, sample
from tests.support.reviewed import draft, stage


def report(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, night: Night, task_id: str, error: Exception) -> None:
    """What Airflow does when a task failed for good."""
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", ledger.engine.url.render_as_string(hide_password=False))
    run = type("Run", (), {"run_id": night.run_id})
    task_failed({"ti": Instance(night.workflow, task_id), "dag_run": run, "exception": error})


def test_an_expired_key_is_said_at_five_and_the_message_says_it_is_over_when_the_night_is_exported(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is locked, the alert names the key, and once somebody mended it and cleared the task, all are told."""
    sample(queue, "review_sentiment")
    good = __import__("os").environ["AIRFLOW_CONN_OPENAI_DEFAULT"]
    night = Night(sqlite_ledger, "review_sentiment")
    with listening() as (channel, port):
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{port}/"}])
        monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps({**json.loads(good), "password": "bad-key"}))
        with pytest.raises(CheckFailed) as caught:
            night.check()
        report(sqlite_ledger, monkeypatch, night, "check", caught.value)
        monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", good)
        night.run()
    mine = [title for title in channel.titles if "check failed" in title]
    assert mine == ["ERROR: check failed review_sentiment", "Over: check failed review_sentiment"]
    words = channel.heard[0][2]["message"]
    assert "openai does not let us in with connection 'openai_default'" in words
    assert "Nothing was locked and nothing was bought" in words
    assert "bad-key" not in words


def test_a_surface_that_shows_fewer_rows_than_were_staged_keeps_the_night_from_its_reviewers(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, vendors: Sandbox
) -> None:
    """The sheet took the write and lost a row: said by the export itself, with both numbers; the night stays unexported."""
    from overnight.review.surfaces.page import PageSurface

    task, _ = stage(sqlite_ledger, "page", [draft(1), draft(2)])
    monkeypatch.setattr(PageSurface, "export", lambda self, exhibit: [], raising=True)
    with pytest.raises(ExportMismatch, match="has 2 items to show, the surface 'page' shows 0") as caught:
        export(sqlite_ledger, task, now=LOCK)
    report(sqlite_ledger, monkeypatch, Night(sqlite_ledger, "blog_drafts"), "export", caught.value)
    with sqlite_ledger.read() as conn:
        (alert,) = alerts.listed(conn)
    assert alert["kind"] == "export_mismatch"


def test_that_nothing_ran_at_all_is_said_within_minutes_of_the_lock(sqlite_ledger: Ledger) -> None:
    """No run, no task, no deadline: only the clock knows."""
    ran(sqlite_ledger, LOCK - timedelta(days=1))
    for minutes in range(0, 30, 5):
        watchdog.watch(sqlite_ledger, now=LOCK + timedelta(minutes=minutes))
    with sqlite_ledger.read() as conn:
        (alert,) = alerts.listed(conn)
    assert alert["kind"] == "nothing_ran"
    assert alert["raised_at"] - LOCK == timedelta(minutes=15)
