"""Morning review: brings decisions home every ten minutes of the review block, and once more at its end."""

from airflow.sdk import dag

from overnight import CollectOperator, morning


@dag(**morning("morning_review", "*/10 8-12 * * *"))
def morning_review() -> None:
    """Collect what reviewers decided."""
    CollectOperator(task_id="collect")


morning_review()
