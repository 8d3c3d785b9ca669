"""Returns triage: 50 to 200 returns get one taxonomy; what is urgent left before the lock."""

from airflow.sdk import dag

from overnight import BatchOperator, CheckOperator, DrainOperator, ExportOperator, ValidateOperator, nightly

WORKFLOW = "returns_triage"


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    batch = BatchOperator.partial(task_id="batch", workflow=WORKFLOW).expand(batch_id=drain.output)
    # An empty queue plans no batch: the night still closes, and says so.
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> batch >> validate >> export


night()
