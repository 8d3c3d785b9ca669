"""Audit digest: once a week, what ran, what was denied, who approved what and how fast; the log's chains verified."""

from airflow.sdk import dag

from overnight import AuditDigestOperator, morning


@dag(**morning("audit_digest", "0 8 * * 1"))
def audit_digest() -> None:
    """A file, a message, and the same on the page /overnight/audit/week."""
    AuditDigestOperator(task_id="digest")


audit_digest()
