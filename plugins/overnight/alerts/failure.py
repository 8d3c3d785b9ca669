"""A task of a night that failed for good raises the night's alert at once, not at the deadline."""

from typing import Any

from overnight.clock import utcnow


def task_failed(context: Any) -> None:
    """Airflow's on_failure_callback, after the last retry. The words are the error's own; they never hold an item's text."""
    from overnight.alerts.notifier import night_alert
    from overnight.ledger import migrate, nights
    from overnight.ledger.connect import open_ledger

    instance, run_id = context["ti"], context["dag_run"].run_id
    ledger = open_ledger()
    migrate.ensure_current(ledger)  # the trouble may be older than the first check
    with ledger.read() as conn:
        night = nights.find_by_run(conn, instance.dag_id, run_id)
    label = night["night"] if night is not None else ""
    error = context.get("exception")
    message = f"Task {instance.task_id} failed: {type(error).__name__}: {error}"[:2000]
    night_alert(ledger, "task_failed", instance.dag_id, label, run_id, message, now=utcnow())
