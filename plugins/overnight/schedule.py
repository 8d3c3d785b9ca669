"""What every night's Dag has in common: its schedule in the brand's zone, its deadline, its "now", its retries."""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, MultipleCronTriggerTimetable, Param

from overnight.alerts.deadline import not_exported_by
from overnight.alerts.failure import task_failed, task_succeeded
from overnight.brand import brand
from overnight.clock import NOW, SCHEDULED
from overnight.workflow import workflow as find_workflow
from overnight.workflow import workflow_names

RETRIES = {"retries": 2, "retry_delay": timedelta(seconds=30), "on_failure_callback": task_failed}


def nightly(workflow: str) -> dict[str, Any]:
    """The arguments of a workflow's `@dag`: one run a night, at the lock, in the brand's time zone.

    A manual run asks for `start`: "scheduled" keeps the workflow's start time, "now" sends at once.
    """
    declared = find_workflow(workflow)
    lock = declared.times.lock
    start = Param(SCHEDULED, enum=[SCHEDULED, NOW], description="now: send at once; scheduled: at the workflow's time")
    test = Param(0, type="integer", minimum=0, maximum=100, description="a launch test of so many items; 0: a night")
    return {
        "dag_id": workflow,
        "dag_display_name": declared.title,
        "schedule": _cron(f"{lock.minute} {lock.hour} * * *"),
        "catchup": False,
        "max_active_runs": 1,
        "params": {"start": start, "launch_test": test},
        "default_args": dict(RETRIES),
        "deadline": not_exported_by(brand().timezone, declared.times, workflow),
        "tags": ["overnight", declared.vendor],
        "doc_md": f"**{declared.title}**: a night's run. Review: [/overnight/](/overnight/)",
    }


def morning(dag_id: str, *crons: str) -> dict[str, Any]:
    """The arguments of a Dag that is no workflow's night: it runs by these crons, in the brand's zone; without any, all through
    the review block, every ten minutes and once when it ends."""
    ends = brand().review_ends
    block = f"*/10 8-{max(8, ends.hour - (ends.minute == 0))} * * *", f"{ends.minute} {ends.hour} * * *"
    return {
        "dag_id": dag_id,
        "schedule": MultipleCronTriggerTimetable(*(crons or block), timezone=brand().timezone, run_immediately=timedelta(0)),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {**RETRIES, "on_success_callback": task_succeeded},
        "tags": ["overnight"],
    }


def by_hand(dag_id: str, *, workflow: bool = False, items: int = 0) -> dict[str, Any]:
    """The arguments of a Dag that only a person starts; it may ask for a workflow and a number of items."""
    params: dict[str, Any] = {}
    if workflow:
        params["workflow"] = Param(workflow_names()[0], enum=workflow_names(), description="whose items")
    if items:
        params["count"] = Param(items, type="integer", minimum=1, maximum=100, description="how many")
    return {
        "dag_id": dag_id,
        "schedule": None,
        "params": params,
        "render_template_as_native_obj": True,
        "default_args": {"on_failure_callback": task_failed, "on_success_callback": task_succeeded},
        "tags": ["overnight"],
    }


def _cron(expression: str) -> CronTriggerTimetable:
    """Wall clock in the brand's zone. Without a start date and with no grace for the past, a new Dag that is unpaused at eight
    waits for the next lock. One that ran before catches up with its last lock at once.
    """
    return CronTriggerTimetable(expression, timezone=brand().timezone, run_immediately=timedelta(0))
