"""Gemini: the batch mode of the Gemini Developer API, requests and results as files.

Limits: https://ai.google.dev/gemini-api/docs/batch-api (a file of up to 2 GB, target 24 h, half price, results kept 48 h).
Our key travels as the batch's display_name, so a lost batch is found by listing; each line has a `key` of its own. A file
that was uploaded and not used costs nothing and goes after 48 h. A refused key is HTTP 400 here, not 401.
"""

import io
import json
import re
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from overnight.batches.errors import BadRequest, MaybeAccepted, TryLater, translated
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

STEP_BYTES = 1 << 20
UPLOAD_CALLS = 10  # an upload of 2 GB goes in chunks; one of them may take as long as ten small calls

# ai.google.dev/gemini-api/docs/thinking
_LEAST_THINKING: tuple[tuple[re.Pattern[str], dict[str, int | str]], ...] = (
    (re.compile(r"gemini-2\.5-flash"), {"thinkingBudget": 0}),
    (re.compile(r"gemini-2\.5-pro"), {"thinkingBudget": 128}),
    (re.compile(r"gemini-3"), {"thinkingLevel": "low"}),
)
_INLINE = "inline"
_ENDED = {f"JOB_STATE_{word}" for word in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")}
_STOPS = {"STOP": Verdict.SUCCEEDED, "MAX_TOKENS": Verdict.TRUNCATED}
_REFUSALS = {"SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION"}
# google.rpc.Code, https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_CANCELLED, _HOPELESS = 1, {3, 5, 7, 9, 11, 12, 16}
_EXPIRED = 4


class GeminiVendor(Vendor):
    """Talks to `client.aio.files` and `client.aio.batches` of the official SDK (google.genai)."""

    facts = VendorFacts(
        conn_id="gemini_default",
        price_provider="google",
        max_requests=200_000,  # the vendor names none; the file's size is the limit
        max_bytes=2_000_000_000,
        batch_rate=Decimal("0.5"),
        cache_read_rate=Decimal(1),  # ai.google.dev/gemini-api/docs/batch-api: "priced the same as for non-batch API traffic"
        sdk="google.genai",
    )

    @classmethod
    def make_client(cls, *, password: str | None, host: str | None, extra: Mapping[str, Any]) -> Any:
        """A client for the connection's key and, where one is named, its host.

        Its retries are off in both places: without `retry_options` its aiohttp path sends a POST a second time after a
        dropped connection, a batch bought twice. A transport of ours keeps it on httpx, like the other vendors' SDKs. The
        authorities are handed in: the SDK would read the machine's two hundred anew, several times a client.
        """
        import httpx
        from google import genai
        from google.genai import types

        options = types.HttpOptions(
            base_url=host or None,
            retry_options=types.HttpRetryOptions(attempts=1),
            client_args={"verify": _trusted()},
            async_client_args={"transport": httpx.AsyncHTTPTransport(verify=_trusted()), "verify": _trusted()},
        )
        return genai.Client(api_key=password or "", http_options=options)

    def line(self, line: Line) -> bytes:
        """A line of the input file, with the answer's schema as `responseJsonSchema`."""
        request = {
            "systemInstruction": {"parts": [{"text": line.system}]},
            "contents": [{"role": "user", "parts": [{"text": line.content}]}],
            "generationConfig": {
                "maxOutputTokens": line.max_output_tokens,
                "responseMimeType": "application/json",
                "responseJsonSchema": line.schema,
                **_thinking(line.model),
            },
        }
        return json.dumps({"key": line.custom_id, "request": request}, ensure_ascii=False).encode()

    async def ping(self, model: str) -> None:
        """Ask for the model's card: refuses a bad key and an unknown model, costs nothing."""
        async with _errors():
            await self.client.aio.models.get(model=model, config={"http_options": _timeout(call_timeout_s())})

    async def submit(self, ticket: Ticket, lines: Iterable[bytes], last_word: Callable[[], None] = go_ahead) -> Receipt:
        """Upload the file (which buys nothing), then create the batch, once."""
        file_name = await self._upload(ticket, lines)
        config = {"display_name": ticket.key, "http_options": _timeout(call_timeout_s())}
        last_word()
        async with _errors(total_s=UPLOAD_CALLS * call_timeout_s()):
            batch = await self.client.aio.batches.create(model=ticket.model, src=file_name, config=config)
        return Receipt(batch.name, file_name)

    async def _upload(self, ticket: Ticket, lines: Iterable[bytes]) -> str:
        options = _timeout(UPLOAD_CALLS * call_timeout_s())
        config = {"mime_type": "application/jsonl", "display_name": ticket.key, "http_options": options}
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            for line in lines:
                file.write(line + b"\n")
            file.flush()
            try:
                with _Steps(file.name) as steps:
                    async with _errors():
                        uploaded = await self.client.aio.files.upload(file=steps, config=config)
            except MaybeAccepted as error:
                # No batch was created, so it is safe to start over.
                raise TryLater(f"the upload did not finish: {error}") from error
        return str(uploaded.name)

    async def search(self, ticket: Ticket, known: set[str]) -> Receipt | None:
        """The batch that carries our key as its display_name. The order of the list is not promised: all of it is read."""
        async with _errors(looking=True):
            config = {"page_size": 100, "http_options": _timeout(call_timeout_s())}
            async for batch in await self.client.aio.batches.list(config=config):
                if batch.display_name == ticket.key and batch.name not in known:
                    return Receipt(batch.name, batch.src.file_name if batch.src else None)
        return None

    async def poll(self, vendor_batch_id: str) -> Progress:
        """A batch that failed as a whole says so in `error`. A state we do not know, or none, is not taken for an end: what
        would be bought again then may still be worked on.
        """
        batch = await self._get(vendor_batch_id)
        state = str(getattr(batch.state, "value", batch.state))
        if state not in _ENDED:
            return Progress(Phase.RUNNING, _counts(batch))
        file_name = batch.dest.file_name if batch.dest else None
        if not file_name and _keyed(batch):
            return Progress(Phase.ENDED, _counts(batch), [_INLINE])
        if state == "JOB_STATE_SUCCEEDED" and not file_name:
            raise TryLater("the batch succeeded and names no file of results yet")
        whole = state == "JOB_STATE_FAILED" or (state == "JOB_STATE_EXPIRED" and not file_name)
        failed = f"{state}: {getattr(batch.error, 'code', None) or 'the vendor gives no reason'}" if whole else None
        return Progress(Phase.ENDED, _counts(batch), [file_name] if file_name else [], failed)

    async def download(self, vendor_batch_id: str, results: Sequence[str], sink: Callable[[bytes], object]) -> None:
        """The results file, streamed; of a small batch the answers may stand in the batch itself."""
        config = {"http_options": _timeout(call_timeout_s())}
        if list(results) == [_INLINE]:
            for key, one in _keyed(await self._get(vendor_batch_id)):
                sink(json.dumps({"key": key, **one}, ensure_ascii=False).encode() + b"\n")
            return
        for name in results:
            rows = Rows(sink)
            async with _errors():
                await self.client.aio.files.download(file=name, destination=rows, config=config)
            rows.end()

    def read(self, raw: bytes) -> Result:
        """A line has a response with candidates, or an error in google.rpc form."""
        row = from_json(raw)
        key, response = str(row["key"]), row.get("response")
        if response is not None:
            return _read_response(key, response)
        error = row["error"]
        code = int(error.get("code") or 2)
        verdict = {_CANCELLED: Verdict.CANCELLED, _EXPIRED: Verdict.EXPIRED}.get(code, Verdict.ERRORED)
        return Result(key, verdict, error=str(error.get("status") or code), retryable=code not in _HOPELESS)

    async def cancel(self, vendor_batch_id: str) -> None:
        """The batch ends some time later, with what was finished."""
        async with _errors():
            await self.client.aio.batches.cancel(name=vendor_batch_id, config={"http_options": _timeout(call_timeout_s())})

    async def _get(self, vendor_batch_id: str) -> Any:
        async with _errors():
            return await self.client.aio.batches.get(
                name=vendor_batch_id, config={"http_options": _timeout(call_timeout_s())}
            )  # fmt: skip

    async def close(self) -> None:
        """The async half holds the connections."""
        await self.client.aio.aclose()


def _thinking(model: str) -> dict[str, Any]:
    """As little thinking as the model knows: it counts against `maxOutputTokens`, and who is cut off in its thoughts is paid
    for nothing. 2.5 Flash can do without, 2.5 Pro cannot do with less than 128 tokens, 3 has levels.
    """
    least = next((least for pattern, least in _LEAST_THINKING if pattern.match(model)), None)
    return {"thinkingConfig": least} if least else {}


class _Steps(io.FileIO):
    """A file that is read in small steps. The SDK asks for 8 MB at a time and leaves each to the garbage collector, which counts
    objects and not their size: a night of 300 MB grew a worker by 180.
    """

    def read(self, size: int | None = -1) -> bytes:
        """At most one step (a multiple of the 256 KiB that resumable uploads ask for), whatever was asked."""
        return super().read(STEP_BYTES if size is None or size < 0 else min(size, STEP_BYTES)) or b""


def _timeout(seconds: float) -> Any:
    from google.genai import types

    return types.HttpOptions(timeout=int(seconds * 1000))  # milliseconds; one call, one timeout


def _keyed(batch: Any) -> list[tuple[str, dict[str, Any]]]:
    """The answers that stand in a batch itself, each with our key; none where one has no key: nobody could say whose it is."""
    inlined = (getattr(batch.dest, "inlined_responses", None) or []) if batch.dest else []
    keyed = [
        (str((one.metadata or {}).get("key") or ""), one.model_dump(mode="json", by_alias=True, exclude_none=True))
        for one in inlined
    ]
    return keyed if all(key for key, _ in keyed) else []


def _counts(batch: Any) -> dict[str, int]:
    stats = getattr(batch, "completion_stats", None)
    found = stats.model_dump(exclude_none=True) if stats is not None else {}
    return {name: int(value) for name, value in found.items() if str(value).lstrip("-").isdigit()}


def _read_response(key: str, response: Mapping[str, Any]) -> Result:
    candidates = response.get("candidates") or []
    usage = response.get("usageMetadata") or {}
    thoughts = int(usage.get("thoughtsTokenCount") or 0)
    blocked = (response.get("promptFeedback") or {}).get("blockReason")
    first = candidates[0] if candidates else {}
    reason = str(first.get("finishReason") or blocked or "")
    parts = (first.get("content") or {}).get("parts") or []
    verdict = Verdict.REFUSED if blocked or reason in _REFUSALS else _STOPS.get(reason, Verdict.ERRORED)
    return Result(
        key,
        verdict,
        text="".join(part.get("text", "") for part in parts if not part.get("thought")),
        usage=Usage(
            input=int(usage.get("promptTokenCount") or 0),
            cache_read=int(usage.get("cachedContentTokenCount") or 0),
            output=int(usage.get("candidatesTokenCount") or 0) + thoughts,
            reasoning=thoughts,
        ),
        model=str(response.get("modelVersion", "")),
        error=None if reason == "STOP" else f"finishReason {reason or 'missing'}",
        retryable=verdict is Verdict.ERRORED,
    )


def _errors(*, looking: bool = False, total_s: float | None = None) -> AbstractAsyncContextManager[None]:
    import httpx
    from google.genai import errors

    return translated(errors.APIError, httpx.HTTPError, looking=looking, also=_bad_key, total_s=total_s)


def _bad_key(error: Any, ours: Exception) -> bool:
    """Google answers a bad key with 400 INVALID_ARGUMENT and the reason API_KEY_INVALID."""
    return isinstance(ours, BadRequest) and "API_KEY_INVALID" in json.dumps(getattr(error, "details", None), default=str)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


VENDOR = GeminiVendor
