"""Failure mode 1: quality drifts in silence. Approval falls a little every night; nobody notices before a customer does."""

from datetime import timedelta
from typing import Any

import pytest

from overnight.governance import launch
from overnight.governance.check import check
from overnight.governance.launch import State
from overnight.ledger import alerts, measures, postures, reviews, verify
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.quality import measure, metrics
from overnight.review import exhibit
from tests.conftest import Sandbox
from tests.support.month import FIRST, one_night
from tests.support.night import Night
from tests.support.project import Project
from tests.support.reviewed import SYSTEM, bring_home, draft, entries, shown


def raised(ledger: Ledger) -> list[Any]:
    with ledger.read() as conn:
        return [row for row in alerts.listed(conn) if row["workflow"] == "blog_drafts"]


def posture(ledger: Ledger) -> Any:
    with ledger.read() as conn:
        return postures.get(conn, "blog_drafts")


def test_a_slow_decline_is_found_alerted_and_tightens_the_next_night(
    sqlite_ledger: Ledger, vendors: Sandbox, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three healthy nights, then a point and a half lost each night: found while every single night still looks harmless."""
    for number in range(3):
        over, found = one_night(sqlite_ledger, number, as_is=20, edit=3)
        assert found == {"measured": 1}
    number = 3
    while not found.get("signals"):
        over, found = one_night(sqlite_ledger, number, as_is=20 - (number - 2), edit=3)
        number += 1
        assert number < 12, "never found"
    (alert,) = [row for row in raised(sqlite_ledger) if row["kind"] == "drift"]
    assert alert["raised_at"] == over, "the morning it shows itself, at the end of the review"
    assert "decided items were approved as they are" in alert["message"]
    assert "What to do: Look at what changed since the decline began" in alert["message"]
    assert "tightened: a smaller cap, a larger sample, no approval of all at once" in alert["message"]
    assert posture(sqlite_ledger)["tightened"] is True

    night = Night(sqlite_ledger, "blog_drafts", run_id="tonight", base=over + timedelta(hours=4), now=over + timedelta(hours=4))
    opened = check(sqlite_ledger, night.task("check"), base=night.base, start="now", now=night.clock())
    assert opened["cap"] == 7, "half of the 15 that its policy allows"
    monkeypatch.setattr(exhibit.policies, "load", _bulk)
    with sqlite_ledger.read() as conn:
        assert exhibit.bulk_allowed(conn, "review_sentiment") is True
        assert exhibit.bulk_allowed(conn, "blog_drafts") is False, "whatever its policy says"
        assert verify.problems(conn) == []


def _bulk(name: str) -> Any:
    from overnight.governance.policy import Approval, Policy

    return Policy(version=1, agent=name, owner="x", approval=Approval(default_tier="T1", bulk=True)), "hash"


def test_an_alarm_is_said_once_and_what_was_seen_is_not_held_against_the_next_night(sqlite_ledger: Ledger) -> None:
    """Looking again every ten minutes repeats nothing; the next healthy night raises nothing."""
    over, found = one_night(sqlite_ledger, 0, as_is=8, edit=4)
    assert found["signals"] >= 2, "approval and rework both"
    before = len(raised(sqlite_ledger))
    assert measure.measure(sqlite_ledger, actor=SYSTEM, now=over + timedelta(minutes=10)) == {}
    assert len(raised(sqlite_ledger)) == before == 1
    _, found = one_night(sqlite_ledger, 1, as_is=20, edit=4)
    assert found == {"measured": 1}


def test_three_nights_in_range_release_it_with_a_notice(sqlite_ledger: Ledger) -> None:
    """The way out that needs nobody."""
    one_night(sqlite_ledger, 0, as_is=8, edit=4)
    for number in (1, 2):
        one_night(sqlite_ledger, number, as_is=20, edit=4)
        assert posture(sqlite_ledger)["tightened"] is True
    one_night(sqlite_ledger, 3, as_is=20, edit=4)
    assert posture(sqlite_ledger)["tightened"] is False
    (notice,) = [row for row in raised(sqlite_ledger) if row["kind"] == "released"]
    assert notice["severity"] == "info"
    assert "3 nights in range" in notice["message"]


def test_a_named_person_releases_it_with_a_reason_and_nobody_else_does(sqlite_ledger: Ledger) -> None:
    """The name and the reason are on record."""
    over, _ = one_night(sqlite_ledger, 0, as_is=8, edit=4)
    with pytest.raises(measure.NotTightened, match="name of a person"):
        measure.release(sqlite_ledger, "blog_drafts", by=" ", reason="fine", now=over)
    measure.release(sqlite_ledger, "blog_drafts", by="Ada", reason="a bad brief, mended", now=over)
    assert posture(sqlite_ledger)["tightened"] is False
    assert posture(sqlite_ledger)["by"] == "Ada"
    with pytest.raises(measure.NotTightened, match="is not tightened"):
        measure.release(sqlite_ledger, "blog_drafts", by="Ada", reason="again", now=over)
    with sqlite_ledger.read() as conn:
        assert verify.problems(conn) == []


def test_a_review_in_seconds_is_found_although_every_rate_is_excellent(sqlite_ledger: Ledger) -> None:
    """25 of 25 approved, three seconds each."""
    _, found = one_night(sqlite_ledger, 0, as_is=25, seconds=3)
    assert found["signals"] == 1
    (alert,) = [row for row in raised(sqlite_ledger) if row["kind"] == "drift"]
    assert "25 of 25 items were approved as they are, in 3 seconds each" in alert["message"]


def test_metrics_are_counted_by_night_version_and_reviewer_and_late_decisions_bring_them_up_to_date(
    sqlite_ledger: Ledger,
) -> None:
    """Rates over decided items; what nobody decided stands beside them; a heavy edit is rework."""
    _, night = shown(sqlite_ledger, "page", [draft(n) for n in range(4)], now=FIRST)
    items = entries(sqlite_ledger, night)
    heavy = {"decision": "edit", "edited": items[1]["output"], "heavy": True}
    for item, decision in zip(items, [{"decision": "approve"}, heavy], strict=False):
        with sqlite_ledger.write() as conn:
            told = {"reviewer": "ada", "surface": "page", **decision}
            reviews.decide(conn, night["id"], item["id"], told, actor=Actor("human", "ada"), now=FIRST)
    bring_home(sqlite_ledger, now=FIRST)
    assert measure.measure(sqlite_ledger, actor=SYSTEM, now=FIRST) == {}, "its review is not over"
    over = measure.review_over_at(night)
    assert measure.measure(sqlite_ledger, actor=SYSTEM, now=over) == {"measured": 1}
    with sqlite_ledger.read() as conn:
        report = metrics.report(conn, "blog_drafts", now=over)
    (line,) = report.nights
    assert (line.as_is, line.edit, line.rework, line.decided, line.pending) == (1, 0, 1, 2, 2)
    assert (line.share("as_is"), line.completion, report.cases) == (0.5, 1.0, ())
    assert [(one.name.split(" · ")[0], one.decided) for one in report.reviewers] == [("ada", 2)]
    assert report.versions[0].decided == 2
    with sqlite_ledger.write() as conn:
        told = {"reviewer": "ben", "surface": "page", "decision": "approve"}
        reviews.decide(conn, night["id"], items[2]["id"], told, actor=Actor("human", "ben"), now=over)
    bring_home(sqlite_ledger, now=over)
    assert measure.measure(sqlite_ledger, actor=SYSTEM, now=over + timedelta(minutes=10)) == {"corrected": 1}
    with sqlite_ledger.read() as conn:
        (row,) = measures.of_workflow(conn, "blog_drafts")
    assert (row["as_is"], row["pending"]) == (2, 1)


def test_drift_may_hold_the_next_night_until_a_named_person_lets_it_go_on(
    sqlite_ledger: Ledger, vendors: Sandbox, queue: Any, project: Project
) -> None:
    """`tightened.hold` in quality.yaml: the next night opens, locks nothing and says why."""
    project.edit("quality.yaml", lambda quality: quality["tightened"].update(hold=True))
    over, _ = one_night(sqlite_ledger, 0, as_is=8, edit=4)
    (alert,) = [row for row in raised(sqlite_ledger) if row["kind"] == "drift"]
    assert "Its next night is held: it locks nothing until `bin/overnight launch blog_drafts --to live`" in alert["message"]
    night = Night(sqlite_ledger, "blog_drafts", run_id="tonight", base=over + timedelta(hours=4), now=over + timedelta(hours=4))
    opened = check(sqlite_ledger, night.task("check"), base=night.base, start="now", now=night.clock())
    assert (opened["cap"], "it is paused" in opened["cap_why"]) == (0, True)
    with sqlite_ledger.write() as conn:
        launch.move(conn, "blog_drafts", State.LIVE, reason="mended", by=Actor("human", "Ada Byron"), now=over)
