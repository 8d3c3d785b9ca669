"""What vendors may say and the local one does not: over real HTTP, to the official SDKs."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from overnight.batches import clients, judge, repair
from overnight.batches.breaker import Breaker
from overnight.batches.errors import AuthFailed, BadRequest, MaybeAccepted, NoCredit, TryLater
from overnight.batches.vendor import Line, Phase, Progress, Result, Verdict, vendor_class
from overnight.batches.waits import waits
from overnight.governance import trip
from overnight.ledger import breakers, money, switches
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.states import AnswerState
from overnight.workflow import workflow
from tests.batches.paying import allow, finish, opened, reviews
from tests.conftest import Sandbox, connect
from tests.support.listener import Listener, listening
from tests.support.night import EVENING, queue_file
from tests.support.project import Project


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A server that answers as a test says."""
    with listening() as (listener, port):
        connect(monkeypatch, dict.fromkeys(("anthropic", "openai"), f"http://127.0.0.1:{port}"))
        yield listener


def looked_at(name: str) -> Progress:
    async def go() -> Progress:
        async with clients.open_vendor(name) as client:
            return await client.poll("b-1")

    return asyncio.run(go())


def pinged(name: str) -> None:
    async def go() -> None:
        async with clients.open_vendor(name) as client:
            await client.ping("a-model")

    asyncio.run(go())


BATCH: dict[str, dict[str, Any]] = {
    "anthropic": {
        "id": "b-1", "type": "message_batch", "created_at": "2026-11-23T17:00:00Z", "expires_at": "2026-11-24T17:00:00Z", "results_url": None,
        "request_counts": {"processing": 3, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
    },
    "openai": {
        "id": "b-1", "object": "batch", "completion_window": "24h", "created_at": 1, "endpoint": "/v1/responses", "input_file_id": "f",
        "request_counts": {"total": 3, "completed": 0, "failed": 0},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BATCH))
def test_a_state_that_is_new_is_no_end_and_no_crash(name: str, vendor: Listener) -> None:
    """What looks ended lands empty and is bought again; what crashes ends the wait."""
    vendor.answers = [(200, {**BATCH[name], "status": "paused", "processing_status": "paused"})]
    assert looked_at(name).phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("anthropic", {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."}),
        ("openai", {"code": "billing_hard_limit_reached", "type": "invalid_request_error", "message": "Billing hard limit has been reached."}),
    ],
)  # fmt: skip
def test_an_account_without_money_is_not_a_bad_request(name: str, error: dict[str, str], vendor: Listener) -> None:
    """Tried again until the cutoff, with words that say what to do; what we sent needs no mending."""
    vendor.answers = [(400, {"type": "error", "error": error})]
    with pytest.raises(NoCredit, match="no credit left: add some at the vendor") as caught:
        pinged(name)
    assert isinstance(caught.value, AuthFailed)
    assert error["message"] not in str(caught.value), "an error can echo what we sent"


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (402, {"type": "billing_error", "message": "x"}, NoCredit), (429, {"code": "insufficient_quota", "message": "x"}, NoCredit),
        (500, {"message": "your credit balance is too low"}, MaybeAccepted), (409, {"message": "credit balance"}, MaybeAccepted),
        (429, {"code": "rate_limit_exceeded", "message": "x"}, TryLater),
    ],
)  # fmt: skip
def test_whether_it_was_accepted_comes_before_what_it_says_of_money(
    status: int, error: dict[str, str], kind: type[Exception], vendor: Listener
) -> None:
    """A server error may have been accepted; a 402 and a used-up quota are the account's."""
    vendor.answers = [(status, {"error": error})]
    with pytest.raises(kind):
        pinged("openai")


def test_another_bad_request_stays_one_and_says_its_code(vendor: Listener) -> None:
    """The code says more than its type."""
    error = {"code": "unsupported_value", "type": "invalid_request_error", "message": "The item said: buy 12 credits."}
    vendor.answers = [(400, {"error": error})]
    with pytest.raises(BadRequest, match="unsupported_value$"):
        pinged("openai")


