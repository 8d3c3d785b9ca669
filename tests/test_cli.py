"""The command line, as ops types it."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text

from overnight.ledger.connect import Ledger
from tests.conftest import PROJECT, Sandbox
from tests.support.night import Night, queue_file


@pytest.fixture
def night(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> Night:
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body\nr1,S,5,Soft fabric.\nr2,S,9,Too many stars.\n")
    made = Night(sqlite_ledger, "review_sentiment")
    made.run()
    return made


def overnight(night: Night, *args: str) -> subprocess.CompletedProcess[str]:
    import sys

    env = {**os.environ, "AIRFLOW_CONN_OVERNIGHT_LEDGER": f"sqlite://{night.ledger.url.database}",
           "OVERNIGHT_VENV": str(Path(sys.prefix)), "OVERNIGHT_HOME": "/nonexistent"}  # fmt: skip
    return subprocess.run(
        [PROJECT / "bin" / "overnight", *args], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_status_tells_machines_and_people_the_same(night: Night) -> None:
    """Workflow, night, state, counts, batches, cost, alerts."""
    as_json = overnight(night, "status", "--json")
    assert as_json.returncode == 0, as_json.stderr
    (shown,) = json.loads(as_json.stdout)["nights"]
    assert (shown["workflow"], shown["state"], shown["rejected"]) == ("review_sentiment", "closed", 1)
    assert shown["outcomes"] == {"locked": 1, "staged": 1, "failed": 0, "carried_over": 0, "inside": 0}
    assert shown["batches"] == {"landed": 1}
    assert float(shown["cost_usd"]) * 2 == pytest.approx(float(shown["realtime_cost_usd"]))
    people = overnight(night, "status").stdout
    assert "review_sentiment" in people
    assert "closed" in people


def test_verify_exits_zero_on_a_whole_ledger_and_one_on_a_tampered_one(night: Night) -> None:
    """It names the row."""
    assert overnight(night, "verify").returncode == 0
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE items SET state = 'approved' WHERE state = 'in_review'"))
    broken = overnight(night, "verify")
    assert broken.returncode == 1
    assert "the ledger says 'approved', its audit history ends at 'in_review'" in broken.stdout


def test_verify_finds_a_night_that_lost_an_item(night: Night) -> None:
    """The conservation law is checked on what is stored, not on what was."""
    with night.ledger.write() as conn:
        conn.execute(text("UPDATE night_items SET outcome = NULL"))
    broken = overnight(night, "verify")
    assert broken.returncode == 1
    assert "neither staged nor failed nor carried over" in broken.stdout.replace("\n", " ")


def test_the_kill_switch_has_a_name_and_a_reason_and_knows_the_workflows(night: Night) -> None:
    """A typing error stops nothing and says so."""
    assert overnight(night, "stop", "blog_drafts", "--by", "Ada", "--reason", "odd").returncode == 0
    wrong = overnight(night, "stop", "blog_draft", "--by", "Ada", "--reason", "odd")
    assert wrong.returncode == 2
    assert "there are ad_variants, ai_visibility" in wrong.stdout
    assert overnight(night, "stop", "blog_drafts").returncode == 2
    assert "re-armed by Ada" in overnight(night, "resume", "blog_drafts", "--by", "Ada", "--reason", "fine").stdout
    assert overnight(night, "verify").returncode == 0


def test_the_bill_the_doubts_and_a_release_are_for_ops(sqlite_ledger: Ledger, queue: Path, vendors: Sandbox) -> None:
    """What was paid and for what; what no vendor has settled; who gave it up."""
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body\nr1,S,5,Soft fabric for the bill.\n")
    night = Night(sqlite_ledger, "review_sentiment")
    night.check()
    (batch_id,) = night.drain()
    job = night.job(batch_id)
    job.submit(now=night.clock)
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    night.export()
    key = job.batch["key"]
    assert key[:20] in overnight(night, "doubts").stdout
    refused = overnight(night, "release", "no-such-batch", "--by", "Ada", "--reason", "x")
    assert refused.returncode == 2
    assert "there is none" in refused.stdout
    released = overnight(night, "release", key, "--by", "Ada", "--reason", "lost")
    assert released.returncode == 0, released.stderr
    assert "1 items go with the next night" in released.stdout
    assert "Nothing is in doubt" in overnight(night, "doubts").stdout
    again = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now)
    again.run()
    shown = overnight(night, "bill").stdout
    assert "gpt-5-nano" in shown
    assert "budget $10.0000" in shown
