"""The wire of the Gemini batch API (Developer API, v1beta): resumable upload, batchGenerateContent, results as a file.

States are BATCH_STATE_*, counts are strings, `done` is absent until the end; inline requests are answered inline, a file
with a file.
"""

import json
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

VENDOR = "gemini"
_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
_PREFIXES = ("gemini-",)


class Refusal(Exception):
    """An error answer of this API."""

    def __init__(self, status: int, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.reason = status, message, reason


def error(status: int, message: str, reason: str | None = None) -> JSONResponse:
    """An error in Google's form."""
    inner: dict[str, Any] = {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}
    if reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        inner["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com"}]
    return JSONResponse({"error": inner}, status)


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _authorised(request: Request) -> None:
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key", "")
    if not key or key.startswith("bad"):
        raise Refusal(400, "API key not valid. Please pass a valid API key.", "API_KEY_INVALID")


async def get_model(request: Request) -> Response:
    """GET /v1beta/models/{model}"""
    _authorised(request)
    name = request.path_params["model"]
    if not name.startswith(_PREFIXES):
        raise Refusal(404, f"models/{name} is not found for API version v1beta.")
    methods = ["generateContent", "batchGenerateContent"]
    return JSONResponse(
        {"name": f"models/{name}", "displayName": name, "version": "001", "inputTokenLimit": 1_048_576,
         "outputTokenLimit": 65_536, "supportedGenerationMethods": methods}
    )  # fmt: skip


async def begin_upload(request: Request) -> Response:
    """POST /upload/v1beta/files: says where the bytes go."""
    _authorised(request)
    described = json.loads(await request.body() or b"{}").get("file", {})
    file_id = new_id("")[:12]
    mime = request.headers.get("x-goog-upload-header-content-type", "application/octet-stream")
    _store(request).add_file(VENDOR, file_id, described.get("displayName") or file_id, "upload", mime, b"")
    url = here(request, f"/upload/v1beta/files/{file_id}")
    return JSONResponse({}, headers={"x-goog-upload-url": url, "x-goog-upload-status": "active"})


async def take_bytes(request: Request) -> Response:
    """POST to the upload's own address, in one or more chunks; the last one finalizes."""
    file_id, body = request.path_params["id"], await request.body()
    final = "finalize" in request.headers.get("x-goog-upload-command", "")
    offset = int(request.headers.get("x-goog-upload-offset", 0))
    _store(request).append_file(VENDOR, file_id, body, offset)
    shown = {"file": _shown_file(request, file_id)} if final else {}
    return JSONResponse(shown, headers={"x-goog-upload-status": "final" if final else "active"})


async def get_file(request: Request) -> Response:
    """GET /v1beta/files/{id}, and its bytes at {id}:download"""
    _authorised(request)
    name: str = request.path_params["id"]
    if not name.endswith(":download"):
        return JSONResponse(_shown_file(request, name))
    file_id = name.removesuffix(":download")
    batch = _store(request).batch(VENDOR, file_id.removeprefix("batch-"))
    if batch is None or not batch.ended:
        raise Refusal(404, f"You do not have permission to access the File {file_id} or it may not exist.")
    lines = ((line["key"], json.dumps(line, ensure_ascii=False) + "\n") for line in _lines(_store(request), batch))
    return StreamingResponse(_store(request).fault.lines(batch.id, lines), media_type="application/json")


async def create(request: Request) -> Response:
    """POST /v1beta/models/{model}:batchGenerateContent"""
    _authorised(request)
    name, _, method = request.path_params["call"].partition(":")
    if method != "batchGenerateContent" or not name.startswith(_PREFIXES):
        raise Refusal(404, f"models/{name} is not found for API version v1beta, or is not supported for {method}.")
    asked = json.loads(await request.body())["batch"]
    config = asked.get("inputConfig") or asked.get("input_config") or {}
    file_name = config.get("fileName") or config.get("file_name")
    requests = _from_file(request, file_name) if file_name else _inline(config)
    if not requests:
        raise Refusal(400, "The batch must contain at least one request.")
    facts = {"model": f"models/{name}", "display_name": asked.get("displayName") or asked.get("display_name"),
             "file": file_name}  # fmt: skip
    rows = ((key, {**body, "metadata": meta}, "succeeded", 0) for key, body, meta in requests)
    return JSONResponse(_shown(request, _store(request).add_batch(VENDOR, new_id(""), facts, rows)))


