"""A task that failed for good raises its alert at once, not at the deadline; what was denied goes into the audit log, too."""

from typing import Any
from zoneinfo import ZoneInfo

from overnight.brand import brand
from overnight.clock import utcnow

KINDS = {
    "CheckFailed": "check_failed", "ExportMismatch": "export_mismatch", "DeliveryRefused": "delivery_refused",
    "CollectFailed": "surface_broken",
}  # fmt: skip
"""What an error of ours is called as an alert; any other is a task that failed."""


_NO_WORD = (
    "its process ended without a word (killed, out of memory, or its worker was lost). Its log says how far it came; clearing it "
    "goes on from there and buys nothing twice."
)


def task_failed(context: Any) -> None:
    """Airflow's on_failure_callback, after the last retry. The words are the error's own; they never hold an item's text."""
    from overnight.alerts import notifier
    from overnight.ledger import migrate, nights
    from overnight.ledger.connect import open_ledger
    from overnight.workflow import workflow_names

    instance, run_id, now = context["ti"], context["dag_run"].run_id, utcnow()
    ledger = open_ledger()
    migrate.ensure_current(ledger)  # the trouble may be older than the first check
    error = context.get("exception")
    kind = KINDS.get(type(error).__name__, "task_failed")
    said = f"{type(error).__name__}: {error}" if error is not None else _NO_WORD
    message = f"Task {instance.task_id} failed: {said}"[:2000]
    name = instance.dag_id
    if isinstance(error, PermissionError) or kind == "check_failed":
        denied(ledger, name, run_id, instance.task_id, type(error).__name__, now)
    if name not in workflow_names():  # it runs many times a morning: one trouble a day, not one a run
        notifier.raise_alert(ledger, key_of(name, instance.task_id, now), kind, name, message, run_id=run_id, now=now)
        return
    with ledger.read() as conn:
        night = nights.find_by_run(conn, name, run_id)
    notifier.night_alert(ledger, kind, name, night["night"] if night is not None else "", run_id, message, now=now)


def task_succeeded(context: Any) -> None:
    """Airflow's on_success_callback of the Dags that run many times a day: what failed before, today or earlier, is over."""
    from overnight.alerts import notifier
    from overnight.ledger import alerts
    from overnight.ledger.connect import open_ledger

    instance, now, ledger = context["ti"], utcnow(), open_ledger()
    words = f"Task {instance.task_id} succeeded again."
    with ledger.read() as conn:
        keys = alerts.open_keys(conn, _of_task(instance.dag_id, instance.task_id))
    for key in keys:
        notifier.recovered(ledger, key, words, now=now)


def key_of(dag_id: str, task_id: str, now: Any) -> str:
    """One trouble a task and day."""
    return f"{_of_task(dag_id, task_id)}{now.astimezone(ZoneInfo(brand().timezone)).date().isoformat()}"


def _of_task(dag_id: str, task_id: str) -> str:
    return f"task:{dag_id}:{task_id}:"


def denied(ledger: Any, name: str, run_id: str, task_id: str, why: str, now: Any) -> None:
    from overnight.governance import policy as policies
    from overnight.ledger import audit
    from overnight.ledger.audit import Actor, Entry

    actor = policies.under(Actor("agent", name, run_id=run_id, task_id=task_id), name)
    with ledger.write() as conn:
        audit.append(conn, name, [Entry("deny", "task", task_id[:64], detail={"why": why})], actor=actor, now=now)
