"""Alerts reach people: once each, again when it gets worse, with a word when it is over; and the ledger has all of them."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from overnight.alerts import channels, failure, notifier
from overnight.governance.check import CheckFailed
from overnight.governance.policy import Denied
from overnight.ledger import alerts, audit
from overnight.ledger.connect import Ledger
from tests.support.listener import Listener, listening
from tests.support.reviewed import NOW


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A webhook that takes everything, by the Airflow connection."""
    with listening() as (listener, port):
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{port}/hook?token=s3cr3t"}])
        yield listener


def connect(monkeypatch: pytest.MonkeyPatch, services: list[dict[str, str]]) -> None:
    conn = {"conn_type": "apprise", "extra": {"config": services}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{channels.CONN_ID.upper()}", json.dumps(conn))


def say(
    ledger: Ledger, kind: str = "not_exported", severity: str = "error", message: str = "It is late.", now: Any = NOW
) -> bool:
    key = notifier.night_key(kind, "blog_drafts", "run-1")
    return notifier.raise_alert(
        ledger, key, kind, "blog_drafts", message, now=now, night="2026-11-23", run_id="run-1", severity=severity
    )


def only(ledger: Ledger) -> tuple[Any, dict[str, Any]]:
    with ledger.read() as conn:
        (row,) = alerts.listed(conn)
        return row, alerts.sends(conn, row["id"])


def test_one_trouble_is_told_once_and_its_end_once(ledger: Ledger, channel: Listener) -> None:
    """A failed task, the deadline and the watchdog speak of one night: one message; and one when it is over."""
    say(ledger, "task_failed", message="Task batch failed.")
    say(ledger, "not_exported")
    say(ledger, "not_exported")
    assert channel.titles == ["ERROR: task failed blog_drafts · 2026-11-23"]
    assert notifier.recovered(ledger, notifier.night_key("not_exported", "blog_drafts", "run-1"), "Exported.", now=NOW)
    assert not notifier.recovered(ledger, notifier.night_key("not_exported", "blog_drafts", "run-1"), "Exported.", now=NOW)
    assert channel.titles[1:] == ["Over: task failed blog_drafts · 2026-11-23"]
    assert channel.heard[1][2]["message"] == "Exported."
    row, sends = only(ledger)
    assert (row["seen"], row["recovery"]) == (3, "Exported.")
    assert {notice: send["state"] for notice, send in sends.items()} == {"raised": "sent", "recovered": "sent"}
    with ledger.read() as conn:
        assert [e["verb"] for e in audit.of_object(conn, "alert", row["dedupe_key"][:64])] == ["alert", "recovered"]


def test_what_gets_worse_or_comes_back_is_told_again(ledger: Ledger, channel: Listener) -> None:
    """A warning that becomes critical is news; so is a trouble that was over."""
    say(ledger, severity="warning")
    say(ledger, severity="critical", message="Now it hurts.")
    say(ledger, severity="warning")
    notifier.recovered(ledger, notifier.night_key("not_exported", "blog_drafts", "run-1"), "Fine.", now=NOW)
    say(ledger, severity="error")
    said = [title.split(":")[0] for title in channel.titles]
    assert said == ["WARNING", "CRITICAL", "Over", "ERROR"]


def test_two_kinds_of_trouble_of_one_night_are_two_alerts(ledger: Ledger, channel: Listener) -> None:
    """A budget warning at the lock must not swallow the failure at four in the morning."""
    say(ledger, "over_budget", "warning")
    say(ledger, "task_failed")
    assert channel.titles == ["WARNING: over budget blog_drafts · 2026-11-23", "ERROR: task failed blog_drafts · 2026-11-23"]


def test_a_channel_that_is_down_is_tried_again_and_the_alert_is_on_record_at_once(
    ledger: Ledger, channel: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """The ledger is the outbox: the watchdog's next look sends what waited; nothing of the address is kept."""
    channel.status = 500
    with caplog.at_level(logging.DEBUG):
        assert say(ledger)
    row, sends = only(ledger)
    assert sends["raised"]["state"] == "failed"
    assert "s3cr3t" not in json.dumps({**row, **sends["raised"]}, default=str)
    channel.status = 200
    assert channels.send_waiting(ledger, now=NOW) == 1
    assert channels.send_waiting(ledger, now=NOW) == 0
    assert only(ledger)[1]["raised"]["tries"] == 2
    assert len(channel.heard) == 2


def test_without_a_connection_nothing_is_sent_and_what_is_of_today_is_sent_once_there_is_one(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that is set up tells of today, not of last month."""
    say(ledger)
    notifier.raise_alert(ledger, "old", "drift", "blog_drafts", "long ago", now=NOW - timedelta(days=30))
    with listening() as (listener, port):
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{port}/"}])
        assert channels.send_waiting(ledger, now=NOW) == 1
        assert listener.titles == ["ERROR: not exported blog_drafts · 2026-11-23"]


def test_tags_say_which_service_hears_what(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts to the on-call, good mornings to the team's channel; a service without a tag hears everything."""
    with listening() as (oncall, one), listening() as (team, two), listening() as (all_of_it, three):
        connect(monkeypatch, [
            {"path": f"json://127.0.0.1:{one}/", "tag": "critical"}, {"path": f"json://127.0.0.1:{two}/", "tag": "morning"},
            {"path": f"json://127.0.0.1:{three}/"},
        ])  # fmt: skip
        say(ledger, severity="warning")
        say(ledger, "nothing_ran", severity="critical")
        notifier.raise_alert(ledger, "gm", "good_morning", "*", "12 to review.", night="2026-11-24", severity="info", now=NOW)
        assert [title.split(":")[0] for title in oncall.titles] == ["CRITICAL"]
        assert team.titles == ["good morning 2026-11-24"]
        assert len(all_of_it.heard) == 3


def test_a_service_nobody_can_read_never_fails_the_work_it_speaks_of(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the connection is a warning in the log, and the alert is in the ledger."""
    connect(monkeypatch, [{"path": "no such thing"}])
    assert say(ledger)
    assert only(ledger)[1] == {}


def test_two_processes_send_a_notice_once(ledger: Ledger, channel: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight watchdogs at once: the claim in the ledger lets one through; one that died on the way is followed after a while."""
    held = json.loads(__import__("os").environ[f"AIRFLOW_CONN_{channels.CONN_ID.upper()}"])
    monkeypatch.delenv(f"AIRFLOW_CONN_{channels.CONN_ID.upper()}")
    say(ledger)
    monkeypatch.setenv(f"AIRFLOW_CONN_{channels.CONN_ID.upper()}", json.dumps(held))
    threads = [threading.Thread(target=channels.send_waiting, args=(ledger,), kwargs={"now": NOW}) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(channel.heard) == 1
    row, _ = only(ledger)
    with ledger.write() as conn:
        assert alerts.claim(conn, row["id"], "recovered", stale=NOW - channels.STALE, now=NOW)
        assert alerts.claim(conn, row["id"], "recovered", stale=NOW - channels.STALE, now=NOW + timedelta(minutes=1)) is None
        later = NOW + timedelta(minutes=6)
        assert alerts.claim(conn, row["id"], "recovered", stale=later - channels.STALE, now=later)


class Instance:
    def __init__(self, dag_id: str, task_id: str) -> None:
        self.dag_id, self.task_id = dag_id, task_id


class Run:
    run_id = "scheduled__1"


def failed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, dag_id: str, task_id: str, error: Exception | None) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", ledger.engine.url.render_as_string(hide_password=False))
    context = {"ti": Instance(dag_id, task_id), "dag_run": Run(), "exception": error}
    failure.task_failed(context) if error else failure.task_succeeded(context)


def test_a_morning_task_that_fails_all_morning_is_one_alert_a_day_and_its_success_ends_it(
    sqlite_ledger: Ledger, channel: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs every ten minutes; nobody wants thirty messages."""
    for _ in range(3):
        failed(sqlite_ledger, monkeypatch, "morning_review", "deliver", RuntimeError("disk full"))
    failed(sqlite_ledger, monkeypatch, "morning_review", "deliver", None)
    failed(sqlite_ledger, monkeypatch, "morning_review", "deliver", None)
    assert [title.split(" ")[0] for title in channel.titles] == ["ERROR:", "Over:"]


def test_a_trouble_of_yesterday_is_over_when_its_task_succeeds_today(
    sqlite_ledger: Ledger, channel: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed at the end of a day and was mended over night; another task's trouble stays."""
    failed(sqlite_ledger, monkeypatch, "morning_review", "deliver", RuntimeError("disk full"))
    failed(sqlite_ledger, monkeypatch, "morning_review", "collect", RuntimeError("no sheet"))
    with sqlite_ledger.write() as conn:
        conn.exec_driver_sql("UPDATE alerts SET dedupe_key = replace(dedupe_key, substr(dedupe_key, -10), '2026-01-01')")
    failed(sqlite_ledger, monkeypatch, "morning_review", "deliver", None)
    with sqlite_ledger.read() as conn:
        over = {row["message"].split(" ")[1]: row["recovered_at"] is not None for row in alerts.listed(conn)}
    assert over == {"deliver": True, "collect": False}


def test_what_was_denied_is_in_the_audit_log(sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy's refusal and a check's are records like any other (law 6)."""
    failed(sqlite_ledger, monkeypatch, "blog_drafts", "submit", Denied("not allowed"))
    failed(sqlite_ledger, monkeypatch, "blog_drafts", "check", CheckFailed("The key is expired."))
    with sqlite_ledger.read() as conn:
        assert [e["verb"] for task in ("submit", "check") for e in audit.of_object(conn, "task", task)] == ["deny", "deny"]
        (row,) = alerts.listed(conn)
    assert (row["kind"], row["seen"]) == ("task_failed", 2)
    assert "The key is expired." in row["message"]


def test_a_dead_channel_does_not_hold_up_the_task_that_speaks(ledger: Ledger, channel: Listener) -> None:
    """Two refusals, and the others wait for the watchdog's next look."""
    channel.status = 500
    for number in range(6):
        notifier.raise_alert(ledger, f"k{number}", "drift", "blog_drafts", "words", now=NOW)
    heard = len(channel.heard)
    assert heard <= 11, "one, and then two for each new alert"
    channels.send_waiting(ledger, now=NOW)
    assert len(channel.heard) == heard + channels.ENOUGH


def test_of_two_services_the_one_that_was_down_is_told_again_and_the_other_is_not(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack took it, the on-call hook answered 500: that is not told, and nobody at Slack reads it twice."""
    with listening() as (slack, one), listening() as (oncall, two):
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{one}/"}, {"path": f"json://127.0.0.1:{two}/hook?token=s3cr3t"}])
        oncall.status = 500
        say(ledger)
        row, sends = only(ledger)
        assert sends["raised"]["state"] == "failed"
        assert "s3cr3t" not in json.dumps({**row, **sends["raised"]}, default=str)
        oncall.status = 200
        assert channels.send_waiting(ledger, now=NOW) == 1
        assert (len(slack.heard), len(oncall.heard)) == (1, 2)
        assert only(ledger)[1]["raised"]["state"] == "sent"
        say(ledger, severity="critical")  # worse: news for both
        assert (len(slack.heard), len(oncall.heard)) == (2, 3)


def test_a_channel_that_was_down_for_half_a_day_is_told_when_it_is_back(ledger: Ledger, channel: Listener) -> None:
    """The watchdog tries every five minutes, as often as it takes; after a day it is no news any more."""
    channel.status = 500
    say(ledger)
    for minutes in range(5, 12 * 60, 5):
        channels.send_waiting(ledger, now=NOW + timedelta(minutes=minutes))
    channel.status = 200
    assert channels.send_waiting(ledger, now=NOW + timedelta(hours=12)) == 1
    assert channels.send_waiting(ledger, now=NOW + timedelta(hours=25)) == 0


def test_a_trouble_that_comes_back_days_later_is_told(ledger: Ledger, channel: Listener) -> None:
    """Its key is the night's, and the night is in review for a week: its return is news, and so is its second end."""
    later = NOW + timedelta(days=3)
    key = notifier.night_key("surface_broken", "blog_drafts", "run-1")
    say(ledger, "surface_broken")
    notifier.recovered(ledger, key, "It can be read again.", now=NOW)
    say(ledger, "surface_broken", now=later)
    notifier.recovered(ledger, key, "It can be read again.", now=later)
    assert [title.partition(":")[0] for title in channel.titles] == ["ERROR", "Over", "ERROR", "Over"]


def test_a_dead_service_silences_no_healthy_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail is down and stays so: what comes later is told at Slack all the same, once; a mended address hears what it missed."""
    with listening() as (slack, one), listening() as (mail, two), listening() as (moved, three):
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{one}/"}, {"path": f"json://127.0.0.1:{two}/"}])
        mail.status = 500
        for number in range(6):
            notifier.raise_alert(ledger, f"k{number}", "drift", "blog_drafts", f"words {number}", now=NOW)
            channels.send_waiting(ledger, now=NOW)
        assert [body["message"] for _, _, body in slack.heard] == [f"words {number}" for number in range(6)]
        connect(monkeypatch, [{"path": f"json://127.0.0.1:{one}/"}, {"path": f"json://127.0.0.1:{three}/"}])
        channels.send_waiting(ledger, now=NOW)
        assert sorted(body["message"] for _, _, body in moved.heard) == [f"words {number}" for number in range(6)]
        assert len(slack.heard) == 6, "nobody reads it twice because another one has a new address"


def test_what_is_over_before_a_channel_is_back_is_told_as_over_alone(ledger: Ledger, channel: Listener) -> None:
    """It was the other way round: the last word on the phone was the error."""
    channel.status = 500
    say(ledger)
    notifier.recovered(ledger, notifier.night_key("not_exported", "blog_drafts", "run-1"), "Exported.", now=NOW)
    channel.status = 200
    heard = len(channel.titles)
    channels.send_waiting(ledger, now=NOW + timedelta(minutes=5))
    assert channel.titles[heard:] == ["Over: not exported blog_drafts · 2026-11-23"]


def test_a_task_that_ended_without_a_word_says_what_may_have_happened(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory at three in the morning read "failed: NoneType: None"."""
    monkeypatch.setenv("AIRFLOW_CONN_OVERNIGHT_LEDGER", sqlite_ledger.engine.url.render_as_string(hide_password=False))
    failure.task_failed({"ti": Instance("morning_review", "collect"), "dag_run": Run()})
    with sqlite_ledger.read() as conn:
        (row,) = alerts.listed(conn)
    assert "ended without a word (killed, out of memory" in row["message"]
    assert "NoneType" not in row["message"]


def test_two_that_say_the_same_at_once_are_one_alert(ledger: Ledger) -> None:
    """On PostgreSQL the second failed its task, and its batch came into doubt."""
    barrier, news = threading.Barrier(4), list[bool]()

    def speak() -> None:
        barrier.wait()
        news.append(say(ledger))

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(news) == [False, False, False, True]
    assert only(ledger)[0]["seen"] == 4
