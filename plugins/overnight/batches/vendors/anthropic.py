"""Anthropic: the Message Batches API.

Limits: https://platform.claude.com/docs/en/build-with-claude/batch-processing (100,000 requests or 256 MB a batch, up to
24 h, half price, results kept 29 days). A batch carries no name of ours: a lost one is found by listing what was created
since the intent with the same number of requests, and its first result's custom_id decides.
"""

import contextlib
import json
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from decimal import Decimal
from typing import IO, Any

from pydantic_core import from_json

from overnight.batches import naming
from overnight.batches.errors import CannotLook, translated
from overnight.batches.vendor import (
    Line,
    Phase,
    Progress,
    Receipt,
    Result,
    Rows,
    Ticket,
    Usage,
    Vendor,
    VendorFacts,
    Verdict,
    call_timeout_s,
    go_ahead,
)

UPLOAD_CALLS = 10  # a create with 256 MB may take as long as ten small calls: ten minutes
CLOCK_SKEW = timedelta(minutes=5)
CHUNK_BYTES = 1 << 20

_VERDICTS = {"errored": Verdict.ERRORED, "expired": Verdict.EXPIRED, "canceled": Verdict.CANCELLED}
_STOPS = {
    "end_turn": Verdict.SUCCEEDED, "stop_sequence": Verdict.SUCCEEDED, "refusal": Verdict.REFUSED,
    "max_tokens": Verdict.TRUNCATED, "model_context_window_exceeded": Verdict.TRUNCATED,
}  # fmt: skip
_HOPELESS = {
    "invalid_request_error",
    "not_found_error",
    "request_too_large",
    "permission_error",
    "authentication_error",
}


TELLING = 20
"""Results that are read before a batch is called somebody else's: a stranger's row among ours decides nothing."""
_MAY_BE_OFF = re.compile(r"claude-sonnet-5(-\d{8})?")


class AnthropicVendor(Vendor):
    """Talks to `client.messages.batches` of the official SDK (AsyncAnthropic)."""

    facts = VendorFacts(
        conn_id="anthropic_default",
        price_provider="anthropic",
        max_requests=100_000,
        max_bytes=256_000_000,
        batch_rate=Decimal("0.5"),
        sdk="anthropic.resources",
        client_from="airflow.providers.anthropic.hooks.anthropic:AnthropicHook.get_async_conn",
        marks_cache=True,
        long_write_factor=Decimal(2),
        # platform.claude.com/docs/en/build-with-claude/prompt-caching; a model we do not know gets the longest
        min_cached_tokens={
            "": 4_096,
            "claude-sonnet-4-6": 2_048,
            "claude-sonnet-4-5": 1_024,
            "claude-sonnet-4-2": 1_024,
            "claude-sonnet-5": 2_048,
            "claude-opus-4-1": 1_024,
        },
    )

    def line(self, line: Line) -> bytes:
        """A request with the answer's schema as native structured output."""
        params = {
            "model": line.model,
            "max_tokens": line.max_output_tokens,
            "system": [_system(line)],
            "messages": [{"role": "user", "content": line.content}],
            "output_config": {"format": {"type": "json_schema", "schema": line.schema}},
            **_thinking(line.model),
        }
        return json.dumps({"custom_id": line.custom_id, "params": params}, ensure_ascii=False).encode()

    async def ping(self, model: str) -> None:
        """Ask for the model's card: refuses a bad key and an unknown model, costs nothing."""
        async with _errors():
            await self._call().models.retrieve(model)

    async def submit(self, ticket: Ticket, lines: Iterable[bytes], last_word: Callable[[], None] = go_ahead) -> Receipt:
        """One POST. Its body is written to a file first and streamed from there: the SDK's own `create` takes a list, and a
        night of 256 MB would stand in memory three times over.
        """
        from anthropic.types.messages import MessageBatch

        with tempfile.TemporaryFile() as body:
            size = _write_body(body, lines)
            last_word()
            async with _errors(total_s=UPLOAD_CALLS * call_timeout_s()):
                batch = await self._call(UPLOAD_CALLS * call_timeout_s()).post(
                    "/v1/messages/batches",
                    cast_to=MessageBatch,
                    content=_chunks(body),
                    options={"headers": {"content-type": "application/json", "content-length": str(size)}},
                )
        return Receipt(batch.id)

    async def search(self, ticket: Ticket, known: set[str]) -> Receipt | None:
        """List what was created since the intent with our number of requests; its results tell whose it is."""
        candidates = []
        async with _errors(looking=True):
            async for batch in self._call().messages.batches.list(limit=100):
                if batch.created_at < ticket.intent_at - CLOCK_SKEW:
                    break
                counts = batch.request_counts
                total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
                if batch.id not in known and total == ticket.request_count:
                    candidates.append(batch)
        untold = ""
        for batch in candidates:  # all of them: a stranger's that goes on must not hide ours that has ended
            if batch.processing_status != "ended":
                untold = untold or f"batch {batch.id} may be ours and has not ended: its results will tell"
                continue
            ours = await self._is_of(batch.id, ticket.key)
            if ours:
                return Receipt(batch.id)
            if ours is None:
                untold = untold or f"batch {batch.id} may be ours and holds no result that could tell"
        if untold:
            raise CannotLook(untold)
        return None

    async def _is_of(self, vendor_batch_id: str, key: str) -> bool | None:
        """Whether the first results that can be read are of our batch; None where none can be read.

        The bytes and not the SDK's decoder: that one fails at a torn line with an error of JSON's own, and at every try again.
        """
        ids: list[str] = []
        batches = self._call().messages.batches
        async with _errors(looking=True), batches.with_streaming_response.results(vendor_batch_id) as response:
            rows = Rows(lambda row: ids.extend(_custom_ids(row)))
            async for chunk in response.iter_bytes():
                rows.write(chunk)
                if len(ids) >= TELLING or _any_of(ids, key):
                    break
            else:
                rows.end()
        return _any_of(ids, key) if ids else None

    async def poll(self, vendor_batch_id: str) -> Progress:
        """Counts add up to the batch; results are there once it ended."""
        async with _errors():
            batch = await self._call().messages.batches.retrieve(vendor_batch_id)
        # A state that is new is not taken for an end: what would be bought again then may still be worked on.
        phase = {"canceling": Phase.CANCELLING, "ended": Phase.ENDED}.get(batch.processing_status, Phase.RUNNING)
        counts = {k: int(v) for k, v in batch.request_counts.model_dump().items() if isinstance(v, int)}
        return Progress(phase, counts, [batch.results_url] if batch.results_url else [])

    async def download(self, vendor_batch_id: str, results: Sequence[str], sink: Callable[[bytes], object]) -> None:
        """The results file as it comes. The SDK resolves a relative results_url itself."""
        batches = self._call().messages.batches
        async with _errors(), batches.with_streaming_response.results(vendor_batch_id) as response:
            rows = Rows(sink)
            async for chunk in response.iter_bytes():
                rows.write(chunk)
            rows.end()

    def read(self, raw: bytes) -> Result:
        """succeeded carries a message; its stop_reason says whether it is whole."""
        row = from_json(raw)
        result = row["result"]
        if result["type"] == "succeeded":
            return _read_message(row["custom_id"], result["message"])
        error = (result.get("error") or {}).get("error") or {}
        kind = str(error.get("type", result["type"]))
        retryable = result["type"] != "errored" or kind not in _HOPELESS
        return Result(row["custom_id"], _VERDICTS[result["type"]], error=kind, retryable=retryable)

    async def cancel(self, vendor_batch_id: str) -> None:
        """The batch goes through `canceling` and ends with what was finished."""
        async with _errors():
            await self._call().messages.batches.cancel(vendor_batch_id)

    def _call(self, timeout_s: float | None = None) -> Any:
        return self.client.with_options(max_retries=0, timeout=timeout_s or call_timeout_s())


