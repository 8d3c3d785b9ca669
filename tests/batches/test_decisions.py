"""The pure parts of a batch's life: names, shards, polling, errors, money, judgement."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight import finder
from overnight.batches import cost, errors, judge, naming, polling, shards
from overnight.batches.errors import AuthFailed, BadRequest, Gone, MaybeAccepted, TryLater
from overnight.batches.polling import Next
from overnight.batches.shards import Sized
from overnight.batches.vendor import Phase, Progress, Result, Usage, VendorFacts, Verdict, vendor_class
from overnight.ledger.states import AnswerState
from overnight.workflow import workflow, workflow_names

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)
FACTS = VendorFacts("c", "openai", max_requests=100, max_bytes=1_000, batch_rate=Decimal("0.5"))


def look(phase: Phase, now: datetime = NOW) -> polling.Decision:
    return polling.after_look(Progress(phase), now=now, until=LATER, interval_s=30, dice=random.Random(1))


def miss(error: errors.VendorError, misses: int = 1, now: datetime = NOW) -> polling.Decision:
    return polling.after_error(error, misses, now=now, until=LATER, interval_s=30, dice=random.Random(1))


def test_an_ended_batch_is_landed_even_after_its_time_is_up() -> None:
    """What is finished is kept."""
    assert look(Phase.ENDED, LATER + timedelta(hours=1)).next is Next.LAND


def test_a_running_batch_is_looked_at_again_with_jitter_and_cut_at_its_time() -> None:
    """About every interval, never past the end of the wait."""
    assert look(Phase.RUNNING).next is Next.WAIT
    assert 24 <= look(Phase.RUNNING).after_s <= 36
    assert look(Phase.RUNNING, LATER - timedelta(seconds=3)).after_s <= 3
    assert look(Phase.RUNNING, LATER).next is Next.CUT


def test_looks_that_fail_back_off_and_a_vendors_wish_is_never_undercut() -> None:
    """Doubling up to five minutes; Retry-After wins."""
    pauses = [miss(MaybeAccepted("x"), n).after_s for n in range(1, 8)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= polling.SLOWEST_S * 1.2
    assert miss(TryLater("busy", 900)).after_s >= 900


@pytest.mark.parametrize("error", [AuthFailed("401"), BadRequest("400"), Gone("404")])
def test_looks_that_can_never_work_end_the_wait_with_the_reason(error: errors.VendorError) -> None:
    """A revoked key does not wait until morning."""
    decision = miss(error)
    assert decision.next is Next.FAIL
    assert decision.reason == str(error)


class _Status(Exception):
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__("secret text of an item")
        self.status_code = status
        self.body = {"error": {"type": "some_error", "message": "secret text of an item"}}
        self.response = type("Response", (), {"headers": headers or {}})()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthFailed), (403, AuthFailed), (404, Gone), (429, TryLater), (400, BadRequest), (413, BadRequest), (500, MaybeAccepted), (529, MaybeAccepted)],
)  # fmt: skip
def test_errors_are_told_apart_by_whether_we_may_have_paid(status: int, kind: type) -> None:
    """4xx: nothing was bought; 5xx on a create: nobody knows. The vendor's words are kept out: they may echo an item."""
    ours = errors.classify(_Status(status))
    assert type(ours) is kind
    assert "secret" not in str(ours)
    assert "some_error" in str(ours)


def test_retry_after_is_read_in_seconds_and_nonsense_is_ignored() -> None:
    """A date or a word is no number of seconds."""
    assert errors.classify(_Status(429, {"retry-after": "7"})).retry_after_s == 7  # type: ignore[attr-defined]
    assert errors.classify(_Status(429, {"retry-after": "Tue"})).retry_after_s is None  # type: ignore[attr-defined]


def test_names_are_the_same_every_time_and_differ_between_runs() -> None:
    """Deterministic, within the vendors' limits, telling two runs of one date apart."""
    key = naming.batch_key("review_sentiment", "2026-11-23", "run-1", 0, 0, 1)
    assert key == naming.batch_key("review_sentiment", "2026-11-23", "run-1", 0, 0, 1)
    assert key != naming.batch_key("review_sentiment", "2026-11-23", "run-2", 0, 0, 1)
    custom = naming.custom_id(key, 2**31)
    assert len(custom) <= naming.MAX_CUSTOM_ID
    assert naming.belongs(custom, key)
    assert not naming.belongs(custom, key.replace("b0", "b1"))


@given(st.lists(st.integers(1, 1_000), max_size=300), st.integers(1, 200))
def test_shards_hold_every_line_once_and_keep_every_limit(sizes: list[int], most: int) -> None:
    """By count and by bytes, well under the vendor's; a line alone is never split or lost."""
    lines = [Sized(n, size, tokens=size * 3) for n, size in enumerate(sizes)]
    cut = list(shards.cut(lines, FACTS, most, tokens=2_000))
    assert [line.thing for shard in cut for line in shard] == list(range(len(sizes)))
    for shard in cut:
        assert len(shard) <= min(most, FACTS.max_requests)
        assert len(shard) == 1 or sum(line.size for line in shard) <= FACTS.max_bytes * shards.HEADROOM
        assert len(shard) == 1 or sum(line.tokens for line in shard) <= 2_000


