"""Every vendor keeps the contract, over real HTTP, through its official SDK, with the client its connection gives."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from overnight import finder, prompts
from overnight.batches import clients, naming
from overnight.batches.errors import AuthFailed, BadRequest, CannotLook, Gone, TryLater
from overnight.batches.vendor import Line, Phase, Progress, Receipt, Result, Ticket, Verdict, vendor_class
from overnight.workflow import workflow
from tests.conftest import Sandbox, closed_port, connect
from tests.support.night import wait_ended

VENDORS = finder.names("overnight.batches.vendors")
MODELS = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-nano", "gemini": "gemini-2.5-flash"}
pytestmark = pytest.mark.parametrize("vendor", VENDORS)


def ticket(vendor: str, count: int = 3, key: str = "") -> Ticket:
    key = key or naming.batch_key("review_sentiment", "2026-11-23", datetime.now(UTC).isoformat(), 0, 0, 1)
    return Ticket(key, MODELS[vendor], count, datetime.now(UTC) - timedelta(seconds=1))


def lines(vendor: str, asked: Ticket, **changes: Any) -> list[bytes]:
    declared = replace(workflow("review_sentiment"), pack=1)
    prompt, cls = prompts.load(declared), vendor_class(vendor)
    made = []
    for n in range(asked.request_count):
        item = {"review_id": f"r{n}", "rating": 5, "sku": "S", "title": "Good", "body": "Soft fabric and a perfect fit."}
        facts = {
            "custom_id": naming.custom_id(asked.key, n), "model": asked.model, "system": prompt.system,
            "content": prompts.content(item), "schema": prompt.schema, "schema_name": prompt.schema_name,
            "max_output_tokens": 1500, **changes,
        }  # fmt: skip
        made.append(cls(None).line(Line(**facts)))
    return made


def submit(vendor: str, asked: Ticket, **changes: Any) -> Receipt:
    async def go() -> Receipt:
        async with clients.open_vendor(vendor) as client:
            return await client.submit(asked, lines(vendor, asked, **changes))

    return asyncio.run(go())


def finished(vendor: str, receipt: Receipt) -> tuple[Progress, dict[str, Result]]:
    wait_ended(vendor, receipt.vendor_batch_id)

    async def go() -> tuple[Progress, list[bytes]]:
        raw: list[bytes] = []
        async with clients.open_vendor(vendor) as client:
            progress = await client.poll(receipt.vendor_batch_id)
            await client.download(receipt.vendor_batch_id, progress.results, raw.append)
        return progress, raw

    progress, raw = asyncio.run(go())
    cls = vendor_class(vendor)(None)
    return progress, {result.custom_id: result for result in map(cls.read, raw)}


def test_a_batch_comes_back_with_every_answer_and_its_usage(vendor: str, vendors: Sandbox) -> None:
    """Submitted, polled, downloaded, read: one good answer per request, matched by custom_id, tokens counted."""
    asked = ticket(vendor)
    progress, results = finished(vendor, submit(vendor, asked))
    assert progress.phase is Phase.ENDED
    assert progress.error is None
    assert set(results) == {naming.custom_id(asked.key, n) for n in range(3)}
    for result in results.values():
        assert result.verdict is Verdict.SUCCEEDED
        assert workflow("review_sentiment").answer.model_validate(json.loads(result.text))
        assert result.usage.input > 100
        assert result.usage.output > 10


def test_an_answer_that_was_cut_off_is_told_apart_from_a_good_one(vendor: str, vendors: Sandbox) -> None:
    """Law 4: truncated is not succeeded, whatever the status says."""
    _, results = finished(vendor, submit(vendor, ticket(vendor), max_output_tokens=5))
    assert {result.verdict for result in results.values()} == {Verdict.TRUNCATED}


def test_a_cancelled_batch_ends_and_keeps_what_was_finished(
    vendor: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel, wait for the end: every request is there, finished or cancelled."""
    sandbox.kill()
    sandbox.args = ("--batch-seconds", "30", "--cancel-seconds", "0.2")
    sandbox.start()
    connect(monkeypatch, sandbox.hosts)
    asked = ticket(vendor, 40)
    receipt = submit(vendor, asked)

    async def cancel() -> None:
        async with clients.open_vendor(vendor) as client:
            await client.cancel(receipt.vendor_batch_id)

    asyncio.run(cancel())
    _, results = finished(vendor, receipt)
    assert {result.verdict for result in results.values()} <= {Verdict.SUCCEEDED, Verdict.CANCELLED}
    assert Verdict.CANCELLED in {result.verdict for result in results.values()}
    assert len(results) == 40


