"""What nights cost and what they brought, added up over many of them. Sums only; what they mean is said elsewhere."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from overnight.ledger.quality_tables import measures
from overnight.ledger.rows import Row
from overnight.ledger.tables import batches, nights

SUMMED = ("as_is", "edit", "rework", "pending", "failed", "blocked", "locked", "staged", "carried_over", "cost_usd",
          "realtime_cost_usd", "cache_saved_usd", "packing_saved_usd", "reused_saved_usd")  # fmt: skip


def by_night(conn: Connection, workflows: Sequence[str], since: datetime) -> list[Row]:
    """The measured nights of these workflows since then, oldest first, each with its label."""
    query = (
        select(measures, nights.c.night, nights.c.locked_at, nights.c.budget_usd)
        .join(nights, nights.c.id == measures.c.night_id)
        .where(measures.c.workflow.in_(list(workflows)), nights.c.opened_at >= since)
        .order_by(measures.c.night_id)
    )
    return list(conn.execute(query).mappings())


def by_model(conn: Connection, workflows: Sequence[str], since: datetime) -> list[Row]:
    """What was bought since then, measured or not: workflow, vendor, model, purpose, batches, requests, cost_usd."""
    query = (
        select(
            nights.c.workflow, batches.c.vendor, batches.c.model, batches.c.purpose, func.count().label("batches"),
            func.sum(batches.c.request_count).label("requests"), func.sum(batches.c.cost_usd).label("cost_usd"),
        )
        .join(nights, nights.c.id == batches.c.night_id)
        .where(nights.c.workflow.in_(list(workflows)), nights.c.opened_at >= since, batches.c.submitted_at.is_not(None))
        .group_by(nights.c.workflow, batches.c.vendor, batches.c.model, batches.c.purpose)
        .order_by(func.sum(batches.c.cost_usd).desc())
    )  # fmt: skip
    return list(conn.execute(query).mappings())


def last_nights(conn: Connection, workflows: Sequence[str], limit: int = 20) -> list[Row]:
    """The last nights beside their budgets: night, workflow, budget, expectation, what their batches cost."""
    cost = select(func.sum(batches.c.cost_usd)).where(batches.c.night_id == nights.c.id).scalar_subquery()
    query = (
        select(nights.c.id, nights.c.workflow, nights.c.night, nights.c.budget_usd, nights.c.estimate_usd, cost.label("cost_usd"))
        .where(nights.c.workflow.in_(list(workflows)))
        .order_by(nights.c.id.desc())
        .limit(limit)
    )
    return list(conn.execute(query).mappings())
