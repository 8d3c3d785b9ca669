"""The export operator: put the night before the reviewers, then close it. Whole or not at all; again changes nothing."""

from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator

from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.ledger import nights, transitions
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.review.surface import surface
from overnight.tasks import NightTask, open_task


class ExportMismatch(RuntimeError):
    """The surface does not show what was staged; the night is not handed to reviewers."""


class ExportOperator(BaseOperator):
    """Show the night on its surface and close it; returns the counts of the conservation law."""

    def __init__(self, *, workflow: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow = workflow

    def execute(self, context: Any) -> dict[str, int]:
        """Export this run's night."""
        return export(open_ledger(), open_task(self.workflow, context), now=utcnow())


def export(ledger: Ledger, task: NightTask, *, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow."""
    task.policy.allow("write_review_export")
    with ledger.read() as conn:
        night = nights.of_run(conn, task.workflow.name, task.run_id)
        counts = nights.conservation(conn, night["id"])
    if night["state"] == NightState.CLOSED:
        return counts
    killswitch.refuse_if_engaged(ledger, task.workflow.name, "the export")
    shown = surface(night["surface"]).export(ledger, night)
    expected = counts["staged"] + counts["failed"]
    if shown != expected:
        raise ExportMismatch(
            f"Night {night['night']} of {task.workflow.name} has {expected} items to show, the surface "
            f"{night['surface']!r} shows {shown}. It stays closed to reviewers; nothing is lost. Clear this task to "
            "export again."
        )
    common: dict[str, Any] = {"actor": task.actor, "now": now}
    with ledger.write() as conn:
        staged = nights.with_outcome(conn, night["id"], Outcome.STAGED)
        moved: dict[str, Any] = {"workflow": task.workflow.name, **common}
        transitions.move(conn, "item", staged, ItemState.IN_REVIEW, **moved)
        transitions.move(conn, "night", [night["id"]], NightState.EXPORTED, exported_at=now, **moved)
        return nights.close(conn, night, **common)
