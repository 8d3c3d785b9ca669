"""Answers landed and judged per second in one process: everything in the ledger, audit rows and cost included.

One process prepares a night whose batch was sent; a fresh one lands it, so that only landing is on its clock and in its memory.
Beside it, the peer: LLMBatchOperator's own landing of 50,000 answers of the same kind (OpenAI's limit a batch), in a fresh
process, from a stub that has them ready. Its download is on its clock, as it downloads and writes in one go.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers
from benchmarks.memory import Memory

COUNT = 100_000
CHANGE: dict[str, Any] = {
    "vendor": "gemini", "model": "gemini-2.5-flash-lite", "pack": 1, "reuse": False, "fallback": None, "shard_requests": COUNT,
    "cap": COUNT,  # its review is reckoned for as many: the reviewers' morning would keep back what it has no minutes for
}  # fmt: skip


QUOTE = "Soft fabric and a perfect fit"
LABEL = {
    "overall": "positive", "score": 0.8, "aspects": [{"aspect": "fit_size", "sentiment": "positive", "quote": QUOTE}],
    "issue_type": "none", "severity": "none", "safety_flag": False, "competitor_mention": None,
    "feature_request": None, "language": "en", "confidence": 0.9,
}  # fmt: skip
PEER_COUNTS = {"anthropic": 50_000, "openai": 50_000}  # OpenAI's limit a batch; a rate needs no more
LEFT_OUT = (
    "The peer validates against the schema and writes one JSONL file; it keeps no raw results, runs no rule over an answer, "
    "writes no cost, no state of an item and no audit row, and ours does all of that in the same time."
)


def measure(count: int = COUNT) -> dict[str, object]:
    """Rows a second, and the peak of memory above the process that is about to begin."""
    with ExitStack() as open_, ThreadPoolExecutor(1) as beside:
        folder = open_.enter_context(tempfile.TemporaryDirectory())
        # What is only made ready is on no clock: ours and the peers' stand side by side.
        ready = beside.submit(_run, "prepare", folder, str(count), env=servers.environment())
        sent = {at: _peer_sent(open_, at, min(count, most)) for at, most in PEER_COUNTS.items()}
        ready.result()
        mine: dict[str, Any] = json.loads(_run("land", folder, str(count), env=servers.environment()))
        theirs = {f"LLMBatchOperator {at}": json.loads(_run("peer_land", *sent[at], env=servers.environment())) for at in sent}
    met = mine["rows_per_s"] >= 10_000 and mine["peak_rss_grown_mb"] <= 60
    return {"ours": mine, "peers": theirs, "left_out_by_the_peer": LEFT_OUT, "goal": ">= 10,000 rows/s, <= +60 MB", "met": met}


def _run(*arguments: str, env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "benchmarks.landing", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    return (done.stdout.splitlines() or [""])[-1]


def _peer_sent(open_: ExitStack, at: str, count: int) -> tuple[str, ...]:
    """A peer's batch whose results its stub has ready; what its second half is called with."""
    from airflow.providers.common.ai.batch import state

    context = peers.context()["ti"]
    named = {name: getattr(context, name) for name in ("dag_id", "task_id", "run_id", "map_index")}
    key = state.key16(state.compute_identity_key(**named))
    folder = open_.enter_context(tempfile.TemporaryDirectory())
    stub = open_.enter_context(servers.stub("results", at, count, key))
    batch_id = _run("peer_submit", folder, str(count), at, stub.url, env=servers.environment())
    return folder, str(count), at, stub.url, batch_id


def peer_submit(folder: Path, count: int, at: str, url: str) -> None:
    """A batch whose results the stub has ready."""
    from overnight.workflows.review_sentiment import ReviewLabel

    peers.connect(url)
    prompts = [f"r{n}" for n in range(count)]
    print(peers.deferred(peers.llm_batch(at, prompts, folder / "peer", output_type=ReviewLabel), peers.context()).batch_id)


