"""The first night on a real Airflow: scheduler, triggerer, API server, a browser. One Airflow for all tests here."""

from pathlib import Path
from typing import Any

import pytest

from overnight.ledger import alerts, overview, switches, verify
from overnight.rehearsal.airflow_api import wait_for
from tests.support.airflow import Running
from tests.support.browser import log_in

pytestmark = pytest.mark.airflow


def test_both_nights_close_and_the_books_balance(running: Running) -> None:
    """Triggered through Airflow's API, run by its scheduler: closed, conserved, audited, paid for once."""
    for workflow, count, batches in (("blog_drafts", 6, 2), ("review_sentiment", 60, 1)):
        night = running.night(workflow)
        assert night["state"] == "closed"
        with running.ledger.read() as conn:
            shown = overview.describe(conn, night)
        assert shown["outcomes"] == {"locked": count, "staged": count, "failed": 0, "carried_over": 0, "inside": 0}
        assert shown["batches"] == {"landed": batches}
        # The sample holds texts that name a danger or give orders to a machine: somebody hears of them at once.
        assert {a["kind"] for a in shown["alerts"]} <= {"grave_findings"}
    with running.ledger.read() as conn:
        assert verify.problems(conn) == []


def test_the_batch_task_waited_without_a_worker_slot(running: Running) -> None:
    """It was deferred: the triggerer wrote a log for it."""
    logs = list((running.home.airflow / "logs").rglob("*.trigger.*.log"))
    assert [path for path in logs if "task_id=batch" in str(path)]


def test_no_key_and_no_items_text_is_in_xcom_triggers_or_task_logs(running: Running) -> None:
    """XCom carries ids and counts; triggers carry ids and times; logs carry neither keys nor reviews."""
    import sqlite3

    with sqlite3.connect(running.home.airflow / "airflow.db") as db:
        stored = " ".join(str(row) for row in db.execute("SELECT key, value FROM xcom").fetchall())
        stored += " ".join(str(row) for row in db.execute("SELECT kwargs FROM trigger").fetchall())
    logs = " ".join(path.read_text() for path in (running.home.airflow / "logs").rglob("*.log"))
    assert "Pausing task as DEFERRED" in logs, "the logs to look through are not there"
    for secret in ("sandbox-key", "Water for two in under four minutes", "hydrostatic head"):
        assert secret not in stored
        assert secret not in logs
    audit = " ".join(
        str(row) for row in sqlite3.connect(running.home.airflow / "overnight.db").execute("SELECT * FROM audit_events")
    )
    assert "sandbox-key" not in audit
    assert "Water for two" not in audit


def test_clearing_a_finished_night_changes_nothing_and_buys_nothing(running: Running) -> None:
    """The ledger decides, not Airflow's try number."""
    before = _sandbox_creates(running)
    running.api.clear("blog_drafts", running.runs["blog_drafts"], ["drain"])
    wait_for(lambda: running.api.run_state("blog_drafts", running.runs["blog_drafts"]) != "success", 30, "nothing was cleared")
    assert running.wait_run("blog_drafts", running.runs["blog_drafts"]) == "success"
    assert _sandbox_creates(running) == before
    with running.ledger.read() as conn:
        assert verify.problems(conn) == []


def _sandbox_creates(running: Running) -> int:
    import sqlite3

    with sqlite3.connect(running.home.root / "sandbox.db") as db:
        (count,) = db.execute("SELECT count(*) FROM batches").fetchone()
    return int(count)


@pytest.mark.browser
def test_a_reviewer_logs_in_decides_and_the_morning_review_collects(running: Running, browser: Any, tmp_path: Path) -> None:
    """Airflow's own login leads to the page; approve, edit and rework with a mouse; morning_review brings them home."""
    page = log_in(browser, running, "reviewer")
    page.goto(f"{running.pages}/review/{running.night('blog_drafts')['id']}")
    page.screenshot(path=tmp_path / "before.png")
    cards = page.locator("article.card")
    assert cards.count() == 6
    cards.nth(0).get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_selector("text=Approved.")
    second = page.locator("article.card").nth(1)
    second.get_by_text("Edit", exact=True).click()
    second.locator("textarea[name='edited.title']").fill("A title with an edit")
    second.get_by_role("button", name="Approve with these edits").click()
    page.wait_for_selector("text=Approved with your edits.")
    third = page.locator("article.card").nth(2)
    third.get_by_text("Rework", exact=True).click()
    third.locator("select").select_option("weak_hook")
    third.locator("textarea[name=note]").fill("Start with the rain.")
    third.get_by_role("button", name="Send back").click()
    page.wait_for_selector("text=Sent back.")
    page.screenshot(path=tmp_path / "after.png")
    assert page.locator("text=3 left to decide").count() == 1

    run_id = running.api.trigger("morning_review")
    assert running.wait_run("morning_review", run_id) == "success"
    with running.ledger.read() as conn:
        items = overview.describe(conn, running.night("blog_drafts"))["items"]
        assert verify.problems(conn) == []
    assert items == {"delivered": 2, "rework": 1, "in_review": 3}


@pytest.mark.browser
def test_a_viewer_has_no_buttons_and_a_stranger_is_sent_to_the_login(running: Running, browser: Any) -> None:
    """Airflow's roles hold on our pages."""
    page = log_in(browser, running, "viewer")
    page.goto(f"{running.pages}/review/{running.night('review_sentiment')['id']}")
    page.wait_for_selector("text=You may read this review, but not decide.")
    assert page.locator("button[name=decision]").count() == 0
    stranger = browser.new_context().new_page()
    stranger.goto(f"{running.env['OVERNIGHT_URL']}/overnight/review/1")
    assert "/auth/login" in stranger.url


def test_a_failed_and_late_run_is_one_alert(running: Running) -> None:
    """The deadline of a run whose morning is long past fires in the triggerer; the failed check adds to the same alert."""
    from overnight.clock import utcnow

    with running.ledger.write() as conn:
        switches.throw(conn, "blog_drafts", engaged=True, by="test", reason="to see it fail", now=utcnow())
    run_id = running.api.trigger("blog_drafts", {"start": "now"}, logical_date="2026-01-05T16:00:00Z")
    assert running.wait_run("blog_drafts", run_id) == "failed"

    def both() -> bool:
        with running.ledger.read() as conn:
            found = alerts.of_run(conn, "blog_drafts", run_id)
            assert {a["run_id"] for a in overview.loose_alerts(conn)} <= {run_id}, "status shows what kept a night from opening"
        assert len(found) <= 1, "two alerts for one trouble"
        return bool(found) and "Not exported by" in found[0]["message"] and "Task check failed" in found[0]["message"]

    wait_for(both, 120, "the alert of the failed and late run was not complete")