def _from_file(request: Request, name: str) -> list[tuple[str, dict[str, Any], Any]]:
    row = _store(request).file(VENDOR, name.removeprefix("files/"))
    if row is None:
        raise Refusal(404, f"File {name} not found.")
    try:
        lines = [json.loads(line) for line in bytes(row["content"]).splitlines() if line.strip()]
        return [(str(line["key"]), dict(line["request"]), None) for line in lines]
    except (ValueError, KeyError, TypeError) as broken:
        raise Refusal(400, "Failed to parse the input file.") from broken


def _inline(config: dict[str, Any]) -> list[tuple[str, dict[str, Any], Any]]:
    rows = (config.get("requests") or {}).get("requests") or []
    return [(str(n), row["request"], row.get("metadata")) for n, row in enumerate(rows)]


async def get_batch(request: Request) -> Response:
    """GET /v1beta/batches/{id}"""
    _authorised(request)
    return JSONResponse(_shown(request, _found(request, request.path_params["id"])))


async def list_batches(request: Request) -> Response:
    """GET /v1beta/batches, newest first, in pages"""
    _authorised(request)
    size = min(int(request.query_params.get("pageSize", 50)), 100)
    begin = int(request.query_params.get("pageToken") or 0)
    batches = _store(request).batches(VENDOR)
    answer: dict[str, Any] = {"operations": [_shown(request, b) for b in batches[begin : begin + size]]}
    if begin + size < len(batches):
        answer["nextPageToken"] = str(begin + size)
    return JSONResponse(answer)


async def act(request: Request) -> Response:
    """POST /v1beta/batches/{id}:cancel, or :delete as the SDK spells a DELETE"""
    _authorised(request)
    batch_id, _, verb = request.path_params["id"].partition(":")
    batch = _found(request, batch_id)
    if verb == "cancel":
        _store(request).cancel(VENDOR, batch.id)
    return JSONResponse({})


async def delete(request: Request) -> Response:
    """DELETE /v1beta/batches/{id}"""
    _authorised(request)
    _store(request).delete_batch(VENDOR, _found(request, request.path_params["id"]).id)
    return JSONResponse({})


def _found(request: Request, batch_id: str) -> Batch:
    batch = _store(request).batch(VENDOR, batch_id)
    if batch is None:
        raise Refusal(404, "Requested entity was not found.")
    return batch


def _shown_file(request: Request, file_id: str) -> dict[str, Any]:
    row = _store(request).file(VENDOR, file_id)
    if row is None:
        raise Refusal(404, f"File {file_id} not found.")
    return {
        "name": f"files/{file_id}", "displayName": row["name"], "mimeType": row["mime"],
        "sizeBytes": str(len(row["content"])), "createTime": _iso(row["created"]), "state": "ACTIVE",
        "uri": here(request, f"/v1beta/files/{file_id}"), "source": "UPLOADED",
    }  # fmt: skip


def _shown(request: Request, batch: Batch) -> dict[str, Any]:
    counts = _store(request).counts(batch)
    stats = {"requestCount": str(batch.total)}
    if not batch.ended:
        stats["pendingRequestCount"] = str(batch.total)
    elif counts["succeeded"]:
        stats["successfulRequestCount"] = str(counts["succeeded"])
    if batch.ended and (failed := batch.total - counts["succeeded"]):
        stats["failedRequestCount"] = str(failed)
    metadata = {
        "@type": _TYPE, "model": batch.facts["model"], "displayName": batch.facts["display_name"],
        "createTime": _iso(batch.created), "updateTime": _iso(min(batch.now, batch.stops)), "batchStats": stats,
        "state": _state(batch), "name": f"batches/{batch.id}",
    }  # fmt: skip
    if batch.facts["file"]:
        metadata["inputConfig"] = {"fileName": batch.facts["file"]}
    answer: dict[str, Any] = {"name": f"batches/{batch.id}", "metadata": metadata}
    if batch.ended:
        output = _output(_store(request), batch)
        metadata |= {"endTime": _iso(batch.stops), "output": output}
        answer |= {"done": True, "response": {"@type": f"{_TYPE}Output", **output}}
    return answer


