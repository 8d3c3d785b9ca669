"""The six failure modes on a real Airflow: each is caused, and its alert comes home through a real webhook, in seconds.

One Airflow for all six, as a deployment starts: every workflow in its pilot, one reviewer with half an hour; an agent that is
used live, a queue that is gone, a workflow that did not run at its lock. All runs start at once, each test waits for its own.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import yaml
from rich.console import Console

from overnight.clock import utcnow
from overnight.ledger import alerts, nights, overview, reviews, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.states import NightState
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.airflow_api import AirflowApi, wait_for
from overnight.rehearsal.home import Home
from tests.support.listener import Listener, listening
from tests.support.project import Project
from tests.support.reviewed import draft, entries, shown

pytestmark = pytest.mark.airflow
TEAM = {
    "people": [{"name": "Ada", "also": ["admin"], "minutes": 30, "skills": ["*"], "roles": ["owner", "brand_lead", "compliance"]}]
}


@dataclass
class Running:
    home: Home
    api: AirflowApi
    ledger: Ledger
    channel: Listener
    runs: dict[str, str]

    def ended(self, dag_id: str) -> str:
        """How the run that was started first ended."""
        return self.end(dag_id, self.runs[dag_id])

    def end(self, dag_id: str, run_id: str) -> str:
        wait_for(lambda: self.api.run_state(dag_id, run_id) in ("success", "failed"), 240, f"{dag_id} {run_id} did not end")
        return self.api.run_state(dag_id, run_id)

    def alert(self, kind: str, workflow: str) -> Any:
        """The one alert of that kind, once it is there and was sent."""

        def found() -> list[Any]:
            with self.ledger.read() as conn:
                rows = [row for row in alerts.listed(conn) if (row["kind"], row["workflow"]) == (kind, workflow)]
                return [row for row in rows if alerts.sends(conn, row["id"]).get("raised", {}).get("state") == "sent"]

        wait_for(lambda: bool(found()), 120, f"no alert {kind} of {workflow} was sent")
        (row,) = found()
        assert any(body["message"] == row["message"] or body["message"] in row["message"] for _, _, body in self.channel.heard)
        return row


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    before = dict(os.environ)
    home = Home(tmp_path_factory.mktemp("modes") / "home")
    project = Project(tmp_path_factory.mktemp("modes") / "project")
    project.write("team.yaml", yaml.safe_dump(TEAM))
    project.edit("brand.yaml", lambda brand: brand.update(live={"agents": ["shopify_pages"]}))
    with listening() as (channel, port):
        apprise = {"conn_type": "apprise", "extra": {"config": [{"path": f"json://127.0.0.1:{port}/hook"}]}}
        try:
            api, _ = rehearsal.start(Console(), home, batch_seconds=1, settings={
                "OVERNIGHT_LAUNCH": "", "OVERNIGHT_PROJECT": str(project.folder), "AIRFLOW_CONN_OVERNIGHT_ALERTS": json.dumps(apprise),
                "OVERNIGHT_HEARTBEAT_FILE": str(home.root / "beat"), "OVERNIGHT_AUDIT_DIR": str(home.root / "audit"),
                "OVERNIGHT_TIMEZONE": f"Etc/GMT{utcnow().hour - 12:+d}",  # noon, wherever it is noon: no lock is near
            })  # fmt: skip
            shutil.rmtree(home.queue / "email_sms")
            ledger = Ledger(f"sqlite:///{home.airflow / 'overnight.db'}")
            ran_two_days_ago(ledger, "ad_variants")
            decided_badly(ledger)
            runs = rehearsal.trigger(api, ["email_sms", "shopify_pages", "blog_drafts", "review_sentiment"])
            runs["launch_test"] = api.trigger("launch_test", {"workflow": "review_sentiment", "count": 50})
            runs |= {dag_id: api.trigger(dag_id) for dag_id in ("watchdog", "audit_digest", "good_morning", "morning_review")}
            yield Running(home, api, ledger, channel, runs)
        finally:
            processes.stop_all(home)
            os.environ.clear()
            os.environ.update(before)


def ran_two_days_ago(ledger: Ledger, workflow: str) -> None:
    """An empty night that the schedule opened and that closed, with its history."""
    at = utcnow() - timedelta(days=2)
    facts = {
        "workflow": workflow, "run_id": "scheduled__1", "night": at.date().isoformat(), "timezone": "Europe/Berlin", "vendor": "openai",
        "model": "m", "surface": "page", "source": "csv", "policy_hash": "", "prompt_version": "", "cap": 1, "start_at": at,
        "cutoff_at": at, "due_at": at,
    }  # fmt: skip
    common: dict[str, Any] = {"actor": Actor("agent", workflow), "now": at}
    with ledger.write() as conn:
        night = nights.open_night(conn, facts=facts, **common)
        for state in (NightState.LOCKED, NightState.VALIDATED, NightState.EXPORTED):
            transitions.move(conn, "night", [night["id"]], state, workflow=workflow, **common)
        nights.close(conn, night, **common)


def decided_badly(ledger: Ledger) -> None:
    """A night of yesterday whose drafts were all sent back, decided through the ledger as the page does."""
    now = utcnow() - timedelta(days=1)
    _, night = shown(
        ledger, "page", [draft(n) for n in range(25)], workflow="amazon_listings", run_id="manual__drift",
        night=(now - timedelta(days=1)).date().isoformat(), now=now, inputs=[{"sku": f"S{n}"} for n in range(25)],
    )  # fmt: skip
    for place, item in enumerate(entries(ledger, night)):
        said = {"decision": "rework", "reviewer": "Ada", "surface": "page", "reason_code": "fact_wrong", "note": "not so"}
        at = now + timedelta(seconds=60 * place)
        with ledger.write() as conn:
            reviews.decide(conn, night["id"], item["id"], said, actor=Actor("human", "Ada"), now=at)


def test_an_agent_without_a_test_meets_ten_items_and_is_no_launch_tests_to_run(running: Running) -> None:
    """Mode 4: sixty reviews wait, ten are locked; a launch test of what is in its pilot is refused before anything starts."""
    assert running.ended("launch_test") == "failed"
    assert "review_sentiment is pilot, not in test" in running.alert("task_failed", "launch_test")["message"]
    assert running.ended("review_sentiment") == "success", (running.home.logs / "scheduler.log").read_text()[-3000:]
    assert locked(running, "review_sentiment") == 10


def test_a_queue_that_outgrows_its_reviewers_is_told_at_the_lock(running: Running) -> None:
    """Mode 2: six drafts of several minutes meet what half an hour leaves when the others have their minimum."""
    assert running.ended("blog_drafts") == "success"
    assert 1 <= locked(running, "blog_drafts") < 6
    alert = running.alert("over_capacity", "blog_drafts")
    assert "the reviewers' morning" in alert["message"]
    with running.ledger.read() as conn:
        assert alert["raised_at"] - overview.list_nights(conn, "blog_drafts")[0]["locked_at"] < timedelta(minutes=1)


def locked(running: Running, workflow: str) -> int:
    with running.ledger.read() as conn:
        (night,) = overview.list_nights(conn, workflow)
        return int(overview.describe(conn, night)["outcomes"]["locked"])


@pytest.mark.parametrize(("workflow", "words"), [
    ("email_sms", "queue folder"), ("shopify_pages", "is used for live work, and one agent has one lane"),
])  # fmt: skip
def test_a_silent_integration_failure_and_a_live_agent_are_said_at_the_lock(workflow: str, words: str, running: Running) -> None:
    """Modes 3 and 6: a queue that is gone, an agent that answers customers. Nothing was locked; people are still in."""
    assert running.ended(workflow) == "failed"
    assert words in running.alert("check_failed", workflow)["message"]
    with running.ledger.read() as conn:
        assert overview.list_nights(conn, workflow) == []


def test_silent_quality_drift_is_measured_and_told_by_the_mornings_own_dag(running: Running) -> None:
    """Mode 1: a night whose drafts were sent back; the next run of the morning tells it and tightens the workflow."""
    assert running.ended("morning_review") == "success"
    assert "sent back" in running.alert("drift", "amazon_listings")["message"]


def test_fire_and_forget_is_seen_by_the_watchdog_and_by_the_weeks_digest(running: Running) -> None:
    """Mode 5: what ran two days ago did not run at its last lock; the watchdog says so and leaves its heartbeat."""
    for dag_id in ("watchdog", "audit_digest", "good_morning"):
        assert running.ended(dag_id) == "success"
    assert "Nothing ran at 17:00" in running.alert("nothing_ran", "ad_variants")["message"]
    assert (running.home.root / "beat").exists()
    (page,) = (running.home.root / "audit").glob("*.md")
    assert "Every chain holds." in page.read_text()
    assert any(title.startswith("good morning") for title in running.channel.titles)
