"""The batch operator: one shard from planned to landed. Submits once, waits without a worker slot, lands what came back.

What it does next is decided by the batch's state in the ledger alone: a retry, a clear or a second run of the same task
finds the batch where it is and goes on from there (law 2). It never sends what may have been sent.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator

from overnight.alerts import notifier
from overnight.batches import clients, polling, raw
from overnight.batches.errors import CannotLook, MaybeAccepted, NotAccepted, TryLater
from overnight.batches.land import Landing
from overnight.batches.vendor import Line, Phase, Progress, Receipt, Ticket, vendor_class
from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.ledger import batches, transitions
from overnight.ledger.batches import Batch
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.states import BatchState, ItemState, RequestState
from overnight.tasks import NightTask, open_task

POLL_S = 30.0  # the vendors answer within minutes to hours; Anthropic itself asks for ten seconds at least
SETTLE = timedelta(minutes=20)  # a cancel may take ten minutes to settle; export waits no longer than this


class BatchOperator(BaseOperator):
    """Bring one planned batch to `landed`; returns the counts of its answers by state."""

    def __init__(self, *, workflow: str, batch_id: int, poll_s: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow, self.batch_id, self.poll_s = workflow, batch_id, poll_s

    def execute(self, context: Any) -> dict[str, int]:
        """Start, or go on from wherever the ledger says this batch is."""
        job = self._job(context)
        if wait_until := job.not_before(utcnow()):
            self._sleep_until(wait_until)
        job.submit(now=utcnow)
        return self._wait_or_land(job)

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, int]:
        """The trigger has something to say: ended, time is up, or cannot be asked."""
        job, said = self._job(context), event or {}
        match said.get("next"):
            case "land":
                job.ended(now=utcnow)
            case "cut":
                job.cut(now=utcnow)
            case _:
                raise NotAccepted(
                    f"Batch {job.batch['key']} ({job.batch['vendor_batch_id']}) cannot be asked for: {said.get('reason')}. "
                    "It is accepted and will be billed once; its answers stay at the vendor. Mend the cause (the key, the "
                    "address), then clear this task: it asks again and sends nothing twice."
                )
        return self._wait_or_land(job)

    def _wait_or_land(self, job: "BatchJob") -> dict[str, int]:
        state = job.batch["state"]
        if state in (BatchState.SUBMITTED, BatchState.CANCELLING):
            until = job.batch["cutoff_at"] + (SETTLE if state == BatchState.CANCELLING else timedelta())
            if job.given_up(utcnow(), until):
                return job.carry_over_in_doubt(now=utcnow)
            self._defer(job, until)
        return job.land(now=utcnow)

    def _defer(self, job: "BatchJob", until: datetime) -> NoReturn:
        from overnight.batches.trigger import BatchTrigger

        poll_s = self.poll_s or job.poll_s
        self.defer(
            trigger=BatchTrigger(
                vendor=job.batch["vendor"], vendor_batch_id=job.batch["vendor_batch_id"], until=until.isoformat(),
                interval_s=poll_s,
            ),
            method_name="execute_complete",
        )  # fmt: skip
        raise AssertionError("defer does not return")

    def _sleep_until(self, moment: datetime) -> NoReturn:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute_after_start")
        raise AssertionError("defer does not return")

    def execute_after_start(self, context: Any, event: Any = None) -> dict[str, int]:
        """The workflow's start time has come."""
        return self.execute(context)

    def _job(self, context: Any) -> "BatchJob":
        return BatchJob(open_ledger(), open_task(self.workflow, context), self.batch_id)


