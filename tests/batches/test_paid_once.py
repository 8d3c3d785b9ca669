"""What a night buys and what it does not: packing, reuse, budgets, repairs, fallbacks, breakers, warm caches, late results."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from overnight import brand as brands
from overnight import prompts
from overnight.batches import cost, judge, packing, plan, stops
from overnight.batches.breaker import FAILURES, Breaker
from overnight.batches.shard import Watch
from overnight.batches.vendor import Result, Usage, Verdict, vendor_class
from overnight.batches.waits import Wait, waits
from overnight.ledger import batches, money
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.states import AnswerState
from overnight.workflow import workflow
from tests.conftest import PROJECT, Sandbox, connect
from tests.support.night import Night, paid_twice, queue_file, wait_ended

HEADER = "review_id,sku,rating,body\n"


def reviews(count: int, start: int = 0) -> str:
    return HEADER + "".join(f"r{n},S,5,Soft fabric number {n}.\n" for n in range(start, start + count))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project folder of its own, whose policy and brand a test may change."""
    import shutil

    shutil.copytree(PROJECT / "include", tmp_path / "project" / "include")
    monkeypatch.setenv("OVERNIGHT_PROJECT", str(tmp_path / "project"))
    brands.brand.cache_clear()
    yield tmp_path / "project" / "include"
    brands.brand.cache_clear()


def allow(home: Path, **action_scope: Any) -> None:
    """Change the policy of review_sentiment; every vendor may see its data."""
    path = home / "prompts" / "review_sentiment" / "policy.yaml"
    policy = yaml.safe_load(path.read_text())
    policy["data_access"]["vendors"] = ["anthropic", "openai", "gemini"]
    policy["action_scope"] |= action_scope
    path.write_text(yaml.safe_dump(policy))


def opened(ledger: Ledger, run_id: str = "manual__1", **change: Any) -> Night:
    night = Night(ledger, "review_sentiment", run_id=run_id, change=change)
    night.check()
    night.drain()
    return night


def finish(night: Night) -> dict[str, int]:
    for batch_id in night.planned:
        night.batch(batch_id)
    night.validate()
    counts = night.export()
    assert night.problems() == []
    return counts


def misbehave(sandbox: Sandbox, match: str, outcome: str) -> None:
    httpx.post(f"{sandbox.url}/control/misbehave", json={"match": match, "outcome": outcome}).raise_for_status()


def requests_at(sandbox: Sandbox) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(sandbox.state)) as db:
        return db.execute("SELECT custom_id, body FROM requests ORDER BY rowid").fetchall()


def entries_in(body: str) -> int:
    return len(re.findall(r'<entry number=\\"\d+', body))


def wait_done(sandbox: Sandbox, count: int) -> None:
    """Until the vendor has finished so many requests of those it will ever finish."""
    with closing(sqlite3.connect(sandbox.state)) as db:
        end = time.monotonic() + 20
        while db.execute("SELECT count(*) FROM requests WHERE done_at <= ?", (time.time(),)).fetchone()[0] < count:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.fixture
def told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    connect(monkeypatch, sandbox.hosts)
    return sandbox


