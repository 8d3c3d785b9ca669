"""Answers landed and judged per second in one process: everything in the ledger, audit rows and cost included.

One process prepares a night whose batch was sent; a fresh one lands it, so that only landing is on its clock and in its memory.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.memory import Memory

COUNT = 100_000
CHANGE: dict[str, Any] = {
    "vendor": "gemini", "model": "gemini-2.5-flash-lite", "pack": 1, "reuse": False, "fallback": None, "shard_requests": COUNT
}  # fmt: skip


def measure(count: int = COUNT) -> dict[str, object]:
    """Rows a second into SQLite; the peak of memory above the process that is about to begin."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "OVERNIGHT_RAW_DIR": folder, "OVERNIGHT_QUEUE_DIR": folder}
        for part in ("prepare", "land"):
            command = [sys.executable, "-m", "benchmarks.landing", part, folder, str(count)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found


def prepare(folder: Path, count: int) -> None:
    """A night with one batch that the vendor has answered."""
    from overnight.ledger import batches, migrate, nights, transitions
    from overnight.ledger.connect import Ledger
    from overnight.ledger.states import BatchState, ItemState, RequestState
    from overnight.queues.drain import drain
    from tests.support.night import Night

    rows = "".join(f"r{n},S{n % 40},5,Soft fabric and a perfect fit number {n}.\n" for n in range(count))
    (folder / "review_sentiment").mkdir()
    (folder / "review_sentiment" / "a.csv").write_text("review_id,sku,rating,body\n" + rows)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    migrate.upgrade(ledger)
    night, now = Night(ledger, "review_sentiment", change=CHANGE), datetime.now(UTC)
    facts = {
        "workflow": "review_sentiment", "run_id": night.run_id, "night": "2026-11-23", "timezone": "Europe/Berlin",
        "vendor": CHANGE["vendor"], "model": CHANGE["model"], "surface": "page", "source": "csv", "policy_hash": "p",
        "prompt_version": "v", "cap": count, "start_at": now, "cutoff_at": now, "due_at": now, "budget_usd": Decimal(1000),
    }  # fmt: skip
    task = night.task("bench")
    with ledger.write() as conn:
        nights.open_night(conn, facts=facts, actor=task.actor, now=now)
    (batch_id,) = drain(ledger, task, now=now)
    common: dict[str, Any] = {"workflow": "review_sentiment", "actor": task.actor, "now": now}
    with ledger.write() as conn:
        batch = batches.get(conn, batch_id)
        batches.move(conn, batch, BatchState.SUBMITTING, actor=task.actor, now=now)
        batches.move(conn, batch, BatchState.SUBMITTED, actor=task.actor, now=now, vendor_batch_id="b")
        transitions.move(conn, "request", batches.request_ids(conn, batch_id, RequestState.PLANNED), RequestState.SUBMITTED, **common)
        transitions.move(conn, "item", batches.open_items(conn, batch), ItemState.SUBMITTED, **common)
        batches.move(conn, batches.get(conn, batch_id), BatchState.ENDED, actor=task.actor, now=now)
        with gzip.open(folder / "raw.jsonl.gz", "wb", compresslevel=1) as raw:
            for line in batches.lines(conn, batch_id):
                raw.write(_line(line["custom_id"]))


def land(folder: Path, count: int) -> None:
    """Land it, and say how fast and at what peak."""
    from overnight.batches.land import Landing
    from overnight.batches.vendor import vendor_class
    from overnight.ledger import answers
    from overnight.ledger.connect import Ledger
    from tests.support.night import Night

    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    with ledger.read() as conn:
        (batch_id,) = [row[0] for row in conn.exec_driver_sql("SELECT id FROM batches")]
    job = Night(ledger, "review_sentiment", change=CHANGE).job(batch_id)
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
    quote = "Soft fabric and a perfect fit"
    label = {
        "overall": "positive", "score": 0.8, "aspects": [{"aspect": "fit_size", "sentiment": "positive", "quote": quote}],
        "issue_type": "none", "severity": "none", "safety_flag": False, "competitor_mention": None,
        "feature_request": None, "language": "en", "confidence": 0.9,
    }  # fmt: skip
    candidate = {"content": {"parts": [{"text": json.dumps(label)}], "role": "model"}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 500, "candidatesTokenCount": 80, "totalTokenCount": 580}
    response = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": CHANGE["model"], "responseId": "x"}
    return json.dumps({"key": custom_id, "response": response}).encode() + b"\n"


if __name__ == "__main__":
    {"prepare": prepare, "land": land}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
