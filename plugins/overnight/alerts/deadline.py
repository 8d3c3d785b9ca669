"""The completion alert: "not exported by 08:30 local", by Airflow's DeadlineAlert with a reference of our own.

The built-in reference to the logical date makes no deadline, silently, for a run without one, and a fixed interval misses
the local hour on the two nights of a clock change. Ours takes the run's logical date or, where there is none, its
run_after, and asks the same clock as the night itself. Imported at Dag parse and in the scheduler: it must stay light.
"""

import asyncio
from datetime import datetime, time, timedelta
from typing import Any

from airflow.sdk import AsyncCallback, BaseDeadlineReference, DeadlineAlert  # type: ignore[attr-defined]

from overnight.clock import NOW, SCHEDULED, NightTimes, clock, utcnow

CALLBACK = f"{__name__}.not_exported"
_TIMES = ("lock", "start", "cutoff", "due")


class NightDue(BaseDeadlineReference):
    """When a workflow's night is due: its local due time on the morning after its base."""

    required_kwargs = {"dag_id", "run_id"}  # noqa: RUF012 - Airflow reads this name from the class

    def __init__(self, zone: str = "UTC", times: NightTimes | None = None) -> None:
        self.zone, self.times = zone, times or NightTimes()

    def serialize_reference(self) -> dict[str, Any]:
        """As Airflow stores it with the Dag."""
        stored = {name: getattr(self.times, name).isoformat() for name in _TIMES}
        return {"reference_type": self.reference_name, "zone": self.zone, **stored}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> "NightDue":
        """From what Airflow stored."""
        times = NightTimes(**{name: time.fromisoformat(reference_data[name]) for name in _TIMES})
        return cls(reference_data["zone"], times)

    def due(self, base: datetime, start: str = SCHEDULED) -> datetime:
        """The instant the night of `base` is due."""
        return clock(self.times, self.zone, base, start).due_at

    def _evaluate_with(self, *, session: Any, dag_id: str, run_id: str) -> datetime | None:
        """Called by Airflow's scheduler or API server when the run is made."""
        from airflow.models.dagrun import DagRun
        from sqlalchemy import select

        query = select(DagRun.logical_date, DagRun.run_after, DagRun.conf)
        row = session.execute(query.where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one()
        start = NOW if (row.conf or {}).get("start") == NOW else SCHEDULED
        return self.due(row.logical_date or row.run_after, start)


def not_exported_by(zone: str, times: NightTimes, workflow: str) -> DeadlineAlert:
    """The alert of one workflow's nights."""
    return DeadlineAlert(
        reference=NightDue(zone, times),
        interval=timedelta(0),
        callback=AsyncCallback(CALLBACK, kwargs={"workflow": workflow}),
        name="not exported in time",
    )


async def not_exported(workflow: str, context: dict[str, Any]) -> str:
    """Runs on the triggerer when a night's time is up; a night that was exported after all raises nothing."""
    run = context["dag_run"]
    stated = context["deadline"]["deadline_time"]
    due = stated if isinstance(stated, datetime) else datetime.fromisoformat(str(stated))
    return await asyncio.to_thread(_raise, workflow, str(run.get("run_id") or run.get("dag_run_id")), due, utcnow())


def _raise(workflow: str, run_id: str, due: datetime, now: datetime) -> str:
    from overnight.alerts import notifier
    from overnight.ledger import migrate, nights
    from overnight.ledger.connect import open_ledger

    ledger = open_ledger()
    migrate.ensure_current(ledger)  # the trouble may be older than the first check
    with ledger.read() as conn:
        night = nights.find_by_run(conn, workflow, run_id)
    if night is not None and night["exported_at"] is not None:
        return "exported after all"
    label = night["night"] if night is not None else ""
    state = night["state"] if night is not None else "not opened"
    new = notifier.not_exported(ledger, workflow, label, run_id, due=due, state=state, now=now)
    return "alerted" if new else "added to the alert of this night"
