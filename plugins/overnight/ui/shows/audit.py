"""The audit log: the week in words, a search through all of it, and whether its chains hold."""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection

from overnight.governance import audit_digest, launch
from overnight.ledger import alerts, audit_search
from overnight.ledger.audit import SYSTEM
from overnight.ledger.audit_search import Filter
from overnight.review import showing
from overnight.ui.shows.shape import Shown

PER_PAGE = 100
MOST_DAYS = 31
"""Days whose chains are verified at once; all of the log is the Dag `audit_digest`'s and `bin/overnight verify`'s."""


class Event(Shown):
    """One row of the log."""

    id: int
    at: AwareDatetime
    workflow: str
    actor_type: str
    actor: str
    verb: str
    object_type: str
    object_id: str
    from_state: str
    to_state: str
    detail: dict[str, Any]
    run_id: str
    task_id: str
    policy_hash: str
    hash: str


class Found(Shown):
    """One page of a search; `older` is where the next begins."""

    events: tuple[Event, ...]
    older: int | None


class Verified(Shown):
    """Which chains were held to their links, and where they do not hold."""

    workflows: tuple[str, ...]
    first_day: str
    last_day: str
    chains: int
    rows: int
    problems: tuple[str, ...]


def week(conn: Connection, names: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """The week of these workflows, and how far each is on its way to live."""
    return {
        "digest": audit_digest.digest(conn, now=now, workflows=names, verified=False),
        "verified": alerts.newest(conn, "audit_digest"),
        "launches": [launch.progress(conn, name) for name in names],
    }


def search(conn: Connection, names: Sequence[str], wanted: Filter, *, before: int | None = None) -> Found:
    """What the log says, newest first. Who sees a workflow sees the global switches, too."""
    rows = audit_search.page(conn, [*names, SYSTEM], wanted, before=before, limit=PER_PAGE + 1)
    events = tuple(_event(row) for row in rows[:PER_PAGE])
    return Found(events=events, older=events[-1].id if len(rows) > PER_PAGE else None)


def verify(conn: Connection, names: Sequence[str], first: date, last: date) -> Verified:
    """Hold the chains of these workflows and days to their links."""
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    span = ([*names], first.isoformat(), last.isoformat())
    heads = audit_search.chains(conn, *span)
    return Verified(
        workflows=tuple(names), first_day=span[1], last_day=span[2], chains=len(heads),
        rows=sum(row["position"] for row in heads), problems=tuple(audit_search.broken(conn, *span)),
    )  # fmt: skip


def _event(row: Any) -> Event:
    plain = {key: row[key] for key in Event.model_fields if key not in ("detail", "actor", "object_id")}
    try:
        detail = json.loads(row["detail"] or "{}")
    except ValueError:  # a row that somebody changed is shown as it is; `verify` names it
        detail = {"": row["detail"]}
    detail = detail if isinstance(detail, dict) else {"": detail}
    return Event(**plain, detail=detail, actor=showing.clean(row["actor"]), object_id=showing.clean(row["object_id"]))
