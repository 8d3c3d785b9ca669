"""What will run tonight, what is ready this morning, whether the five metrics are in range: one look, five seconds."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime
from sqlalchemy import Connection

from overnight.brand import brand
from overnight.clock import GRACE, first
from overnight.governance import capacity
from overnight.governance import policy as policies
from overnight.ledger import alerts, corridor, launches, previews, switches
from overnight.ledger.rows import Row
from overnight.ledger.states import NightState
from overnight.settings import SettingsError
from overnight.ui.shows import quality, review
from overnight.ui.shows.shape import Shown, title
from overnight.workflow import workflow_if_known

IN_USE = timedelta(days=8)
"""A workflow that ran or has rows is in use; the others stand in one line below."""
STALE = timedelta(minutes=40)
"""A look ahead that is older, by day, means that the Dag `tonight` does not run."""
WORDS = {
    NightState.OPEN: "checked, not locked yet", NightState.LOCKED: "at work", NightState.VALIDATED: "validated",
    NightState.EXPORTED: "in review", NightState.CLOSED: "in review",
}  # fmt: skip


class Wait(Shown):
    """One row that would not be locked, or was not, and why."""

    key: str
    why: str


class Line(Shown):
    """One workflow's night: looked ahead to, or under way."""

    workflow: str
    title: str
    state: str
    launch: str
    night_id: int | None = None
    lock_at: AwareDatetime
    looked_at: AwareDatetime | None = None
    stale: bool = False
    rows: int | None = None  # in the queue, whatever became of them before
    ready: int  # stand in line
    locked: int  # … and are locked, or would be
    cap: int
    cap_why: str | None = None
    rejected: int = 0
    minutes: float = 0.0  # of reviewing
    expected_usd: Decimal | None = None
    spent_usd: Decimal | None = None
    budget_usd: Decimal | None = None
    troubles: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()
    alerts: tuple[str, ...] = ()


class Stop(Shown):
    """A kill switch that is engaged."""

    scope: str
    by: str
    reason: str
    changed_at: AwareDatetime


class Tonight(Shown):
    """The whole look."""

    brand: str
    now: AwareDatetime
    lines: tuple[Line, ...]
    resting: tuple[str, ...]  # workflows that did not run for a week and have nothing in their queue
    morning: str
    minutes: float  # what tonight's nights and the backlog ask of the reviewers' morning
    pool: int  # minutes the team has
    expected_usd: Decimal
    budget_usd: Decimal | None
    stops: tuple[Stop, ...]
    alerts: tuple[str, ...]
    waiting: tuple[review.Waiting, ...]
    left: int
    left_minutes: float
    ranges: quality.Ranges


def look(conn: Connection, names: Sequence[str], heard: Sequence[str], *, now: datetime) -> Tonight:
    """The look of somebody who may see these workflows.

    Args:
        heard: the workflows and Dags whose troubles they may see, where these belong to no night.
    """
    ahead, newest = previews.of(conn, names), corridor.newest_of_each(conn, names)
    running = [night for night in newest.values() if now <= night["due_at"] or night["state"] != NightState.CLOSED]
    figures = corridor.figures(conn, running)
    held = {row["workflow"]: row["state"] for row in launches.every(conn)}
    lines, resting = [], []
    for name in names:
        night = newest.get(name)
        seen = ahead.get(name)
        state = held.get(name, brand().launch.start)
        if night is not None and night["id"] in figures:
            lines.append(_of_night(night, figures[night["id"]], state))
        elif (night is not None and night["opened_at"] > now - IN_USE) or (seen is not None and seen["rows"]):
            lines.append(_ahead(name, seen, state, now=now))
        else:
            resting.append(title(name))
    waiting = review.waiting(conn, names)
    usd = [line.spent_usd if line.spent_usd is not None and line.state == "in review" else line.expected_usd for line in lines]
    minutes, pool, morning = _minutes(conn, names, lines, running, now)
    return Tonight(
        brand=brand().name, now=now, lines=tuple(lines), resting=tuple(resting), morning=morning, minutes=minutes, pool=pool,
        expected_usd=sum((one for one in usd if one is not None), Decimal(0)), budget_usd=brand().budget_usd,
        stops=tuple(Stop(**{key: row[key] for key in Stop.model_fields}) for row in switches.all_engaged(conn)
                    if _concerns(row["scope"], names)),
        alerts=tuple(
            f"{title(row['workflow'])}: {row['message']}" for row in alerts.without_night(conn, heard)
        ),
        waiting=tuple(waiting), left=sum(one.left for one in waiting), left_minutes=sum(one.minutes for one in waiting),
        ranges=quality.ranges(conn, names),
    )  # fmt: skip