@pytest.mark.parametrize("name", workflow_names())
def test_every_workflow_names_a_model_with_a_price_at_its_vendor(name: str) -> None:
    """Nothing is bought blind."""
    declared = workflow(name)
    known = cost.price(vendor_class(declared.vendor).facts, declared.model)
    assert known.input > 0
    assert known.output > known.input


def test_an_unknown_price_is_loud() -> None:
    """Never zero."""
    with pytest.raises(cost.UnknownPrice, match="no price for model 'gpt-99'"):
        cost.price(FACTS, "gpt-99")


def test_money_counts_cached_tokens_once_at_their_own_price_and_halves_it_all() -> None:
    """1,000 in of which 400 read from the cache, 200 out, at gpt-5-nano's prices and the batch rate; exact."""
    batch, realtime = cost.batch_cost(FACTS, "gpt-5-nano", Usage(input=1_000, cache_read=400, output=200))
    known = cost.price(FACTS, "gpt-5-nano")
    assert realtime == known.input * 600 + known.cache_read * 400 + known.output * 200
    assert batch * 2 == realtime
    assert isinstance(batch, Decimal)


def test_vendors_state_their_limits() -> None:
    """Facts, not ifs: every vendor's file says what it allows."""
    for name in finder.names("overnight.batches.vendors"):
        facts = vendor_class(name).facts
        assert facts.max_requests >= 10_000
        assert facts.batch_rate == Decimal("0.5")


def test_an_unknown_name_lists_the_valid_ones() -> None:
    """The finder imports only what is asked for and says what there is."""
    with pytest.raises(finder.UnknownName, match=r"'opneai' is not one of the vendors: anthropic, .*openai"):
        vendor_class("opneai")


ITEM = {"review_id": "r", "sku": "S", "rating": 5, "title": "", "body": "Soft fabric."}
GOOD = {
    "overall": "positive", "score": 0.8, "aspects": [{"aspect": "material_feel", "sentiment": "positive", "quote": "Soft fabric."}],
    "issue_type": "none", "severity": "none", "safety_flag": False, "competitor_mention": None, "feature_request": None,
    "language": "en", "confidence": 0.9,
}  # fmt: skip


def judged(text: str = json.dumps(GOOD), verdict: Verdict = Verdict.SUCCEEDED) -> judge.Judgement:
    return judge.judge(
        replace(workflow("review_sentiment"), pack=1), ITEM, Result("c", verdict, text, retryable=verdict is Verdict.ERRORED)
    )


@pytest.mark.parametrize(
    ("text", "verdict", "state"),
    [
        (json.dumps(GOOD), Verdict.SUCCEEDED, AnswerState.VALID),
        ("", Verdict.SUCCEEDED, AnswerState.EMPTY),
        ("   ", Verdict.SUCCEEDED, AnswerState.EMPTY),
        ("I am sorry", Verdict.SUCCEEDED, AnswerState.OFF_SCHEMA),
        (json.dumps({**GOOD, "score": 7}), Verdict.SUCCEEDED, AnswerState.OFF_SCHEMA),
        (json.dumps({**GOOD, "score": -0.5}), Verdict.SUCCEEDED, AnswerState.RULE_FAILED),
        (json.dumps(GOOD), Verdict.TRUNCATED, AnswerState.TRUNCATED),
        (json.dumps(GOOD), Verdict.REFUSED, AnswerState.REFUSED),
        (json.dumps(GOOD), Verdict.ERRORED, AnswerState.ERRORED),
        (json.dumps(GOOD), Verdict.EXPIRED, AnswerState.EXPIRED),
        (json.dumps(GOOD), Verdict.CANCELLED, AnswerState.CANCELLED),
    ],
)
def test_every_kind_of_answer_is_told_apart(text: str, verdict: Verdict, state: AnswerState) -> None:
    """Law 4: only a whole, wanted, valid answer is a success."""
    result = judged(text, verdict)
    assert result.state is state
    assert (result.error is None) == (state is AnswerState.VALID)


def test_geminis_cached_tokens_cost_in_a_batch_what_they_cost_outside() -> None:
    """The half price is for all but them (ai.google.dev/gemini-api/docs/batch-api); the other vendors halve both."""
    facts, model = vendor_class("gemini").facts, "gemini-2.5-flash"
    known, usage = cost.price(facts, model), Usage(input=10_000, cache_read=8_000, output=100)
    batch, realtime = cost.batch_cost(facts, model, usage)
    assert batch == (known.input * 2_000 + known.output * 100) / 2 + known.cache_read * 8_000
    assert realtime == known.of(usage)
