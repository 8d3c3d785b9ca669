"""Good morning: what the night brought, what waits for whom, what it cost, with links."""

from airflow.sdk import dag

from overnight import GoodMorningOperator, morning


@dag(**morning("good_morning", "45 8 * * *"))
def good_morning() -> None:
    """One message, before people come in."""
    GoodMorningOperator(task_id="say")


good_morning()
