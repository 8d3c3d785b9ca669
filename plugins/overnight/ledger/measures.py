"""What each night measured: counted decisions, outcomes, cost. Counts only; rates and judgements are made in `quality`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import Connection, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import overview
from overnight.ledger.nights import Night
from overnight.ledger.quality_tables import measures
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.ledger.tables import IN_REVIEW, decisions, findings, items, night_items, nights

PAST = timedelta(days=28)
"""How far back a night is compared: its digest, its labels, its inputs."""
LONGEST_PAUSE_S = 900.0
"""Seconds between two decisions from which it was a break and no look at an item."""
STANDS = (decisions.c.superseded_at.is_(None)) | (decisions.c.collected_at.is_not(None))
"""A decision counts once it stands, or went on its way; one a reviewer took back before that does not."""
_BUCKET = case(
    (decisions.c.decision == "rework", "rework"), (decisions.c.heavy.is_(True), "rework"),
    (decisions.c.decision == "edit", "edit"), else_="as_is",
)  # fmt: skip


def open_nights(conn: Connection, since: datetime) -> list[Night]:
    """Closed nights that may still change: exported since then, or with an item that is undecided."""
    undecided = select(items.c.night_id).where(IN_REVIEW)
    query = select(nights).where(
        nights.c.state == NightState.CLOSED, (nights.c.exported_at >= since) | nights.c.id.in_(undecided)
    )  # fmt: skip
    return list(conn.execute(query.order_by(nights.c.id)).mappings())


def take(conn: Connection, night: Night) -> dict[str, Any]:
    """A night's counts as the ledger has them now (the columns of `measures`, without labels, inputs and time)."""
    decided = {"as_is": 0, "edit": 0, "rework": 0} | _decided(conn, night["id"])
    outcomes = overview.outcomes(conn, night["id"])
    blocked = _blocked(conn, night["id"])
    return {
        "night_id": night["id"], "workflow": night["workflow"], **decided, "pending": _pending(conn, night["id"]),
        "failed": outcomes["failed"] - blocked, "blocked": blocked, "locked": outcomes["locked"], "staged": outcomes["staged"],
        "carried_over": outcomes["carried_over"], "cost_usd": overview.cost(conn, night["id"])["cost_usd"],
        "median_seconds": _median_seconds(conn, night["id"]),
    }  # fmt: skip


def _decided(conn: Connection, night_id: int) -> dict[str, int]:
    # What had no good answer and was sent back is counted as failed: nobody judged a draft of it.
    failed = select(night_items.c.item_id).where(night_items.c.night_id == night_id, night_items.c.outcome == Outcome.FAILED)
    judged = decisions.c.item_id.is_(None) | decisions.c.item_id.not_in(failed) | (decisions.c.decision != "rework")
    query = select(_BUCKET, func.count()).where(decisions.c.night_id == night_id, STANDS, judged).group_by(_BUCKET)
    return {name: count for name, count in conn.execute(query)}


