"""What is sent again after a cutoff: a batch of 1,000, of which the vendor has finished 900 when it is cancelled.

Only 100 were not answered. What was finished is paid for: whoever sends it again pays twice. The local vendor's books are set to
900 finished; the rest is each side's own way through a cancel and into the next night.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers
from tests.support.night import wait_ended

COUNT, DONE = 1_000, 900
ALONE = {"pack": 1, "reuse": False, "shard_requests": 5_000}


def measure() -> dict[str, Any]:
    """Requests that the next night, or the next run, sends."""
    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name), batch_seconds=3_600) as vendor:
        peers.connect(vendor.url)
        mine = {at: _our_nights(vendor, at, Path(name)) for at in ours.MODELS}
        theirs = {
            f"LLMBatchOperator {at}": {end: _peer(vendor, at, end, Path(name)) for end in ("cancelled", "expired")}
            for at in peers.MODELS
        }
    met = all(found["sent_again"] == COUNT - DONE for found in mine.values())
    goal = f"{COUNT - DONE} of {COUNT}"
    return {"ours": mine, "peers": theirs, "unit": "requests sent again", "goal": goal, "met": met}


def _finish(vendor: servers.Vendor, batch_id: str) -> None:
    """So many are done since a minute, the others will take long."""
    now, plain = time.time(), batch_id.removeprefix("batches/")
    query = "UPDATE requests SET done_at = CASE WHEN position < ? THEN ? ELSE ? END WHERE batch = ?"
    vendor.sql(query, DONE, now - 60, now + 9_999, plain)


def _our_nights(vendor: servers.Vendor, at: str, folder: Path) -> dict[str, Any]:
    (folder / f"ours_{at}").mkdir()
    place, change = ours.Place(folder / f"ours_{at}"), ours.asked(at, **ALONE)
    place.fill(f"Soft fabric number {n}." for n in range(COUNT))
    night = place.planned(change)
    (batch_id,) = night.planned
    job = night.job(batch_id)
    job.submit(now=night.clock)
    _finish(vendor, job.batch["vendor_batch_id"])
    job.cut(now=night.clock)
    wait_ended(at, job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    landed = job.land(now=night.clock)
    night.validate()
    night.export()
    before = len(vendor.batches(at))
    again = place.planned(change, "manual__2")
    for planned in again.planned:
        again.job(planned).submit(now=again.clock)
    return {"landed": landed["valid"], "sent_again": sum(vendor.batches(at)[before:])}


def _peer(vendor: servers.Vendor, at: str, end: str, folder: Path) -> dict[str, Any]:
    task_id = f"{at}_{end}"
    prompts = [f"review {n}" for n in range(COUNT)]

    def operator() -> Any:
        return peers.llm_batch(at, prompts, folder / task_id, task_id=task_id)

    waiting = peers.deferred(operator(), peers.context(task_id))
    _finish(vendor, waiting.batch_id)
    now = time.time()
    if end == "expired":
        vendor.sql("UPDATE batches SET expires = ? WHERE id = ?", now - 1, waiting.batch_id)
    else:
        vendor.sql("UPDATE batches SET cancel_asked = ?, cancel_settles = ? WHERE id = ?", now - 2, now - 1, waiting.batch_id)
    event = asyncio.run(peers.first(waiting)).payload
    ended, landed = "landed", None
    try:
        landed = operator().execute_complete(peers.context(task_id), event)["counts"]["succeeded"]
    except Exception as failure:  # how it ends is what is measured
        ended = type(failure).__name__
    retry = _sent(vendor, at, operator, peers.context(task_id, try_number=2))
    following = _sent(vendor, at, operator, peers.context(task_id, run_id="run_2"))
    return {"ended": ended, "landed": landed, "sent_again_by_a_retry": retry, "sent_again_by_the_next_run": following}


def _sent(vendor: servers.Vendor, at: str, operator: Any, told: dict[str, Any]) -> int:
    from airflow.sdk.exceptions import TaskDeferred

    before = len(vendor.batches(at))
    try:
        operator().execute(told)
    except TaskDeferred:
        pass
    except Exception as failure:  # a retry may refuse: then it has sent nothing
        print(f"{at}: a further run ended with {type(failure).__name__}")
    return sum(vendor.batches(at)[before:])