@pytest.mark.parametrize(
    ("name", "model", "where", "least"),
    [
        ("anthropic", "claude-sonnet-5", "params.thinking", {"type": "disabled"}),
        ("anthropic", "claude-sonnet-5-20260801", "params.thinking", {"type": "disabled"}),
        ("anthropic", "claude-sonnet-5-5", "params.thinking", None),
        ("anthropic", "claude-haiku-4-5", "params.thinking", None),
        ("openai", "gpt-5-nano", "body.reasoning", {"effort": "minimal"}),
        ("openai", "gpt-5-mini-2025-08-07", "body.reasoning", {"effort": "minimal"}),
        ("openai", "gpt-5.4-mini", "body.reasoning", {"effort": "none"}),
        ("openai", "gpt-5-chat-latest", "body.reasoning", None),
        ("openai", "gpt-4.1-mini", "body.reasoning", None),
        ("gemini", "gemini-2.5-flash-lite", "request.generationConfig.thinkingConfig", {"thinkingBudget": 0}),
        ("gemini", "gemini-2.5-pro", "request.generationConfig.thinkingConfig", {"thinkingBudget": 128}),
        ("gemini", "gemini-3-flash", "request.generationConfig.thinkingConfig", {"thinkingLevel": "low"}),
        ("gemini", "gemini-2.0-flash", "request.generationConfig.thinkingConfig", None),
    ],
)
def test_a_model_is_asked_to_think_as_little_as_it_can(name: str, model: str, where: str, least: Any) -> None:
    """Thoughts count against the answer's limit: a short answer would be cut off in them, paid for and empty."""
    line = Line(
        custom_id="c", model=model, system="s", content="x", schema={"type": "object"}, schema_name="n", max_output_tokens=800
    )
    found: Any = json.loads(vendor_class(name)(None).line(line))
    for part in where.split("."):
        found = (found or {}).get(part)
    assert found == least


@pytest.mark.parametrize("text", ["", '{"ans', '{"answers": 5'])
def test_a_packed_answer_that_was_cut_off_before_its_first_entry_was_cut_off(text: str) -> None:
    """All of its tokens went into thoughts: neither empty nor off its schema, and given more room the next time."""
    items = [{"review_id": f"r{n}", "sku": "S", "rating": 5, "title": "", "body": "Soft fabric."} for n in range(2)]
    found = judge.entries(workflow("review_sentiment"), items, Result("c", Verdict.TRUNCATED, text))
    assert [one.state for one in found] == [AnswerState.TRUNCATED] * 2


def test_a_batch_that_its_vendor_failed_as_a_whole_trips_no_fail_rate(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of its items was asked: it counts among the failed batches, and as nobody's bad answer."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(60))
    night = opened(sqlite_ledger)
    night.batch(night.planned[0])
    with sqlite_ledger.write() as conn:
        conn.exec_driver_sql("UPDATE answers SET state = 'missing', output = NULL")
    job = night.job(night.planned[0])
    with sqlite_ledger.read() as conn:
        assert switches.all_engaged(conn) == []
    assert "60 of 60" in (trip.after_landing(sqlite_ledger, job.task, job.batch, now=night.now) or "")
    with sqlite_ledger.write() as conn:
        switches.throw(conn, "review_sentiment", engaged=False, by="Ada", reason="a test", now=night.now)
        conn.exec_driver_sql("UPDATE batches SET error = 'token_limit_exceeded'")
    assert trip.after_landing(sqlite_ledger, job.task, job.batch, now=night.now) is None


def test_a_batch_that_was_never_sent_takes_none_of_the_nights_tokens(
    sqlite_ledger: Ledger, queue: Path, connected: Sandbox, project: Project
) -> None:
    """Its items went to the fallback, and fit."""
    allow(project)
    queue_file(queue, "review_sentiment", "a.csv", reviews(4))
    night = opened(sqlite_ledger)
    with sqlite_ledger.read() as conn:
        before = money.tokens_committed(conn, night.row()["id"])
    night.job(night.planned[0]).breaker.trip("a test says so", night.now)
    assert repair.moved_to_fallback(night.job(night.planned[0]), now=night.clock)
    with sqlite_ledger.read() as conn:
        assert Decimal(money.tokens_committed(conn, night.row()["id"])) / before < Decimal("1.5")
    for batch_id in (*night.planned[1:], *_planned(sqlite_ledger)):
        night.planned = [batch_id]
    assert finish(night)["staged"] == 4


def _planned(ledger: Ledger) -> list[int]:
    with ledger.read() as conn:
        return [row[0] for row in conn.exec_driver_sql("SELECT id FROM batches WHERE state = 'planned'")]


def test_one_batch_tries_a_model_whose_breaker_was_open_and_the_others_wait_for_it(ledger: Ledger) -> None:
    """Ten shards wake at the same minute: a vendor that loses answers has one of them in doubt, not ten."""
    first, second = (
        Breaker(ledger, "openai", "gpt-5-nano", workflow=name, actor=Actor("agent", name)) for name in ("review_sentiment", "returns_triage")
    )  # fmt: skip
    with ledger.write() as conn:
        assert first.probe(conn, EVENING) is None, "a closed breaker needs no probe"
    first.trip("a test says so", EVENING)
    then = EVENING + waits().delta("breaker")
    with ledger.write() as conn:
        assert first.probe(conn, then) is None
    with ledger.write() as conn:
        assert second.probe(conn, then + timedelta(seconds=1)) == then + waits().delta("breaker")
    assert second.open_until(then + timedelta(seconds=1)) is not None
    first.worked(then + timedelta(seconds=2))
    with ledger.write() as conn:
        assert second.probe(conn, then + timedelta(seconds=3)) is None
        row = breakers.get(conn, "openai", "gpt-5-nano")
    assert row is not None
    assert row["failures"] == 0
