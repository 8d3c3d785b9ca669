"""What ops asks: each night's state, its items by state, its batches, its cost. Reads only."""

from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, exists, func, select

from overnight.ledger import alerts
from overnight.ledger.reviews import BY_HAND
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState
from overnight.ledger.tables import IN_REVIEW, answers, batches, decisions, items, night_items, nights, requests, steps

_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


LAST = 50
"""Nights that are listed unless somebody asks for more: five days of ten workflows."""


def list_nights(conn: Connection, workflow: str | None = None, *, named: str | None = None) -> list[Row]:
    """Nights, newest first: the last of them, or all whose name begins so (`2026-09` is a month)."""
    query = select(nights).order_by(nights.c.id.desc())
    query = query.where(nights.c.night.startswith(named, autoescape=True)) if named else query.limit(LAST)
    if workflow:
        query = query.where(nights.c.workflow == workflow)
    return list(conn.execute(query).mappings())


def newest(conn: Connection, workflows: Sequence[str], *, before: int | None = None, limit: int = 50) -> list[Row]:
    """Nights of these workflows, newest first; those older than the night `before`, for a page behind the first."""
    query = select(nights).where(nights.c.workflow.in_(workflows)).order_by(nights.c.id.desc()).limit(limit)
    return list(conn.execute(query if before is None else query.where(nights.c.id < before)).mappings())


def in_review(conn: Connection, workflows: Iterable[str], limit: int = 200) -> list[Row]:
    """Nights of these workflows that were exported and have items in review or left to a person, oldest due first."""
    waits = exists().where(items.c.night_id == nights.c.id, IN_REVIEW)
    to_write = exists().where(items.c.night_id == nights.c.id, items.c.state == ItemState.FAILED, items.c.bucket == BY_HAND)
    query = select(nights).where(nights.c.workflow.in_(list(workflows)), nights.c.exported_at.is_not(None), waits | to_write)
    return list(conn.execute(query.order_by(nights.c.due_at, nights.c.id).limit(limit)).mappings())


def describe(conn: Connection, night: Row) -> dict[str, Any]:
    """One night in figures: counts per item state and outcome, batches per state, tokens, cost in USD, alerts."""
    night_id = night["id"]
    return {
        "workflow": night["workflow"],
        "night": night["night"],
        "state": night["state"],
        "run_id": night["run_id"],
        "vendor": night["vendor"],
        "model": night["model"],
        "items": _count(conn, select(items.c.state, func.count()).join(
            night_items, night_items.c.item_id == items.c.id
        ).where(night_items.c.night_id == night_id).group_by(items.c.state)),
        "outcomes": outcomes(conn, night_id),
        "over_cap": night["over_cap"],
        "rejected": night["rejected"],
        "batches": _count(conn, select(batches.c.state, func.count()).where(
            batches.c.night_id == night_id
        ).group_by(batches.c.state)),
        "decisions": _count(conn, select(decisions.c.decision, func.count()).where(
            decisions.c.night_id == night_id, decisions.c.superseded_at.is_(None)
        ).group_by(decisions.c.decision)),
        **cost(conn, night_id),
        "budget_usd": night["budget_usd"],
        "estimate_usd": night["estimate_usd"],
        "reused": _reused(conn, night_id),
        "bill": bill(conn, night_id),
        "due_at": night["due_at"],
        "exported_at": night["exported_at"],
        "alerts": [
            {name: a[name] for name in ("kind", "severity", "message", "seen", "recovered_at")}
            for a in alerts.of_run(conn, night["workflow"], night["run_id"])
        ],
    }  # fmt: skip


def loose_alerts(conn: Connection) -> list[dict[str, Any]]:
    """Alerts that belong to no night: what kept a night from being opened."""
    names = ("workflow", "run_id", "kind", "severity", "message", "raised_at", "seen")
    return [{name: alert[name] for name in names} for alert in alerts.without_night(conn)]


def outcomes(conn: Connection, night_id: int) -> dict[str, int]:
    """The conservation law's terms as they stand: locked, staged, failed, carried_over and what is still inside."""
    query = select(night_items.c.outcome).where(night_items.c.night_id == night_id)
    counts = Counter(conn.execute(query).scalars())
    named = {name: counts[name] for name in ("staged", "failed", "carried_over")}
    return {"locked": counts.total(), **named, "inside": counts[None]}


def cost(conn: Connection, night_id: int) -> dict[str, Any]:
    """The night's bill, and what the same tokens would have cost in real time, both in USD."""
    sums = [
        func.sum(getattr(answers.c, name))
        for name in ("cost_usd", "realtime_cost_usd", "input_tokens", "output_tokens", "cache_read_tokens")
    ]
    query = (
        select(*sums)
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(batches.c.night_id == night_id)
    )
    usd, realtime, tokens_in, tokens_out, cached = conn.execute(query).one()
    return {
        "cost_usd": usd or Decimal(0),
        "realtime_cost_usd": realtime or Decimal(0),
        "input_tokens": int(tokens_in or 0),
        "output_tokens": int(tokens_out or 0),
        "cache_read_tokens": int(cached or 0),
    }


def bill(conn: Connection, night_id: int) -> list[dict[str, Any]]:
    """The night's bill: a line a step, vendor, model and what the batches were for. A late result is on the bill of its night."""
    query = (
        select(
            steps.c.name.label("step"),
            batches.c.vendor, batches.c.model, batches.c.purpose, func.count(func.distinct(batches.c.id)).label("batches"),
            func.count(answers.c.id).label("answers"), func.sum(answers.c.cost_usd).label("cost_usd"),
            func.sum(answers.c.realtime_cost_usd).label("realtime_cost_usd"),
            *(func.sum(getattr(answers.c, name)).label(name) for name in _TOKENS),
        )
        .join(steps, steps.c.id == batches.c.step_id)
        .join(requests, requests.c.batch_id == batches.c.id)
        .join(answers, (answers.c.request_id == requests.c.id) & answers.c.reused_from.is_(None))
        .where(batches.c.night_id == night_id)
        .group_by(steps.c.position, steps.c.name, batches.c.vendor, batches.c.model, batches.c.purpose)
        .order_by(steps.c.position, batches.c.purpose, batches.c.vendor)
    )  # fmt: skip
    return [{**row, **{name: int(row[name] or 0) for name in _TOKENS}} for row in conn.execute(query).mappings()]


def _reused(conn: Connection, night_id: int) -> int:
    query = select(func.count()).where(answers.c.night_id == night_id, answers.c.reused_from.is_not(None))
    return int(conn.execute(query).scalar_one())


def _count(conn: Connection, query: Any) -> dict[str, int]:
    return {name: count for name, count in conn.execute(query)}
