"""Failure mode 6: one agent for live and batch work. The night takes the key that answers customers, or its prompt."""

import json
import os
from pathlib import Path

import pytest

from overnight.governance.check import CheckFailed
from overnight.ledger import alerts, audit, overview
from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.failure_modes.test_silent_integration_failures import report
from tests.support.night import Night, sample


def test_a_night_that_would_take_the_live_agents_key_is_refused_alerted_and_on_record(
    sqlite_ledger: Ledger, queue: Path, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the lock: nothing is read, nothing is bought, the reason is said, and the denial is in the audit log."""
    sample(queue, "review_sentiment")
    live = json.loads(os.environ["AIRFLOW_CONN_OPENAI_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_OPENAI_DEFAULT", json.dumps({**live, "extra": {"overnight_lane": "live"}}))
    night = Night(sqlite_ledger, "review_sentiment")
    with pytest.raises(CheckFailed) as caught:
        night.check()
    report(sqlite_ledger, monkeypatch, night, "check", caught.value)
    with sqlite_ledger.read() as conn:
        (alert,) = alerts.listed(conn)
        assert overview.list_nights(conn) == []
        assert [event["verb"] for event in audit.of_object(conn, "task", "check")] == ["deny"]
    assert alert["kind"] == "check_failed"
    assert "The connection 'openai_default' is used for live work, and one agent has one lane" in alert["message"]