def _thinking(model: str) -> dict[str, Any]:
    """Thinking off, where it is on unless it is turned off and may be: it counts against `max_tokens`, and an answer that was cut
    off in its thoughts is paid for and empty. Older models do not think unasked; newer ones than Sonnet 5 refuse the word.
    """
    # platform.claude.com/docs/en/models/sonnet-5/migration-guide, …/sonnet-5-5/migration-guide
    return {"thinking": {"type": "disabled"}} if _MAY_BE_OFF.fullmatch(model) else {}


def _system(line: Line) -> dict[str, Any]:
    """The shared part. Batches outlive the five-minute cache, so the hour-long one is asked for."""
    part: dict[str, Any] = {"type": "text", "text": line.system}
    return {**part, "cache_control": {"type": "ephemeral", "ttl": "1h"}} if line.cache_prefix else part


def _write_body(body: IO[bytes], lines: Iterable[bytes]) -> int:
    body.write(b'{"requests":[')
    for n, line in enumerate(lines):
        body.write(b"," + line if n else line)
    body.write(b"]}")
    size = body.tell()
    body.seek(0)
    return size


async def _chunks(body: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        yield chunk


def _read_message(custom_id: str, message: dict[str, Any]) -> Result:
    text = "".join(part.get("text", "") for part in message["content"] if part.get("type") == "text")
    usage = message.get("usage") or {}
    read, write = (int(usage.get(f"cache_{k}_input_tokens") or 0) for k in ("read", "creation"))
    details = usage.get("output_tokens_details") or {}
    stop = str(message.get("stop_reason"))
    return Result(
        custom_id,
        _STOPS.get(stop, Verdict.ERRORED),
        text=text,
        usage=Usage(
            # Anthropic counts cached tokens beside input_tokens, not within.
            input=int(usage.get("input_tokens") or 0) + read + write,
            cache_read=read,
            cache_write=write,
            cache_write_long=int((usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0),
            output=int(usage.get("output_tokens") or 0),
            reasoning=int(details.get("thinking_tokens") or 0),
        ),
        model=str(message.get("model", "")),
        error=None if stop in ("end_turn", "stop_sequence") else f"stop_reason {stop}",
    )


def _custom_ids(row: bytes) -> Iterator[str]:
    """A result's custom_id; nothing where the row cannot be read."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        yield str(json.loads(row)["custom_id"])


def _any_of(ids: Iterable[str], key: str) -> bool:
    return any(naming.belongs(custom_id, key) for custom_id in ids)


def _errors(*, looking: bool = False, total_s: float | None = None) -> AbstractAsyncContextManager[None]:
    import anthropic
    import httpx2  # what this SDK speaks HTTP with; a stream that breaks lets its errors through

    return translated(anthropic.AnthropicError, httpx2.HTTPError, looking=looking, total_s=total_s)


VENDOR = AnthropicVendor
