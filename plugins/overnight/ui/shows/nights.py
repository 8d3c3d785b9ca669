"""The nights in figures, and one night's corridor: who stands where, each batch at its vendor, what happened when."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from pydantic import AwareDatetime
from sqlalchemy import Connection

from overnight.ledger import alerts, corridor, overview
from overnight.ledger import nights as ledger_nights
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState, NightState
from overnight.review import showing
from overnight.ui.shows.shape import Shown, title

LAST = 50
STAGES = (
    (ItemState.LOCKED, "locked"), (ItemState.SUBMITTED, "at the vendor"), (ItemState.ANSWERED, "answered"),
    (ItemState.STAGED, "staged"), (ItemState.IN_REVIEW, "in review"), (ItemState.APPROVED, "approved"),
    (ItemState.EDITED, "edited"), (ItemState.DELIVERED, "delivered"),
)  # fmt: skip
ASIDE = ((ItemState.FAILED, "failed"), (ItemState.CARRIED_OVER, "carried over"), (ItemState.REWORK, "sent back"))


class Alert(Shown):
    """What was told of a night."""

    kind: str
    severity: str
    message: str
    raised_at: AwareDatetime
    recovered_at: AwareDatetime | None


class Line(Shown):
    """One night in figures."""

    id: int
    workflow: str
    title: str
    night: str
    state: str
    locked: int
    staged: int
    failed: int
    carried_over: int
    inside: int
    over_cap: int
    rejected: int
    decided: int
    minutes: float
    cost_usd: Decimal
    budget_usd: Decimal | None
    test: bool
    alerts: tuple[Alert, ...]


class Stage(Shown):
    """One room of the corridor, and how many stand in it."""

    name: str
    title: str
    count: int


class Step(Shown):
    """One step of the night's chain."""

    name: str
    state: str
    outcomes: dict[str, int]


class Batch(Shown):
    """One batch at its vendor. `ceiling_usd`: what it can cost at most, until it has landed."""

    id: int
    step: str
    shard: int
    attempt: int
    purpose: str
    vendor: str
    model: str
    state: str
    vendor_batch_id: str | None
    request_count: int
    requests: dict[str, int]
    submitted_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    landed_at: AwareDatetime | None
    minutes: float | None  # from submit to its end at the vendor
    cost_usd: Decimal | None
    ceiling_usd: Decimal | None
    error: str | None


class Moment(Shown):
    """Something that happened, or is due."""

    at: AwareDatetime
    what: str
    due: bool = False  # it is planned, and not yet


class Left(Shown):
    """An item that failed or went to another night."""

    id: int
    key: str
    outcome: str
    why: str


class Delivery(Shown):
    """What went out."""

    targets: str
    folder: str
    written_at: AwareDatetime | None
    count: int


class Corridor(Shown):
    """One night from its lock to its delivery."""

    line: Line
    run_id: str
    run_path: str  # Airflow's own page of the run
    source: str
    surface: str
    vendor: str
    model: str
    prompt_version: str
    policy_hash: str
    cap: int
    cap_why: str | None
    estimate_usd: Decimal | None
    realtime_cost_usd: Decimal
    stages: tuple[Stage, ...]
    aside: tuple[Stage, ...]
    steps: tuple[Step, ...]
    batches: tuple[Batch, ...]
    moments: tuple[Moment, ...]
    left: tuple[Left, ...]
    deliveries: tuple[Delivery, ...]


def listed(conn: Connection, names: Sequence[str], *, before: int | None = None) -> list[Line]:
    """Nights of these workflows with their figures, newest first; `before`: those older than this one."""
    rows = overview.newest(conn, names, before=before, limit=LAST)
    found = corridor.figures(conn, rows)
    return [_line(row, found[row["id"]]) for row in rows]


def loose_alerts(conn: Connection, names: Sequence[str]) -> list[Alert]:
    """What kept a night from being opened, and what troubles the Dags that serve all of them."""
    rows = alerts.without_night(conn, names)
    return [_alert({**row, "message": f"{title(row['workflow'])}: {row['message']}"}) for row in rows]


def _alert(row: Any) -> Alert:
    return Alert(**{key: row[key] for key in Alert.model_fields})


