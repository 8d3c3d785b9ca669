"""Gemini's states: what its API may say and the local vendor never does, over its own code and a client that answers with it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from overnight.batches.errors import TryLater
from overnight.batches.vendor import Phase, Progress, Verdict, vendor_class


def looked_at(state: str | None) -> Progress:
    """What one look finds at a batch in this state."""

    async def get(**_: Any) -> Any:
        return SimpleNamespace(state=state, dest=None, error=None, completion_stats=None)

    vendor = vendor_class("gemini")(SimpleNamespace(aio=SimpleNamespace(batches=SimpleNamespace(get=get))))
    return asyncio.run(vendor.poll("batches/1"))


@pytest.mark.parametrize("state", [None, "JOB_STATE_UNSPECIFIED", "JOB_STATE_REINDEXING", "JOB_STATE_PAUSED"])
def test_a_state_that_is_not_said_or_that_is_new_is_no_end(state: str | None) -> None:
    """What looks ended lands empty and is bought again, while the vendor is still at work on it."""
    assert looked_at(state).phase is Phase.RUNNING


@pytest.mark.parametrize("state", ["JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"])
def test_an_end_without_results_is_an_end(state: str) -> None:
    """Nothing more comes of it."""
    assert looked_at(state).phase is Phase.ENDED


def test_a_batch_that_succeeded_and_names_no_results_is_looked_at_again() -> None:
    """All of its requests would otherwise count as missing, and be bought again."""
    with pytest.raises(TryLater):
        looked_at("JOB_STATE_SUCCEEDED")


def test_a_batch_that_expired_without_results_was_nobodys_try() -> None:
    """It says so as a whole: its requests count neither as bad answers nor against their items."""
    assert looked_at("JOB_STATE_EXPIRED").error
    assert not looked_at("JOB_STATE_CANCELLED").error  # ours to have cancelled


def answered(*keys: str | None) -> Any:
    """A batch whose answers stand in itself, as the SDK hands it over."""
    from google.genai import types

    response = types.GenerateContentResponse.model_validate(
        {"candidates": [{"content": {"parts": [{"text": "{}"}], "role": "model"}, "finishReason": "STOP"}],
         "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2}, "modelVersion": "gemini-2.5-flash"}
    )  # fmt: skip
    inlined = [types.InlinedResponse(response=response, metadata={"key": key} if key else None) for key in keys]
    dest = types.BatchJobDestination(inlined_responses=inlined)
    batch = SimpleNamespace(state="JOB_STATE_SUCCEEDED", dest=dest, error=None, completion_stats=None)

    async def get(**_: Any) -> Any:
        return batch

    return vendor_class("gemini")(SimpleNamespace(aio=SimpleNamespace(batches=SimpleNamespace(get=get))))


def test_answers_that_stand_in_the_batch_itself_are_landed() -> None:
    """A small batch may come back so: waited for as a file, it was in doubt every night, and gone after two days."""
    vendor, lines = answered("k1", "k2"), []
    progress = asyncio.run(vendor.poll("batches/1"))
    assert progress.phase is Phase.ENDED
    asyncio.run(vendor.download("batches/1", progress.results, lines.append))
    found = [vendor.read(line) for line in lines]
    assert [(one.custom_id, one.verdict, one.text, one.usage.input, one.model) for one in found] == [
        (key, Verdict.SUCCEEDED, "{}", 7, "gemini-2.5-flash") for key in ("k1", "k2")
    ]


def test_answers_without_a_key_are_nobodys() -> None:
    """Taken for foreign ones, all of their requests would count as missing, and be bought again."""
    with pytest.raises(TryLater):
        asyncio.run(answered("k1", None).poll("batches/1"))
