"""The collect operator: bring decisions from the surfaces home and move their items on. Idempotent; decides nothing.

No decision means no move: an undecided item stays in review until the next morning and is never approved (law 5).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight import finder
from overnight.alerts import failure, notifier
from overnight.brand import brand
from overnight.clock import utcnow
from overnight.finder import UnknownName
from overnight.governance import policy as policies
from overnight.ledger import exhibits, migrate, queue, reviews, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState
from overnight.review.morning import Morning
from overnight.review.surface import SurfaceBroken, surface
from overnight.workflow import workflow, workflow_if_known

_STATES = {"approve": ItemState.APPROVED, "edit": ItemState.EDITED, "rework": ItemState.REWORK}


class CollectFailed(RuntimeError):
    """A surface could not be read; the decisions on the others went home."""


class CollectOperator(BaseOperator):
    """Collect what was decided on every surface; returns the counts by decision."""

    def execute(self, context: Any) -> dict[str, int]:
        """Collect now."""
        actor = Actor("system", "morning_review", run_id=context["dag_run"].run_id, task_id=self.task_id)
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        now = utcnow()
        counts = collect(ledger, actor=actor, now=now)
        if _is_over(now):
            from overnight.quality import lessons

            counts["lessons proposed"] = lessons.learn(ledger, actor=actor, now=now)
        return counts


def collect(ledger: Ledger, *, actor: Actor, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow.

    Raises:
        CollectFailed: a surface could not be read, after all others were.
    """
    counts: Counter[str] = Counter()
    troubles: list[str] = []
    for name in finder.names("overnight.review.surfaces"):
        with ledger.read() as conn:
            nights = exhibits.in_review(conn, name, now)
        morning = Morning(ledger, name, surface(name), nights, now=now) if nights else None
        try:
            if morning is not None:
                counts.update(morning.bring())
                for night in nights:
                    if words := morning.broken.get(night["id"]):
                        troubles.append(f"{name}: {words}")
                        _alert(ledger, night, words, now)
                    else:
                        key = notifier.night_key("surface_broken", night["workflow"], night["run_id"])
                        notifier.recovered(ledger, key, "The surface can be read again.", now=now)
        except SurfaceBroken as broken:
            troubles.append(f"{name}: {broken}")
            # One trouble of the morning, not one of each night that is in review there; the task's own failure joins it.
            key = failure.key_of("morning_review", "collect", now)
            notifier.raise_alert(ledger, key, "surface_broken", "morning_review", f"{name}: {broken}", now=now)
        counts.update(_go_home(ledger, name, actor=actor, now=now))
        try:
            if morning is not None and morning.looked:
                morning.answer(final=_is_over(now))
        except SurfaceBroken as broken:
            troubles.append(f"{name}: {broken}")  # the decisions are home; the answers are put beside them the next time
    if troubles:
        raise CollectFailed(f"Not every surface could be read: {'; '.join(troubles)}. What was decided elsewhere is collected.")
    return {name: count for name, count in counts.items() if count}


def _is_over(now: datetime) -> bool:
    """Whether the review block is over: what is undecided is told that it waits."""
    here = brand()
    return now.astimezone(ZoneInfo(here.timezone)).time() >= here.review_ends


def _alert(ledger: Ledger, night: Night, message: str, now: datetime) -> None:
    notifier.night_alert(ledger, "surface_broken", night["workflow"], night["night"], night["run_id"], message, now=now)


def _go_home(ledger: Ledger, name: str, *, actor: Actor, now: datetime) -> Counter[str]:
    """Move what was decided on a surface; each decision by itself: one that cannot be applied keeps none from going home."""
    counts: Counter[str] = Counter()
    with ledger.read() as conn:
        waiting = [decision["id"] for decision in reviews.uncollected(conn, name) if _may_read(decision["workflow"])]
    for decision_id in waiting:
        with ledger.write() as conn:
            decision = reviews.claim(conn, decision_id)
            if decision is not None:
                counts[decision["decision"]] += _apply(conn, decision, actor=actor, now=now)
                reviews.collected(conn, [decision_id], now)
    return counts


def _may_read(name: str) -> bool:
    """Whether decisions on a workflow may be read; those on one that was taken out still go their way."""
    return workflow_if_known(name) is None or policies.lets(name, "read_decisions")


def _apply(conn: Connection, decision: Mapping[Any, Any], *, actor: Actor, now: datetime) -> int:
    """Move the item, or all items that the digest speaks for; returns how many moved."""
    to = _STATES[decision["decision"]]
    ids = [decision["item_id"]] if decision["item_id"] else reviews.covered_ids(conn, decision["night_id"])
    ids = reviews.movable(conn, ids, to)
    common: dict[str, Any] = {
        "workflow": decision["workflow"], "actor": policies.under(actor, decision["workflow"]), "now": now,
        "detail": {"decision": decision["id"], "by": decision["reviewer"]},
    }  # fmt: skip
    if to is ItemState.REWORK:
        return _send_back(conn, ids, decision, common)
    columns = {"output": decision["edited"]} if to is ItemState.EDITED and decision["edited"] is not None else {}
    return transitions.move(conn, "item", ids, to, **common, **columns)


_NEVER = (
    "Sent back {most} times, and no draft ever came: it is not asked again. Change its row in the queue (that makes a new one), "
    "or write the text where it is needed."
)


def _send_back(conn: Connection, ids: list[int], decision: Mapping[Any, Any], common: dict[str, Any]) -> int:
    """Back to the queue with the note; one that went round as often as may be is a person's to write."""
    most = _rounds(decision["workflow"])
    spent = reviews.went_round(conn, ids, most)
    again = [item_id for item_id in ids if item_id not in spent]
    transitions.move(conn, "item", again, ItemState.REWORK, note=decision["note"], **common)
    reviews.another_round(conn, again)
    words = f"Sent back {most} times: no further draft is bought. A person writes it: choose edit and write your version."
    alone = reviews.movable(conn, spent, ItemState.FAILED)
    transitions.move(
        conn, "item", alone, ItemState.FAILED, note=decision["note"], message=words, bucket=reviews.BY_HAND, **common
    )
    # One that had failed already has nowhere to move to: it is left to a person where it is.
    failed = [item_id for item_id in spent if item_id not in alone]
    # Where no draft ever came there is nothing to write a version of: another row is another question.
    empty = {one["id"] for one in queue.by_ids(conn, failed) if one["output"] is None}
    queue.say(conn, dict.fromkeys(empty, _NEVER.format(most=most)))
    failed = [item_id for item_id in failed if item_id not in empty]
    reviews.leave_to_a_person(
        conn, decision["workflow"], failed, note=decision["note"], message=words, actor=common["actor"], now=common["now"]
    )  # fmt: skip
    if decision["item_id"] and set(spent) - empty:
        reviews.reopen(conn, decision["id"], common["now"])
    return len(ids)


def _rounds(name: str) -> int:
    try:
        return workflow(name).rounds
    except UnknownName:
        return 0  # a workflow that was taken out: nothing of it is bought again
