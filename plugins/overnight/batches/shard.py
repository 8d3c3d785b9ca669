"""One shard of a night, brought to its end: its first batch, then whatever has to be asked again, one batch after the other.

Pure decisions over the ledger's state; the wait between them is Airflow's (run.py) or a test's.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from overnight.batches import chain, repair, stops
from overnight.batches.errors import Gone, VendorError
from overnight.batches.job import BatchJob
from overnight.batches.waits import Now, Wait, waits
from overnight.ledger import batches, nights
from overnight.ledger.connect import Ledger
from overnight.ledger.states import BatchState, NightState
from overnight.tasks import NightTask


@dataclass(frozen=True, slots=True)
class Watch:
    """The vendor is at work: look at the batch until `until`; it is stuck when it makes no progress by `stuck_at`."""

    job: BatchJob
    until: datetime
    stuck_after_s: float | None


def _after(since: datetime, now: datetime) -> datetime:
    """When to try again what was tried since then: each pause as long as all before it together, within bounds."""
    return now + timedelta(seconds=max(waits().again, min((now - since).total_seconds(), waits().slowest)))


class Shard:
    """The work on one shard."""

    def __init__(self, ledger: Ledger, task: NightTask, first_batch_id: int) -> None:
        self.ledger, self.task, self.first_batch_id = ledger, task, first_batch_id
        self.next_batch_id: int | None = None  # where the chain goes on, once this shard has come to its end

    def newest(self) -> BatchJob:
        """The batch the shard has come to."""
        with self.ledger.read() as conn:
            newest = batches.newest_of_shard(conn, self.first_batch_id)
        return BatchJob(self.ledger, self.task, newest)

    def advance(self, *, now: Now) -> Wait | Watch | dict[str, int]:
        """Do all that can be done now; says what to wait for, or the counts when the shard has come to its end."""
        while True:
            job = self.newest()
            if job.batch["night_state"] != NightState.LOCKED or not self._ours(job):
                return self.counts()  # the night went on without it: what it brings later is another night's
            following = self._step(job, now)
            if following is not None:
                return following

    def _step(self, job: BatchJob, now: Now) -> Wait | Watch | dict[str, int] | None:
        match job.batch["state"]:
            case BatchState.PLANNED | BatchState.SUBMITTING | BatchState.IN_DOUBT:
                return self._submit(job, now)
            case BatchState.SUBMITTED | BatchState.CANCELLING:
                return self._watch(job, now)
            case BatchState.ENDED:
                return self._land(job, now)
        if repair.follow_up(job, now=now):
            return None
        self._pass_on(job, now)
        return self.counts()

    def _pass_on(self, job: BatchJob, now: Now) -> None:
        """The step has come to its end for these items: what follows is planned before anybody hears of it."""
        if not chain.leads_on(self.task, job.batch):
            return
        with self.ledger.write() as conn:
            self.next_batch_id = chain.after_shard(conn, self.task, job.batch, now=now())

    def _submit(self, job: BatchJob, now: Now) -> Wait | dict[str, int] | None:
        if repair.moved_to_fallback(job, now=now):
            return None
        wait = job.submit(now=now)
        if wait is None:
            return None
        if job.batch["state"] == BatchState.IN_DOUBT:
            if now() >= job.settles_by():
                return job.carry_over_in_doubt(now=now)
            return Wait(min(wait.until, job.settles_by()), wait.why)
        return Wait(min(wait.until, job.batch["cutoff_at"]), wait.why)

    def _watch(self, job: BatchJob, now: Now) -> Watch | Wait | dict[str, int] | None:
        if job.batch["state"] == BatchState.SUBMITTED:
            patience = None if job.batch["waits"] else job.task.workflow.patience.total_seconds()
            return Watch(job, job.batch["cutoff_at"], patience)
        if now() < job.settles_by():
            if stops.heard(job):
                return Watch(job, job.settles_by(), None)
            if job.look_once(now=now):
                return None
            return Wait(min(_after(job.batch["cancelled_at"], now()), job.settles_by()), str(job.batch["error"]))
        return None if job.look_once(now=now) else job.carry_over_in_doubt(now=now)

    def _land(self, job: BatchJob, now: Now) -> Wait | dict[str, int] | None:
        """What is finished is fetched until the export goes out; after that it is the next night's to fetch."""
        try:
            job.land(now=now)
        except VendorError as error:
            if isinstance(error, Gone):
                job.cannot_be_asked(f"its results are not there ({error})", now=now)
            if now() >= job.settles_by():
                return job.carry_over_in_doubt(now=now)
            pause = max(
                _after(job.batch["ended_at"], now()), now() + timedelta(seconds=getattr(error, "retry_after_s", None) or 0)
            )
            return Wait(min(pause, job.settles_by()), f"the results could not be fetched: {error}")
        return None

    def _ours(self, job: BatchJob) -> bool:
        """Whether the shard still belongs to the night of this run (a later night may have adopted it)."""
        with self.ledger.read() as conn:
            night = nights.find_by_run(conn, self.task.workflow.name, self.task.run_id)
        return night is not None and night["id"] == job.batch["home_night_id"]

    def counts(self) -> dict[str, int]:
        """What the shard's batches brought, added up: answers by state, and oddities."""
        total: Counter[str] = Counter()
        with self.ledger.read() as conn:
            for batch in batches.of_shard(conn, self.newest().batch):
                total.update(batch["counts"] or {})
        return dict(total)
