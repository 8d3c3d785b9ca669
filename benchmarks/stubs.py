"""The servers' own side: four small web servers, one a process. usage: python -m benchmarks.stubs NAME PORT [ARGUMENT …]

proxy passes everything on to a local vendor and can lose the answer of a create: the connection is closed without a word.
status answers every look at a batch at once, so that what is measured is the client's own waiting. swallow takes a
submission of any size and keeps none of it. results hands out a large batch's answers from memory.
"""

import asyncio
import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import uvicorn

CREATES = ("/batches", ":batchGenerateContent")
GRACE_S = 0.05
"""A call that reaches us so soon after a Retry-After was sent was under way before it could be read."""

OPENAI = {
    "id": "batch_1", "object": "batch", "status": "in_progress", "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
    "completion_window": "24h", "created_at": 1, "request_counts": {"total": 1, "completed": 0, "failed": 0},
}  # fmt: skip
FILE = {
    "id": "file-1", "object": "file", "bytes": 1, "created_at": 1, "filename": "x.jsonl", "purpose": "batch",
    "status": "processed",
}  # fmt: skip
ANTHROPIC = {
    "id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress",
    "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}, "ended_at": None,
    "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z", "archived_at": None,
    "cancel_initiated_at": None, "results_url": None,
}  # fmt: skip
Send = Callable[[Any], Awaitable[None]]


def running_batch(path: str, batch_id: str) -> dict[str, Any]:
    """A batch that is still being worked on, in the form of the vendor that the path is of."""
    if path.startswith("/gemini"):
        state = {"model": "models/gemini-2.5-flash", "state": "BATCH_STATE_RUNNING", "name": f"batches/{batch_id}"}
        return {"name": f"batches/{batch_id}", "metadata": {**state, "displayName": batch_id}}
    return {**(ANTHROPIC if path.startswith("/anthropic") else OPENAI), "id": batch_id}


async def whole(receive: Any) -> bytes:
    """A call's body."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def reply(send: Send, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
    """Answer with JSON, or with bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": "application/json", **(headers or {}), "content-length": str(len(raw))}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": raw})


class Stub(ABC):
    """What the four have in common: they can be told something, and say what they counted."""

    def __init__(self) -> None:
        self.counted: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["path"] == "/__counted":
            await reply(send, self.counted)
        elif scope["path"] == "/__control":
            self.control(json.loads(await whole(receive)))
            await reply(send, {})
        else:
            await self.call(scope, receive, send)

    def control(self, told: dict[str, Any]) -> None:
        """Do as told: a stub with nothing to be told does nothing."""
        return

    @abstractmethod
    async def call(self, scope: Any, receive: Any, send: Send) -> None:
        """One call of a client."""


