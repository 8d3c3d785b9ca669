"""The reviewers' minutes that nights have reserved, and what waits for a decision already."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select

from overnight.ledger.governance_tables import launches, reservations
from overnight.ledger.nights import of_date
from overnight.ledger.quality_tables import measures
from overnight.ledger.reviews import COVERED
from overnight.ledger.rows import Row
from overnight.ledger.states import NightState
from overnight.ledger.tables import IN_REVIEW, items, nights

_ACTIVE_FOR = timedelta(days=7)
"""A workflow that had no night for so long keeps no share of the morning."""
_LAST = 14
"""Nights whose measured seconds count."""


def reserve(conn: Connection, night: Row, facts: dict[str, Any]) -> None:
    """A night's minutes (morning, minutes, seconds_per_item, items, reserved_at)."""
    conn.execute(insert(reservations).values(night_id=night["id"], workflow=night["workflow"], **facts))


def of_morning(conn: Connection, morning: str) -> list[Row]:
    """What nights have reserved of a morning."""
    query = select(reservations).where(reservations.c.morning == morning).order_by(reservations.c.night_id)
    return list(conn.execute(query).mappings())


def minutes(conn: Connection, night_id: int) -> float:
    """What one night has reserved, in minutes of reviewing; 0 before its lock."""
    found: float | None = conn.execute(select(reservations.c.minutes).where(reservations.c.night_id == night_id)).scalar()
    return found or 0.0


def newest_morning(conn: Connection) -> str | None:
    """The latest morning that anything is reserved of."""
    morning: str | None = conn.execute(select(func.max(reservations.c.morning))).scalar()
    return morning


def undecided(conn: Connection, morning: str) -> dict[str, int]:
    """Items by workflow that wait for a decision of their own from earlier mornings."""
    tonight = select(reservations.c.night_id).where(reservations.c.morning == morning)
    query = (
        select(items.c.workflow, func.count())
        .where(IN_REVIEW, items.c.bucket != COVERED, items.c.night_id.not_in(tonight))
        .group_by(items.c.workflow)
    )
    return {name: count for name, count in conn.execute(query)}


def to_come(conn: Connection, label: str, now: datetime) -> dict[str, int | None]:
    """Workflows that have not locked this date's night yet and are likely to: name → the cap of a night that is open."""
    locked = select(nights.c.workflow).where(of_date(label), nights.c.state != NightState.OPEN)
    paused = select(launches.c.workflow).where(launches.c.state == "paused")
    recent = (
        select(nights.c.workflow)
        .where(nights.c.opened_at >= now - _ACTIVE_FOR, nights.c.workflow.not_in(locked), nights.c.workflow.not_in(paused))
        .distinct()
    )
    found: dict[str, int | None] = dict.fromkeys(conn.execute(recent).scalars())
    opened = select(nights.c.workflow, nights.c.cap).where(of_date(label), nights.c.state == NightState.OPEN)
    return found | {name: cap for name, cap in conn.execute(opened)}


def seconds(conn: Connection, workflow: str) -> list[float]:
    """Median seconds between two decisions in a workflow's last nights, newest first."""
    query = (
        select(measures.c.median_seconds)
        .where(measures.c.workflow == workflow, measures.c.median_seconds.is_not(None))
        .order_by(measures.c.night_id.desc())
        .limit(_LAST)
    )
    return list(conn.execute(query).scalars())
