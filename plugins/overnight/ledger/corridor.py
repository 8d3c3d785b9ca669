"""Nights as people look at them: many at once in figures, or one from lock to delivery. Reads only, few queries a page."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from overnight.ledger.governance_tables import reservations
from overnight.ledger.nights import Night
from overnight.ledger.review_tables import deliveries, delivery_items
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState, Outcome
from overnight.ledger.tables import alerts, batches, decisions, items, night_items, nights, requests, step_items, steps

AT_VENDOR = (BatchState.SUBMITTED, BatchState.CANCELLING, BatchState.ENDED)
_ENDS = (Outcome.STAGED, Outcome.FAILED, Outcome.CARRIED_OVER)


def figures(conn: Connection, rows: Sequence[Night]) -> dict[int, dict[str, Any]]:
    """By night: locked, staged, failed, carried_over, inside, cost_usd, minutes, decided, batches by state, its open alerts."""
    ids = [row["id"] for row in rows]
    made: dict[int, dict[str, Any]] = {
        i: {"locked": 0, **dict.fromkeys(map(str, _ENDS), 0), "inside": 0, "cost_usd": Decimal(0), "minutes": 0.0, "decided": 0,
            "batches": {}, "alerts": []}
        for i in ids
    }  # fmt: skip
    if not ids:
        return {}
    ended = select(night_items.c.night_id, night_items.c.outcome, func.count()).where(night_items.c.night_id.in_(ids))
    for night_id, outcome, count in conn.execute(ended.group_by(night_items.c.night_id, night_items.c.outcome)):
        made[night_id]["locked"] += count
        made[night_id][outcome or "inside"] += count
    bought = select(batches.c.night_id, batches.c.state, func.count(), func.sum(batches.c.cost_usd))
    for night_id, state, count, usd in conn.execute(
        bought.where(batches.c.night_id.in_(ids)).group_by(batches.c.night_id, batches.c.state)
    ):
        made[night_id]["batches"][state] = count
        made[night_id]["cost_usd"] += usd or Decimal(0)
    kept = select(reservations.c.night_id, reservations.c.minutes).where(reservations.c.night_id.in_(ids))
    for night_id, minutes in conn.execute(kept):
        made[night_id]["minutes"] = minutes
    stands = (decisions.c.night_id.in_(ids), decisions.c.superseded_at.is_(None), decisions.c.item_id.is_not(None))
    for night_id, count in conn.execute(select(decisions.c.night_id, func.count()).where(*stands).group_by(decisions.c.night_id)):
        made[night_id]["decided"] = count
    by_run = {(row["workflow"], row["run_id"]): row["id"] for row in rows}
    query = select(alerts).where(alerts.c.run_id.in_([row["run_id"] for row in rows]), alerts.c.severity != "info")
    for alert in conn.execute(query.order_by(alerts.c.id)).mappings():
        if (night_id := by_run.get((alert["workflow"], alert["run_id"]))) is not None:
            made[night_id]["alerts"].append(alert)
    return made


def stages(conn: Connection, night_id: int) -> dict[str, int]:
    """How many of a night's items stand where now: by the item's state, for those that are still this night's; what has gone
    on to another night counts under how it left this one."""
    query = (
        select(items.c.night_id, items.c.state, night_items.c.outcome, func.count())
        .join(items, items.c.id == night_items.c.item_id)
        .where(night_items.c.night_id == night_id)
        .group_by(items.c.night_id, items.c.state, night_items.c.outcome)
    )
    counts = Counter[str]()
    for holder, state, outcome, count in conn.execute(query):
        counts[state if holder == night_id else (outcome or state)] += count
    return dict(counts)


def of_step(conn: Connection, night_id: int) -> list[Row]:
    """A night's steps in order: name, state, and how many items entered, passed, and left by each outcome."""
    query = (
        select(steps.c.name, steps.c.position, steps.c.state, step_items.c.outcome, func.count().label("count"))
        .select_from(steps.outerjoin(step_items, step_items.c.step_id == steps.c.id))
        .where(steps.c.night_id == night_id)
        .group_by(steps.c.name, steps.c.position, steps.c.state, step_items.c.outcome)
        .order_by(steps.c.position)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in conn.execute(query):
        step = found.setdefault(row.name, {"name": row.name, "state": row.state, "outcomes": {}})
        step["outcomes"][row.outcome or "inside"] = row.count
    return list(found.values())


def batches_of(conn: Connection, night_id: int, limit: int = 200) -> list[Row]:
    """A night's batches as they were sent, with the step each is of."""
    query = (
        select(batches, steps.c.name.label("step"))
        .join(steps, steps.c.id == batches.c.step_id)
        .where(batches.c.night_id == night_id)
        .order_by(batches.c.id)
        .limit(limit)
    )
    return list(conn.execute(query).mappings())


def request_states(conn: Connection, night_id: int) -> dict[int, dict[str, int]]:
    """What became of each batch's requests: batch → state → count."""
    query = (
        select(requests.c.batch_id, requests.c.state, func.count())
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(batches.c.night_id == night_id)
        .group_by(requests.c.batch_id, requests.c.state)
    )
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for batch_id, state, count in conn.execute(query):
        found[batch_id][state] = count
    return found


def decided_between(conn: Connection, night_id: int) -> tuple[datetime | None, datetime | None, int]:
    """When the first and the last decision of a night were made, and how many stand."""
    query = select(func.min(decisions.c.decided_at), func.max(decisions.c.decided_at), func.count())
    begin, end, count = conn.execute(query.where(decisions.c.night_id == night_id, decisions.c.superseded_at.is_(None))).one()
    return begin, end, count


def delivered(conn: Connection, night_id: int, limit: int = 20) -> list[Row]:
    """The deliveries that took items of a night: targets, folder, written_at, count."""
    query = (
        select(deliveries.c.targets, deliveries.c.folder, deliveries.c.written_at, func.count().label("count"))
        .join(delivery_items, delivery_items.c.delivery_id == deliveries.c.id)
        .join(items, items.c.id == delivery_items.c.item_id)
        .where(items.c.night_id == night_id)
        .group_by(deliveries.c.id)
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return list(conn.execute(query).mappings())


def left_by(conn: Connection, night_id: int, outcomes: Sequence[str], limit: int = 50) -> list[Row]:
    """Items that left a night by one of these outcomes: id, key, outcome, and why."""
    query = (
        select(items.c.id, items.c.key, night_items.c.outcome, func.coalesce(night_items.c.reason, items.c.message).label("why"))
        .join(items, items.c.id == night_items.c.item_id)
        .where(night_items.c.night_id == night_id, night_items.c.outcome.in_(list(outcomes)))
        .order_by(items.c.id)
        .limit(limit)
    )
    return list(conn.execute(query).mappings())


def newest_of_each(conn: Connection, workflows: Sequence[str]) -> dict[str, Night]:
    """The last night of each workflow."""
    last = select(func.max(nights.c.id)).where(nights.c.workflow.in_(list(workflows))).group_by(nights.c.workflow)
    return {row["workflow"]: row for row in conn.execute(select(nights).where(nights.c.id.in_(last))).mappings()}
