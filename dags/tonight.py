"""Tonight: every quarter of an hour by day, what the next lock would do, for the page people look at before they leave."""

from airflow.sdk import dag

from overnight import PreviewOperator, morning


@dag(**morning("tonight", "*/15 7-16 * * *"))
def tonight() -> None:
    """Nothing is locked and nothing is bought: each workflow's lock is tried and rolled back."""
    PreviewOperator(task_id="preview")


tonight()