def test_a_batch_whose_answer_was_lost_is_found_again_and_no_other_is(vendor: str, vendors: Sandbox) -> None:
    """Search tells ours from a stranger's of the same size, and says None when it is certainly not there."""
    asked, stranger, never = ticket(vendor), ticket(vendor), ticket(vendor)
    receipt = submit(vendor, asked)
    other = submit(vendor, stranger)
    for one in (receipt, other):
        wait_ended(vendor, one.vendor_batch_id)

    async def search(what: Ticket, known: set[str]) -> Receipt | None:
        async with clients.open_vendor(vendor) as client:
            return await client.search(what, known)

    found = asyncio.run(search(asked, set()))
    assert found is not None
    assert found.vendor_batch_id == receipt.vendor_batch_id
    assert asyncio.run(search(never, set())) is None


def test_a_lost_batch_is_found_though_its_results_are_torn(vendor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows of ten are torn, the first one, too, of some: each batch is known by what can be read of it."""
    torn = Sandbox(tmp_path, "--batch-seconds", "0.1", "--profile", "garbled", "--seed", "1")
    connect(monkeypatch, torn.hosts)
    try:
        for number in range(12):
            asked = ticket(vendor, count=8, key=naming.batch_key("review_sentiment", "2026-11-23", f"torn-{number}", 0, 0, 1))
            receipt = submit(vendor, asked)
            wait_ended(vendor, receipt.vendor_batch_id)

            async def search(what: Ticket = asked) -> Receipt | None:
                async with clients.open_vendor(vendor) as client:
                    return await client.search(what, set())

            found = asyncio.run(search())
            assert found is not None
            assert found.vendor_batch_id == receipt.vendor_batch_id
    finally:
        torn.kill()


def test_a_vendor_that_cannot_be_reached_cannot_be_searched(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """'Cannot look' is not 'not there'."""
    connect(monkeypatch, {vendor: f"http://127.0.0.1:{closed_port()}/v1"})

    async def search() -> None:
        async with clients.open_vendor(vendor) as client:
            await client.search(ticket(vendor), set())

    with pytest.raises(CannotLook):
        asyncio.run(search())


def test_a_create_that_never_left_this_machine_is_safe_to_try_again(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection was made, so nothing was bought."""
    connect(monkeypatch, {vendor: f"http://127.0.0.1:{closed_port()}/v1"})
    with pytest.raises(TryLater):
        submit(vendor, ticket(vendor))


def test_a_refused_key_is_told_apart(vendor: str, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check at 17:00 and the submit say that it is the key; the key itself is in no message."""
    connect(monkeypatch, vendors.hosts, key="bad-key-4711")

    async def ping() -> None:
        async with clients.open_vendor(vendor) as client:
            await client.ping(MODELS[vendor])

    with pytest.raises(AuthFailed) as refused:
        asyncio.run(ping())
    assert "4711" not in str(refused.value)


def test_an_unknown_model_is_found_before_anything_is_bought(vendor: str, vendors: Sandbox) -> None:
    """The ping asks for the model's card."""

    async def ping() -> None:
        async with clients.open_vendor(vendor) as client:
            await client.ping("no-such-model")

    with pytest.raises((Gone, BadRequest)):
        asyncio.run(ping())


def test_a_line_that_is_no_result_is_a_value_error(vendor: str) -> None:
    """Garbage is refused by the reader, so that landing can count it."""
    cls = vendor_class(vendor)(None)
    for raw in (b"{", b"[]", b"{}", b'{"custom_id": "x"}'):
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            cls.read(raw)