def _output(store: Store, batch: Batch) -> dict[str, Any]:
    if batch.facts["file"]:
        return {"responsesFile": f"files/batch-{batch.id}"}
    rows = sorted(store.results(batch), key=lambda row: int(row["position"]))
    inline = [{**_outcome(row), "metadata": json.loads(row["body"]).get("metadata")} for row in rows]
    return {"inlinedResponses": {"inlinedResponses": inline}}


def _state(batch: Batch) -> str:
    if batch.cancelled:
        return "BATCH_STATE_CANCELLED"
    if batch.ended:
        return "BATCH_STATE_EXPIRED" if batch.expired else "BATCH_STATE_SUCCEEDED"
    return "BATCH_STATE_PENDING" if batch.now - batch.created < 0.3 else "BATCH_STATE_RUNNING"


def _lines(store: Store, batch: Batch) -> Iterator[dict[str, Any]]:
    for row in store.results(batch):
        yield {"key": row["custom_id"], **_outcome(row)}


def _outcome(row: Any) -> dict[str, Any]:
    ends = {"canceled": (1, "CANCELLED"), "expired": (4, "DEADLINE_EXCEEDED"), "errored": (13, "INTERNAL")}
    if row["final"] not in ends:
        return {"response": _response(json.loads(row["body"]), row["final"])}
    code, status = ends[row["final"]]
    return {"error": {"code": code, "message": "The request was not executed.", "status": status}}


def _response(body: dict[str, Any], outcome: str) -> dict[str, Any]:
    config = body.get("generationConfig") or body.get("generation_config") or {}
    schema = next((config[k] for k in _SCHEMAS if config.get(k)), None)
    system = body.get("systemInstruction") or body.get("system_instruction") or {}
    limit = int(config.get("maxOutputTokens") or config.get("max_output_tokens") or 8_192)
    content = "\n".join(text_of(part.get("parts")) for part in body.get("contents", []))
    ask = Ask(str(body.get("model", "gemini")).removeprefix("models/"), text_of(system.get("parts")), content, schema, limit)
    text = model.answer(ask, outcome)
    limit = 5 if outcome == "truncated" else limit
    whole = tokens(text) <= limit
    text = text if whole else text[: limit * 4]
    used, made = tokens(ask.system) + tokens(content), tokens(text)
    reason = "SAFETY" if outcome == "refused" else "STOP" if whole else "MAX_TOKENS"
    return {
        "candidates": [
            {"content": {"parts": [{"text": text}], "role": "model"}, "finishReason": reason,
             "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": used, "candidatesTokenCount": made, "totalTokenCount": used + made,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used}], "serviceTier": "SERVICE_TIER_STANDARD",
        },
        "modelVersion": ask.model,
        "responseId": new_id(""),
    }  # fmt: skip


_SCHEMAS = ("responseJsonSchema", "response_json_schema", "responseSchema", "response_schema")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


ROUTES = [
    Route("/upload/v1beta/files", begin_upload, methods=["POST"]),
    Route("/upload/v1beta/files/{id}", take_bytes, methods=["POST", "PUT"]),
    Route("/v1beta/files/{id}", get_file, methods=["GET"]),
    Route("/download/v1beta/files/{id}", get_file, methods=["GET"]),
    Route("/v1beta/models/{call}", create, methods=["POST"]),
    Route("/v1beta/models/{model}", get_model, methods=["GET"]),
    Route("/v1beta/batches", list_batches, methods=["GET"]),
    Route("/v1beta/batches/{id}", get_batch, methods=["GET"]),
    Route("/v1beta/batches/{id}", act, methods=["POST"]),
    Route("/v1beta/batches/{id}", delete, methods=["DELETE"]),
]
