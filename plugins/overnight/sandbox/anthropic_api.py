"""The wire of Anthropic's Message Batches API (and the model cards our check asks for)."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from overnight.sandbox import model
from overnight.sandbox.asking import Ask, text_of, tokens
from overnight.sandbox.store import Batch, Store, new_id
from overnight.sandbox.urls import here

VENDOR = "anthropic"
MAX_REQUESTS = 100_000
MAX_OUTPUT = 64_000
MIN_CACHED_PREFIX = 1_024  # tokens; Haiku models ask for more (platform.claude.com/docs/en/build-with-claude/prompt-caching)
_CUSTOM_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_PREFIXES = ("claude-",)


class Refusal(Exception):
    """An error answer of this API."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def error(status: int, kind: str, message: str) -> JSONResponse:
    """An error in Anthropic's form."""
    request_id = new_id("req_")
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return JSONResponse(body, status, headers={"request-id": request_id})


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _authorised(request: Request) -> None:
    # Older SDKs send the key as x-api-key, newer ones as a bearer token; the real API takes both.
    key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key or key.startswith("bad"):
        raise Refusal(401, "authentication_error", "invalid x-api-key")


async def get_model(request: Request) -> Response:
    """GET /v1/models/{id}"""
    _authorised(request)
    name = request.path_params["model"]
    if not name.startswith(_PREFIXES):
        raise Refusal(404, "not_found_error", f"model: {name}")
    card = {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return JSONResponse({**card, "max_input_tokens": 200_000, "max_tokens": MAX_OUTPUT})


async def create(request: Request) -> Response:
    """POST /v1/messages/batches"""
    _authorised(request)
    try:
        requests = json.loads(await request.body())["requests"]
    except (ValueError, KeyError, TypeError) as broken:
        raise Refusal(400, "invalid_request_error", "requests: Field required") from broken
    _refuse_list(requests)
    return _answer(request, _store(request).add_batch(VENDOR, new_id("msgbatch_"), {}, _rows(requests)))


def _refuse_list(requests: list[dict[str, Any]]) -> None:
    if not requests:
        raise Refusal(400, "invalid_request_error", "requests: List should have at least 1 item after validation, not 0")
    if len(requests) > MAX_REQUESTS:
        raise Refusal(413, "request_too_large", "Request exceeds the maximum size")
    seen: set[str] = set()
    for n, row in enumerate(requests):
        custom_id = str(row.get("custom_id", ""))
        if not _CUSTOM_ID.match(custom_id):
            raise Refusal(
                400, "invalid_request_error",
                f"requests.{n}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'",
            )  # fmt: skip
        if custom_id in seen:
            raise Refusal(400, "invalid_request_error", f"requests.{n}.custom_id: custom_id must be unique: {custom_id}")
        seen.add(custom_id)


def _rows(requests: list[dict[str, Any]]) -> Iterator[tuple[str, Any, str, int]]:
    """Each request with the outcome it will have and the tokens it reads from the cache (-n: it writes n)."""
    written: set[str] = set()
    for row in requests:
        params = row.get("params") or {}
        outcome = "errored" if _bad_params(params) else "succeeded"
        cached = 0
        prefix = _cached_prefix(params)
        if prefix and tokens(prefix) >= MIN_CACHED_PREFIX:
            cached = tokens(prefix) if prefix in written else -tokens(prefix)
            written.add(prefix)
        yield row["custom_id"], params, outcome, cached


def _bad_params(params: dict[str, Any]) -> str | None:
    """What the vendor finds only when it gets to the request."""
    limit = params.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        return "max_tokens: Field required"
    if limit > MAX_OUTPUT:
        return f"max_tokens: {limit} > {MAX_OUTPUT}, which is the maximum allowed number of output tokens"
    if not params.get("messages"):
        return "messages: at least one message is required"
    return None if str(params.get("model", "")).startswith(_PREFIXES) else f"model: {params.get('model')}"


def _is_hour_long(params: dict[str, Any]) -> bool:
    """Whether the marked part is to stay for an hour: written at twice the price, and booked apart."""
    system = params.get("system")
    marks = [part.get("cache_control") or {} for part in system] if isinstance(system, list) else []
    return any(mark.get("ttl") == "1h" for mark in marks)


def _cached_prefix(params: dict[str, Any]) -> str:
    system = params.get("system")
    marked = isinstance(system, list) and any(isinstance(p, dict) and p.get("cache_control") for p in system)
    return text_of(system) if marked else ""


async def get_batch(request: Request) -> Response:
    """GET /v1/messages/batches/{id}"""
    _authorised(request)
    return _answer(request, _found(request, request.path_params["id"]))


async def list_batches(request: Request) -> Response:
    """GET /v1/messages/batches, newest first, paged by ids"""
    _authorised(request)
    limit = min(int(request.query_params.get("limit", 20)), 1000)
    batches = _store(request).batches(VENDOR)
    ids = [batch.id for batch in batches]
    if (after := request.query_params.get("after_id")) in ids:
        batches = batches[ids.index(str(after)) + 1 :]
    elif (before := request.query_params.get("before_id")) in ids:
        batches = batches[max(0, ids.index(str(before)) - limit) : ids.index(str(before))]
    page = batches[:limit]
    return JSONResponse(
        {
            "data": [_shown(request, batch) for batch in page],
            "has_more": len(batches) > limit,
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }
    )


async def cancel(request: Request) -> Response:
    """POST /v1/messages/batches/{id}/cancel"""
    _authorised(request)
    batch = _found(request, request.path_params["id"])
    if batch.ended:
        raise Refusal(400, "invalid_request_error", f"Batch {batch.id} cannot be canceled because it has already ended.")
    _store(request).cancel(VENDOR, batch.id)
    return _answer(request, _found(request, batch.id))


async def delete(request: Request) -> Response:
    """DELETE /v1/messages/batches/{id}"""
    _authorised(request)
    batch = _found(request, request.path_params["id"])
    if not batch.ended:
        raise Refusal(400, "invalid_request_error", f"Batch {batch.id} cannot be deleted before it has ended.")
    _store(request).delete_batch(VENDOR, batch.id)
    return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})


