"""The wire of OpenAI's Files and Batches APIs, for /v1/responses and /v1/chat/completions."""

import json
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from overnight.sandbox import openai_answers
from overnight.sandbox.asking import tokens
from overnight.sandbox.openai_answers import PREFIXES, ask_of
from overnight.sandbox.store import Batch, Store, new_id

VENDOR = "openai"
ENDPOINTS = ("/v1/responses", "/v1/chat/completions")
MAX_REQUESTS = 50_000
MIN_CACHED_PREFIX, CACHE_BLOCK = 1_024, 128  # tokens; developers.openai.com/api/docs/guides/prompt-caching
KEEP_S = 30 * 86_400


class Refusal(Exception):
    """An error answer of this API."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param


def error(status: int, message: str, code: str | None, param: str | None) -> JSONResponse:
    """An error in OpenAI's form."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
    return JSONResponse(body, status, headers={"x-request-id": new_id("req_")})


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _authorised(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key or key.startswith("bad"):
        raise Refusal(401, "Incorrect API key provided.", "invalid_api_key")


async def get_model(request: Request) -> Response:
    """GET /v1/models/{id}"""
    _authorised(request)
    name = request.path_params["model"]
    if not name.startswith(PREFIXES):
        raise Refusal(404, f"The model '{name}' does not exist", "model_not_found", "model")
    return JSONResponse({"id": name, "object": "model", "created": 1_754_425_777, "owned_by": "system"})


async def upload(request: Request) -> Response:
    """POST /v1/files"""
    _authorised(request)
    async with request.form(max_part_size=600_000_000) as form:
        file, purpose = form.get("file"), form.get("purpose")
        if not isinstance(file, UploadFile) or not isinstance(purpose, str):
            raise Refusal(400, "Missing required parameter: 'file'.", "missing_required_parameter", "file")
        name = file.filename or "upload"
        if purpose == "batch" and not name.endswith(".jsonl") and name != "upload":
            raise Refusal(400, "Invalid file format for Batch API. Must be .jsonl")
        file_id, content = new_id("file-"), await file.read()
    _store(request).add_file(VENDOR, file_id, name, purpose, "application/jsonl", content)
    return JSONResponse(_shown_file(_file(request, file_id)))


async def get_file(request: Request) -> Response:
    """GET /v1/files/{id}"""
    _authorised(request)
    file_id = request.path_params["id"]
    if (made := _made(request, file_id)) is not None:
        batch, kind = made
        return JSONResponse(_made_file(batch, file_id, kind))
    return JSONResponse(_shown_file(_file(request, file_id)))


async def list_files(request: Request) -> Response:
    """GET /v1/files"""
    _authorised(request)
    files = [_shown_file(row) for row in _store(request).files(VENDOR)]
    return JSONResponse(_listed(files, request))


async def delete_file(request: Request) -> Response:
    """DELETE /v1/files/{id}"""
    _authorised(request)
    file_id = request.path_params["id"]
    if not _store(request).delete_file(VENDOR, file_id):
        raise Refusal(404, f"No such File object: {file_id}", None, "id")
    return JSONResponse({"object": "file", "id": file_id, "deleted": True})


async def content(request: Request) -> Response:
    """GET /v1/files/{id}/content"""
    _authorised(request)
    file_id = request.path_params["id"]
    made = _made(request, file_id)
    if made is None:
        return Response(_file(request, file_id)["content"], media_type="application/octet-stream")
    batch, kind = made
    name = f'attachment; filename="{batch.id}_{kind}.jsonl"'
    answers = openai_answers.lines(_store(request), batch, kind)
    lines = ((line["custom_id"], json.dumps(line, ensure_ascii=False) + "\n") for line in answers)
    return StreamingResponse(
        _store(request).fault.lines(batch.id, lines), media_type="application/octet-stream", headers={"content-disposition": name}
    )


async def create(request: Request) -> Response:
    """POST /v1/batches: an unknown file or a bad line is not refused here; the batch fails later."""
    _authorised(request)
    try:
        asked = json.loads(await request.body())
    except ValueError as broken:
        raise Refusal(400, "We could not parse the JSON body of your request.") from broken
    for name in ("input_file_id", "endpoint", "completion_window"):
        if not asked.get(name):
            raise Refusal(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    if asked["endpoint"] not in ENDPOINTS:
        raise Refusal(400, f"Invalid value: '{asked['endpoint']}'.", "invalid_value", "endpoint")
    if asked["completion_window"] != "24h":
        raise Refusal(400, "Invalid value for completion_window: only '24h' is supported.", None, "completion_window")
    requests, trouble = _validated(request, asked)
    metadata = asked.get("metadata")
    facts = {"endpoint": asked["endpoint"], "input_file_id": asked["input_file_id"], "metadata": metadata}
    facts["model"] = requests[0][1].get("model") if requests else None
    facts["output"], facts["error"] = new_id("file-"), new_id("file-")
    batch = _store(request).add_batch(VENDOR, new_id("batch_"), facts, _rows(requests), error=trouble)
    return JSONResponse(_shown(request, batch))


def _validated(request: Request, asked: dict[str, Any]) -> tuple[list[tuple[str, dict[str, Any]]], dict[str, Any] | None]:
    """The file's requests, or what makes the whole batch fail; lines are counted from 1."""
    file = _store(request).file(VENDOR, asked["input_file_id"])
    if file is None:
        return [], _trouble("invalid_request", f"Cannot find file {asked['input_file_id']}.")
    found: list[tuple[str, dict[str, Any]]] = []
    seen: set[str] = set()
    for n, line in enumerate(bytes(file["content"]).splitlines(), start=1):
        if not line.strip():
            continue
        problem = _line_problem(line, asked["endpoint"], seen, found)
        if problem is not None:
            return [], _trouble(*problem, line=n)
    if not found:
        return [], _trouble("empty_file", "The input file is empty.")
    if len(found) > MAX_REQUESTS:
        return [], _trouble("too_many_tasks", f"The batch input file contains too many requests: {len(found)}.")
    return found, None


def _line_problem(line: bytes, endpoint: str, seen: set[str], found: list[tuple[str, dict[str, Any]]]) -> tuple[str, str] | None:
    try:
        row = json.loads(line)
        custom_id, body = str(row["custom_id"]), dict(row["body"])
    except (ValueError, KeyError, TypeError):
        return "invalid_json_line", "This line is not parseable as valid JSON."
    if custom_id in seen:
        return "duplicate_custom_id", f"The custom_id '{custom_id}' is used more than once."
    if row.get("url") != endpoint:
        return "url_mismatch", "The URL provided for this request does not match the batch endpoint."
    if found and body.get("model") != found[0][1].get("model"):
        return "model_mismatch", "All requests in a batch must use the same model."
    seen.add(custom_id)
    found.append((custom_id, body))
    return None


def _trouble(code: str, message: str, line: int | None = None) -> dict[str, Any]:
    return {"code": code, "line": line, "message": message, "param": None}


def _rows(requests: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, Any, str, int]]:
    """Each request with its outcome; a long prefix that came before is read from the cache in blocks of 128."""
    seen: set[str] = set()
    for custom_id, body in requests:
        outcome = "succeeded" if str(body.get("model", "")).startswith(PREFIXES) and ask_of(body).content else "errored"
        prefix = ask_of(body).system
        size = tokens(prefix)
        cached = size // CACHE_BLOCK * CACHE_BLOCK if size >= MIN_CACHED_PREFIX and prefix in seen else 0
        seen.add(prefix)
        yield custom_id, body, outcome, cached


async def get_batch(request: Request) -> Response:
    """GET /v1/batches/{id}"""
    _authorised(request)
    return JSONResponse(_shown(request, _found(request, request.path_params["id"])))


async def list_batches(request: Request) -> Response:
    """GET /v1/batches, newest first"""
    _authorised(request)
    shown = [_shown(request, batch) for batch in _store(request).batches(VENDOR)]
    return JSONResponse(_listed(shown, request))


def _listed(rows: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    limit = min(int(request.query_params.get("limit", 20)), 100)
    ids = [row["id"] for row in rows]
    if (after := request.query_params.get("after")) in ids:
        rows = rows[ids.index(str(after)) + 1 :]
    page = rows[:limit]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": len(rows) > limit}


async def cancel(request: Request) -> Response:
    """POST /v1/batches/{id}/cancel"""
    _authorised(request)
    batch = _found(request, request.path_params["id"])
    if batch.ended:
        status = _status(batch)
        raise Refusal(409, f"Cannot cancel a batch with status '{status}'.", None)
    _store(request).cancel(VENDOR, batch.id)
    return JSONResponse(_shown(request, _found(request, batch.id)))


def _file(request: Request, file_id: str) -> Any:
    row = _store(request).file(VENDOR, file_id)
    if row is None:
        raise Refusal(404, f"No such File object: {file_id}", None, "id")
    return row


def _made(request: Request, file_id: str) -> tuple[Batch, str] | None:
    """The batch whose results a file id names, and which of its two files it is."""
    for batch in _store(request).batches(VENDOR):
        for kind in ("output", "error"):
            if batch.facts.get(kind) == file_id and batch.ended:
                return batch, kind
    return None


def _found(request: Request, batch_id: str) -> Batch:
    batch = _store(request).batch(VENDOR, batch_id)
    if batch is None:
        raise Refusal(404, f"No batch found with id '{batch_id}'.", None, None)
    return batch


def _shown_file(row: Any) -> dict[str, Any]:
    return {
        "object": "file", "id": row["id"], "purpose": row["purpose"], "filename": row["name"],
        "bytes": len(row["content"]), "created_at": int(row["created"]), "expires_at": int(row["created"]) + KEEP_S,
        "status": "processed", "status_details": None,
    }  # fmt: skip


def _made_file(batch: Batch, file_id: str, kind: str) -> dict[str, Any]:
    return {
        "object": "file", "id": file_id, "purpose": "batch_output", "filename": f"{batch.id}_{kind}.jsonl", "bytes": 0,
        "created_at": int(batch.stops), "expires_at": None, "status": "processed", "status_details": None,
    }  # fmt: skip


def _status(batch: Batch) -> str:
    if batch.error is not None:
        return "failed" if batch.now - batch.created > 0.2 else "validating"
    if batch.cancelled:
        return "cancelled"
    if batch.ended:
        return "expired" if batch.expired else "completed"
    if batch.cancelling:
        return "cancelling"
    share = (batch.now - batch.created) / max(batch.ends - batch.created, 0.001)
    return "validating" if share < 0.1 else "in_progress" if share < 0.9 else "finalizing"


def _shown(request: Request, batch: Batch) -> dict[str, Any]:
    status, counts = _status(batch), _store(request).counts(batch)
    begun = status not in ("validating", "failed")
    over, failed = batch.ended and batch.error is None, status == "failed"
    done, bad = (counts["succeeded"], counts["errored"]) if begun else (0, 0)
    stamp = int(batch.stops) if over else None
    if empty := status == "completed" and _store(request).fault.has_no_output(batch.id):
        done, bad = 0, batch.total  # as recorded: one that has answers has a file of them
    return {
        "id": batch.id, "object": "batch", "endpoint": batch.facts["endpoint"],
        "model": batch.facts["model"] if begun else None,
        "errors": {"object": "list", "data": [batch.error]} if failed else None,
        "input_file_id": batch.facts["input_file_id"], "completion_window": "24h", "status": status,
        "output_file_id": batch.facts["output"] if over and done and not empty else None,
        "error_file_id": (
            batch.facts["error"] if over and not empty and (bad or counts["canceled"] or counts["expired"]) else None
        ),
        "created_at": int(batch.created), "in_progress_at": int(batch.created) if begun else None,
        "expires_at": int(batch.expires),
        "finalizing_at": stamp if status == "completed" else None,
        "completed_at": stamp if status == "completed" else None,
        "failed_at": int(batch.created) if failed else None, "expired_at": stamp if status == "expired" else None,
        "cancelling_at": int(batch.cancel_asked) if batch.cancel_asked else None,
        "cancelled_at": stamp if status == "cancelled" else None,
        "request_counts": {"total": batch.total if begun else 0, "completed": done, "failed": bad},
        "usage": {
            "input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
        "metadata": batch.facts["metadata"],
    }  # fmt: skip


ROUTES = [
    Route("/v1/files", upload, methods=["POST"]),
    Route("/v1/files", list_files, methods=["GET"]),
    Route("/v1/files/{id}", get_file, methods=["GET"]),
    Route("/v1/files/{id}", delete_file, methods=["DELETE"]),
    Route("/v1/files/{id}/content", content, methods=["GET"]),
    Route("/v1/batches", create, methods=["POST"]),
    Route("/v1/batches", list_batches, methods=["GET"]),
    Route("/v1/batches/{id}", get_batch, methods=["GET"]),
    Route("/v1/batches/{id}/cancel", cancel, methods=["POST"]),
    Route("/v1/models/{model}", get_model, methods=["GET"]),
]
