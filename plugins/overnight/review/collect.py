"""The collect operator: bring decisions from the surfaces home and move their items on. Idempotent; decides nothing.

No decision means no move: an undecided item stays in review until the next morning and is never approved (law 5).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight import finder
from overnight.clock import utcnow
from overnight.ledger import migrate, reviews, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.states import ItemState
from overnight.review.surface import surface

_STATES = {"approve": ItemState.APPROVED, "edit": ItemState.EDITED, "rework": ItemState.REWORK}


class CollectOperator(BaseOperator):
    """Collect what was decided on every surface; returns the counts by decision."""

    def execute(self, context: Any) -> dict[str, int]:
        """Collect now."""
        actor = Actor("system", "morning_review", run_id=context["dag_run"].run_id, task_id=self.task_id)
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        return collect(ledger, actor=actor, now=utcnow())


def collect(ledger: Ledger, *, actor: Actor, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow."""
    counts: Counter[str] = Counter()
    for name in finder.names("overnight.review.surfaces"):
        for found in surface(name).collect(ledger):
            counts["refused"] += not _take(ledger, found, now)
        with ledger.read() as conn:
            waiting = [decision["id"] for decision in reviews.uncollected(conn, name)]
        for decision_id in waiting:  # each by itself: one that cannot be applied keeps none of the others from going home
            with ledger.write() as conn:
                decision = reviews.claim(conn, decision_id)
                if decision is not None:
                    counts[decision["decision"]] += _apply(conn, decision, actor=actor, now=now)
                    reviews.collected(conn, [decision_id], now)
    return dict(counts)


def _take(ledger: Ledger, found: dict[str, Any], now: datetime) -> bool:
    """Write a decision found outside into the ledger; a refused one changes nothing and is told by the surface."""
    night_id, item_id = found.pop("night_id"), found.pop("item_id")
    try:
        with ledger.write() as conn:
            reviews.decide(conn, night_id, item_id, found, actor=Actor("human", found["reviewer"]), now=now)
    except reviews.DecisionRefused:
        return False
    return True


def _apply(conn: Connection, decision: Mapping[Any, Any], *, actor: Actor, now: datetime) -> int:
    """Move the item, or all items that the digest speaks for; returns how many moved."""
    to = _STATES[decision["decision"]]
    ids = [decision["item_id"]] if decision["item_id"] else reviews.covered_ids(conn, decision["night_id"])
    ids = reviews.movable(conn, ids, to)
    columns: dict[str, Any] = {}
    if to is ItemState.REWORK:
        columns["note"] = decision["note"]
    if to is ItemState.EDITED and decision["edited"] is not None:
        columns["output"] = decision["edited"]
    detail = {"decision": decision["id"], "by": decision["reviewer"]}
    moved = transitions.move(conn, "item", ids, to, workflow=decision["workflow"], actor=actor, now=now, detail=detail, **columns)
    if to is ItemState.REWORK:
        reviews.another_round(conn, ids)
    return moved