def _line(row: Night, found: dict[str, Any]) -> Line:
    same = {key: row[key] for key in ("id", "workflow", "night", "state", "over_cap", "rejected", "budget_usd")}
    told = {key: found[key] for key in ("locked", "staged", "failed", "carried_over", "inside", "decided", "minutes", "cost_usd")}
    return Line(**same, **told, title=title(row["workflow"]), test=row["purpose"] == "test",
                alerts=tuple(_alert(one) for one in found["alerts"]))  # fmt: skip


def one(conn: Connection, night: Night, *, now: datetime) -> Corridor:
    """One night's corridor."""
    found = corridor.figures(conn, [night])[night["id"]]
    counts = corridor.stages(conn, night["id"])
    sent = corridor.batches_of(conn, night["id"])
    states = corridor.request_states(conn, night["id"])
    plain = {key: night[key] for key in ("run_id", "source", "surface", "vendor", "model", "prompt_version", "policy_hash",
                                         "cap", "cap_why", "estimate_usd")}  # fmt: skip
    return Corridor(
        line=_line(night, found), **plain, run_path=run_path(night["workflow"], night["run_id"]),
        realtime_cost_usd=overview.cost(conn, night["id"])["realtime_cost_usd"],
        stages=tuple(Stage(name=name, title=words, count=counts.get(name, 0)) for name, words in STAGES),
        aside=tuple(Stage(name=name, title=words, count=counts.get(name, 0)) for name, words in ASIDE),
        steps=tuple(Step(**row) for row in corridor.of_step(conn, night["id"])),
        batches=tuple(_batch(row, states.get(row["id"], {})) for row in sent),
        moments=tuple(sorted(_moments(conn, night, sent, now), key=lambda moment: moment.at)),
        left=tuple(
            Left(id=row["id"], key=showing.clean(row["key"]), outcome=row["outcome"], why=row["why"] or "")
            for row in corridor.left_by(conn, night["id"], ("failed", "carried_over"))
        ),
        deliveries=tuple(Delivery(**row) for row in corridor.delivered(conn, night["id"])),
    )  # fmt: skip


def run_path(workflow: str, run_id: str) -> str:
    """Airflow's own page of a run, below its web address."""
    return f"/dags/{quote(workflow, safe='')}/runs/{quote(run_id, safe='')}"


def of_run(conn: Connection, workflow: str, run_id: str) -> Night | None:
    """The night a Dag run opened."""
    return ledger_nights.find_by_run(conn, workflow, run_id)


def _batch(row: Any, states: dict[str, int]) -> Batch:
    begin, end = row["submitted_at"], row["ended_at"]
    names = set(Batch.model_fields) - {"requests", "minutes"}
    minutes = (end - begin).total_seconds() / 60 if begin and end else None
    return Batch(**{key: row[key] for key in names}, requests=states, minutes=minutes)


def _moments(conn: Connection, night: Night, sent: Sequence[Any], now: datetime) -> Iterator[Moment]:
    for column, what in (
        ("opened_at", "checked and opened"), ("locked_at", "queue locked"), ("exported_at", "exported to the review"),
        ("closed_at", "closed: the night conserves its items"),
    ):  # fmt: skip
        if night[column]:
            yield Moment(at=night[column], what=what)
    submitted = [row["submitted_at"] for row in sent if row["submitted_at"]]
    ended = [row["ended_at"] for row in sent if row["ended_at"]]
    landed = [row["landed_at"] for row in sent if row["landed_at"]]
    for times, pick, what in (
        (submitted, min, "first batch accepted by its vendor"), (ended, max, "last batch ended at its vendor"),
        (landed, max, "last answers landed"),
    ):  # fmt: skip
        if times:
            yield Moment(at=pick(times), what=what)
    begin, end, count = corridor.decided_between(conn, night["id"])
    if begin is not None and end is not None:
        yield Moment(at=begin, what="first decision")
        yield Moment(at=end, what=f"last decision ({count} stand)")
    if night["state"] != NightState.CLOSED:
        for column, what in (("start_at", "batches may start"), ("cutoff_at", "cutoff"), ("due_at", "due at the review")):
            yield Moment(at=night[column], what=what, due=night[column] > now)
