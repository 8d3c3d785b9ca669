"""How often a batch is bought when a worker is lost right after its submit and the task runs once more, and when the
triggerer restarts twice while a batch is waited for.

Ours: a night whose job is made anew from the ledger, as a retry makes it, and whose trigger is made anew from its stored
arguments, as a restarted triggerer makes it. The peers: the batch operators of the vendors' own providers, which hold no state
outside the process between submit and deferral.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks import ours, peers, servers

RESTARTS = 2
SECONDS = 2.5  # a batch's time: longer than the two restarts


def measure() -> dict[str, Any]:
    """Batches at the vendor for one that was wanted."""
    with tempfile.TemporaryDirectory() as name, servers.vendor(Path(name), batch_seconds=SECONDS) as vendor:
        peers.connect(vendor.url)
        mine = {at: _our_night(vendor, at, Path(name)) for at in ours.MODELS}
        file_id = peers.openai_file(Path(name))
        theirs: dict[str, Any] = {
            f"vendor's operator {at}": {"worker_lost": _lost_worker(vendor, at, file_id)} for at in ours.MODELS
        }
        theirs["vendor's operator gemini"]["triggerer_restarted_twice"] = _restarted(vendor)
    met = all(count == 1 for counts in mine.values() for count in counts.values())
    return {"ours": mine, "peers": theirs, "unit": "batches the vendor holds for one wanted", "goal": "1 each time", "met": met}


def _our_night(vendor: servers.Vendor, at: str, folder: Path) -> dict[str, int]:
    """Submit, forget the job, submit again; then wait for it with a trigger that is lost twice."""
    from overnight.batches.trigger import BatchTrigger

    before = len(vendor.batches(at))
    (folder / f"ours_{at}").mkdir()
    place = ours.Place(folder / f"ours_{at}")
    place.fill(f"Soft fabric number {n}." for n in range(5))
    night = place.planned(ours.asked(at))
    (batch_id,) = night.planned
    night.job(batch_id).submit(now=night.clock)
    night.job(batch_id).submit(now=night.clock)  # the retry of a worker that was lost after the submit
    worker_lost = len(vendor.batches(at)) - before
    job = night.job(batch_id)
    waiting: Any = BatchTrigger(
        vendor=at, vendor_batch_id=job.batch["vendor_batch_id"], interval_s=0.2, first_look_s=0.0,
        until=(datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
    )  # fmt: skip
    assert _after_restarts(waiting)["next"] == "land"
    job.ended(now=night.clock)
    assert night.batch(batch_id) == {"valid": 5}
    return {"worker_lost": worker_lost, "triggerer_restarted_twice": len(vendor.batches(at)) - before}


def _after_restarts(waiting: Any) -> Any:
    for _ in range(RESTARTS):
        asyncio.run(_lost(waiting))
        waiting = type(waiting)(**waiting.serialize()[1])
    return asyncio.run(peers.first(waiting)).payload


async def _lost(waiting: Any) -> None:
    task = asyncio.ensure_future(peers.first(waiting))
    await asyncio.sleep(0.8)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _lost_worker(vendor: servers.Vendor, at: str, file_id: str) -> int:
    before = len(vendor.batches(at))
    command = [sys.executable, "-m", "benchmarks.restarts", at, file_id]
    done = subprocess.run(command, env=servers.environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 9, done.stderr[-3000:]
    assert len(vendor.batches(at)) == before + 1
    operator = peers.vendor_operator(at, file_id, wait=True, deferrable=at != "gemini")
    told = peers.context(try_number=2)
    operator.execute(told) if at == "gemini" else peers.drive(operator, told)
    return len(vendor.batches(at)) - before


def _restarted(vendor: servers.Vendor) -> int:
    """Gemini's deferrable operator: its trigger makes the batch."""
    before = len(vendor.batches("gemini"))
    operator = peers.vendor_operator("gemini", wait=True, deferrable=True)
    assert _after_restarts(peers.deferred(operator, peers.context()))["status"] == "success"
    return len(vendor.batches("gemini")) - before


def worker_dies(at: str, file_id: str) -> None:
    """The peer's worker, up to the first thing it does after the vendor's answer."""
    operator, told = peers.vendor_operator(at, file_id, wait=True, deferrable=at != "gemini"), peers.context()
    told["ti"].xcom_push = lambda **_: peers.os._exit(9)
    if at == "openai":  # it pushes nothing before it defers
        operator.defer = lambda **_: peers.os._exit(9)
    operator.execute(told)


if __name__ == "__main__":
    worker_dies(sys.argv[1], sys.argv[2])
