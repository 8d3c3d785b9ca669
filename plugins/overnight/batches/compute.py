"""The compute operator: a step of a chain that is done in code. It fetches, counts, compares; nothing is bought.

What it found is kept whole, in one transaction, and then decides what is asked next. Run again it keeps what it found.
"""

from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator

from overnight.batches import chain
from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.ledger import chains, findings, money, nights
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.states import NightState
from overnight.tasks import NightTask, open_task
from overnight.workflow import Computed, NightFacts


class ComputeOperator(BaseOperator):
    """Do one step in code for every item that came to it; returns the ids of the batches that follow."""

    def __init__(self, *, workflow: str, step: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow, self.step = workflow, step

    def execute(self, context: Any) -> list[int]:
        """Compute the step of this run's night."""
        return compute(open_ledger(), open_task(self.workflow, context), self.step, now=utcnow())


def compute(ledger: Ledger, task: NightTask, name: str, *, now: datetime) -> list[int]:
    """The work of the operator, without Airflow."""
    task.policy.allow("read_queue")
    killswitch.refuse_if_engaged(ledger, task.workflow.name, f"the step {name}")
    step = task.workflow.step_named(name)
    with ledger.write() as conn:
        night = nights.of_run(conn, task.workflow.name, task.run_id)
        if night["state"] != NightState.LOCKED:
            return []
        rows = chain.rows_for(conn, task, night, name, now)
        step_id = chains.steps_of(conn, night["id"])[name]
        done = {row["id"] for row in chains.inside(conn, step_id, night["id"]) if row["output"] is not None}
    left = [row for row in rows if row.item_id not in done]
    # Outside a transaction: it may fetch pages, and a night must not hold its ledger for that.
    found = list(chain.call(step.compute)(left, NightFacts(task.workflow.name, night["night"], now))) if left else []
    _refuse_strangers(name, {row.item_id for row in left}, found)
    with ledger.write() as conn:
        money.hold(conn)  # before the audit log: what follows is planned, and asks for money
        if left:
            _keep(conn, task, night, step_id, found, now)
        return chain.after_all(conn, task, night, name, now=now)


def _keep(conn: Any, task: NightTask, night: Any, step_id: int, found: list[Computed], now: datetime) -> None:
    chains.found(
        conn, step_id,
        [{"item_id": one.item_id, "output": one.output, "error": one.error, "retryable": one.retryable} for one in found],
    )  # fmt: skip
    findings.add(conn, [
        {"item_id": one.item_id, "night_id": night["id"], "rule": f.rule, "severity": f.severity, "field": f.field,
         "message": f.message, "evidence": f.evidence}
        for one in found for f in one.findings
    ])  # fmt: skip
    chains.computed(conn, [one.item_id for one in found], workflow=task.workflow.name, actor=task.actor, now=now)


def _refuse_strangers(name: str, asked: set[int], found: list[Computed]) -> None:
    answered = [one.item_id for one in found]
    if sorted(answered) != sorted(asked):
        raise RuntimeError(
            f"The step {name!r} was given {len(asked)} items and spoke of {len(answered)} ({len(set(answered) - asked)} of them "
            "none of its own). Each is to be answered once. Nothing was kept; mend the step, then clear this task."
        )
