"""The local vendor answers as the real ones do: the official SDKs cannot tell, and recorded traffic has the same shape."""

import io
import json
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.conftest import PROJECT, Sandbox

RECORDED = PROJECT.parent / "shared" / "recorded"


def until(look: Any, done: Any) -> Any:
    end = time.monotonic() + 20
    while not done(seen := look()):
        assert time.monotonic() < end
        time.sleep(0.03)
    return seen


def anthropic_client(sandbox: Sandbox) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=sandbox.hosts["anthropic"], api_key="k", max_retries=0)


def openai_client(sandbox: Sandbox) -> openai.OpenAI:
    return openai.OpenAI(base_url=sandbox.hosts["openai"], api_key="k", max_retries=0)


def gemini_client(sandbox: Sandbox) -> genai.Client:
    return genai.Client(api_key="k", http_options=types.HttpOptions(base_url=sandbox.hosts["gemini"]))


def request(n: int, **changes: Any) -> Any:
    params = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": f"say {n}"}]}
    return {"custom_id": f"r{n}", "params": {**params, **changes}}


def test_anthropic_batches_go_through_the_official_sdk(shared_sandbox: Sandbox) -> None:
    """Create, retrieve, list, results: succeeded rows and an errored one, in an order of the vendor's own."""
    client = anthropic_client(shared_sandbox)
    made = client.messages.batches.create(requests=[*(request(n) for n in range(20)), request(99, max_tokens=10**6)])
    assert made.processing_status == "in_progress"
    assert made.request_counts.processing == 21
    until(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    rows = list(client.messages.batches.results(made.id))
    kinds = {row.custom_id: row.result.type for row in rows}
    assert kinds["r99"] == "errored"
    assert list(kinds.values()).count("succeeded") == 20
    assert [row.custom_id for row in rows] != sorted(kinds)
    assert made.id in [batch.id for batch in client.messages.batches.list(limit=2)]


def test_anthropic_lists_in_pages(sandbox: Sandbox) -> None:
    """The SDK's pager walks every batch, newest first, once each."""
    client = anthropic_client(sandbox)
    made = [client.messages.batches.create(requests=[request(1)]).id for _ in range(5)]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == made[::-1]


@pytest.mark.parametrize(
    ("requests", "words"),
    [([], "at least 1 item"), ([request(1), request(1)], "unique"), ([{**request(1), "custom_id": "no spaces"}], "pattern")],
)
def test_anthropic_refuses_a_bad_list_at_create(shared_sandbox: Sandbox, requests: Any, words: str) -> None:
    """The error is the SDK's own class, with the documented body."""
    with pytest.raises(anthropic.BadRequestError, match=words) as refused:
        anthropic_client(shared_sandbox).messages.batches.create(requests=requests)
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]