def test_small_items_share_a_request_and_every_item_keeps_its_own_account(ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """45 reviews are three requests; the tokens of the items add up to the vendor's own count, to the token."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(45))
    night = opened(ledger)
    assert finish(night) == {"locked": 45, "staged": 45, "failed": 0, "carried_over": 0}
    assert len(requests_at(told)) == 3
    (line,) = night.describe()["bill"]
    with ledger.read() as conn:
        shares = [row[0] for row in conn.exec_driver_sql("SELECT input_tokens FROM answers")]
    assert line["answers"] == 45
    assert sum(shares) == line["input_tokens"]
    assert min(shares) > 0


def test_a_bad_entry_fails_alone_and_is_repaired_alone_with_the_checks_own_words(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """Nineteen neighbours stay good; one request goes out again, for one item, and says what was wrong."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(20))
    night = opened(sqlite_ledger)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    spoil(night, job, '"number": 7, "answer": {"overall": "positive"', '"number": 7, "answer": {"overall": "splendid"')
    assert finish(night) == {"locked": 20, "staged": 20, "failed": 0, "carried_over": 0}
    first, again = requests_at(told)
    assert first[0] != again[0]
    assert entries_in(again[1]) == 1
    assert "Soft fabric number 6." in again[1]
    assert "<last_problem>" in again[1]
    assert "off its schema" in again[1]
    assert [line["purpose"] for line in night.describe()["bill"]] == ["first", "repair"]


def spoil(night: Night, job: Any, old: str, new: str) -> None:
    """Change the vendor's raw answer before it is landed."""
    import asyncio
    import gzip
    import hashlib
    import json

    from overnight.batches import raw

    made, progress = asyncio.run(job._download())
    whole = b"".join(raw.lines(made.path))
    changed = whole.replace(json.dumps(old)[1:-1].encode(), json.dumps(new)[1:-1].encode())
    assert changed != whole
    (raw.folder() / made.path).write_bytes(gzip.compress(changed))
    made.sha256 = hashlib.sha256(changed).hexdigest()
    job._keep(made, progress)


@pytest.mark.parametrize(
    ("outcome", "asked"), [("off_schema", 2), ("empty", 2), ("truncated", 2), ("errored", 2), ("refused", 1)]
)
def test_what_may_end_differently_is_asked_again_once_and_a_refusal_is_not(
    outcome: str, asked: int, sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """Invalid answers and transient failures: the workflow's number of times in a night; then people see it, or it waits."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(3))
    misbehave(told, "Soft fabric number 1.", outcome)
    night = opened(sqlite_ledger, pack=1)
    counts = finish(night)
    assert counts["staged"] == 2
    assert counts["carried_over" if outcome == "errored" else "failed"] == 1
    assert sum("Soft fabric number 1." in body for _, body in requests_at(told)) == asked
    assert paid_twice(told) == []


def test_a_truncated_answer_gets_more_room_the_second_time_up_to_the_policys_ceiling(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """The same limit would cut it off at the same place."""
    allow(home, max_output_tokens=2000)
    queue_file(queue, "review_sentiment", "a.csv", reviews(1))
    misbehave(told, "Soft fabric number 0.", "truncated")
    finish(opened(sqlite_ledger, pack=1))
    limits = [int(body.split('"max_output_tokens": ')[1].split(",")[0]) for _, body in requests_at(told)]
    assert limits == [1500, 2000]


def test_whole_entries_of_a_truncated_pack_are_kept_and_only_the_others_are_asked_again() -> None:
    """What was paid for and is whole is not thrown away; the last entry may be half and is not trusted."""
    declared = workflow("review_sentiment")
    label = (
        '{"overall": "positive", "score": 0.8, "aspects": [], "issue_type": "none", "severity": "none", "safety_flag": false, '
        '"competitor_mention": null, "feature_request": null, "language": "en", "confidence": 0.9}'
    )
    text = f'{{"answers": [{{"number": 1, "answer": {label}}}, {{"number": 2, "answer": {label}}}, {{"number": 3, "ans'
    items = [{"review_id": f"r{n}", "sku": "S", "rating": 5, "title": "", "body": "Soft fabric."} for n in range(3)]
    states = [one.state for one in judge.entries(declared, items, Result("c", Verdict.TRUNCATED, text))]
    assert states == [AnswerState.VALID, AnswerState.VALID, AnswerState.TRUNCATED]


def test_entries_left_out_doubled_or_foreign_are_told_apart() -> None:
    """By their numbers alone: a missing one is missing, a doubled one is nobody's, a stranger is ignored."""
    declared = workflow("review_sentiment")
    items = [{"review_id": f"r{n}", "sku": "S", "rating": 5, "title": "", "body": "Soft fabric."} for n in range(2)]
    text = '{"answers": [{"number": 2, "answer": {}}, {"number": 2, "answer": {}}, {"number": 9, "answer": {}}]}'
    states = [one.state for one in judge.entries(declared, items, Result("c", Verdict.SUCCEEDED, text))]
    assert states == [AnswerState.MISSING, AnswerState.OFF_SCHEMA]


def test_identical_inputs_are_bought_once_in_a_night_and_not_again_the_next(ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """Two rows that ask the same are one question; tomorrow's third is answered from the ledger, and the log says so."""
    same = "".join(f"x{n},S,5,Exactly the same words.\n" for n in range(2))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + same + "y,S,5,Other words.\n")
    night = opened(ledger)
    assert finish(night)["staged"] == 3
    assert entries_in(requests_at(told)[0][1]) == 2
    queue_file(queue, "review_sentiment", "b.csv", HEADER + "z,S,5,Exactly the same words.\n")
    later = Night(ledger, "review_sentiment", run_id="manual__2", now=night.now)
    later.check()
    assert later.drain() == []
    assert finish(later) == {"locked": 1, "staged": 1, "failed": 0, "carried_over": 0}
    assert later.describe()["reused"] == 1
    assert later.describe()["cost_usd"] == 0
    assert told.creates() == 1


def test_reuse_is_a_setting_and_another_model_or_prompt_is_another_question() -> None:
    """A draft is written anew each time; the key holds all that shapes an answer."""
    declared = workflow("review_sentiment")
    item = {"id": 1, "input": {"review_id": "a", "body": "Same."}, "context": None, "note": None, "output": None}
    twin = {**item, "id": 2, "input": {"review_id": "b", "body": "Same."}}
    asked = plan.question(declared, "openai", "gpt-5-nano")
    assert [entry.item_ids for entry in packing.entries(declared, asked, [item, twin])] == [(1, 2)]
    assert len(packing.entries(replace(declared, reuse=False), asked, [item, twin])) == 2
    keys = {
        packing.entries(declared, other, [item])[0].key
        for other in (asked, replace(asked, model="gpt-5-mini"), replace(asked, prompt=replace(asked.prompt, system="Else.\n")))
    }
    assert len(keys) == 3


def test_the_budget_carries_over_the_lowest_priorities_instead_of_overspending(
    ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """What a night can cost at most never passes its budget; the important rows go first, the rest waits and is told."""
    rows = [f"r{n},S,5,Soft fabric number {n}.,{'high' if n >= 30 else 'low'}\n" for n in range(40)]
    queue_file(queue, "review_sentiment", "a.csv", "review_id,sku,rating,body,priority\n" + "".join(rows))
    asked = plan.question(workflow("review_sentiment"), "openai", "gpt-5-nano")
    (ten,) = packing.pack(
        replace(workflow("review_sentiment"), pack=10), asked, [packing.Entry((n,), "x" * 60, "") for n in range(10)], 10
    )
    allow(home, max_usd=float(ten.ceiling_usd * Decimal("1.5")))
    night = opened(ledger, pack=10)
    assert finish(night) == {"locked": 40, "staged": 10, "failed": 0, "carried_over": 30}
    assert "Soft fabric number 3" in requests_at(told)[0][1]
    assert "Soft fabric number 1." not in requests_at(told)[0][1]
    described = night.describe()
    assert described["cost_usd"] <= described["estimate_usd"] <= described["budget_usd"]
    assert [alert["kind"] for alert in described["alerts"]] == ["over_budget"]
    again = (queue / "review_sentiment" / "a.status.csv").read_text()
    assert "over tonight's budget" in again


def test_the_brands_budget_is_shared_by_the_nights_of_one_date(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """What one workflow has taken another one cannot spend."""
    brand = yaml.safe_load((home / "brand.yaml").read_text())
    (home / "brand.yaml").write_text(yaml.safe_dump({**brand, "budget_usd": 0.000001}))
    brands.brand.cache_clear()
    queue_file(queue, "review_sentiment", "a.csv", reviews(3))
    night = opened(sqlite_ledger)
    assert night.planned == []
    assert finish(night) == {"locked": 3, "staged": 0, "failed": 0, "carried_over": 3}


def test_a_repair_that_the_budget_does_not_cover_is_not_bought(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """The bill stays within the budget, repairs included; people see the item as failed."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    misbehave(told, "Soft fabric number 1.", "off_schema")
    night = opened(sqlite_ledger, pack=1)
    with sqlite_ledger.write() as conn:
        spent = money.committed(conn, night.row()["id"])
        conn.exec_driver_sql("UPDATE nights SET budget_usd = ?", (int(spent * 10**9) // 4,))
    counts = finish(night)
    assert counts == {"locked": 2, "staged": 1, "failed": 1, "carried_over": 0}
    assert told.creates() == 1


def test_the_expected_cost_learns_from_what_earlier_nights_cost(sqlite_ledger: Ledger, queue: Path, told: Sandbox) -> None:
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


def test_a_stuck_model_is_said_and_the_rest_goes_to_the_fallback(sqlite_ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """The finished part is kept, what was not finished is asked of the other vendor, nothing of it twice."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(6))
    night = opened(sqlite_ledger, pack=1, reuse=False)
    with closing(sqlite3.connect(told.state)) as db, db:
        db.execute(
            "CREATE TRIGGER stuck AFTER INSERT ON requests BEGIN UPDATE requests SET done_at = 1e12 WHERE position > 2; END"
        )

    def on_watch(watch: Watch) -> None:
        if watch.job.batch["vendor"] != "openai":
            wait_ended(watch.job.batch["vendor"], watch.job.batch["vendor_batch_id"])
            watch.job.ended(now=night.clock)
        elif watch.stuck_after_s is not None:
            night.now += timedelta(seconds=watch.stuck_after_s)
            wait_done(told, 3)
            with closing(sqlite3.connect(told.state)) as db, db:
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
    assert paid_twice(told) == []


def test_without_a_fallback_a_stuck_batch_is_said_once_and_waited_for(sqlite_ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """Cancelling it would only lose what it has begun."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(sqlite_ledger, fallback=None)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    stops.stuck(job, now=night.clock)
    stops.stuck(job, now=night.clock)
    assert job.batch["state"] == "submitted"
    watch = night.shard(night.planned[0]).advance(now=night.clock)
    assert isinstance(watch, Watch)
    assert watch.stuck_after_s is None
    assert "It is waited for" in night.describe()["alerts"][0]["message"]
    assert finish(night)["staged"] == 2


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
    sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """Nothing is bought of a broken model; the workflow's other one answers."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(4))
    night = opened(sqlite_ledger)
    night.job(night.planned[0]).breaker.trip("a test says so", night.now)
    assert finish(night)["staged"] == 4
    assert [(line["vendor"], line["purpose"]) for line in night.describe()["bill"]] == [("gemini", "fallback")]
    assert told.creates() == 1


def test_no_more_tokens_wait_at_a_vendor_than_its_tier_allows(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """Staged submission: the second shard waits until the first is back."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(40))
    one = packing.pack(
        workflow("review_sentiment"), plan.question(workflow("review_sentiment"), "openai", "gpt-5-nano"),
        [packing.Entry((n,), "x" * 90, "") for n in range(20)], 20,
    )  # fmt: skip
    brand = yaml.safe_load((home / "brand.yaml").read_text())
    limit = next(one).input_tokens + 500
    (home / "brand.yaml").write_text(yaml.safe_dump({**brand, "enqueued_tokens": {"openai": {"gpt-5-nano": limit}}}))
    brands.brand.cache_clear()
    night = opened(sqlite_ledger)
    first, second = night.planned
    assert night.job(first).submit(now=night.clock) is None
    wait = night.job(second).submit(now=night.clock)
    assert isinstance(wait, Wait)
    assert "tokens wait at openai" in wait.why
    assert told.creates() == 1
    assert finish(night)["staged"] == 40


def test_a_long_prompt_is_marked_for_anthropics_cache_and_one_request_warms_it(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path
) -> None:
    """The others wait for it and read the prefix at a tenth; its real item is not bought twice."""
    allow(home, max_usd=100)
    system = home / "prompts" / "review_sentiment" / "system.md.j2"
    system.write_text(
        system.read_text() + "\nExamples of good labels.\n" + "A plain example sentence that helps a little. " * 500
    )
    queue_file(queue, "review_sentiment", "a.csv", reviews(8))
    night = opened(sqlite_ledger, vendor="anthropic", model="claude-haiku-4-5", fallback=None, pack=1)
    warm, rest = night.planned
    assert isinstance(night.job(rest).submit(now=night.clock), Wait)
    assert finish(night)["staged"] == 8
    lines = {line["purpose"]: line for line in night.describe()["bill"]}
    assert lines["warm_up"]["answers"] == 1
    assert lines["warm_up"]["cache_write_tokens"] > 4096
    assert lines["first"]["answers"] == 7
    assert lines["first"]["cache_read_tokens"] > 0
    assert all('"ttl": "1h"' in body for _, body in requests_at(told))
    assert warm != rest


def test_a_prompt_below_the_vendors_minimum_is_not_marked(sqlite_ledger: Ledger, queue: Path, told: Sandbox, home: Path) -> None:
    """A mark that does nothing is noise, and a warm-up for it a waste of time."""
    allow(home, max_usd=100)
    queue_file(queue, "review_sentiment", "a.csv", reviews(8))
    night = opened(sqlite_ledger, vendor="anthropic", model="claude-haiku-4-5", fallback=None, pack=1)
    assert finish(night)["staged"] == 8
    assert not any("cache_control" in body for _, body in requests_at(told))
    assert [line["purpose"] for line in night.describe()["bill"]] == ["first"]


def test_the_stable_part_comes_first_and_the_items_last() -> None:
    """What is the same for every request is the prefix every vendor caches; a row's own id is not sent at all."""
    declared = workflow("review_sentiment")
    asked = plan.question(declared, "openai", "gpt-5-nano")
    item = {"id": 1, "input": {"review_id": "secret-id", "body": "Words."}, "context": None, "note": None, "output": None}
    (entry,) = packing.entries(declared, asked, [item])
    assert "Words." not in prompts.load(declared).system
    assert "secret-id" not in entry.content


def test_tokens_written_to_the_hour_long_cache_cost_twice_the_plain_price() -> None:
    """Anthropic's own price list: 1.25 times for five minutes, 2 times for an hour, a tenth to read; half of all by batch."""
    facts = vendor_class("anthropic").facts
    known = cost.price(facts, "claude-haiku-4-5")
    batch, realtime = cost.batch_cost(
        facts, "claude-haiku-4-5", Usage(input=1000, cache_write=400, cache_write_long=300, cache_read=500)
    )
    assert known.cache_write_long == known.input * 2
    assert realtime == known.input * 100 + known.cache_write * 100 + known.input * 2 * 300 + known.cache_read * 500
    assert batch * 2 == realtime


def test_shares_of_a_request_add_up_to_it_exactly() -> None:
    """No token is lost or counted twice by cutting."""
    whole = Usage(input=1001, cache_read=17, output=203, reasoning=2)
    parts = whole.shares(20)
    assert sum(part.input for part in parts) == 1001
    assert sum(part.cache_read for part in parts) == 17
    assert sum(part.output for part in parts) == 203


def test_a_batch_that_its_vendor_never_settles_is_a_persons_to_give_up(ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """Its items are held for as long as nobody decides; released, they are bought by the next night, and the log says by whom."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(ledger)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    with pytest.raises(LedgerError, match="cannot be released"), ledger.write() as conn:
        batches.release(conn, job.batch["key"], by="Ada", reason="x", now=night.clock())
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    night.export()
    with ledger.write() as conn:
        assert [row["key"] for row in batches.doubts(conn)] == [job.batch["key"]]
        assert batches.release(conn, job.batch["key"], by="Ada", reason="the vendor lost it", now=night.clock()) == 2
        assert batches.doubts(conn) == []
    later = Night(ledger, "review_sentiment", run_id="manual__2", now=night.now)
    later.check()
    later.drain()
    assert finish(later)["staged"] == 2
    assert told.creates() == 2


def test_a_late_result_for_a_row_that_was_changed_meanwhile_is_kept_and_moves_nothing(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """The row's newer self is what people want; the old answer was paid for and stays on record."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(sqlite_ledger)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    job.carry_over_in_doubt(now=night.clock)
    night.validate()
    night.export()
    queue_file(queue, "review_sentiment", "a.csv", reviews(2).replace("number 1.", "number 1 and later I changed my mind."))
    later = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now)
    later.check()
    later.drain()
    assert finish(later) == {"locked": 2, "staged": 2, "failed": 0, "carried_over": 0}
    assert len(requests_at(told)) == 2


def test_a_night_validated_in_the_middle_of_a_landing_buys_nothing_again(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """Somebody marks the task a success while it lands: the next night takes what is there and lands the rest."""
    import asyncio

    from overnight.batches.land import Landing

    queue_file(queue, "review_sentiment", "a.csv", reviews(6))
    night = opened(sqlite_ledger, pack=1, reuse=False)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    job._keep(*asyncio.run(job._download()))
    half = Landing(sqlite_ledger, job.task.workflow, vendor_class("openai"), job.batch, job.task.actor)
    half._write({r.custom_id: r for r in list(half._results(job.batch["raw_path"]))[:3]}, now=night.clock())
    night.validate()
    assert night.export() == {"locked": 6, "staged": 0, "failed": 0, "carried_over": 6}
    later = Night(sqlite_ledger, "review_sentiment", run_id="manual__2", now=night.now, change={"pack": 1, "reuse": False})
    later.check()
    later.drain()
    assert finish(later) == {"locked": 6, "staged": 6, "failed": 0, "carried_over": 0}
    assert told.creates() == 1
    assert paid_twice(told) == []


def test_what_was_wrong_with_a_repaired_answer_is_not_shown_beside_the_good_one(
    sqlite_ledger: Ledger, queue: Path, told: Sandbox
) -> None:
    """Findings belong to an answer: the reviewer sees those of the one that counts."""
    from overnight.ledger import findings

    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(sqlite_ledger, pack=1)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    spoil(night, job, '"quote": "Soft fabric number 1."', '"quote": "Hard fabric number 1."')
    assert finish(night)["staged"] == 2
    with sqlite_ledger.read() as conn:
        rules = {row["rule"] for rows in findings.of_night(conn, night.row()["id"]).values() for row in rows}
        history = {row[0] for row in conn.exec_driver_sql("SELECT rule FROM findings")}
    assert "quotes_are_verbatim" in history
    assert "quotes_are_verbatim" not in rules


def test_two_runs_of_one_task_at_once_send_one_batch(ledger: Ledger, queue: Path, told: Sandbox) -> None:
    """Both saw it planned; the ledger lets one of them through, and the other waits."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(2))
    night = opened(ledger)
    one, other = night.job(night.planned[0]), night.job(night.planned[0])
    one.submit(now=night.clock)
    wait = other.submit(now=night.clock)
    assert isinstance(wait, Wait)
    assert "another run of this task" in wait.why
    assert told.creates() == 1
    assert finish(night)["staged"] == 2
