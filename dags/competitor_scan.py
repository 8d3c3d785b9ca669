"""Competitor scan: pages are read and compared in code, changes analysed, and the night told in one page."""

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

WORKFLOW = "competitor_scan"


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review. A step that has nothing to ask plans no batch; the night goes on."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    gather = ComputeOperator(task_id="gather", workflow=WORKFLOW, step="gather")
    analyse = BatchOperator.partial(task_id="analyse", workflow=WORKFLOW).expand(batch_id=gather.output)
    rank = ComputeOperator(task_id="rank", workflow=WORKFLOW, step="rank", trigger_rule="none_failed")
    digest = BatchOperator.partial(task_id="digest", workflow=WORKFLOW).expand(batch_id=rank.output)
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> gather >> analyse >> rank >> digest >> validate >> export


night()