def test_anthropic_results_before_the_end_are_refused_and_a_cancel_is_slow(sandbox: Sandbox) -> None:
    """canceling first, ended later, with what was finished."""
    sandbox.kill()
    sandbox.args = ("--batch-seconds", "60", "--cancel-seconds", "0.4")
    sandbox.start()
    client = anthropic_client(sandbox)
    made = client.messages.batches.create(requests=[request(n) for n in range(10)])
    with pytest.raises(anthropic.AnthropicError):
        client.messages.batches.results(made.id)
    assert client.messages.batches.cancel(made.id).processing_status == "canceling"
    ended = until(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    counts = ended.request_counts
    assert counts.succeeded + counts.canceled == 10
    assert counts.canceled > 0


def test_anthropic_counts_its_cache_only_for_a_marked_prefix_that_is_long_enough(shared_sandbox: Sandbox) -> None:
    """One request writes, the others read; a short prefix is never cached."""
    client = anthropic_client(shared_sandbox)
    for size, cached in ((8_000, True), (400, False)):
        system = [{"type": "text", "text": "x" * size, "cache_control": {"type": "ephemeral"}}]
        made = client.messages.batches.create(requests=[request(n, system=system) for n in range(3)])
        until(lambda made=made: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
        usages = [row.result.message.usage for row in client.messages.batches.results(made.id)]
        assert sum(u.cache_creation_input_tokens for u in usages) == (2_000 if cached else 0)
        assert sum(u.cache_read_input_tokens for u in usages) == (4_000 if cached else 0)


def body(n: int, **changes: Any) -> dict[str, Any]:
    return {"model": "gpt-5-nano", "input": f"say {n}", **changes}


def openai_batch(client: openai.OpenAI, rows: list[dict[str, Any]] | bytes, endpoint: str = "/v1/responses") -> Any:
    text = rows if isinstance(rows, bytes) else b"\n".join(json.dumps(row).encode() for row in rows)
    file = client.files.create(file=("in.jsonl", io.BytesIO(text)), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"k": "v"})  # type: ignore[arg-type]


def row(n: int, url: str = "/v1/responses", **changes: Any) -> dict[str, Any]:
    return {"custom_id": f"r{n}", "method": "POST", "url": url, "body": body(n, **changes)}


def test_openai_batches_go_through_the_official_sdk(shared_sandbox: Sandbox) -> None:
    """Upload, create, poll; good rows in the output file, bad ones in the error file, metadata kept."""
    client = openai_client(shared_sandbox)
    made = openai_batch(client, [*(row(n) for n in range(10)), row(99, input="")])
    assert made.status == "validating"
    ended = until(lambda: client.batches.retrieve(made.id), lambda b: b.status == "completed")
    assert ended.metadata == {"k": "v"}
    assert ended.request_counts.model_dump() == {"total": 11, "completed": 10, "failed": 1}
    good = client.files.content(ended.output_file_id).text.splitlines()
    bad = client.files.content(ended.error_file_id).text.splitlines()
    assert len(good) == 10
    assert json.loads(bad[0])["response"]["status_code"] == 400


def test_openai_chat_completions_are_spoken_too(shared_sandbox: Sandbox) -> None:
    """The older endpoint, for those who compare."""
    client = openai_client(shared_sandbox)
    chat = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "hi"}]}
    rows = [{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": chat}]
    made = openai_batch(client, rows, "/v1/chat/completions")
    ended = until(lambda: client.batches.retrieve(made.id), lambda b: b.status == "completed")
    line = json.loads(client.files.content(ended.output_file_id).text)
    assert line["response"]["body"]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"{not json}", "invalid_json_line", 1),
        (b"\n".join(json.dumps(row(1)).encode() for _ in range(2)), "duplicate_custom_id", 2),
        (json.dumps(row(1, url="/v1/embeddings")).encode(), "url_mismatch", 1),
        (b"\n".join(json.dumps(r).encode() for r in (row(1), row(2, model="gpt-5"))), "model_mismatch", 2),
        (b"\n", "empty_file", None),
    ],
)
def test_openai_fails_the_whole_batch_later_for_one_bad_line(
    shared_sandbox: Sandbox, content: bytes, code: str, line: Any
) -> None:
    """Create answers 200; the batch fails at validation and names the line."""
    client = openai_client(shared_sandbox)
    made = openai_batch(client, content)
    failed = until(lambda: client.batches.retrieve(made.id), lambda b: b.status == "failed")
    assert failed.errors.data[0].code == code
    assert failed.errors.data[0].line == line
    assert failed.output_file_id is None


