"""A whole night without a scheduler: the operators' own work, one after the other, over real HTTP to a real local vendor."""

import asyncio
import csv
import io
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from overnight.batches import clients
from overnight.batches.compute import compute
from overnight.batches.job import BatchJob
from overnight.batches.shard import Shard, Watch
from overnight.batches.vendor import Phase
from overnight.batches.waits import Wait
from overnight.brand import data_dir, include_dir
from overnight.governance.check import check
from overnight.ledger import migrate, overview, verify
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items
from overnight.queues.drain import drain
from overnight.rehearsal import home, sales
from overnight.review.collect import collect
from overnight.review.export import export
from overnight.tasks import NightTask, make_task
from overnight.validation.validate import validate

EVENING = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # 17:00 in Berlin


@dataclass
class Night:
    """One run of one workflow's night."""

    ledger: Ledger
    workflow: str
    run_id: str = "manual__1"
    base: datetime = EVENING
    now: datetime = EVENING
    planned: Sequence[int] = ()
    counts: dict[str, int] = field(default_factory=dict)
    next_batch_id: int | None = None
    change: dict[str, Any] = field(default_factory=dict)  # fields of the workflow that differ in this test

    def task(self, name: str) -> NightTask:
        task = make_task(self.workflow, run_id=self.run_id, task_id=name)
        return replace(task, workflow=replace(task.workflow, **self.change))

    def clock(self) -> datetime:
        """A clock that goes on a second each time it is read, so that the audit log has an order to show."""
        self.now += timedelta(seconds=1)
        return self.now

    def check(self) -> Any:
        migrate.ensure_current(self.ledger)
        return check(self.ledger, self.task("check"), base=self.base, start="now", now=self.clock())

    def drain(self) -> Sequence[int]:
        self.planned = drain(self.ledger, self.task("drain"), now=self.clock())
        return self.planned

    def job(self, batch_id: int) -> BatchJob:
        return BatchJob(self.ledger, self.task("batch"), batch_id)

    def shard(self, batch_id: int) -> Shard:
        return Shard(self.ledger, self.task("batch"), batch_id)

    def batch(self, batch_id: int) -> dict[str, int]:
        """Bring a shard to its end. What it waits for by the clock is passed by setting ours on; the vendor is really waited for."""
        shard = self.shard(batch_id)
        for _ in range(60):
            following = shard.advance(now=self.clock)
            if isinstance(following, dict):
                self.next_batch_id = shard.next_batch_id
                return following
            if isinstance(following, Wait):
                self.now = max(self.now, following.until)
            else:
                self.on_watch(following)
        raise AssertionError("the shard does not come to its end")

    def on_watch(self, watch: Watch) -> None:
        """What the trigger would do; tests that need another ending replace it."""
        wait_ended(watch.job.batch["vendor"], watch.job.batch["vendor_batch_id"])
        watch.job.ended(now=self.clock)

    def validate(self) -> dict[str, int]:
        return validate(self.ledger, self.task("validate"), now=self.clock())

    def export(self) -> dict[str, int]:
        self.counts = export(self.ledger, self.task("export"), now=self.clock())
        return self.counts

    def run(self) -> dict[str, int]:
        """From the lock to the review."""
        self.check()
        self.chain(self.drain())
        self.validate()
        return self.export()

    def chain(self, batch_ids: Sequence[int]) -> None:
        """What the Dag's tasks between drain and validate do: each shard to the end of its chain, then the steps in code."""
        for batch_id in batch_ids:
            following: int | None = batch_id
            while following is not None:
                self.batch(following)
                following = self.next_batch_id
        for step in self.task("").workflow.steps:
            if step.compute:
                self.chain_from(compute(self.ledger, self.task(step.name), step.name, now=self.clock()))

    def chain_from(self, batch_ids: Sequence[int]) -> None:
        """The batches a step in code planned, each to its end."""
        for batch_id in batch_ids:
            self.batch(batch_id)

    def collect(self) -> dict[str, int]:
        return collect(self.ledger, actor=Actor("system", "morning_review"), now=self.clock())

    def row(self) -> Any:
        with self.ledger.read() as conn:
            return next(n for n in overview.list_nights(conn, self.workflow) if n["run_id"] == self.run_id)

    def describe(self) -> dict[str, Any]:
        with self.ledger.read() as conn:
            return overview.describe(conn, self.row())

    def why(self) -> list[tuple[str, str, str]]:
        """What became of the items that are not good, and in which words."""
        with self.ledger.read() as conn:
            query = select(items.c.key, items.c.state, items.c.message).where(items.c.workflow == self.workflow)
            return [(row.key, row.state, row.message) for row in conn.execute(query) if row.state != "in_review"]

    def problems(self) -> list[str]:
        with self.ledger.read() as conn:
            return verify.problems(conn)


def wait_ended(vendor: str, vendor_batch_id: str, timeout_s: float = 30) -> None:
    """Look at a batch until it ended."""

    async def look() -> None:
        async with clients.open_vendor(vendor) as client:
            end = time.monotonic() + timeout_s
            while (await client.poll(vendor_batch_id)).phase is not Phase.ENDED:
                assert time.monotonic() < end, f"{vendor_batch_id} did not end"
                await asyncio.sleep(0.02)

    asyncio.run(look())


def sample(folder: Path, workflow: str) -> list[dict[str, str]]:
    """A workflow's own sample in its queue, and its tables beside it; returns the rows."""
    source = include_dir() / "prompts" / workflow
    text = home.dated((source / "sample.csv").read_text(encoding="utf-8"), EVENING.date())
    queue_file(folder, workflow, "sample.csv", text)
    if (source / "data").is_dir():
        shutil.copytree(source / "data", data_dir(workflow), dirs_exist_ok=True)
    if workflow == "inventory_signals":
        sales.write_sales(data_dir(workflow) / "sales.csv", EVENING.date())
    return list(csv.DictReader(io.StringIO(text)))


def queue_file(folder: Path, workflow: str, name: str, text: str | bytes) -> Path:
    """Drop a file into a workflow's queue."""
    path = folder / workflow / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def queue_rows(folder: Path, workflow: str, rows: Sequence[dict[str, Any]]) -> None:
    """Put rows into a workflow's queue as a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    queue_file(folder, workflow, "a.csv", text.getvalue())


def paid_twice(sandbox: Any) -> list[tuple[str, int]]:
    """Requests that the vendor accepted more than once, whatever batch they came in."""
    with closing(sqlite3.connect(sandbox.state)) as db:
        return db.execute("SELECT custom_id, count(*) FROM requests GROUP BY custom_id HAVING count(*) > 1").fetchall()
