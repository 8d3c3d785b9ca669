"""Morning review: every ten minutes, and once at its end, decisions come home and what is approved goes out."""

from airflow.sdk import dag

from overnight import CollectOperator, DeliverOperator, MeasureOperator, morning


@dag(**morning("morning_review"))
def morning_review() -> None:
    """Collect what reviewers decided, deliver what is approved, then measure the nights whose review is over."""
    collect = CollectOperator(task_id="collect")
    # One broken surface must not keep what was approved elsewhere from going out.
    deliver = DeliverOperator(task_id="deliver", trigger_rule="all_done")

    measure = MeasureOperator(task_id="measure", trigger_rule="all_done")

    collect >> deliver >> measure


morning_review()
