"""What the tests of buying share: a night of reviews, with the entries of its requests."""

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from overnight.ledger.connect import Ledger
from tests.conftest import Sandbox
from tests.support.night import Night, queue_file, wait_ended
from tests.support.project import Project

HEADER = "review_id,sku,rating,body\n"


def reviews(count: int, start: int = 0) -> str:
    return HEADER + "".join(f"r{n},S,5,Soft fabric number {n}.\n" for n in range(start, start + count))


def allow(project: Project, **action_scope: Any) -> None:
    """Change the policy of review_sentiment; every vendor may see its data."""

    def change(policy: dict[str, Any]) -> None:
        policy["data_access"]["vendors"] = ["anthropic", "openai", "gemini"]
        policy["action_scope"] |= action_scope

    project.policy("review_sentiment", change)


def opened(ledger: Ledger, run_id: str = "manual__1", **change: Any) -> Night:
    night = Night(ledger, "review_sentiment", run_id=run_id, change=change)
    night.check()
    night.drain()
    return night


def sent(ledger: Ledger, queue: Path, count: int = 2, **change: Any) -> tuple[Night, Any]:
    """A night of so many reviews whose first batch is at its vendor."""
    queue_file(queue, "review_sentiment", "a.csv", reviews(count))
    night = opened(ledger, **change)
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    return night, job


def finish(night: Night) -> dict[str, int]:
    for batch_id in night.planned:
        night.batch(batch_id)
    night.validate()
    counts = night.export()
    assert night.problems() == []
    return counts


def at_vendor_done(night: Night) -> Any:
    """The night's first batch: sent, ended at its vendor and seen to have ended; not landed."""
    job = night.job(night.planned[0])
    job.submit(now=night.clock)
    wait_ended("openai", job.batch["vendor_batch_id"])
    job.ended(now=night.clock)
    return job


def misbehave(sandbox: Sandbox, match: str, outcome: str) -> None:
    httpx.post(f"{sandbox.url}/control/misbehave", json={"match": match, "outcome": outcome}).raise_for_status()


def requests_at(sandbox: Sandbox) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(sandbox.state)) as db:
        return db.execute("SELECT custom_id, body FROM requests ORDER BY rowid").fetchall()


def entries_in(body: str) -> int:
    return len(re.findall(r'<entry number=\\"\d+', body))


def wait_done(sandbox: Sandbox, count: int) -> None:
    """Until the vendor has finished so many requests of those it will ever finish."""
    with closing(sqlite3.connect(sandbox.state)) as db:
        end = time.monotonic() + 20
        while db.execute("SELECT count(*) FROM requests WHERE done_at <= ?", (time.time(),)).fetchone()[0] < count:
            assert time.monotonic() < end
            time.sleep(0.01)


def spoil(night: Night, job: Any, old: str, new: str) -> None:
    """Change the vendor's raw answer before it is landed."""
    import asyncio
    import gzip
    import hashlib
    import json

    from overnight.batches import raw

    made, progress = asyncio.run(job._download())
    whole = b"".join(raw.lines(made.path))
    changed = whole.replace(json.dumps(old)[1:-1].encode(), json.dumps(new)[1:-1].encode())
    assert changed != whole
    (raw.folder() / made.path).write_bytes(gzip.compress(changed))
    made.sha256 = hashlib.sha256(changed).hexdigest()
    job._keep(made, progress)
