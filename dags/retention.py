"""Retention: once a week, at an hour when no night works, what is older than the brand keeps it is removed."""

from airflow.sdk import dag

from overnight import RetentionOperator, morning


@dag(**morning("retention", "0 14 * * 0"))
def retention() -> None:
    """Raw answers as each policy says, texts and days of the audit log as `retention` in include/brand.yaml says."""
    RetentionOperator(task_id="remove")


retention()
