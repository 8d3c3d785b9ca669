"""The local vendor can be told to misbehave, per request and per batch; our side tells each kind apart on every vendor."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from overnight import finder
from overnight.batches import clients
from overnight.batches.vendor import Verdict
from tests.conftest import Sandbox, connect
from tests.contracts.test_vendors import finished, submit, ticket

VENDORS = finder.names("overnight.batches.vendors")


@pytest.fixture
def vendor_told(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    connect(monkeypatch, sandbox.hosts)
    return sandbox


def tell(sandbox: Sandbox, match: str, outcome: str) -> None:
    httpx.post(f"{sandbox.url}/control/misbehave", json={"match": match, "outcome": outcome}).raise_for_status()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("errored", Verdict.ERRORED),
        ("expired", Verdict.EXPIRED),
        ("refused", Verdict.REFUSED),
        ("truncated", Verdict.TRUNCATED),
        ("empty", Verdict.SUCCEEDED),
        ("off_schema", Verdict.SUCCEEDED),
    ],
)
def test_one_request_that_misbehaves_is_told_apart_from_its_neighbours(
    vendor: str, outcome: str, verdict: Verdict, vendor_told: Sandbox
) -> None:
    """The others of the batch are good. (Empty and off-schema answers are the judge's to find: the vendor calls them good.)"""
    tell(vendor_told, '\\"review_id\\": \\"r1\\"', outcome)
    asked = ticket(vendor)
    _, results = finished(vendor, submit(vendor, asked))
    odd = [result for custom_id, result in results.items() if custom_id.endswith("-i1")]
    assert [result.verdict for result in odd] == [verdict]
    assert odd[0].retryable == (outcome in ("errored", "expired"))
    assert {result.verdict for custom_id, result in results.items() if not custom_id.endswith("-i1")} == {Verdict.SUCCEEDED}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_batch_that_expires_keeps_its_finished_part(vendor: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of its time: what was done is there, the rest says that it expired."""
    sandbox.kill()
    sandbox.args = ("--batch-seconds", "4", "--expire-seconds", "2")
    sandbox.start()
    connect(monkeypatch, sandbox.hosts)
    _, results = finished(vendor, submit(vendor, ticket(vendor, 40)))
    verdicts = [result.verdict for result in results.values()]
    assert set(verdicts) == {Verdict.SUCCEEDED, Verdict.EXPIRED}
    assert len(verdicts) == 40


def test_an_unknown_way_to_misbehave_lists_the_known_ones(vendor_told: Sandbox) -> None:
    """And behaving again is one call."""
    answer = httpx.post(f"{vendor_told.url}/control/misbehave", json={"match": "x", "outcome": "explode"})
    assert answer.status_code == 400
    assert "off_schema" in answer.json()["error"]
    assert httpx.post(f"{vendor_told.url}/control/behave").is_success
    assert asyncio.run(_ping()) is None


async def _ping() -> None:
    async with clients.open_vendor("openai") as vendor:
        await vendor.ping("gpt-5-nano")
