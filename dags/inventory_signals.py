"""Inventory signals: the full catalogue scored in code; only exceptions are explained."""

from airflow.sdk import dag

from overnight import (
    BatchOperator,
    CheckOperator,
    ComputeOperator,
    DrainOperator,
    ExportOperator,
    ValidateOperator,
    nightly,
)

WORKFLOW = "inventory_signals"


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review. A step that has nothing to ask plans no batch; the night goes on."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    score = ComputeOperator(task_id="score", workflow=WORKFLOW, step="score")
    explain = BatchOperator.partial(task_id="explain", workflow=WORKFLOW).expand(batch_id=score.output)
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> score >> explain >> validate >> export


night()
