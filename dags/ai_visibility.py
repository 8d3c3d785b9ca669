"""AI search visibility: a panel asked of three vendors, mentions found in code, their tone judged."""

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

WORKFLOW = "ai_visibility"


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review. A step that has nothing to ask plans no batch; the night goes on."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    ask = BatchOperator.partial(task_id="ask", workflow=WORKFLOW).expand(batch_id=drain.output)
    find = ComputeOperator(task_id="find", workflow=WORKFLOW, step="find", trigger_rule="none_failed")
    judge = BatchOperator.partial(task_id="judge", workflow=WORKFLOW).expand(batch_id=find.output)
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> ask >> find >> judge >> validate >> export


night()
