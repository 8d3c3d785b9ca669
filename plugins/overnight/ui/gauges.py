"""The pages' numbers as Airflow metrics (StatsD or OpenTelemetry, whichever this Airflow sends), told by the watchdog.

Names are `overnight.WORKFLOW.METRIC` and `overnight.METRIC`: plain StatsD knows no labels. Where the backend has tags, the
workflow is one, too. Shares run from 0 to 1, money is in USD, `minutes` are of reviewing. What is not known is not sent.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from overnight.ui.shows import quality, tonight
from overnight.workflow import SHARED_DAGS, workflow_names


class Gauge(NamedTuple):
    """One number of now; `workflow` is "" for what belongs to all."""

    workflow: str
    metric: str
    value: float

    @property
    def name(self) -> str:
        """As it is sent, without Airflow's own prefix."""
        return ".".join(part for part in ("overnight", self.workflow, self.metric) if part)


METRICS = (
    "ready", "locked", "cap", "rejected", "minutes", "expected_usd", "spent_usd", "budget_usd", "troubles", "left_to_decide",
    "as_is", "edit", "rework", "completion", "cost_per_output_usd", "tightened",
)  # fmt: skip
"""A workflow's."""
OF_ALL = ("minutes", "pool_minutes", "left_to_decide", "alerts", "switches", "metrics_out_of_range")


def gauges(conn: Connection, *, now: datetime) -> Iterator[Gauge]:
    """All numbers of now, the same that the pages show."""
    names = workflow_names()
    look = tonight.look(conn, names, [*names, *SHARED_DAGS], now=now)
    for line in look.lines:
        known = line.model_dump(include=set(METRICS))
        yield from _known(line.workflow, known | {"troubles": len(line.troubles)})
        waits = [one.left for one in look.waiting if one.workflow == line.workflow]
        yield Gauge(line.workflow, "left_to_decide", float(sum(waits)))
    for one in quality.summaries(conn, names):
        values = {value.metric: value.value for value in one.values}
        values["cost_per_output_usd"] = values.pop("cost_per_output")
        yield from _known(one.workflow, values)
        yield Gauge(one.workflow, "tightened", float(one.tightened is not None))
    open_alerts = len(look.alerts) + sum(len(line.alerts) for line in look.lines)
    for metric, value in zip(
        OF_ALL, (look.minutes, look.pool, look.left, open_alerts, len(look.stops), len(look.ranges.out)), strict=True
    ):
        yield Gauge("", metric, float(value))


def _known(workflow: str, values: Mapping[str, Any]) -> Iterator[Gauge]:
    for metric, value in values.items():
        if value is not None:
            yield Gauge(workflow, metric, float(value))


def send(conn: Connection, *, now: datetime) -> int:
    """Hand all of them to Airflow's metrics; returns how many."""
    from airflow.sdk.observability import stats

    found = list(gauges(conn, now=now))
    for one in found:
        tags = {"workflow": one.workflow} if one.workflow else {}
        stats.gauge(one.name, one.value, tags=tags)
    return len(found)