def _of_night(night: Row, found: Row, launch: str) -> Line:
    at_vendor = sum(found["batches"].get(state, 0) for state in corridor.AT_VENDOR)
    state = WORDS[night["state"]]
    if night["state"] == NightState.LOCKED and found["batches"]:
        state = f"at work: {at_vendor} of {sum(found['batches'].values())} batches at the vendor"
    return Line(
        workflow=night["workflow"], title=title(night["workflow"]), state=state, launch=launch, night_id=night["id"],
        lock_at=night["locked_at"] or night["opened_at"], ready=found["locked"] + night["over_cap"], locked=found["locked"],
        cap=night["cap"], cap_why=night["cap_why"], rejected=night["rejected"], minutes=found["minutes"],
        expected_usd=night["estimate_usd"], spent_usd=found["cost_usd"], budget_usd=night["budget_usd"],
        alerts=tuple(row["message"] for row in found["alerts"] if row["recovered_at"] is None),
    )  # fmt: skip


def _ahead(name: str, seen: Row | None, launch: str, *, now: datetime) -> Line:
    declared = workflow_if_known(name)
    budget = _budget(name)
    if seen is None or declared is None:
        lock_at = first(declared.times.lock, ZoneInfo(brand().timezone), now) if declared else now
        words = ("It was not looked ahead to: is the Dag `tonight` unpaused?",)
        return Line(workflow=name, title=title(name), state="not looked at", launch=launch, lock_at=lock_at, ready=0, locked=0,
                    cap=declared.cap if declared else 0, budget_usd=budget, troubles=words)  # fmt: skip
    passed = seen["lock_at"] + GRACE <= now  # Airflow starts ten Dags one after the other
    return Line(
        workflow=name, title=title(name), state="nothing ran" if passed else "waits for the lock", launch=launch,
        lock_at=seen["lock_at"], looked_at=seen["looked_at"], stale=passed or now - seen["looked_at"] > STALE,
        **{key: seen[key] for key in ("rows", "ready", "locked", "cap", "cap_why", "rejected", "minutes", "expected_usd")},
        budget_usd=budget, troubles=tuple(seen["troubles"]), waits=tuple(Wait(**wait) for wait in seen["waits"]),
    )  # fmt: skip


def _budget(name: str) -> Decimal | None:
    try:
        return policies.load(name)[0].action_scope.max_usd
    except policies.PolicyError:
        return None


def _minutes(
    conn: Connection, names: Sequence[str], lines: Sequence[Line], running: Sequence[Row], now: datetime
) -> tuple[float, int, str]:  # fmt: skip
    """What the next morning is asked for: what is reserved already, what waits, and what is only looked ahead to."""
    zone = ZoneInfo(brand().timezone)
    declared = [found for name in names if (found := workflow_if_known(name)) is not None]
    dues = [night["due_at"] for night in running] or [first(one.times.due, zone, now) for one in declared]
    morning = max(dues, default=now).astimezone(zone).date().isoformat()
    ahead = sum(line.minutes for line in lines if line.night_id is None and not line.stale)
    try:
        told = capacity.forecast(conn, morning)
    except SettingsError:
        return ahead, 0, morning
    return sum(line.minutes + line.backlog_minutes for line in told.lines if line.workflow in names) + ahead, told.pool, morning


def _concerns(scope: str, names: Sequence[str]) -> bool:
    return scope == switches.ALL or ":" in scope or scope in names
