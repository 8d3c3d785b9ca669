"""Answers landed and judged per second in one process, everything in the ledger, beside reading the same lines alone."""

import gzip
import json
import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

COUNT = 5_000


def measure() -> dict[str, object]:
    """Rows a second into SQLite, with audit rows and cost; and as a ratio to json.loads of the same raw lines."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OVERNIGHT_RAW_DIR"] = os.environ["OVERNIGHT_QUEUE_DIR"] = folder
        return _measure(Path(folder))


def _measure(folder: Path) -> dict[str, object]:
    from overnight.batches.land import Landing
    from overnight.batches.vendor import vendor_class
    from overnight.ledger.connect import Ledger

    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    job, lines = _waiting(ledger, folder)
    (folder / "raw.jsonl.gz").write_bytes(gzip.compress(b"".join(lines)))
    began = time.process_time()
    for line in lines:
        json.loads(line)
    parse_s = time.process_time() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_wall = time.process_time(), time.monotonic()
    landing = Landing(ledger, job.task.workflow, vendor_class("openai"), job.batch, job.task.actor)
    counts = landing.land("raw.jsonl.gz", now=datetime.now(UTC))
    cpu_s, wall_s = time.process_time() - began, time.monotonic() - began_wall
    assert counts == {"valid": COUNT}, counts
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "answers": COUNT, "rows_per_s": round(COUNT / wall_s), "cpu_per_json_loads": round(cpu_s / parse_s, 1),
        "peak_rss_grown_mb": round(grown, 1), "goal": "part 2: 10,000 rows/s",
    }  # fmt: skip


def _waiting(ledger: Any, folder: Path) -> tuple[Any, list[bytes]]:
    """A night whose batch was sent, and the lines a vendor would answer."""
    from overnight.clock import utcnow
    from overnight.ledger import batches, migrate, nights, transitions
    from overnight.ledger.states import BatchState, ItemState, RequestState
    from overnight.queues.drain import drain
    from tests.support.night import Night

    rows = "".join(f"r{n},S{n % 40},5,Soft fabric and a perfect fit number {n}.\n" for n in range(COUNT))
    (folder / "review_sentiment").mkdir()
    (folder / "review_sentiment" / "a.csv").write_text("review_id,sku,rating,body\n" + rows)
    night, now = Night(ledger, "review_sentiment"), utcnow()
    migrate.upgrade(ledger)
    facts = {
        "workflow": "review_sentiment", "run_id": night.run_id, "night": "2026-11-23", "timezone": "Europe/Berlin",
        "vendor": "openai", "model": "gpt-5-nano", "surface": "page", "source": "csv", "policy_hash": "p",
        "prompt_version": "v", "cap": COUNT, "start_at": now, "cutoff_at": now, "due_at": now,
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
        ids = batches.request_ids(conn, batch_id, RequestState.PLANNED)
        transitions.move(conn, "request", ids, RequestState.SUBMITTED, **common)
        transitions.move(conn, "item", batches.item_ids(conn, batch_id), ItemState.SUBMITTED, **common)
        customs = [line["custom_id"] for line in batches.lines(conn, batch_id)]
    return night.job(batch_id), [_line(custom) for custom in customs]


def _line(custom_id: str) -> bytes:
    quote = "Soft fabric and a perfect fit"
    label = {
        "overall": "positive", "score": 0.8, "aspects": [{"aspect": "fit_size", "sentiment": "positive", "quote": quote}],
        "issue_type": "none", "severity": "none", "safety_flag": False, "competitor_mention": None,
        "feature_request": None, "language": "en", "confidence": 0.9,
    }  # fmt: skip
    part = {"type": "output_text", "text": json.dumps(label), "annotations": []}
    usage = {"input_tokens": 500, "output_tokens": 80, "input_tokens_details": {"cached_tokens": 0}}
    body = {"status": "completed", "model": "gpt-5-nano", "output": [{"type": "message", "content": [part]}], "usage": usage}
    row = {"id": "x", "custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}
    return json.dumps(row).encode() + b"\n"
