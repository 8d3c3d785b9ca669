"""Answers that were cut off or refused and are counted as a success all the same.

Two ways. A batch at the local vendor, in which ten answers are cut off, ten refused and ten empty. And the code of each side
that reads a result line, given the shapes that the vendors document (a refusal may carry text; a filter may stop half-way).
The peers' rows hold the vendor's own stop reason beside the status "success": whoever looks at it can tell, but neither the
status nor the counts do. One number is left out: on chat completions, which the peer uses and we do not, the local vendor's
refusal has an empty text where the real one has null; the documented shapes say what the peer makes of that.
"""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import text

from benchmarks import ours, peers, servers

KINDS = ("truncated", "refused", "empty", "fine")
EACH = 10


def measure() -> dict[str, Any]:
    """Bad answers among those that count as good."""
    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name)) as vendor:
        peers.connect(vendor.url)
        for kind in KINDS[:-1]:
            vendor.spoil(f"please-{kind}", kind)
        mine: dict[str, Any] = {at: _our_night(at, Path(name)) for at in ours.MODELS}
        theirs: dict[str, Any] = {f"LLMBatchOperator {at}": _peer(at, Path(name)) for at in peers.MODELS}
    mine["documented shapes"] = {name: _our_verdict(*shape) for name, shape in OUR_SHAPES.items()}
    theirs["LLMBatchOperator documented shapes"] = _peer_statuses()
    good = [count for at in ours.MODELS for kind, count in mine[at].items() if kind != "fine"]
    met = not any(good) and "succeeded" not in mine["documented shapes"].values()
    unit = f"bad answers counted as a success, of {EACH} of each kind"
    return {"ours": mine, "peers": theirs, "unit": unit, "goal": "0 of each", "met": met}


def _bodies() -> list[str]:
    return [f"please-{kind} review number {n}: soft fabric and a perfect fit" for kind in KINDS for n in range(EACH)]


def _our_night(at: str, folder: Path) -> dict[str, int]:
    (folder / f"ours_{at}").mkdir()
    place = ours.Place(folder / f"ours_{at}")
    place.fill(_bodies())
    night = place.planned(ours.asked(at, pack=1, reuse=False))
    for batch_id in night.planned:
        night.batch(batch_id)
    night.validate()
    night.export()
    query = "SELECT i.input FROM answers a JOIN items i ON i.id = a.item_id WHERE a.state = 'valid'"
    with place.ledger.read() as conn:
        good = [str(row[0]) for row in conn.execute(text(query))]
    counts = {kind: sum(f"please-{kind}" in row for row in good) for kind in KINDS}
    assert counts["fine"] == EACH, counts
    return counts


def _peer(at: str, folder: Path) -> dict[str, int]:
    asked = _bodies()
    landed = peers.drive(peers.llm_batch(at, asked, folder / f"peer_{at}", task_id=at), peers.context(at))
    rows = [json.loads(line) for line in Path(landed["result_uri"].removeprefix("file://")).read_text().splitlines()]
    good = [asked[row["index"]] for row in rows if row["status"] == "success"]
    counts = {kind: sum(f"please-{kind}" in row for row in good) for kind in KINDS}
    assert counts["fine"] == EACH, counts
    return {kind: count for kind, count in counts.items() if (at, kind) != ("openai", "refused")}


def _message(stop: str, said: str) -> dict[str, Any]:
    content = [{"type": "text", "text": said}] if said else []
    message = {"model": "m", "content": content, "stop_reason": stop, "usage": {"input_tokens": 1, "output_tokens": 1}}
    return {"custom_id": "k", "result": {"type": "succeeded", "message": message}}


def _responses(status: str, part: dict[str, Any], why: str | None = None) -> dict[str, Any]:
    details = {"reason": why} if why else None
    body = {"status": status, "incomplete_details": details, "output": [{"type": "message", "content": [part]}], "model": "m"}
    return {"custom_id": "k", "error": None, "response": {"status_code": 200, "body": body}}


def _candidate(finish: str, said: str) -> dict[str, Any]:
    return {"key": "k", "response": {"candidates": [{"content": {"parts": [{"text": said}]}, "finishReason": finish}]}}


HALF, NO = {"type": "output_text", "text": "Half"}, "I can't help with that."
OUR_SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai refusal": ("openai", _responses("completed", {"type": "refusal", "refusal": NO})),
    "openai content filter, half a text": ("openai", _responses("incomplete", HALF, "content_filter")),
    "openai truncated": ("openai", _responses("incomplete", HALF, "max_output_tokens")),
    "anthropic refusal with text": ("anthropic", _message("refusal", NO)),
    "anthropic refusal without text": ("anthropic", _message("refusal", "")),
    "anthropic truncated": ("anthropic", _message("max_tokens", "Half")),
    "gemini safety": ("gemini", _candidate("SAFETY", "Half")),
    "gemini truncated": ("gemini", _candidate("MAX_TOKENS", "Half")),
}


def _our_verdict(at: str, line: dict[str, Any]) -> str:
    from overnight.batches.vendor import vendor_class

    return vendor_class(at)(None).read(json.dumps(line).encode()).verdict.value


def _peer_statuses() -> dict[str, str]:
    """The same cases on the endpoints the peer uses (OpenAI: chat completions), with its default of a plain text answer."""
    return {
        "openai refusal": _peer_openai(None, "stop", NO),
        "openai content filter, half a text": _peer_openai("Half", "content_filter"),
        "openai truncated": _peer_openai("Half", "length"),
        "anthropic refusal with text": _peer_anthropic(NO, "refusal"),
        "anthropic refusal without text": _peer_anthropic("", "refusal"),
        "anthropic truncated": _peer_anthropic("Half", "max_tokens"),
    }


def _peer_openai(content: str | None, finish: str, refusal: str | None = None) -> str:
    from airflow.providers.common.ai.batch.openai import OpenAIBatchAdapter

    choice = {"message": {"content": content, "refusal": refusal}, "finish_reason": finish}
    line = {"custom_id": "k-0", "error": None, "response": {"status_code": 200, "body": {"model": "m", "choices": [choice]}}}
    return _status(OpenAIBatchAdapter, line, "_parse_result_line")


def _peer_anthropic(said: str, stop: str) -> str:
    from airflow.providers.common.ai.batch.anthropic import AnthropicBatchAdapter

    parts = [SimpleNamespace(type="text", text=said)] if said else []
    usage = SimpleNamespace(input_tokens=1, output_tokens=1)
    message = SimpleNamespace(model="m", usage=usage, stop_reason=stop, content=parts)
    item = SimpleNamespace(custom_id="k-0", result=SimpleNamespace(type="succeeded", message=message))
    return _status(AnthropicBatchAdapter, item, "_parse_result_item")


def _status(adapter: Any, line: Any, reader: str) -> str:
    from airflow.providers.common.ai.batch import results
    from airflow.providers.common.ai.batch.output_schema import build_output_spec

    raw = getattr(adapter, reader)(line)
    return str(results.build_result_row(raw, adapter(client=SimpleNamespace()), build_output_spec(str))["status"])