class Proxy(Stub):
    """Passes everything on; the next `lose` creates (-1: all) are answered by a closed connection."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream, self.lose = upstream, 0
        self.client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - the clients' own timeouts hold

    def control(self, told: dict[str, Any]) -> None:
        """How many creates are to lose their answer."""
        self.lose = int(told["lose"])

    async def call(self, scope: Any, receive: Any, send: Send) -> None:
        """Forward, and answer or not."""
        skipped = (b"content-length", b"transfer-encoding", b"accept-encoding", b"connection")
        headers = [(name, value) for name, value in scope["headers"] if name not in skipped]
        url = self.upstream + scope["raw_path"].decode() + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        answer = await self.client.request(scope["method"], url, content=await whole(receive), headers=headers)
        if scope["method"] == "POST" and scope["path"].endswith(CREATES) and self.lose:
            self.lose -= 1
            send.__self__.transport.abort()  # type: ignore[attr-defined] # uvicorn has no word for "say nothing and hang up"
            await asyncio.sleep(0.01)
            return
        kept = {k: v for k, v in answer.headers.items() if k not in ("content-length", "transfer-encoding", "connection")}
        await reply(send, answer.content, answer.status_code, kept)


class Status(Stub):
    """Answers every look, `hung…` never, and each `busy_every`-th with 429 and Retry-After: 2."""

    def __init__(self, delay_s: str, busy_every: str) -> None:
        super().__init__()
        self.delay_s, self.busy_every, self.quiet, self.here, self.number = float(delay_s), int(busy_every), [(0.0, 0.0)], 0, 0
        self.counted = {"looks": [], "most_at_once": 0, "in_a_quiet_time": 0, "busy": 0}

    async def call(self, scope: Any, receive: Any, send: Send) -> None:
        """One look, or a create (Gemini's own trigger makes its batch itself: its display name is the id)."""
        path, now = scope["path"], time.time()
        if scope["method"] == "POST":
            batch_id = json.loads(await whole(receive))["batch"].get("displayName", "x")
            await reply(send, running_batch(path, batch_id))
            return
        batch_id = path.rsplit("/", 1)[1]
        self.counted["looks"].append([now, batch_id])
        if batch_id.startswith("hung"):
            await asyncio.sleep(3_600)
        if batch_id.startswith("warm"):
            await reply(send, running_batch(path, batch_id))
            return
        self.number += 1
        self.counted["in_a_quiet_time"] += any(begin + GRACE_S < now < end for begin, end in self.quiet)
        self.here += 1
        self.counted["most_at_once"] = max(self.counted["most_at_once"], self.here)
        busy = self.busy_every and self.number % self.busy_every == 0
        await asyncio.sleep(self.delay_s)
        self.here -= 1
        if busy:
            self.counted["busy"] += 1
            error = {
                "type": "error",
                "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "slow down"},
            }
            await reply(send, error, 429, {"retry-after": "2"})
            self.quiet.append((time.time(), time.time() + 2))
            return
        await reply(send, running_batch(path, batch_id))


class Swallow(Stub):
    """Takes an upload or a create of any size, counts its bytes and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = {"bytes": 0, "creates": 0}

    async def call(self, scope: Any, receive: Any, send: Send) -> None:
        """Accept it."""
        headers, path, more = dict(scope["headers"]), scope["path"], True
        while more:
            message = await receive()
            self.counted["bytes"] += len(message.get("body", b""))
            more = bool(message.get("more_body"))
        if path.startswith("/gemini/upload"):
            final = b"finalize" in headers.get(b"x-goog-upload-command", b"")
            url = f"http://{headers[b'host'].decode()}/gemini/upload/v1beta/files/f1"
            said = {"x-goog-upload-url": url, "x-goog-upload-status": "final" if final else "active"}
            await reply(send, {"file": {"name": "files/f1"}} if final else {}, 200, said)
            return
        self.counted["creates"] += path.endswith(CREATES)
        await reply(send, FILE if path.endswith("/files") else running_batch(path, f"b{self.counted['creates']}"))


class Results(Stub):
    """A batch that ended with `count` answers, all of them like `label`; held ready, so that it is fast."""

    def __init__(self, vendor: str, count: str, key: str) -> None:
        super().__init__()
        from benchmarks.landing import LABEL

        make = _anthropic_line if vendor == "anthropic" else _openai_line
        self.count = int(count)
        rows = [json.dumps(make(f"{key}-{n}", LABEL)).encode() + b"\n" for n in range(self.count)]
        self.chunks = [b"".join(rows[n : n + 500]) for n in range(0, self.count, 500)]

    async def call(self, scope: Any, receive: Any, send: Send) -> None:
        """The results, or the batch as it stands."""
        await whole(receive)
        path, host = scope["path"], dict(scope["headers"])[b"host"].decode()
        if path.endswith(("/results", "/content")):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for chunk in self.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        elif path.endswith("/files"):
            await reply(send, FILE)
        elif path.startswith("/anthropic"):
            counts = {**ANTHROPIC["request_counts"], "processing": 0, "succeeded": self.count}  # type: ignore[dict-item]
            url = f"http://{host}/anthropic/v1/messages/batches/msgbatch_1/results"
            ended = {"processing_status": "ended", "ended_at": "2026-01-01T01:00:00Z", "results_url": url}
            await reply(send, {**ANTHROPIC, **ended, "request_counts": counts})
        else:
            counts = {"total": self.count, "completed": self.count, "failed": 0}
            await reply(send, {**OPENAI, "status": "completed", "output_file_id": "out-1", "request_counts": counts})


def _anthropic_line(custom_id: str, label: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "tool_use", "id": "tu_1", "name": "ReviewLabel", "input": label}]
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": content,
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 500, "output_tokens": 80},
    }  # fmt: skip
    return {"custom_id": custom_id, "result": {"type": "succeeded", "message": message}}


def _openai_line(custom_id: str, label: dict[str, Any]) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": json.dumps(label), "refusal": None},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 500, "completion_tokens": 80, "total_tokens": 580}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "gpt-5-mini", "choices": [choice], "usage": usage}
    return {"id": "r", "custom_id": custom_id, "error": None, "response": {"status_code": 200, "request_id": "r", "body": body}}


def main(name: str, port: str, *arguments: str) -> None:
    """Serve until ended."""
    made = {"proxy": Proxy, "status": Status, "swallow": Swallow, "results": Results}[name](*arguments)  # type: ignore[arg-type]
    uvicorn.run(made, host="127.0.0.1", port=int(port), lifespan="off", proxy_headers=False, log_level="critical")


if __name__ == "__main__":
    main(*sys.argv[1:])