class BatchJob:
    """The work of the operator, without Airflow's wait."""

    def __init__(self, ledger: Ledger, task: NightTask, batch_id: int) -> None:
        self.ledger, self.task = ledger, task
        self.batch_id = batch_id
        self.poll_s = polling.default_interval_s(POLL_S)
        self._reload()

    def not_before(self, now: datetime) -> datetime | None:
        """When this batch may be sent, if that is later than now."""
        start: datetime = self.batch["start_at"]
        return start if self.batch["state"] == BatchState.PLANNED and now < start else None

    def submit(self, *, now: Callable[[], datetime]) -> None:
        """Send the batch if it was certainly not sent; if nobody knows, search for it first."""
        if self.batch["state"] in (BatchState.SUBMITTING, BatchState.IN_DOUBT):
            self._recover(now)
        if self.batch["state"] != BatchState.PLANNED:
            return
        self.task.policy.allow("submit_batch")
        killswitch.refuse_if_engaged(self.ledger, self.task.workflow.name, "submitting a batch")
        self._move(BatchState.SUBMITTING, now(), intent_at=now())
        try:
            receipt = asyncio.run(self._create())
        except MaybeAccepted:
            self._move(BatchState.IN_DOUBT, now(), error="the create lost its answer")
            self._recover(now)
            if self.batch["state"] == BatchState.PLANNED:
                raise TryLater(
                    f"Batch {self.batch['key']} was not accepted: its create lost its answer and the vendor was searched. "
                    "Nothing was bought; a retry of this task sends it."
                ) from None
            return
        except TryLater:
            self._move(BatchState.PLANNED, now(), error="the vendor was busy")
            raise
        except NotAccepted as refusal:
            self._move(BatchState.PLANNED, now(), error=str(refusal)[:500])
            raise NotAccepted(
                f"{self.batch['vendor']} refused batch {self.batch['key']}: {refusal}. Nothing was bought, nothing is "
                "lost. Mend the cause, then clear this task: it sends the same requests."
            ) from refusal
        self._accepted(receipt, now())

    async def _create(self) -> Receipt:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            with self.ledger.read() as conn:
                lines = (
                    vendor.line(
                        Line(
                            row["custom_id"],
                            self.batch["model"],
                            row["system"],
                            row["content"],
                            row["schema"],
                            row["schema_name"],
                            row["max_output_tokens"],
                        )
                    )
                    for row in batches.lines(conn, self.batch_id)
                )
                return await vendor.submit(self._ticket(), lines)

    def _recover(self, now: Callable[[], datetime]) -> None:
        """The create's outcome is unknown: only a search that worked may free the batch for sending."""
        try:
            receipt = asyncio.run(self._search())
        except CannotLook as error:
            if self.batch["state"] == BatchState.SUBMITTING:
                self._move(BatchState.IN_DOUBT, now())
            raise CannotLook(
                f"Batch {self.batch['key']} may have been accepted by {self.batch['vendor']} and could not be searched "
                f"for: {error}. It is held in doubt and not sent again; clear this task to search again."
            ) from error
        if receipt is None:
            self._move(BatchState.PLANNED, now(), error="searched at the vendor: not there")
        else:
            self._accepted(receipt, now())

    async def _search(self) -> Receipt | None:
        with self.ledger.read() as conn:
            known = batches.known_vendor_ids(conn, self.batch["vendor"])
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            return await vendor.search(self._ticket(), known)

    def _accepted(self, receipt: Receipt, now: datetime) -> None:
        common = self._common(now)
        with self.ledger.write() as conn:
            batches.move(
                conn, self.batch, BatchState.SUBMITTED, actor=self.task.actor, now=now, submitted_at=now, error=None,
                vendor_batch_id=receipt.vendor_batch_id, vendor_file_id=receipt.vendor_file_id,
            )  # fmt: skip
            planned = batches.request_ids(conn, self.batch_id, RequestState.PLANNED)
            transitions.move(conn, "request", planned, RequestState.SUBMITTED, **common)
            transitions.move(conn, "item", batches.item_ids(conn, self.batch_id), ItemState.SUBMITTED, **common)
        self._reload()

    def ended(self, *, now: Callable[[], datetime]) -> None:
        """The trigger saw the batch end."""
        if self.batch["state"] in (BatchState.SUBMITTED, BatchState.CANCELLING):
            self._move(BatchState.ENDED, now(), ended_at=now())

    def cut(self, *, now: Callable[[], datetime]) -> None:
        """The cutoff: ask the vendor to stop. The finished part is landed once the vendor says it has stopped."""
        if self.batch["state"] == BatchState.SUBMITTED:
            asyncio.run(self._cancel())
            self._move(BatchState.CANCELLING, now(), cancelled_at=now())

    async def _cancel(self) -> None:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            await vendor.cancel(self.batch["vendor_batch_id"])

    def given_up(self, now: datetime, until: datetime) -> bool:
        """Whether a cancelled batch has not settled in time for the export."""
        return self.batch["state"] == BatchState.CANCELLING and now >= until

    def carry_over_in_doubt(self, *, now: Callable[[], datetime]) -> dict[str, int]:
        """Not settled by the export: its items are carried over in doubt and never sent again before it is settled."""
        from overnight.ledger import nights
        from overnight.ledger.states import Outcome

        with self.ledger.write() as conn:
            inside = nights.still_inside(conn, self.batch["night_id"]).get(ItemState.SUBMITTED, [])
            mine = sorted(set(inside) & set(batches.item_ids(conn, self.batch_id)))
            night = nights.get(conn, self.batch["night_id"])
            reason = "cut off; the vendor has not said yet what was finished"
            nights.leave(conn, night, mine, Outcome.CARRIED_OVER, actor=self.task.actor, now=now(), reason=reason, in_doubt=True)
        return {"carried_over_in_doubt": len(mine)}

    def land(self, *, now: Callable[[], datetime]) -> dict[str, int]:
        """Download whole, land in chunks, then let the batch be seen."""
        if self.batch["state"] == BatchState.LANDED:
            return dict(self.batch["counts"] or {})
        self.task.policy.allow("read_batch")
        if self.batch["raw_path"] is None:
            made, progress = asyncio.run(self._download())
            self._keep(made, progress)
        vendor = vendor_class(self.batch["vendor"])
        landing = Landing(self.ledger, self.task.workflow, vendor, self.batch, self.task.actor)
        counts = landing.land(self.batch["raw_path"], now=now())
        self._move(BatchState.LANDED, now(), landed_at=now(), counts=counts)
        self._alert_whole_failure(counts, now())
        return counts

    def _alert_whole_failure(self, counts: dict[str, int], now: datetime) -> None:
        """A vendor can fail a whole batch after accepting it; the night goes on without its items, but not in silence."""
        if self.batch["error"]:
            notifier.night_alert(
                self.ledger, "batch_failed", self.task.workflow.name, self.batch["night"], self.task.run_id,
                f"{self.batch['vendor']} failed the whole batch {self.batch['vendor_batch_id']}: {self.batch['error']}. "
                f"Nothing of it was billed; its {counts.get('missing', 0)} items are carried over to the next night.",
                now=now,
            )  # fmt: skip

    async def _download(self) -> tuple[raw.RawFile, Progress]:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            progress = await vendor.poll(self.batch["vendor_batch_id"])
            if progress.phase is not Phase.ENDED:
                raise TryLater(f"batch {self.batch['vendor_batch_id']} has not ended yet: nothing was landed")
            async with raw.writing(self.batch["key"]) as (made, sink):
                await vendor.download(self.batch["vendor_batch_id"], progress.results, sink)
        return made, progress

    def _keep(self, made: raw.RawFile, progress: Progress) -> None:
        with self.ledger.write() as conn:
            batches.note(conn, self.batch_id, raw_path=made.path, raw_sha256=made.sha256, error=progress.error)
        self._reload()

    def _ticket(self) -> Ticket:
        intent = self.batch["intent_at"] or utcnow()
        return Ticket(self.batch["key"], self.batch["model"], self.batch["request_count"], intent)

    def _common(self, now: datetime) -> dict[str, Any]:
        return {"workflow": self.batch["workflow"], "actor": self.task.actor, "now": now}

    def _move(self, to: BatchState, now: datetime, **columns: Any) -> None:
        with self.ledger.write() as conn:
            batches.move(conn, self.batch, to, actor=self.task.actor, now=now, **columns)
        self._reload()

    def _reload(self) -> None:
        with self.ledger.read() as conn:
            self.batch: Batch = batches.get(conn, self.batch_id)
