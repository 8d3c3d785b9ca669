"""OpenAI: the Files and Batches APIs, with /v1/responses behind them.

Limits: https://developers.openai.com/api/docs/guides/batch (50,000 requests and 200 MB a file, one model a file, 24 h
window, half price). Our key travels in the batch's metadata, so a lost batch is found by listing. One bad line fails the
whole batch, later; `completed` can come with no output file; `error_file_id` can be an empty string.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from overnight.batches.errors import MaybeAccepted, TryLater, translated
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

UPLOAD_CALLS = 10  # an upload of 200 MB may take as long as ten small calls: ten minutes
CLOCK_SKEW = timedelta(minutes=5)
ENDPOINT = "/v1/responses"

_PHASES = {
    "validating": Phase.RUNNING, "in_progress": Phase.RUNNING, "finalizing": Phase.RUNNING,
    "cancelling": Phase.CANCELLING, "cancelled": Phase.ENDED, "completed": Phase.ENDED, "expired": Phase.ENDED,
    "failed": Phase.ENDED,
}  # fmt: skip
# developers.openai.com/api/docs/guides/reasoning
_LEAST_EFFORT = (
    (re.compile(r"gpt-5(-mini|-nano)?(-\d{4}-\d\d-\d\d)?"), "minimal"),
    (re.compile(r"gpt-5\.\d(-mini|-nano)?(-\d{4}-\d\d-\d\d)?"), "none"),
)
_ROW_ERRORS = {"batch_expired": Verdict.EXPIRED, "batch_cancelled": Verdict.CANCELLED}


class OpenAIVendor(Vendor):
    """Talks to `client.files` and `client.batches` of the official SDK (AsyncOpenAI)."""

    facts = VendorFacts(
        conn_id="openai_default",
        price_provider="openai",
        max_requests=50_000,
        max_bytes=200_000_000,
        batch_rate=Decimal("0.5"),
        sdk="openai.resources",  # the SDK loads it on first use: a second that no loop has
        client_from="airflow.providers.openai.hooks.openai:OpenAIHook.aget_conn",
        reports_progress=True,
        enqueued_tokens=2_000_000,  # tier 1 of the small models; a brand's own tier goes into brand.yaml
    )

    def line(self, line: Line) -> bytes:
        """A line of the input file, with the answer's schema in strict mode."""
        body = {
            "model": line.model,
            "instructions": line.system,
            "input": line.content,
            "max_output_tokens": line.max_output_tokens,
            "store": False,
            "text": {"format": {"type": "json_schema", "name": line.schema_name, "schema": line.schema, "strict": True}},
            **_thinking(line.model),
        }
        row = {"custom_id": line.custom_id, "method": "POST", "url": ENDPOINT, "body": body}
        return json.dumps(row, ensure_ascii=False).encode()

    async def ping(self, model: str) -> None:
        """Ask for the model's card: refuses a bad key and an unknown model, costs nothing."""
        async with _errors():
            await self._call().models.retrieve(model)

    async def submit(self, ticket: Ticket, lines: Iterable[bytes], last_word: Callable[[], None] = go_ahead) -> Receipt:
        """Upload the file (which buys nothing), then create the batch, once."""
        file_id = await self._upload(lines)
        last_word()
        async with _errors(total_s=UPLOAD_CALLS * call_timeout_s()):
            batch = await self._call().batches.create(
                input_file_id=file_id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={"overnight": ticket.key},
            )
        return Receipt(batch.id, file_id)

    async def _upload(self, lines: Iterable[bytes]) -> str:
        with tempfile.TemporaryFile(suffix=".jsonl") as file:
            for line in lines:
                file.write(line + b"\n")
            file.seek(0)
            try:
                async with _errors():
                    uploaded = await self._call(UPLOAD_CALLS * call_timeout_s()).files.create(
                        file=("overnight.jsonl", file, "application/jsonl"),
                        purpose="batch",
                    )
            except MaybeAccepted as error:
                # A stray file costs nothing and expires: no batch was created, so it is safe to start over.
                raise TryLater(f"the upload did not finish: {error}") from error
        return str(uploaded.id)

    async def search(self, ticket: Ticket, known: set[str]) -> Receipt | None:
        """The batch that carries our key in its metadata."""
        since = (ticket.intent_at - CLOCK_SKEW).timestamp()
        async with _errors(looking=True):
            async for batch in self._call().batches.list(limit=100):
                if (batch.metadata or {}).get("overnight") == ticket.key:
                    return Receipt(batch.id, batch.input_file_id)
                if batch.created_at < since:
                    break
        return None

    async def poll(self, vendor_batch_id: str) -> Progress:
        """Finished rows are in two files; a batch that failed as a whole says so in `errors`."""
        async with _errors():
            batch = await self._call().batches.retrieve(vendor_batch_id)
        counts = batch.request_counts.model_dump() if batch.request_counts else {}
        files = [file_id for file_id in (batch.output_file_id, batch.error_file_id) if file_id]
        if batch.status == "completed" and counts.get("completed") and not batch.output_file_id:
            # Its own count says that it generated (and bills) them: asked again now, they would be paid for twice.
            raise TryLater(f"the batch is completed with {counts['completed']} answers and names no file of them yet")
        # A state that is new is not taken for an end: what would be bought again then may still be worked on.
        return Progress(_PHASES.get(batch.status, Phase.RUNNING), counts, files, _whole_error(batch))

    async def download(self, vendor_batch_id: str, results: Sequence[str], sink: Callable[[bytes], object]) -> None:
        """The output file, then the error file, streamed."""
        for file_id in results:
            async with (
                _errors(),
                self._call().files.with_streaming_response.content(file_id) as response,
            ):
                rows = Rows(sink)
                async for chunk in response.iter_bytes():
                    rows.write(chunk)
                rows.end()

    def read(self, raw: bytes) -> Result:
        """A row has a response with a status of its own, or an error."""
        row = from_json(raw)
        custom_id, response = row["custom_id"], row["response"]
        body = (response or {}).get("body") or {}
        if response is not None and response.get("status_code") == 200:
            return _read_response(custom_id, body)
        error = row.get("error") or body.get("error") or {}
        code = str(error.get("code") or error.get("type") or "unknown")
        status = int((response or {}).get("status_code") or 0)
        retryable = code in _ROW_ERRORS or status in (0, 408, 409, 429) or status >= 500
        return Result(custom_id, _ROW_ERRORS.get(code, Verdict.ERRORED), error=code, retryable=retryable)

    async def cancel(self, vendor_batch_id: str) -> None:
        """The batch goes through `cancelling` (up to ten minutes) and keeps what was finished."""
        async with _errors():
            await self._call().batches.cancel(vendor_batch_id)

    def _call(self, timeout_s: float | None = None) -> Any:
        return self.client.with_options(max_retries=0, timeout=timeout_s or call_timeout_s())


