"""Looking through the audit log: filtered, newest first, a page at a time; and its chains held to their links."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, select

from overnight.ledger import audit
from overnight.ledger.rows import Row
from overnight.ledger.tables import audit_events, audit_heads


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; "" is anything."""

    workflow: str = ""
    actor: str = ""
    verb: str = ""
    object_type: str = ""
    object_id: str = ""
    run_id: str = ""
    first_day: str = ""  # YYYY-MM-DD, UTC
    last_day: str = ""
    notable: bool = False  # leave out creates and moves


def page(conn: Connection, names: Sequence[str], wanted: Filter, *, before: int | None = None, limit: int = 100) -> list[Row]:
    """Events of these workflows, newest first.

    Args:
        before: those older than this row's id, for a page behind the first.
    """
    query = select(audit_events).where(*_conditions(names, wanted))
    if before is not None:
        query = query.where(audit_events.c.id < before)
    return list(conn.execute(query.order_by(audit_events.c.id.desc()).limit(limit)).mappings())


def chains(conn: Connection, names: Sequence[str], first_day: str, last_day: str) -> list[Row]:
    """The ends of the chains of these workflows and days: workflow, day, position, hash."""
    heads = audit_heads.c
    query: Select[tuple[str, str, int, str]] = select(heads.workflow, heads.day, heads.position, heads.hash)
    query = query.where(heads.workflow.in_(list(names)), heads.day >= first_day, heads.day <= last_day)
    return list(conn.execute(query.order_by(heads.workflow, heads.day)).mappings())


def broken(conn: Connection, names: Sequence[str], first_day: str, last_day: str) -> list[str]:
    """Every place where one of these chains does not hold, in words that name the row."""
    return audit.broken_links(conn, names, first_day, last_day)


def _conditions(names: Sequence[str], wanted: Filter) -> list[Any]:
    c = audit_events.c
    found: list[Any] = [c.workflow.in_([wanted.workflow] if wanted.workflow in names else [] if wanted.workflow else names)]
    for column, value in (
        (c.actor, wanted.actor), (c.verb, wanted.verb), (c.object_type, wanted.object_type),
        (c.object_id, wanted.object_id), (c.run_id, wanted.run_id),
    ):  # fmt: skip
        if value:
            found.append(column == value)
    if wanted.first_day:
        found.append(c.day >= wanted.first_day)
    if wanted.last_day:
        found.append(c.day <= wanted.last_day)
    if wanted.notable:
        found.append(audit.NOTABLE)
    return found