def peer_land(folder: Path, count: int, at: str, url: str, batch_id: str) -> None:
    """Its second half: download, validate, write."""
    import airflow.providers.common.ai.batch.anthropic
    import airflow.providers.common.ai.batch.openai  # noqa: F401 - what a worker has loaded before it lands anything
    import anthropic  # noqa: F401
    import openai  # noqa: F401

    from overnight.workflows.review_sentiment import ReviewLabel

    peers.connect(url)
    operator = peers.llm_batch(at, ["unused"], folder / "peer", output_type=ReviewLabel)
    event = {"status": "success", "batch_id": batch_id, "counts": None}
    memory = Memory()
    began, began_cpu = time.monotonic(), time.process_time()
    landed = operator.execute_complete(peers.context(), event)
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - began_cpu
    assert landed["counts"]["succeeded"] == count, landed["counts"]
    print(json.dumps({
        "answers": count, "rows_per_s": round(count / wall_s), "rows_per_cpu_s": round(count / cpu_s),
        "peak_rss_grown_mb": memory.grown_mb(),
    }))  # fmt: skip


def prepare(folder: Path, count: int) -> None:
    """A night with one batch that the vendor has answered."""
    from overnight.ledger import batches, transitions
    from overnight.ledger.states import BatchState, ItemState, RequestState

    place, now = ours.Place(folder), datetime.now(UTC)
    place.fill(f"Soft fabric and a perfect fit number {n}." for n in range(count))
    night = place.opened(CHANGE, count)
    task, ledger, (batch_id,) = night.task("bench"), place.ledger, night.planned
    common: dict[str, Any] = {"workflow": "review_sentiment", "actor": task.actor, "now": now}
    with ledger.write() as conn:
        batch = batches.get(conn, batch_id)
        batches.move(conn, batch, BatchState.SUBMITTING, actor=task.actor, now=now)
        batches.move(conn, batch, BatchState.SUBMITTED, actor=task.actor, now=now, vendor_batch_id="b")
        transitions.move(
            conn, "request", batches.request_ids(conn, batch_id, RequestState.PLANNED), RequestState.SUBMITTED, **common
        )
        transitions.move(conn, "item", batches.open_items(conn, batch), ItemState.SUBMITTED, **common)
        batches.move(conn, batches.get(conn, batch_id), BatchState.ENDED, actor=task.actor, now=now)
        (folder / "raw").mkdir()
        with gzip.open(folder / "raw" / "raw.jsonl.gz", "wb", compresslevel=1) as raw:
            for line in batches.lines(conn, batch_id):
                raw.write(_line(line["custom_id"]))


def land(folder: Path, count: int) -> None:
    """Land it, and say how fast and at what peak."""
    from overnight.batches.land import Landing
    from overnight.batches.vendor import vendor_class
    from overnight.ledger import answers

    place = ours.Place(folder)
    ledger = place.ledger
    with ledger.read() as conn:
        (batch_id,) = [row[0] for row in conn.exec_driver_sql("SELECT id FROM batches")]
    job = place.night(CHANGE).job(batch_id)
    from overnight.batches import cost

    # What a worker has loaded before it lands anything: the price table and the lexicons.
    cost.price(vendor_class(CHANGE["vendor"]).facts, CHANGE["model"])
    memory = Memory()
    began, began_cpu = time.monotonic(), time.process_time()
    landing = Landing(ledger, job.task.workflow, vendor_class(CHANGE["vendor"]), job.batch, job.task.actor)
    counts = landing.land("raw.jsonl.gz", now=datetime.now(UTC))
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - began_cpu
    assert counts == {"valid": count}, counts
    grown = memory.grown_mb()
    with ledger.read() as conn:
        assert answers.cost_of_batch(conn, batch_id) > 0
    print(json.dumps({
        "answers": count, "rows_per_s": round(count / wall_s), "rows_per_cpu_s": round(count / cpu_s),
        "peak_rss_grown_mb": grown,
    }))  # fmt: skip


def _line(custom_id: str) -> bytes:
    candidate = {"content": {"parts": [{"text": json.dumps(LABEL)}], "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 500, "candidatesTokenCount": 80, "totalTokenCount": 580}
    response = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": CHANGE["model"], "responseId": "x"}
    return json.dumps({"key": custom_id, "response": response}).encode() + b"\n"


if __name__ == "__main__":
    do, where, number, *rest = sys.argv[1:]
    parts: dict[str, Any] = {"prepare": prepare, "land": land, "peer_submit": peer_submit, "peer_land": peer_land}
    parts[do](Path(where), int(number), *rest)