def _thinking(model: str) -> dict[str, Any]:
    """As little reasoning as the model knows: it counts against `max_output_tokens`, and who is cut off in thought is paid
    for nothing. The word differs: "minimal" for GPT-5, "none" since 5.1; models that do not reason refuse both.
    """
    effort = next((effort for pattern, effort in _LEAST_EFFORT if pattern.fullmatch(model)), None)
    return {"reasoning": {"effort": effort}} if effort else {}


def _whole_error(batch: Any) -> str | None:
    if batch.status != "failed":
        return None
    first = batch.errors.data[0] if batch.errors and batch.errors.data else None
    where = f" at line {first.line}" if first is not None and first.line else ""
    return f"{first.code if first else 'unknown'}{where}"


def _read_response(custom_id: str, body: Mapping[str, Any]) -> Result:
    parts = [part for item in body.get("output", []) if item.get("type") == "message" for part in item["content"]]
    text = "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")
    refused = any(part.get("type") == "refusal" for part in parts)
    why = (body.get("incomplete_details") or {}).get("reason")
    usage = body.get("usage") or {}
    return Result(
        custom_id,
        _verdict(str(body.get("status")), why, refused=refused),
        text=text,
        usage=Usage(
            input=int(usage.get("input_tokens") or 0),
            cache_read=int((usage.get("input_tokens_details") or {}).get("cached_tokens") or 0),
            output=int(usage.get("output_tokens") or 0),
            reasoning=int((usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0),
        ),
        model=str(body.get("model", "")),
        error="refusal" if refused else why or ((body.get("error") or {}).get("code")),
        retryable=body.get("status") == "failed",
    )


def _verdict(status: str, why: str | None, *, refused: bool) -> Verdict:
    if refused or why == "content_filter":
        return Verdict.REFUSED
    if status == "incomplete":
        return Verdict.TRUNCATED
    return Verdict.SUCCEEDED if status == "completed" else Verdict.ERRORED


def _errors(*, looking: bool = False, total_s: float | None = None) -> AbstractAsyncContextManager[None]:
    import httpx
    import openai

    return translated(openai.OpenAIError, httpx.HTTPError, looking=looking, total_s=total_s)


VENDOR = OpenAIVendor