def test_gemini_batches_go_through_the_official_sdk(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    """Resumable upload, file mode, results as a file; then inline mode, results inline."""
    client = gemini_client(shared_sandbox)
    path = tmp_path / "in.jsonl"
    content = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    path.write_text("\n".join(json.dumps({"key": f"k{n}", "request": content}) for n in range(5)))
    file = client.files.upload(file=path, config=types.UploadFileConfig(display_name="in", mime_type="jsonl"))
    made = client.batches.create(model="gemini-2.5-flash", src=file.name, config={"display_name": "ours"})
    ended = until(lambda: client.batches.get(name=made.name), lambda b: b.state.name == "JOB_STATE_SUCCEEDED")
    assert ended.display_name == "ours"
    lines = client.files.download(file=ended.dest.file_name).decode().splitlines()
    assert {json.loads(one)["key"] for one in lines} == {f"k{n}" for n in range(5)}
    assert "ours" in [batch.display_name for batch in client.batches.list(config={"page_size": 2})]

    inline = client.batches.create(model="gemini-2.5-flash", src=[types.InlinedRequest(contents="hello")])
    ended = until(lambda: client.batches.get(name=inline.name), lambda b: b.state.name == "JOB_STATE_SUCCEEDED")
    assert ended.dest.inlined_responses[0].response.text


def test_state_survives_a_restart(sandbox: Sandbox) -> None:
    """A batch made before a kill is there after it, with the same results."""
    client = anthropic_client(sandbox)
    made = client.messages.batches.create(requests=[request(n) for n in range(5)])
    sandbox.kill()
    sandbox.start()
    until(lambda: client.messages.batches.retrieve(made.id), lambda b: b.processing_status == "ended")
    assert len(list(client.messages.batches.results(made.id))) == 5


def test_a_bad_key_is_refused_in_each_vendors_own_words(shared_sandbox: Sandbox) -> None:
    """401 with the documented type, 401 with the documented code, 400 as Google does it."""
    claude = anthropic_client(shared_sandbox).with_options(api_key="bad")
    with pytest.raises(anthropic.AuthenticationError):
        claude.messages.batches.list()
    with pytest.raises(openai.AuthenticationError) as refused:
        openai_client(shared_sandbox).with_options(api_key="bad").batches.list()
    assert refused.value.code == "invalid_api_key"
    answer = httpx.get(f"{shared_sandbox.hosts['gemini']}/v1beta/batches", headers={"x-goog-api-key": "bad"})
    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def _recorded(name: str, method: str, path: str) -> dict[str, Any]:
    file = RECORDED / name
    if not file.exists():
        pytest.skip("recorded traffic of the real vendors is not in this checkout")
    interactions = json.loads(file.read_text())["interactions"]
    return next(i["response_json"] for i in interactions if i["method"] == method and path in i["uri"] and i["status"] == 200)


def test_an_anthropic_batch_has_the_fields_of_a_recorded_one(shared_sandbox: Sandbox) -> None:
    """Every field of the real answer is in ours, with the same type."""
    real = _recorded("anthropic/curator/basic_batch_completion.json", "POST", "/v1/messages/batches")
    answer = httpx.post(
        f"{shared_sandbox.hosts['anthropic']}/v1/messages/batches", json={"requests": [request(1)]}, headers={"x-api-key": "k"}
    )
    ours = answer.json()
    assert set(real) <= set(ours)
    assert {k: type(v) for k, v in real.items()} == {k: type(ours[k]) for k in real}


def test_an_openai_batch_has_the_fields_of_a_recorded_one(shared_sandbox: Sandbox) -> None:
    """Every field of the real answer is in ours, with the same type."""
    name = "openai/ruby_llm/batch_with_openai_gpt-5-nano_answers_staged_chats_and_appends_the_answers_to_their_conversations.json"
    real = _recorded(name, "POST", "/v1/batches")
    made = openai_batch(openai_client(shared_sandbox), [row(1)])
    ours = httpx.get(f"{shared_sandbox.hosts['openai']}/batches/{made.id}", headers={"authorization": "Bearer k"}).json()
    assert set(real) <= set(ours)
    known = {k: v for k, v in real.items() if v is not None and ours[k] is not None}
    assert {k: type(v) for k, v in known.items()} == {k: type(ours[k]) for k in known}


def test_a_gemini_batch_has_the_fields_of_a_recorded_one(shared_sandbox: Sandbox) -> None:
    """Names, string counts and BATCH_STATE_ words as on the real wire."""
    name = "gemini/ruby_llm/batch_with_gemini_gemini-2_5-flash_answers_staged_chats_and_appends_the_answers_to_their_conversations.json"
    real = _recorded(name, "POST", ":batchGenerateContent")
    inline = {"requests": {"requests": [{"request": {"contents": [{"parts": [{"text": "hi"}]}]}, "metadata": {"k": "0"}}]}}
    ours = httpx.post(
        f"{shared_sandbox.hosts['gemini']}/v1beta/models/gemini-2.5-flash:batchGenerateContent",
        json={"batch": {"displayName": "d", "inputConfig": inline}},
        headers={"x-goog-api-key": "k"},
    ).json()
    assert set(real) <= set(ours)
    assert set(real["metadata"]) <= set(ours["metadata"])
    assert real["metadata"]["batchStats"].keys() == ours["metadata"]["batchStats"].keys()
    assert ours["metadata"]["state"] == real["metadata"]["state"] == "BATCH_STATE_PENDING"
