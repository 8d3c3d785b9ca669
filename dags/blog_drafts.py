"""Blog drafts: 5 to 15 briefs become outlines, and outlines drafts that a named author edits and signs."""

from airflow.sdk import dag, task_group

from overnight import BatchOperator, CheckOperator, DrainOperator, ExportOperator, ValidateOperator, nightly

WORKFLOW = "blog_drafts"


@task_group
def shard(batch_id: int) -> None:
    """One shard goes through the chain by itself: its drafts begin as soon as its outlines have landed."""
    outline = BatchOperator(task_id="outline", workflow=WORKFLOW, batch_id=batch_id)
    BatchOperator(task_id="draft", workflow=WORKFLOW, batch_id=outline.output["next"])


@dag(**nightly(WORKFLOW))
def night() -> None:
    """One night, from the lock to the review."""
    check = CheckOperator(task_id="check", workflow=WORKFLOW)
    drain = DrainOperator(task_id="drain", workflow=WORKFLOW)
    chain = shard.expand(batch_id=drain.output)
    # An empty queue plans no batch: the night still closes, and says so.
    validate = ValidateOperator(task_id="validate", workflow=WORKFLOW, trigger_rule="none_failed")
    export = ExportOperator(task_id="export", workflow=WORKFLOW, trigger_rule="none_failed")

    check >> drain >> chain >> validate >> export


night()