def _pending(conn: Connection, night_id: int) -> int:
    decided = select(decisions.c.item_id).where(
        decisions.c.night_id == night_id, decisions.c.superseded_at.is_(None), decisions.c.item_id.is_not(None)
    )
    query = select(func.count()).where(
        items.c.night_id == night_id, IN_REVIEW, items.c.id.not_in(decided)
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


def _blocked(conn: Connection, night_id: int) -> int:
    """Items that were answered and kept from people by a rule that fails."""
    ruled = select(findings.c.item_id).where(findings.c.night_id == night_id, findings.c.severity == "fail")
    query = select(func.count()).where(
        night_items.c.night_id == night_id, night_items.c.outcome == Outcome.FAILED, night_items.c.item_id.in_(ruled)
    )
    return int(conn.execute(query).scalar_one())


def _median_seconds(conn: Connection, night_id: int) -> float | None:
    """Between two decisions of one reviewer. Our own page only: elsewhere a decision is as old as our look at it."""
    query = (
        select(decisions.c.reviewer, decisions.c.decided_at)
        .where(decisions.c.night_id == night_id, decisions.c.surface == "page", decisions.c.item_id.is_not(None), STANDS)
        .order_by(decisions.c.reviewer, decisions.c.decided_at)
    )
    rows = conn.execute(query).all()
    by_person: dict[str, list[datetime]] = {}
    for who, at in rows:
        by_person.setdefault(who, []).append(at)
    return pace(*by_person.values())


def pace(*people: list[datetime]) -> float | None:
    """The middle number of seconds between two decisions of one person; pauses of over a quarter of an hour are no reviewing."""
    gaps = [(b - a).total_seconds() for times in people for a, b in pairwise(times)]
    gaps = [gap for gap in gaps if gap <= LONGEST_PAUSE_S]
    return round(median(gaps), 1) if gaps else None


def counted(conn: Connection, night: Night, labels: Iterable[str], kinds: Iterable[str]) -> tuple[Row | None, Row | None]:
    """How often each label was given, and each kind of input came, as {"field: value": count}; None where nothing is watched."""
    named, asked = tuple(labels), tuple(kinds)
    if not named and not asked:
        return None, None
    query = select(items.c.input, items.c.output).where(
        items.c.night_id == night["id"], items.c.state.not_in([ItemState.CARRIED_OVER, ItemState.FAILED])
    )
    given, came = Counter[str](), Counter[str]()
    for row in conn.execute(query):
        given.update(_values(row.output, named))
        came.update(_values(row.input, asked))
    return dict(given) if named else None, dict(came) if asked else None


def _values(of: Mapping[str, Any] | None, names: Iterable[str]) -> list[str]:
    return [f"{name}: {str((of or {}).get(name))[:60]}" for name in names]


def keep(conn: Connection, row: Row, now: datetime) -> str:
    """Write a night's measure down, or bring it up to date; returns `new`, `changed` or `same`."""
    known = conn.execute(select(measures).where(measures.c.night_id == row["night_id"])).mappings().one_or_none()
    if known is not None and all(known[name] == value for name, value in row.items()):
        return "same"
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    values = {**row, "measured_at": now}
    changed = {name: value for name, value in values.items() if name != "night_id"}
    conn.execute(make(measures).values(values).on_conflict_do_update(index_elements=["night_id"], set_=changed))
    return "new" if known is None else "changed"


def of_workflow(conn: Connection, workflow: str, *, after_night_id: int = 0, last: int = 90) -> list[Row]:
    """The measures of a workflow's nights after one of them, oldest first, each with its night's label, prompt and model."""
    query = (
        select(measures, nights.c.night, nights.c.prompt_version, nights.c.model, nights.c.locked_at)
        .join(nights, nights.c.id == measures.c.night_id)
        .where(measures.c.workflow == workflow, measures.c.night_id > after_night_id)
        .order_by(measures.c.night_id.desc())
        .limit(last)
    )
    return list(reversed(list(conn.execute(query).mappings())))


def by_reviewer(conn: Connection, workflow: str, since: datetime) -> list[Row]:
    """Counted decisions a reviewer, prompt version and model: reviewer, prompt_version, model, as_is, edit, rework."""
    bucket = _BUCKET.label("bucket")
    query = (
        select(decisions.c.reviewer, nights.c.prompt_version, nights.c.model, bucket, func.count().label("count"))
        .join(nights, nights.c.id == decisions.c.night_id)
        .where(nights.c.workflow == workflow, decisions.c.decided_at >= since, STANDS)
        .group_by(decisions.c.reviewer, nights.c.prompt_version, nights.c.model, bucket)
    )
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in conn.execute(query):
        key = (row.reviewer, row.prompt_version, row.model)
        nothing = {"reviewer": row.reviewer, "prompt_version": row.prompt_version, "model": row.model}
        found.setdefault(key, {**nothing, "as_is": 0, "edit": 0, "rework": 0})[row.bucket] = row.count
    return [found[key] for key in sorted(found)]


def workflows(conn: Connection) -> list[str]:
    """Every workflow that was ever measured."""
    return list(conn.execute(select(measures.c.workflow).distinct().order_by(measures.c.workflow)).scalars())
