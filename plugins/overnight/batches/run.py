"""The batch operator: one shard from planned to landed. Submits once, waits without a worker slot, lands what came back.

All decisions are the shard's (shard.py); this module only turns its waits into Airflow's deferrals.
"""

from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from overnight.batches import stops
from overnight.batches.shard import Shard, Watch
from overnight.batches.waits import Wait, waits
from overnight.clock import utcnow
from overnight.ledger.connect import open_ledger
from overnight.ledger.states import BatchState
from overnight.tasks import open_task

NEXT = "next"
"""The XCom under which a shard of a chain says which batch goes on with its items."""
NOTHING = 0
"""No batch follows. Not None: Airflow takes an XCom of None for one that is missing, and fails the task that asks for it."""


class BatchOperator(BaseOperator):
    """Bring one shard to its end; returns the counts of its answers by state, and under the key `next` where its chain goes on.

    Args:
        batch_id: the shard's first batch. 0: the step before it had nothing to go on with; this one is skipped.
    """

    template_fields = ("batch_id",)

    def __init__(self, *, workflow: str, batch_id: Any, poll_s: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow, self.batch_id, self.poll_s = workflow, batch_id, poll_s

    def execute(self, context: Any) -> dict[str, int]:
        """Start, or go on from wherever the ledger says this shard is."""
        if self.batch_id == NOTHING:
            raise AirflowSkipException("the step before this one had nothing to go on with")
        return self._go_on(context, self._shard(context))

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, int]:
        """The trigger has something to say of the batch: ended, time is up, stuck, or it cannot be asked."""
        shard, said = self._shard(context), event or {}
        job = shard.newest()
        if job.batch["vendor_batch_id"] == said.get("vendor_batch_id", job.batch["vendor_batch_id"]):
            match said.get("next"):
                case "land":
                    job.ended(now=utcnow)
                case "cut":
                    job.cut(now=utcnow)
                case "stop":
                    stops.stop(job, now=utcnow)
                case "stuck":
                    stops.stuck(job, now=utcnow)
                case _:
                    job.cannot_be_asked(str(said.get("reason")), now=utcnow)
        return self._go_on(context, shard)

    def execute_again(self, context: Any, event: Any = None) -> dict[str, int]:
        """A wait is over."""
        return self.execute(context)

    def _go_on(self, context: Any, shard: Shard) -> dict[str, int]:
        following = shard.advance(now=utcnow)
        if isinstance(following, dict) and len(shard.task.workflow.steps) > 1:
            context["ti"].xcom_push(NEXT, shard.next_batch_id or NOTHING)
        match following:
            case Wait():
                self.log.info("waiting until %s: %s", following.until.isoformat(), following.why)
                self._sleep(following)
            case Watch():
                self._watch(following)
        return following

    def _watch(self, watch: Watch) -> NoReturn:
        from overnight.batches.trigger import BatchTrigger

        batch, times = watch.job.batch, waits()
        trigger = BatchTrigger(
            vendor=batch["vendor"], vendor_batch_id=batch["vendor_batch_id"], until=watch.until.isoformat(),
            interval_s=self.poll_s or times.poll, first_look_s=times.first_look, stuck_after_s=watch.stuck_after_s,
            since=batch["submitted_at"].isoformat(), said=watch.job.trouble_said,
            # What is cancelled already is only waited for: a switch has nothing more to stop there.
            scopes=stops.scopes(batch) if batch["state"] == BatchState.SUBMITTED else (),
        )  # fmt: skip
        self.defer(trigger=trigger, method_name="execute_complete")
        raise AssertionError("defer does not return")

    def _sleep(self, wait: Wait) -> NoReturn:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.defer(trigger=DateTimeTrigger(moment=wait.until), method_name="execute_again")
        raise AssertionError("defer does not return")

    def _shard(self, context: Any) -> Shard:
        return Shard(open_ledger(), open_task(self.workflow, context), self.batch_id)