async def results(request: Request) -> Response:
    """GET /v1/messages/batches/{id}/results"""
    _authorised(request)
    batch, store = _found(request, request.path_params["id"]), _store(request)
    if not batch.ended:
        raise Refusal(400, "invalid_request_error", f"Batch {batch.id} has not ended; results are not yet available.")
    name = f'attachment; filename="{batch.id}_results.jsonl"'
    lines = ((row["custom_id"], json.dumps(_result(row), ensure_ascii=False) + "\n") for row in store.results(batch))
    return StreamingResponse(
        store.fault.lines(batch.id, lines), media_type="application/x-jsonl", headers={"content-disposition": name}
    )


def _result(row: Any) -> dict[str, Any]:
    params = json.loads(row["body"])
    result: dict[str, Any]
    if row["final"] in ("canceled", "expired"):
        result = {"type": row["final"]}
    elif row["final"] == "errored":
        bad, details = _bad_params(params), {"error_visibility": "user_facing"}
        kind = "invalid_request_error" if bad else "api_error"
        inner = {"details": details, "type": kind, "message": bad or "Internal server error"}
        result = {"type": "errored", "error": {"type": "error", "error": inner, "request_id": None}}
    else:
        result = {"type": "succeeded", "message": _message(params, int(row["cached"]), row["final"])}
    return {"custom_id": row["custom_id"], "result": result}


def _message(params: dict[str, Any], cached: int, outcome: str) -> dict[str, Any]:
    schema = ((params.get("output_config") or {}).get("format") or {}).get("schema")
    content = "\n".join(text_of(message.get("content")) for message in params["messages"])
    ask = Ask(params["model"], text_of(params.get("system")), content, schema, params["max_tokens"])
    text = model.answer(ask, outcome)
    limit = 5 if outcome == "truncated" else ask.max_tokens
    whole = tokens(text) <= limit
    text = text if whole else text[: limit * 4]
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "refusal" if outcome == "refused" else "end_turn" if whole else "max_tokens",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": tokens(ask.system) + tokens(content) - abs(cached),
            "cache_creation_input_tokens": max(0, -cached),
            "cache_read_input_tokens": max(0, cached),
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if _is_hour_long(params) else max(0, -cached),
                "ephemeral_1h_input_tokens": max(0, -cached) if _is_hour_long(params) else 0,
            },
            "output_tokens": tokens(text),
            "service_tier": "batch",
            "inference_geo": "not_available",
        },
    }


def _found(request: Request, batch_id: str) -> Batch:
    batch = _store(request).batch(VENDOR, batch_id)
    if batch is None:
        raise Refusal(404, "not_found_error", f"Batch {batch_id} not found.")
    return batch


def _answer(request: Request, batch: Batch) -> JSONResponse:
    headers = {"request-id": new_id("req_"), "retry-after": "10"}
    return JSONResponse(_shown(request, batch), headers=headers)


def _shown(request: Request, batch: Batch) -> dict[str, Any]:
    counts = _store(request).counts(batch)
    if not batch.ended:
        # The real API tells nothing of single requests before the batch has ended.
        counts = {"processing": batch.total, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    url = here(request, f"/v1/messages/batches/{batch.id}/results")
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "canceling" if batch.cancelling else "in_progress",
        "request_counts": counts,
        "ended_at": _iso(batch.stops) if batch.ended else None,
        "created_at": _iso(batch.created),
        "expires_at": _iso(batch.expires),
        "archived_at": None,
        "cancel_initiated_at": _iso(batch.cancel_asked) if batch.cancel_asked else None,
        "results_url": url if batch.ended else None,
    }


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


ROUTES = [
    Route("/v1/messages/batches", create, methods=["POST"]),
    Route("/v1/messages/batches", list_batches, methods=["GET"]),
    Route("/v1/messages/batches/{id}", get_batch, methods=["GET"]),
    Route("/v1/messages/batches/{id}", delete, methods=["DELETE"]),
    Route("/v1/messages/batches/{id}/cancel", cancel, methods=["POST"]),
    Route("/v1/messages/batches/{id}/results", results, methods=["GET"]),
    Route("/v1/models/{model}", get_model, methods=["GET"]),
]
