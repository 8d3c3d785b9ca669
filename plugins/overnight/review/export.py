"""The export operator: put the night before the reviewers, then close it. Whole or not at all; again changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator

from overnight.alerts import notifier
from overnight.alerts.kinds import NIGHT_DOES_NOT_END
from overnight.clock import utcnow
from overnight.governance import killswitch
from overnight.ledger import alerts, exhibits, nights, transitions
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.review import exhibit
from overnight.review.exhibit import Exhibit
from overnight.review.surface import Shown, Surface, surface
from overnight.tasks import NightTask, open_task


class ExportMismatch(RuntimeError):
    """The surface does not show what was staged; the night is not handed to reviewers."""


class ExportOperator(BaseOperator):
    """Show the night on its surface and close it; returns the counts of the conservation law."""

    def __init__(self, *, workflow: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow = workflow

    def execute(self, context: Any) -> dict[str, int]:
        """Export this run's night."""
        return export(open_ledger(), open_task(self.workflow, context), now=utcnow())


def export(ledger: Ledger, task: NightTask, *, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow."""
    task.policy.allow("write_review_export")
    with ledger.read() as conn:
        night = nights.of_run(conn, task.workflow.name, task.run_id)
        counts = nights.conservation(conn, night["id"])
        shows = exhibit.build(conn, night)
    if night["state"] == NightState.CLOSED:
        return counts
    killswitch.refuse_if_engaged(ledger, task.workflow.name, "the export", prompt=night["prompt_version"])
    place = surface(night["surface"])
    shown = place.export(shows)
    _refuse_mismatch(night, shows, place, shown, counts["staged"] + counts["failed"])
    common: dict[str, Any] = {"actor": task.actor, "now": now}
    with ledger.write() as conn:
        keep(conn, shows, night["surface"], shown, now)
        staged = nights.with_outcome(conn, night["id"], Outcome.STAGED)
        moved: dict[str, Any] = {"workflow": task.workflow.name, **common}
        transitions.move(conn, "item", staged, ItemState.IN_REVIEW, **moved)
        transitions.move(conn, "night", [night["id"]], NightState.EXPORTED, exported_at=now, **moved)
        closed = nights.close(conn, night, **common)
    key = notifier.night_key("not_exported", task.workflow.name, task.run_id)
    notifier.recovered(ledger, key, "The night is exported: reviewers find it.", now=now)
    with ledger.read() as conn:
        loose = [row for row in alerts.without_night(conn, [task.workflow.name]) if row["kind"] in NIGHT_DOES_NOT_END]
    for row in loose:  # of runs that never opened a night, and that nobody clears any more
        if row["raised_at"] < night["opened_at"]:
            notifier.recovered(ledger, row["dedupe_key"], f"The later night {night['night']} is exported.", now=now)
    return closed


def keep(conn: Any, shows: Exhibit, name: str, shown: Sequence[Shown], now: datetime) -> None:
    """Write down where each entry stands, so that it is known again."""
    entries = shows.by_ref()
    rows = [
        {"ref": s.ref, "item_id": entries[s.ref].item_id, "place": s.place, "shown_hash": s.shown_hash, "link": s.link}
        for s in shown
        if s.ref in entries and s.shown_hash
    ]
    exhibits.keep(conn, shows.night_id, name, rows, now)


def _refuse_mismatch(night: Night, shows: Exhibit, place: Surface, shown: Sequence[Shown], expected: int) -> None:
    """Every staged and failed item stands on the surface, by itself or (if it is covered) in the digest that stands there."""
    there = {s.ref for s in shown}
    speaking = exhibit.digest_ref(shows.night_id) in there
    count = sum(
        e.ref in there or (e.covered and speaking and not place.shows_covered) for e in shows.entries if e.item_id is not None
    )
    if count != expected:
        raise ExportMismatch(
            f"Night {night['night']} of {night['workflow']} has {expected} items to show, the surface "
            f"{night['surface']!r} shows {count}. It stays closed to reviewers; nothing is lost. Clear this task to "
            "export again."
        )
