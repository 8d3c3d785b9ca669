"""One batch, from planned to landed, without Airflow's wait. What it does next is decided by its state in the ledger alone.

A retry, a clear or a second run of the same task finds the batch where it is and goes on from there (law 2). It never sends
what may have been sent. What cannot be done now is answered with a `Wait`, not with an error: the night goes on.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from overnight.alerts import notifier
from overnight.batches import clients, plan, raw, stops
from overnight.batches.breaker import Breaker
from overnight.batches.errors import AuthFailed, CannotLook, MaybeAccepted, NotAccepted, Overtaken, TryLater, VendorError
from overnight.batches.land import Landing
from overnight.batches.vendor import Line, Phase, Progress, Receipt, Ticket, vendor_class
from overnight.batches.waits import Now, Wait, waits
from overnight.clock import utcnow
from overnight.governance import killswitch, trip
from overnight.ledger import answers, batches, breakers, chains, money, nights, transitions
from overnight.ledger.batches import Batch
from overnight.ledger.connect import Ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.states import BatchState, ItemState, NightState, Outcome, Purpose, RequestState
from overnight.tasks import NightTask


class BatchJob:
    """The work on one batch."""

    def __init__(self, ledger: Ledger, task: NightTask, batch_id: int) -> None:
        self.ledger, self.task, self.batch_id = ledger, task, batch_id
        self.reload()

    @property
    def breaker(self) -> Breaker:
        """The breaker of the model this batch asks."""
        name = self.task.workflow.name
        return Breaker(self.ledger, self.batch["vendor"], self.batch["model"], workflow=name, actor=self.task.actor)

    def submit(self, *, now: Now) -> Wait | None:
        """Send the batch if it was certainly not sent; if nobody knows, search for it first."""
        try:
            return self._search_or_send(now)
        except Overtaken as overtaken:
            self.reload()
            return Wait(now() + waits().delta("again"), str(overtaken))

    def _search_or_send(self, now: Now) -> Wait | None:
        if self.batch["state"] in (BatchState.SUBMITTING, BatchState.IN_DOUBT) and (wait := self._recover(now)):
            return wait
        if self.batch["state"] != BatchState.PLANNED:
            return None
        if now() >= self.batch["cutoff_at"]:
            self._give_back("the night was past its cutoff before it could be sent; goes to the next night", now())
            return None
        if wait := self._hold_back(now()):
            return wait
        self.task.policy.allow("submit_batch")
        return self._intend(now()) or self._send(now)

    def _hold_back(self, now: datetime) -> Wait | None:
        """A kill switch, the workflow's start, a pause the vendor asked for, a cold cache, an open breaker."""
        if switch := stops.engaged(self.ledger, self.batch):
            return Wait(now + waits().delta("stopped"), f"{killswitch.words(switch)} Nothing is sent before it is re-armed")
        start = max(self.batch["start_at"], self.batch["not_before_at"] or self.batch["start_at"])
        if now < start:
            return Wait(start, "not before its time")
        if until := self.breaker.open_until(now):
            return Wait(min(until, self.batch["cutoff_at"]), f"the breaker of {self.batch['model']} is open")
        with self.ledger.read() as conn:
            warming = self.batch["after_id"] and batches.state_of(conn, self.batch["after_id"])
        settled = (BatchState.ENDED, BatchState.LANDED, BatchState.REFUSED, BatchState.RELEASED)
        cold = warming and warming not in settled
        if cold and now < self.batch["start_at"] + waits().delta("warm_up"):
            return Wait(now + waits().delta("room"), "the prompt cache is being warmed")
        return None

    def _intend(self, now: datetime) -> Wait | None:
        """Commit the intent, if the night is open, every item still waits for this batch, and the vendor has room for it."""
        with self.ledger.write() as conn:
            money.hold(conn)  # first, as everybody does: what strayed is planned anew, and asks for money
            chains.hold(conn, self.batch["home_night_id"])
            breakers.hold(conn, self.batch["vendor"], self.batch["model"], now)  # one at a time counts what is waiting
            limit = plan.enqueued_tokens(plan.question(self.task.workflow, self.batch["vendor"], self.batch["model"]))
            waiting = batches.tokens_waiting(conn, self.batch["vendor"], self.batch["model"])
            if limit is not None and waiting and waiting + self.batch["input_tokens"] > limit:
                why = f"{waiting} tokens wait at {self.batch['vendor']}, {limit} may"
                return Wait(now + waits().delta("room"), why)
            if batches.state_of(conn, self.batch_id) != BatchState.PLANNED:
                return Wait(now + waits().delta("again"), "another run of this task is sending it")
            strayed = batches.strayed_items(conn, self.batch_id)
            if strayed and self.batch["night_state"] == NightState.LOCKED:
                return self._without(conn, strayed, now)
            if strayed:
                raise LedgerError(
                    f"Batch {self.batch['key']} was not sent: {len(strayed)} of its items are no longer locked in this night "
                    f"(items {strayed[:10]}); another night may have bought them. Nothing was bought here."
                )
            if wait := self.breaker.probe(conn, now):
                return Wait(wait, f"another batch is the probe of {self.batch['model']}")
            batches.move(conn, self.batch, BatchState.SUBMITTING, actor=self.task.actor, now=now, intent_at=now)
        self.reload()
        return None

    def _without(self, conn: Connection, strayed: list[int], now: datetime) -> Wait:
        """Rows that were changed since it was planned are not bought; the others are planned anew."""
        left = batches.open_items(conn, self.batch)
        reason = f"{len(strayed)} of its items were changed or went elsewhere; {len(left)} are planned anew"
        counts = {"moved": len(left)}
        batches.move(conn, self.batch, BatchState.REFUSED, actor=self.task.actor, now=now, error=reason, counts=counts)
        if left:
            purpose = Purpose(self.batch["purpose"])
            vendor, model = self.batch["vendor"], self.batch["model"]
            plan.again(conn, self.task, self.batch, dict.fromkeys(left), vendor=vendor, model=model, purpose=purpose, now=now)
        return Wait(now, reason)

    def _send(self, now: Now) -> Wait | None:
        try:
            receipt = asyncio.run(self._create())
        except Overtaken:  # not one of the refusals below, though nothing was accepted either
            raise
        except MaybeAccepted as lost:
            self._failed(f"the create lost its answer: {lost}", now())
            self._doubt(now())
            return self._recover(now)
        except TryLater as busy:
            self._failed(str(busy), now())
            return self._put_off(str(busy), now(), busy.retry_after_s)
        except AuthFailed as refusal:
            wait = self._put_off(str(refusal), now(), waits().locked_out)  # first: nothing was accepted, whoever dies here
            self.alert("key_refused", self._words(refusal, "It is tried until the cutoff: mend the key or its account."), now())
            return wait
        except NotAccepted as refusal:
            self._move_if_mine(BatchState.PLANNED, now())
            self.alert("batch_refused", self._words(refusal, "Its items go to the next night."), now())
            self._give_back(f"{self.batch['vendor']} refused it: {refusal}", now())
            return None
        self._accepted(receipt, now())
        self.breaker.worked(now())
        return None

    def _words(self, refusal: Exception, following: str) -> str:
        said = f"{self.batch['vendor']} refused batch {self.batch['key']}: {refusal}."
        return f"{said} Nothing was bought, nothing is lost. {following}"

    def _put_off(self, why: str, now: datetime, at_least_s: float | None = None) -> Wait:
        """Nothing was created: planned again, for later. Each time in a row the pause doubles."""
        pause = min(waits().again * 2 ** min(self.batch["waits"], 10), waits().slowest)
        until = now + timedelta(seconds=max(pause, at_least_s or 0.0))
        self._move_if_mine(BatchState.PLANNED, now, waits=self.batch["waits"] + 1, not_before_at=until)
        return Wait(until, why)

    def _failed(self, reason: str, now: datetime) -> None:
        if self.breaker.failed(reason[:500], now):
            said = f"{self.batch['model']} at {self.batch['vendor']} failed again and again ({reason[:300]})."
            self.alert("breaker_open", f"{said} New work is held back, or goes to the workflow's fallback.", now)

    async def _create(self) -> Receipt:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            with self.ledger.read() as conn:
                lines = (vendor.line(Line(**row)) for row in batches.lines(conn, self.batch_id))
                return await vendor.submit(self._ticket(), lines, self._last_word)

    def _last_word(self) -> None:
        """An upload may take longer than another run of this task waits: who finds the intent no longer his creates nothing."""
        with self.ledger.read() as conn:
            self._refuse_overtaken(conn)

    def _move_if_mine(self, to: BatchState, now: datetime, **columns: Any) -> None:
        """Move it as long as nobody else did: a run that comes late would free for sending what another run is sending."""
        with self.ledger.write() as conn:
            batches.hold(conn, self.batch_id)
            self._refuse_overtaken(conn)
            batches.move(conn, self.batch, to, actor=self.task.actor, now=now, **columns)
        self.reload()

    def _refuse_overtaken(self, conn: Connection) -> None:
        now = batches.get(conn, self.batch_id)
        if any(now[name] != self.batch[name] for name in ("state", "intent_at", "doubt_at")):
            raise Overtaken(f"batch {self.batch['key']} was taken over by another run of its task, which goes on from the ledger")

    def _recover(self, now: Now) -> Wait | None:
        """The create's outcome is unknown: only a search that worked may free the batch for sending."""
        if self.batch["state"] == BatchState.SUBMITTING:
            self._doubt(now())
        quiet_at: datetime = self.batch["doubt_at"] + waits().delta("quiet")
        try:
            receipt = asyncio.run(self._search())
        except CannotLook as error:
            # "Cannot look" is not "not there".
            why = f"batch {self.batch['key']} may have been accepted, and could not be searched for: {error}"
            if now() >= quiet_at:
                self.alert(
                    "in_doubt", f"{why}. It is held in doubt and not sent again; it is searched for until the cutoff.", now()
                )
            return Wait(now() + waits().delta("again"), why)
        if receipt is not None:
            with self.ledger.read() as conn:
                self._refuse_overtaken(conn)  # who sent or found it wrote it down
            self._accepted(receipt, now())
            return None
        if now() < quiet_at:
            return Wait(quiet_at, f"batch {self.batch['key']} is not there yet, but its create may still be on its way")
        self._move_if_mine(BatchState.PLANNED, now())
        return None

    def _doubt(self, now: datetime) -> None:
        """The quiet time counts from here, not from the intent: an upload of many minutes may lie between that and the create."""
        self._move_if_mine(BatchState.IN_DOUBT, now, doubt_at=now)

    async def _search(self) -> Receipt | None:
        with self.ledger.read() as conn:
            known = batches.known_vendor_ids(conn, self.batch["vendor"])
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            return await vendor.search(self._ticket(), known)

    def _accepted(self, receipt: Receipt, now: datetime) -> None:
        common: dict[str, Any] = {"workflow": self.batch["workflow"], "actor": self.task.actor, "now": now}
        with self.ledger.write() as conn:
            chains.hold(conn, self.batch["home_night_id"])
            batches.move(
                conn, self.batch, BatchState.SUBMITTED, actor=self.task.actor, now=now, submitted_at=now, waits=0,
                vendor_batch_id=receipt.vendor_batch_id, vendor_file_id=receipt.vendor_file_id,
            )  # fmt: skip
            planned = batches.request_ids(conn, self.batch_id, RequestState.PLANNED)
            transitions.move(conn, "request", planned, RequestState.SUBMITTED, **common)
            transitions.move(conn, "item", batches.to_submit(conn, self.batch), ItemState.SUBMITTED, **common)
        self.reload()

    def _give_back(self, reason: str, now: datetime) -> None:
        """It will not be sent: what waited for it only goes to the next night; what it was to repair keeps its answer."""
        with self.ledger.write() as conn:
            chains.hold(conn, self.batch["home_night_id"])
            if batches.hold(conn, self.batch_id) != BatchState.PLANNED:
                self.reload()  # another run of this task has sent it meanwhile
                return
            night = nights.get(conn, self.batch["home_night_id"])
            locked = nights.still_inside(conn, night["id"]).get(ItemState.LOCKED, [])
            # What another step asks about it may yet be answered: the item stays for that.
            mine = sorted(set(locked) & set(batches.open_items(conn, self.batch)) - batches.held_elsewhere(conn, self.batch))
            nights.leave(conn, night, mine, Outcome.CARRIED_OVER, actor=self.task.actor, now=now, reason=reason[:300])
            counts = {"carried_over": len(mine)}
            batches.move(
                conn, self.batch, BatchState.REFUSED, actor=self.task.actor, now=now, error=reason[:500], counts=counts
            )  # fmt: skip
        self.reload()

    def ended(self, *, now: Now) -> None:
        """The vendor says that the batch has ended."""
        if self.batch["state"] in (BatchState.SUBMITTED, BatchState.CANCELLING):
            self._move(BatchState.ENDED, now(), ended_at=now())

    def cut(self, *, now: Now, **noted: Any) -> None:
        """Ask the vendor to stop, and note why in the same breath. The finished part is landed once it has stopped."""
        if self.batch["state"] == BatchState.SUBMITTED:
            error = None
            try:
                asyncio.run(self.cancel())
            except VendorError as refusal:
                # The night goes on without it: what is not settled in time is carried over in doubt, never sent again.
                error = f"{stops.NOT_CANCELLED}: {refusal}"
            self._move(BatchState.CANCELLING, now(), cancelled_at=now(), error=error, **noted)

    @property
    def trouble_said(self) -> bool:
        """Whether people were told that the batch cannot be asked."""
        return self.batch["error"] is not None

    def cannot_be_asked(self, reason: str, *, now: Now) -> None:
        """A refused key, or a batch its vendor does not know: said once, and tried again until the night's end."""
        if not self.trouble_said:
            self.note(error=reason[:500])
            self.alert("cannot_ask", stops.unasked(self.batch, reason), now())

    async def cancel(self) -> None:
        """Tell the vendor to stop."""
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            await vendor.cancel(self.batch["vendor_batch_id"])

    def settles_by(self) -> datetime:
        """Until when a cut or doubtful batch may say what became of it."""
        cutoff: datetime = self.batch["cutoff_at"]
        return max(cutoff, self.batch["cancelled_at"] or cutoff) + waits().delta("settle")

    def look_once(self, *, now: Now) -> bool:
        """One last look at a batch that is to be given up; returns whether it has ended after all."""
        if not self.is_of_this_night():
            return False  # given up before: a late result is another night's now
        try:
            progress = asyncio.run(self._poll())
        except VendorError:
            return False
        if progress.phase is Phase.ENDED:
            self.ended(now=now)
        return progress.phase is Phase.ENDED

    def is_of_this_night(self) -> bool:
        """Whether what the batch brings still belongs to the night this task runs."""
        with self.ledger.read() as conn:
            night = nights.of_run(conn, self.task.workflow.name, self.task.run_id)
            mine = night["id"] == self.batch["home_night_id"] and night["state"] == NightState.LOCKED
            return mine and bool(batches.open_items(conn, self.batch))

    async def _poll(self) -> Progress:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            return await vendor.poll(self.batch["vendor_batch_id"])

    def carry_over_in_doubt(self, *, now: Now) -> dict[str, int]:
        """Not settled by the export: its items are carried over in doubt and never sent again before it is settled."""
        with self.ledger.write() as conn:
            chains.hold(conn, self.batch["home_night_id"])
            mine = batches.open_items(conn, self.batch)
            night = nights.get(conn, self.batch["home_night_id"])
            reason = "cut off; the vendor has not said yet what was finished"
            nights.leave(conn, night, mine, Outcome.CARRIED_OVER, actor=self.task.actor, now=now(), reason=reason, in_doubt=True)
        if mine:
            said = f"Batch {self.batch['key']} has not settled by the export: {len(mine)} items go out of this night without it."
            self.alert("unsettled", f"{said} They are not sent again; what the vendor finished lands in the next night.", now())
        return {"carried_over_in_doubt": len(mine)}

    def land(self, *, now: Now) -> dict[str, int]:
        """Download whole, land in chunks, then let the batch be seen."""
        if self.batch["state"] in (BatchState.LANDED, BatchState.REFUSED):
            return dict(self.batch["counts"] or {})
        self.task.policy.allow("read_batch")
        if self.batch["raw_path"] is None or not raw.is_whole(self.batch["raw_path"], self.batch["raw_sha256"]):
            made, progress = asyncio.run(self._download())
            self._keep(made, progress)
        vendor = vendor_class(self.batch["vendor"])
        landing = Landing(self.ledger, self.task.workflow, vendor, self.batch, self.task.actor)
        odd = landing.land(self.batch["raw_path"], now=now())
        with self.ledger.read() as conn:
            counts = {**odd, **answers.states_of_batch(conn, self.batch_id)}
            cost_usd = answers.cost_of_batch(conn, self.batch_id)
        self._whole_failure(counts, now())
        self._move(BatchState.LANDED, now(), landed_at=now(), counts=counts, cost_usd=cost_usd)
        trip.after_landing(self.ledger, self.task, self.batch, now=now())
        return counts

    def _whole_failure(self, counts: dict[str, int], now: datetime) -> None:
        """A vendor can fail a whole batch after accepting it; the night goes on without its items, but not in silence."""
        if not self._failed_whole():
            if not self.batch["cancelled_at"]:
                self.breaker.worked(now)
            return
        self._failed(f"whole batch failed: {self.batch['error']}", now)
        self.alert(
            "batch_failed",
            f"{self.batch['vendor']} failed the whole batch {self.batch['vendor_batch_id']}: {self.batch['error']}. "
            f"Nothing of it was billed; its {counts.get('missing', 0)} items are asked again if time remains, else carried over.",
            now,
        )

    def _failed_whole(self) -> bool:
        return bool(self.batch["error"]) and not self.batch["cancelled_at"]

    async def _download(self) -> tuple[raw.RawFile, Progress]:
        async with clients.open_vendor(self.batch["vendor"]) as vendor:
            progress = await vendor.poll(self.batch["vendor_batch_id"])
            if progress.phase is not Phase.ENDED:
                raise TryLater(f"batch {self.batch['vendor_batch_id']} has not ended yet: nothing was landed")
            async with raw.writing(self.batch["key"]) as (made, sink):
                await vendor.download(self.batch["vendor_batch_id"], progress.results, sink)
        return made, progress

    def _keep(self, made: raw.RawFile, progress: Progress) -> None:
        self.note(raw_path=made.path, raw_sha256=made.sha256, error=progress.error)

    def _ticket(self) -> Ticket:
        intent = self.batch["intent_at"] or utcnow()
        return Ticket(self.batch["key"], self.batch["model"], self.batch["request_count"], intent)

    def alert(self, kind: str, message: str, now: datetime) -> None:
        """One more trouble of this night, for people."""
        notifier.night_alert(
            self.ledger, kind, self.task.workflow.name, self.batch["night"], self.task.run_id, message, now=now
        )  # fmt: skip

    def note(self, **columns: Any) -> None:
        """Write down facts that are no change of state."""
        with self.ledger.write() as conn:
            batches.note(conn, self.batch_id, **columns)
        self.reload()

    def _move(self, to: BatchState, now: datetime, **columns: Any) -> None:
        with self.ledger.write() as conn:
            batches.move(conn, self.batch, to, actor=self.task.actor, now=now, **columns)
        self.reload()

    def reload(self) -> None:
        """Read the batch anew; the work is its step's from here on."""
        with self.ledger.read() as conn:
            self.batch: Batch = batches.get(conn, self.batch_id)
        self.task = replace(self.task, workflow=self.task.workflow.at(self.batch["step"]))
