"""What nights cost, what an output and an approved one cost, what the way of buying saved, and what it is worth to the team."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from overnight.baseline import Baseline, baselines
from overnight.brand import brand
from overnight.governance import capacity
from overnight.ledger import reservations, spending
from overnight.ledger.rows import Row
from overnight.quality import worth as worths
from overnight.settings import SettingsError
from overnight.ui.shows.shape import Shown, title
from overnight.workflow import workflow_if_known

PERIODS = (7, 28, 90)
WEEK = 7
DAILY = 31
"""Days that a chart shows one by one: nine hundred bars weigh more than the page may."""
SAVED = ("cache_saved_usd", "packing_saved_usd", "reused_saved_usd")


class Worth(Shown):
    """A workflow against the work by hand."""

    a_week: float
    baseline_a_week: float
    multiplier: float
    hours_by_hand: float
    hours_reviewing: float
    hours_freed: float
    method: str


class Line(Shown):
    """One workflow's money, over the period. `None` in a saving: some of its nights were measured before it was kept."""

    workflow: str
    title: str
    nights: int
    outputs: int
    approved: int
    decided: int
    cost_usd: Decimal
    realtime_cost_usd: Decimal | None
    batch_saved_usd: Decimal | None
    cache_saved_usd: Decimal | None
    packing_saved_usd: Decimal | None
    reused_saved_usd: Decimal | None
    cost_per_output_usd: Decimal | None
    cost_per_approved_usd: Decimal | None
    approved_a_dollar: float | None
    worth: Worth | None  # None: nobody entered a baseline, and no multiplier is made up


class Bought(Shown):
    """What was bought of whom."""

    workflow: str
    vendor: str
    model: str
    purpose: str
    batches: int
    requests: int
    cost_usd: Decimal | None


class Budget(Shown):
    """A night beside its budget."""

    night_id: int
    workflow: str
    title: str
    night: str
    budget_usd: Decimal | None
    estimate_usd: Decimal | None
    cost_usd: Decimal | None
    used: float | None  # of the budget


class Money(Shown):
    """The whole page."""

    days: int
    lines: tuple[Line, ...]
    total: Line
    bought: tuple[Bought, ...]
    budgets: tuple[Budget, ...]
    night_budget_usd: Decimal | None
    baseline_trouble: str | None
    hours_freed: float | None


def money(conn: Connection, names: Sequence[str], days: int, *, now: datetime) -> Money:
    """The money of these workflows over the last days."""
    since = now - timedelta(days=days)
    rows = spending.by_night(conn, names, since)
    trouble, entered = None, {}
    try:
        entered = baselines().workflows
    except SettingsError as error:
        trouble = str(error)
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["workflow"], []).append(row)
    lines = [_line(conn, name, grouped[name], entered.get(name), now) for name in sorted(grouped)]
    freed = [line.worth.hours_freed for line in lines if line.worth]
    return Money(
        days=days, lines=tuple(lines), total=_total(lines),
        bought=tuple(Bought(**row) for row in spending.by_model(conn, names, since)),
        budgets=tuple(_budget(row) for row in spending.last_nights(conn, names)),
        night_budget_usd=brand().budget_usd,
        baseline_trouble=trouble, hours_freed=sum(freed) if freed else None,
    )  # fmt: skip


def series(conn: Connection, names: Sequence[str], days: int, *, now: datetime) -> dict[str, dict[str, Decimal]]:
    """Cost by date and workflow: date → workflow → USD; of more than a month, by week (the date is its Monday)."""
    found: dict[str, dict[str, Decimal]] = {}
    for row in spending.by_night(conn, names, now - timedelta(days=days)):
        when = date.fromisoformat(row["night"][:10])
        if days > DAILY:
            when -= timedelta(days=when.weekday())
        day = found.setdefault(when.isoformat(), {})
        day[row["workflow"]] = day.get(row["workflow"], Decimal(0)) + row["cost_usd"]
    return found


def _line(conn: Connection, name: str, rows: Sequence[Row], baseline: Baseline | None, now: datetime) -> Line:
    counts = {key: sum(row[key] for row in rows) for key in ("as_is", "edit", "rework", "staged")}
    approved, decided = counts["as_is"] + counts["edit"], counts["as_is"] + counts["edit"] + counts["rework"]
    usd: dict[str, Decimal | None] = {key: _all(row[key] for row in rows) for key in ("realtime_cost_usd", *SAVED)}
    cost = sum((row["cost_usd"] for row in rows), Decimal(0))
    realtime = usd["realtime_cost_usd"]
    # Until now, and a week at least: nights without a queue are days, too, and one good night is no week's pace.
    span = max((now.date() - min(date.fromisoformat(row["night"][:10]) for row in rows)).days, WEEK)
    return Line(
        workflow=name, title=title(name), nights=len(rows), outputs=counts["staged"], approved=approved, decided=decided,
        cost_usd=cost, batch_saved_usd=None if realtime is None else realtime - cost, **usd,
        **_each(cost, counts["staged"], approved),
        worth=_worth(conn, name, baseline, approved=approved, decided=decided, days=span) if baseline else None,
    )  # fmt: skip


def _worth(conn: Connection, name: str, baseline: Baseline, *, approved: int, decided: int, days: int) -> Worth:
    declared = workflow_if_known(name)
    measured = len(reservations.seconds(conn, name)) >= capacity.LEAST_NIGHTS
    seconds = capacity.seconds_per_item(conn, declared) if declared else 0.0
    found = worths.worth(baseline, approved=approved, decided=decided, days=days, seconds_each=seconds, measured=measured)
    same = {key: getattr(found, key) for key in Worth.model_fields}
    return Worth(**same)


def _each(cost: Decimal, outputs: int, approved: int) -> dict[str, Any]:
    return {
        "cost_per_output_usd": cost / outputs if outputs else None,
        "cost_per_approved_usd": cost / approved if approved else None,
        "approved_a_dollar": worths.a_dollar(approved, cost),
    }


def _total(lines: Sequence[Line]) -> Line:
    counts = {key: sum(getattr(line, key) for line in lines) for key in ("nights", "outputs", "approved", "decided")}
    usd = {key: _all(getattr(line, key) for line in lines) for key in ("realtime_cost_usd", "batch_saved_usd", *SAVED)}
    cost = sum((line.cost_usd for line in lines), Decimal(0))
    return Line(workflow="", title="All", **counts, cost_usd=cost, **usd,
                **_each(cost, counts["outputs"], counts["approved"]), worth=None)  # fmt: skip


def _all(values: Any) -> Decimal | None:
    """Their sum; None where one of them is not known: a part of a saving is not the saving."""
    known = list(values)
    return None if any(value is None for value in known) else sum(known, Decimal(0))


def _budget(row: Mapping[str, Any]) -> Budget:
    used = float(row["cost_usd"] / row["budget_usd"]) if row["cost_usd"] is not None and row["budget_usd"] else None
    plain = {key: row[key] for key in ("workflow", "night", "budget_usd", "estimate_usd", "cost_usd")}
    return Budget(night_id=row["id"], title=title(row["workflow"]), used=used, **plain)
