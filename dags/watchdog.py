"""Watchdog: every five minutes, what no night's own task can say, for it never ran; and a heartbeat for somebody outside."""

from airflow.sdk import dag

from overnight import WatchOperator, morning


@dag(**morning("watchdog", "*/5 * * * *"))
def watchdog() -> None:
    """Look at the ledger and the clock, send what no channel took yet, leave a heartbeat."""
    WatchOperator(task_id="watch")


watchdog()
