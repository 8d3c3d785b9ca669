"""Ad variants: 50 to 150 for Google and Meta; near-duplicates of the night are found in code and written again once."""

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

WORKFLOW = "ad_variants"


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review. A step that has nothing to ask plans no batch; the night goes on."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    write = BatchOperator.partial(task_id="write", workflow=WORKFLOW).expand(batch_id=drain.output)
    compare = ComputeOperator(task_id="compare", workflow=WORKFLOW, step="compare", trigger_rule="none_failed")
    rewrite = BatchOperator.partial(task_id="rewrite", workflow=WORKFLOW).expand(batch_id=compare.output)
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> write >> compare >> rewrite >> validate >> export


night()
