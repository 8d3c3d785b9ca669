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
from overnight.batches.errors import CannotLook, MaybeAccepted, NotAccepted, TryLater, VendorError
from overnight.batches.land import Landing
from overnight.batches.vendor import Line, Phase, Progress, Receipt, Ticket, vendor_class
from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.ledger import batches, nights, transitions
from overnight.ledger.batches import Batch
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.states import BatchState, ItemState, Outcome, RequestState
from overnight.tasks import NightTask, open_task

POLL_S = 30.0  # the vendors answer within minutes to hours; Anthropic itself asks for ten seconds at least
QUIET = timedelta(minutes=15)
"""After an ambiguous create the vendor may still be at work on it (a create may take ten minutes): an empty search before this
much time has passed since the intent proves nothing."""
SETTLE = timedelta(minutes=20)  # a cancel may take ten minutes to settle; export waits no longer than this


class StillOpen(CannotLook):
    """The vendor was searched too early to say that the batch is not there; search again at `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


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
        try:
            job.submit(now=utcnow)
        except StillOpen as early:
            self.log.warning("%s", early)
            self._sleep_until(early.until)
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
            until = job.settles_by() if state == BatchState.CANCELLING else job.batch["cutoff_at"]
            if not job.given_up(utcnow(), until):
                self._defer(job, until)
            if not job.look_once(now=utcnow):
                return job.carry_over_in_doubt(now=utcnow)
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
        if now() >= self.batch["cutoff_at"]:
            self._too_late(now())
            return
        self.task.policy.allow("submit_batch")
        killswitch.refuse_if_engaged(self.ledger, self.task.workflow.name, "submitting a batch")
        self._intend(now())
        try:
            receipt = asyncio.run(self._create())
        except MaybeAccepted:
            self._move(BatchState.IN_DOUBT, now(), error="the create lost its answer")
            self._recover(now)
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

    def _intend(self, now: datetime) -> None:
        """Commit the intent, if the night is still open and every item of the batch is still locked in it."""
        with self.ledger.write() as conn:
            strayed = batches.strayed_items(conn, self.batch_id)
            if strayed:
                raise LedgerError(
                    f"Batch {self.batch['key']} was not sent: {len(strayed)} of its items are no longer locked in this night "
                    f"(items {strayed[:10]}); another night may have bought them. Nothing was bought here."
                )
            batches.move(conn, self.batch, BatchState.SUBMITTING, actor=self.task.actor, now=now, intent_at=now)
        self._reload()

    def _too_late(self, now: datetime) -> None:
        """Past the cutoff nothing is sent any more: it would be bought and cancelled. The items go to the next night."""
        with self.ledger.write() as conn:
            night = nights.get(conn, self.batch["night_id"])
            locked = nights.still_inside(conn, night["id"]).get(ItemState.LOCKED, [])
            mine = sorted(set(locked) & set(batches.item_ids(conn, self.batch_id)))
            reason = "the night was past its cutoff before it could be sent; goes to the next night"
            nights.leave(conn, night, mine, Outcome.CARRIED_OVER, actor=self.task.actor, now=now, reason=reason)
            batches.move(
                conn,
                self.batch,
                BatchState.REFUSED,
                actor=self.task.actor,
                now=now,
                error=reason,
                counts={"carried_over": len(mine)},
            )
        self._reload()

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
            self._not_there(now())
        else:
            self._accepted(receipt, now())

    def _not_there(self, now: datetime) -> None:
        quiet_at = self.batch["intent_at"] + QUIET
        if now < quiet_at:
            if self.batch["state"] == BatchState.SUBMITTING:
                self._move(BatchState.IN_DOUBT, now)
            raise StillOpen(
                f"Batch {self.batch['key']} is not at {self.batch['vendor']}, but its create may still be on its way. It is held "
                f"in doubt and searched for again at {quiet_at.isoformat()}; nothing is sent before.",
                quiet_at,
            )
        self._move(BatchState.PLANNED, now, error="searched at the vendor: not there")

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
            error = None
            try:
                asyncio.run(self._cancel())
            except VendorError as refusal:
                # The night goes on without it: what is not settled in time is carried over in doubt, never sent again.
                error = f"the cancel did not get through: {refusal}"
            self._move(BatchState.CANCELLING, now(), cancelled_at=now(), error=error)

    async def _cancel(self) -> None:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            await vendor.cancel(self.batch["vendor_batch_id"])

    def settles_by(self) -> datetime:
        """Until when a cancelled batch may say what it finished."""
        since: datetime = max(self.batch["cutoff_at"], self.batch["cancelled_at"] or self.batch["cutoff_at"])
        return since + SETTLE

    def look_once(self, *, now: Callable[[], datetime]) -> bool:
        """One last look at a batch that is to be given up; returns whether it has ended after all."""
        if not self._submitted_here():
            return False  # given up before: its items left this night in doubt, and a late result is not this night's any more
        try:
            progress = asyncio.run(self._poll())
        except VendorError:
            return False
        if progress.phase is Phase.ENDED:
            self.ended(now=now)
        return progress.phase is Phase.ENDED

    def _submitted_here(self) -> list[int]:
        """The batch's items that are still at the vendor for this night."""
        with self.ledger.read() as conn:
            inside = nights.still_inside(conn, self.batch["night_id"]).get(ItemState.SUBMITTED, [])
            return sorted(set(inside) & set(batches.item_ids(conn, self.batch_id)))

    async def _poll(self) -> Progress:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            return await vendor.poll(self.batch["vendor_batch_id"])

    def given_up(self, now: datetime, until: datetime) -> bool:
        """Whether a cancelled batch has not settled in time for the export."""
        return self.batch["state"] == BatchState.CANCELLING and now >= until

    def carry_over_in_doubt(self, *, now: Callable[[], datetime]) -> dict[str, int]:
        """Not settled by the export: its items are carried over in doubt and never sent again before it is settled."""
        mine = self._submitted_here()
        with self.ledger.write() as conn:
            night = nights.get(conn, self.batch["night_id"])
            reason = "cut off; the vendor has not said yet what was finished"
            nights.leave(conn, night, mine, Outcome.CARRIED_OVER, actor=self.task.actor, now=now(), reason=reason, in_doubt=True)
        return {"carried_over_in_doubt": len(mine)}

    def land(self, *, now: Callable[[], datetime]) -> dict[str, int]:
        """Download whole, land in chunks, then let the batch be seen."""
        if self.batch["state"] in (BatchState.LANDED, BatchState.REFUSED):
            return dict(self.batch["counts"] or {})
        self.task.policy.allow("read_batch")
        if self.batch["raw_path"] is None or not raw.is_whole(self.batch["raw_path"], self.batch["raw_sha256"]):
            made, progress = asyncio.run(self._download())
            self._keep(made, progress)
        vendor = vendor_class(self.batch["vendor"])
        landing = Landing(self.ledger, self.task.workflow, vendor, self.batch, self.task.actor)
        counts = landing.land(self.batch["raw_path"], now=now())
        self._alert_whole_failure(counts, now())
        self._move(BatchState.LANDED, now(), landed_at=now(), counts=counts)
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
