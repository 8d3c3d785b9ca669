"""What stops a night from buying: budgets, enqueued tokens, breakers; and the fallback that goes on."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from overnight import brand as brands
from overnight.batches import packing, plan, stops
from overnight.batches.breaker import FAILURES, Breaker
from overnight.batches.shard import Watch
from overnight.batches.waits import Wait, waits
from overnight.ledger import money
from overnight.ledger.connect import Ledger
from overnight.workflow import workflow
from tests.batches.paying import allow, finish, misbehave, opened, requests_at, reviews, sent, wait_done
from tests.conftest import Sandbox
from tests.support.night import Night, paid_twice, queue_file, wait_ended
from tests.support.project import Project


def test_the_budget_carries_over_the_lowest_priorities_instead_of_overspending(
    ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """What a night can cost at most never passes its budget; the important rows go first, the rest waits and is connected."""
    rows = [f"r{n},S,5,Soft fabric number {n}.,{'high' if n >= 30 else 'low'}\n" for n in range(40)]
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body,priority\n" + "".join(rows))
    asked = plan.question(workflow("review_sentiment"), "openai", "gpt-5-nano")
    (ten,) = packing.pack(
        replace(workflow("review_sentiment"), pack=10), asked, [packing.Entry((n,), "x" * 60, "") for n in range(10)], 10
    )
    allow(project, max_usd=float(ten.ceiling_usd * Decimal("1.5")))
    night = opened(ledger, pack=10)
    assert finish(night) == {"locked": 40, "staged": 10, "failed": 0, "carried_over": 30}
    assert "Soft fabric number 3" in requests_at(connected)[0][1]
    assert "Soft fabric number 1." not in requests_at(connected)[0][1]
    described = night.describe()
    assert described["cost_usd"] <= described["estimate_usd"] <= described["budget_usd"]
    assert [alert["kind"] for alert in described["alerts"]] == ["over_budget"]
    again = (queue / "review_sentiment" / "a.status.csv").read_text()
    assert "over tonight's budget" in again


def test_the_brands_budget_is_shared_by_the_nights_of_one_date(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """What one workflow has taken another one cannot spend."""
    project.edit("brand.yaml", lambda brand: brand.update(budget_usd=0.000001))
    brands.brand.cache_clear()
    queue_file(queue, "review_sentiment", "a.csv", reviews(3))
    night = opened(sqlite_ledger)
    assert night.planned == []
    assert finish(night) == {"locked": 3, "staged": 0, "failed": 0, "carried_over": 3}


def test_a_repair_that_the_budget_does_not_cover_is_not_bought(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """The bill stays within the budget, repairs included; people see the item as failed."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    misbehave(connected, "Soft fabric number 1.", "off_schema")
    night = opened(sqlite_ledger, pack=1)
    with sqlite_ledger.write() as conn:
        spent = money.committed(conn, night.row()["id"])
        conn.exec_driver_sql("UPDATE nights SET budget_usd = ?", (int(spent * 10**9) // 4,))
    counts = finish(night)
    assert counts == {"locked": 2, "staged": 1, "failed": 1, "carried_over": 0}
    assert connected.creates() == 1


def test_the_expected_cost_learns_from_what_earlier_nights_cost(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """The ceiling is a promise, the expectation an experience."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(5))
    night = opened(sqlite_ledger)
    finish(night)
    assert night.describe()["cost_usd"] < night.describe()["estimate_usd"] / 5
    queue_file(queue, "review_sentiment", "b.csv", reviews(5, start=100))
    later = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now)
    later.check()
    later.drain()
    finish(later)
    assert later.describe()["cost_usd"] / 2 < later.describe()["estimate_usd"] < later.describe()["cost_usd"] * 2


def test_a_stuck_model_is_said_and_the_rest_goes_to_the_fallback(sqlite_ledger: Ledger, queue: Path, connected: Sandbox) -> None:
    """The finished part is kept, what was not finished is asked of the other vendor, nothing of it twice."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(6))
    night = opened(sqlite_ledger, pack=1, reuse=False)
    with closing(sqlite3.connect(connected.state)) as db, db:
        db.execute(
            "CREATE TRIGGER stuck AFTER INSERT ON requests BEGIN UPDATE requests SET done_at = 1e12 WHERE position > 2; END"
        )

    def on_watch(watch: Watch) -> None:
        if watch.job.batch["vendor"] != "openai":
            wait_ended(watch.job.batch["vendor"], watch.job.batch["vendor_batch_id"])
            watch.job.ended(now=night.clock)
        elif watch.stuck_after_s is not None:
            night.now += timedelta(seconds=watch.stuck_after_s)
            wait_done(connected, 3)
            with closing(sqlite3.connect(connected.state)) as db, db:
                db.execute("DROP TRIGGER stuck")
                db.execute("UPDATE batches SET ends = 1e12")
            stops.stuck(watch.job, now=night.clock)
        else:
            wait_ended("openai", watch.job.batch["vendor_batch_id"])
            watch.job.ended(now=night.clock)

    night.on_watch = on_watch  # type: ignore[method-assign]
    assert finish(night) == {"locked": 6, "staged": 6, "failed": 0, "carried_over": 0}
    bill = {(line["vendor"], line["purpose"]): line["answers"] for line in night.describe()["bill"]}
    assert bill == {("openai", "first"): 6, ("gemini", "fallback"): 3}
    assert [alert["kind"] for alert in night.describe()["alerts"]] == ["model_stuck"]
    assert paid_twice(connected) == []


def test_without_a_fallback_a_stuck_batch_is_said_once_and_waited_for(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Cancelling it would only lose what it has begun."""
    night, job = sent(sqlite_ledger, queue, fallback=None)
    stops.stuck(job, now=night.clock)
    stops.stuck(job, now=night.clock)
    assert job.batch["state"] == "submitted"
    watch = night.shard(night.planned[0]).advance(now=night.clock)
    assert isinstance(watch, Watch)
    assert watch.stuck_after_s is None
    assert "It is waited for" in night.describe()["alerts"][0]["message"]
    assert finish(night)["staged"] == 2


def test_who_dies_after_saying_that_a_model_is_stuck_cuts_it_when_it_is_tried_again(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """It is said once all the same; noted before it was cut, it would have been waited for all night."""
    night, job = sent(sqlite_ledger, queue)

    class Killed(BaseException):
        pass

    def killed(**_: Any) -> None:
        raise Killed

    job.cut = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        stops.stuck(job, now=night.clock)
    again = night.job(night.planned[0])
    assert again.batch["state"] == "submitted"
    stops.stuck(again, now=night.clock)
    assert (again.batch["state"], again.batch["waits"]) == ("cancelling", 1)
    (alert,) = night.describe()["alerts"]
    assert (alert["kind"], alert["seen"]) == ("model_stuck", 2)


def test_a_breaker_opens_after_failures_in_a_row_lets_one_probe_through_and_closes_on_success(ledger: Ledger) -> None:
    """Open means wait; after its rest one batch tries; its failure opens it at once, its success closes it."""
    from overnight.ledger.audit import Actor
    from tests.support.night import EVENING

    breaker = Breaker(ledger, "openai", "gpt-5-nano", workflow="review_sentiment", actor=Actor("agent", "review_sentiment"))
    opened = [breaker.failed("HTTP 500", EVENING) for _ in range(FAILURES)]
    assert opened == [False] * (FAILURES - 1) + [True]
    rest = waits().delta("breaker")
    assert breaker.open_until(EVENING) == EVENING + rest
    assert breaker.open_until(EVENING + rest) is None
    assert not breaker.failed("HTTP 500", EVENING + rest), "an open breaker is said once"
    assert breaker.open_until(EVENING + rest + rest / 2) is not None
    breaker.worked(EVENING + 2 * rest)
    assert breaker.open_until(EVENING + 2 * rest) is None
    other = Breaker(ledger, "openai", "gpt-5-mini", workflow="review_sentiment", actor=Actor("agent", "review_sentiment"))
    assert other.open_until(EVENING) is None, "another model of the vendor is not held back"


def test_a_batch_whose_models_breaker_is_open_goes_to_the_fallback_unsent(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Nothing is bought of a broken model; the workflow's other one answers."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(4))
    night = opened(sqlite_ledger)
    night.job(night.planned[0]).breaker.trip("a test says so", night.now)
    assert finish(night)["staged"] == 4
    assert [(line["vendor"], line["purpose"]) for line in night.describe()["bill"]] == [("gemini", "fallback")]
    assert connected.creates() == 1


def test_no_more_tokens_wait_at_a_vendor_than_its_tier_allows(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """Staged submission: the second shard waits until the first is back."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(40))
    one = packing.pack(
        workflow("review_sentiment"), plan.question(workflow("review_sentiment"), "openai", "gpt-5-nano"),
        [packing.Entry((n,), "x" * 90, "") for n in range(20)], 20,
    )  # fmt: skip
    limit = next(one).input_tokens + 500
    project.edit("brand.yaml", lambda brand: brand.update(enqueued_tokens={"openai": {"gpt-5-nano": limit}}))
    brands.brand.cache_clear()
    night = opened(sqlite_ledger)
    first, second = night.planned
    assert night.job(first).submit(now=night.clock) is None
    wait = night.job(second).submit(now=night.clock)
    assert isinstance(wait, Wait)
    assert "tokens wait at openai" in wait.why
    assert connected.creates() == 1
    assert finish(night)["staged"] == 40


def test_a_night_that_never_came_to_ask_about_an_item_is_no_try(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """Over the budget twice, and then one error that may go away: it is the next night's, and has not failed "three times"."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(1))
    change: dict[str, Any] = {"pack": 1, "fallback": None, "repairs": 0}
    allow(project, max_usd=0.0000001)
    for number in (1, 2):
        assert finish(opened(sqlite_ledger, f"manual__{number}", **change))["carried_over"] == 1
    allow(project, max_usd=5.0)
    misbehave(connected, "Soft fabric number 0.", "errored")
    for number, leaves in ((3, "carried_over"), (4, "carried_over"), (5, "failed")):
        counts = finish(opened(sqlite_ledger, f"manual__{number}", **change))
        assert counts[leaves] == 1, (number, counts)
    assert connected.creates() == 3
