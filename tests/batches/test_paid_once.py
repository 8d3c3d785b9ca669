"""What a night buys and what it does not: packing, repairs, reuse, warm caches and what each item cost."""

from dataclasses import replace
from pathlib import Path

import pytest

from overnight import prompts
from overnight.batches import cost, judge, packing, plan
from overnight.batches.vendor import Result, Usage, Verdict, vendor_class
from overnight.batches.waits import Wait
from overnight.governance import policy as policies
from overnight.ledger.connect import Ledger
from overnight.ledger.states import AnswerState
from overnight.workflow import workflow, workflow_names
from tests.batches.paying import HEADER, allow, at_vendor_done, entries_in, finish, misbehave, opened, requests_at, reviews, spoil
from tests.conftest import Sandbox
from tests.support.night import Night, paid_twice, queue_file
from tests.support.project import Project


def test_small_items_share_a_request_and_every_item_keeps_its_own_account(
    ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """45 reviews are three requests; the tokens of the items add up to the vendor's own count, to the token."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(45))
    night = opened(ledger)
    assert finish(night) == {"locked": 45, "staged": 45, "failed": 0, "carried_over": 0}
    assert len(requests_at(connected)) == 3
    (line,) = night.describe()["bill"]
    with ledger.read() as conn:
        shares = [row[0] for row in conn.exec_driver_sql("SELECT input_tokens FROM answers")]
    assert line["answers"] == 45
    assert sum(shares) == line["input_tokens"]
    assert min(shares) > 0


def test_a_bad_entry_fails_alone_and_is_repaired_alone_with_the_checks_own_words(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Nineteen neighbours stay good; one request goes out again, for one item, and says what was wrong."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(20))
    night = opened(sqlite_ledger)
    job = at_vendor_done(night)
    spoil(night, job, '"number": 7, "answer": {"overall": "positive"', '"number": 7, "answer": {"overall": "splendid"')
    assert finish(night) == {"locked": 20, "staged": 20, "failed": 0, "carried_over": 0}
    first, again = requests_at(connected)
    assert first[0] != again[0]
    assert entries_in(again[1]) == 1
    assert "Soft fabric number 6." in again[1]
    assert "<last_problem>" in again[1]
    assert "off its schema" in again[1]
    assert [line["purpose"] for line in night.describe()["bill"]] == ["first", "repair"]


@pytest.mark.parametrize(
    ("outcome", "asked"), [("off_schema", 2), ("empty", 2), ("truncated", 2), ("errored", 2), ("refused", 1)]
)
def test_what_may_end_differently_is_asked_again_once_and_a_refusal_is_not(
    outcome: str, asked: int, sqlite_ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Invalid answers and transient failures: the workflow's number of times in a night; then people see it, or it waits."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(3))
    misbehave(connected, "Soft fabric number 1.", outcome)
    night = opened(sqlite_ledger, pack=1)
    counts = finish(night)
    assert counts["staged"] == 2
    assert counts["carried_over" if outcome == "errored" else "failed"] == 1
    assert sum("Soft fabric number 1." in body for _, body in requests_at(connected)) == asked
    assert paid_twice(connected) == []


@pytest.mark.parametrize(("most", "asked"), [(None, [1500, 3000]), (2000, [1500, 2000]), (1500, [1500])])
def test_a_truncated_answer_gets_more_room_the_second_time_up_to_the_policys_ceiling(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project, most: int | None, asked: list[int]
) -> None:
    """The same limit would cut it off at the same place: where the policy gives no more, it is not paid for again. None: as shipped."""
    if most:
        allow(project, max_output_tokens=most)
    queue_file(queue, "review_sentiment", "a.csv", reviews(1))
    misbehave(connected, "Soft fabric number 0.", "truncated")
    finish(opened(sqlite_ledger, pack=1))
    limits = [int(body.split('"max_output_tokens": ')[1].split(",")[0]) for _, body in requests_at(connected)]
    assert limits == asked


def test_every_shipped_policy_leaves_room_for_an_answer_that_was_cut_off() -> None:
    """A ceiling that is the workflow's own limit would end each of them as failed."""
    for name in workflow_names():
        policy = policies.load(name)[0]
        assert policy.action_scope.max_output_tokens >= 2 * workflow(name).max_output_tokens, name


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


def test_identical_inputs_are_bought_once_in_a_night_and_not_again_the_next(
    ledger: Ledger, queue: Path, connected: Sandbox
) -> None:
    """Two rows that ask the same are one question; tomorrow's third is answered from the ledger, and the log says so."""
    same = "".join(f"x{n},S,5,Exactly the same words.\n" for n in range(2))
    queue_file(queue, "review_sentiment", "a.csv", HEADER + same + "y,S,5,Other words.\n")
    night = opened(ledger)
    assert finish(night)["staged"] == 3
    assert entries_in(requests_at(connected)[0][1]) == 2
    queue_file(queue, "review_sentiment", "b.csv", HEADER + "z,S,5,Exactly the same words.\n")
    later = Night(ledger, "review_sentiment", run_id="manual__2", now=night.now)
    later.check()
    assert later.drain() == []
    assert finish(later) == {"locked": 1, "staged": 1, "failed": 0, "carried_over": 0}
    assert later.describe()["reused"] == 1
    assert later.describe()["cost_usd"] == 0
    assert connected.creates() == 1


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


def test_a_long_prompt_is_marked_for_anthropics_cache_and_one_request_warms_it(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """The others wait for it and read the prefix at a tenth; its real item is not bought twice."""
    allow(project, max_usd=100)
    system = project.include / "prompts" / "review_sentiment" / "system.md.j2"
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
    assert all('"ttl": "1h"' in body for _, body in requests_at(connected))
    assert warm != rest


def test_a_prompt_below_the_vendors_minimum_is_not_marked(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """A mark that does nothing is noise, and a warm-up for it a waste of time."""
    allow(project, max_usd=100)
    queue_file(queue, "review_sentiment", "a.csv", reviews(8))
    night = opened(sqlite_ledger, vendor="anthropic", model="claude-haiku-4-5", fallback=None, pack=1)
    assert finish(night)["staged"] == 8
    assert not any("cache_control" in body for _, body in requests_at(connected))
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
