"""What the local OpenAI answers, request by request: the lines of a batch's output and error files."""

import json
from collections.abc import Iterator
from typing import Any

from overnight.sandbox import model
from overnight.sandbox.asking import Ask, text_of, tokens
from overnight.sandbox.store import Batch, Store, new_id

PREFIXES = ("gpt-", "o3", "o4")


def lines(store: Store, batch: Batch, kind: str) -> Iterator[dict[str, Any]]:
    """The rows of a batch's `output` or `error` file, in an order of the vendor's own."""
    for row in store.results(batch):
        if (row["final"] not in ("errored", "expired", "canceled")) == (kind == "output"):
            yield _line(batch, row)


def ask_of(body: dict[str, Any]) -> Ask:
    """What a request asks for, from either endpoint's form."""
    if "messages" in body:
        said = [(m.get("role"), text_of(m.get("content"))) for m in body["messages"]]
        system = "\n".join(text for role, text in said if role in ("system", "developer"))
        user = "\n".join(text for role, text in said if role not in ("system", "developer"))
        schema = ((body.get("response_format") or {}).get("json_schema") or {}).get("schema")
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 16_000
        return Ask(str(body.get("model")), system, user, schema, int(limit))
    given = body.get("input")
    user = given if isinstance(given, str) else "\n".join(text_of(part.get("content")) for part in given or [])
    schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    limit = int(body.get("max_output_tokens") or 16_000)
    return Ask(str(body.get("model")), str(body.get("instructions") or ""), user, schema, limit)


def _line(batch: Batch, row: Any) -> dict[str, Any]:
    line: dict[str, Any] = {"id": new_id("batch_req_"), "custom_id": row["custom_id"], "response": None, "error": None}
    body = json.loads(row["body"])
    if row["final"] == "errored":
        line["response"] = _row_error(body)
    elif row["final"] not in ("canceled", "expired"):
        chat = batch.facts["endpoint"] == "/v1/chat/completions"
        make = _chat if chat else _response
        line["response"] = {
            "status_code": 200, "request_id": new_id(""), "body": make(body, int(row["cached"]), batch, row["final"])
        }  # fmt: skip
    else:
        code = "batch_cancelled" if row["final"] == "canceled" else "batch_expired"
        line["error"] = {"code": code, "message": "This request was not executed before the batch ended."}
    return line


def _row_error(body: dict[str, Any]) -> dict[str, Any]:
    known = str(body.get("model", "")).startswith(PREFIXES) and ask_of(body).content
    if known:  # told to misbehave: an error of the vendor's own
        error = {"message": "The server had an error.", "type": "server_error", "param": None, "code": "server_error"}
        return {"status_code": 500, "request_id": new_id(""), "body": {"error": error}}
    inner = {"message": "The requested model does not exist.", "type": "invalid_request_error", "param": "model",
             "code": "model_not_found"}  # fmt: skip
    return {"status_code": 400, "request_id": new_id(""), "body": {"error": inner}}


def _said(body: dict[str, Any], outcome: str) -> tuple[Ask, str, bool]:
    """What was asked, what the model says, and whether that is all of it."""
    ask = ask_of(body)
    text = model.answer(ask, outcome)
    limit = 5 if outcome == "truncated" else ask.max_tokens
    whole = tokens(text) <= limit
    return ask, text if whole else text[: limit * 4], whole


def _response(body: dict[str, Any], cached: int, batch: Batch, outcome: str) -> dict[str, Any]:
    ask, text, whole = _said(body, outcome)
    used, made = tokens(ask.system) + tokens(ask.content), tokens(text)
    part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if outcome == "refused":
        part = {"type": "refusal", "refusal": "I can't help with that."}
    return {
        "id": new_id("resp_"), "object": "response", "created_at": int(batch.stops),
        "status": "completed" if whole else "incomplete", "background": False, "error": None,
        "incomplete_details": None if whole else {"reason": "max_output_tokens"}, "instructions": ask.system or None,
        "max_output_tokens": body.get("max_output_tokens"), "model": ask.model,
        "output": [
            {"id": new_id("msg_"), "type": "message", "status": "completed" if whole else "incomplete",
             "role": "assistant", "content": [part]}
        ],
        "store": bool(body.get("store", True)), "text": body.get("text"),
        "usage": {
            "input_tokens": used, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": used + made,
        },
    }  # fmt: skip


def _chat(body: dict[str, Any], cached: int, _batch: Batch, outcome: str) -> dict[str, Any]:
    ask, text, whole = _said(body, outcome)
    used, made = tokens(ask.system) + tokens(ask.content), tokens(text)
    message: dict[str, Any] = {"role": "assistant", "content": text, "annotations": []}
    message["refusal"] = "I can't help with that." if outcome == "refused" else None
    return {
        "id": new_id("chatcmpl-"), "object": "chat.completion", "created": 0, "model": ask.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop" if whole else "length"}],
        "usage": {
            "prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default", "system_fingerprint": None,
    }  # fmt: skip
