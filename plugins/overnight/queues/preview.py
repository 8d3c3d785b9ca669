"""The preview operator: what the next lock would do if it were now. People see by day what is wrong and who would wait.

It is the lock itself, in a transaction that is rolled back: a second reckoning would say something else one day. Nothing is
bought, no row is answered and no alert is raised; only the preview is kept, for the page /overnight/.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight.brand import brand
from overnight.clock import SCHEDULED, first, utcnow
from overnight.governance import check, killswitch
from overnight.governance.policy import PolicyError
from overnight.ledger import migrate, money, nights, overview, previews, queue, reservations
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.nights import Night
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState
from overnight.queues import drain, intake
from overnight.queues.source import Reading, RowAnswer, source
from overnight.settings import SettingsError
from overnight.tasks import NightTask, make_task
from overnight.workflow import workflow_names

log = logging.getLogger("overnight.preview")
MOST_WAITS = 50
"""Rows that are named with the reason why they would wait; of the others the number is kept."""


class PreviewOperator(BaseOperator):
    """Look ahead at the next lock of every workflow; returns how many have a trouble."""

    def execute(self, context: Any) -> int:
        """Look now."""
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        return sum(bool(_look(ledger, name)) for name in workflow_names())


def _look(ledger: Ledger, name: str) -> list[str]:
    """One workflow's troubles; where its policy or its settings cannot be read, these are what is wrong with it."""
    now = utcnow()
    try:
        return list(preview(ledger, name, now=now)["troubles"])
    except (SettingsError, PolicyError) as broken:
        row = {"workflow": name, "looked_at": now, "lock_at": next_lock(name, now), **_EMPTY, "troubles": [str(broken)[:500]]}
        with ledger.write() as conn:
            previews.keep(conn, row)
        return [str(broken)]


class _Undone(Exception):
    """Carries what the lock would have done out of its transaction, which is rolled back."""

    def __init__(self, row: Row) -> None:
        self.row = row


def preview(ledger: Ledger, name: str, *, now: datetime) -> Row:
    """The work of the operator for one workflow, without Airflow; returns the row of `previews` that it kept."""
    lock_at = next_lock(name, now)
    task = make_task(name, run_id=f"preview__{lock_at.isoformat()}", task_id="preview")
    troubles = [*_stopped(ledger, task), *_words(check.troubles(task))]
    row = {"workflow": name, "looked_at": now, "lock_at": lock_at, **_nothing(task), "troubles": troubles}
    try:
        reading = source(task.workflow.source).read(name, intake.columns_of(task.workflow))
        row |= _of_lock(ledger, task, reading, lock_at, now)
    except Exception as error:  # one queue that cannot be read must not hide the others; its reason is often among the troubles
        log.warning("the preview of %s could not be made: %s", name, type(error).__name__)
        words = str(error) if isinstance(error, LedgerError) else f"The queue could not be looked at: {type(error).__name__}."
        row["troubles"] = [*troubles, words]
    with ledger.write() as conn:
        previews.keep(conn, row)
    return row


def next_lock(name: str, now: datetime) -> datetime:
    """When a workflow's queue is locked next."""
    from overnight.workflow import workflow

    return first(workflow(name).times.lock, ZoneInfo(brand().timezone), now + timedelta(microseconds=1))


_EMPTY: Row = {
    "rows": 0, "ready": 0, "locked": 0, "rejected": 0, "cap": 0, "cap_why": None, "minutes": 0.0, "expected_usd": None,
    "waits": [],
}  # fmt: skip


def _nothing(task: NightTask) -> Row:
    return {**_EMPTY, "cap": min(task.workflow.cap, task.policy.action_scope.max_items)}


def _of_lock(ledger: Ledger, task: NightTask, reading: Reading, lock_at: datetime, now: datetime) -> Row:
    judged = drain.look_at(task, reading)
    try:
        with ledger.write() as conn:
            money.hold(conn)  # first, as everybody does: a shard that holds it writes into the audit log that is opened next
            night = check.opened(conn, task, base=lock_at, start=SCHEDULED, now=now)
            drain.lock(conn, task, night, judged, troubles=len(reading.troubles), now=now)
            refused = [answer for answer in drain.answers_of(conn, task, judged) if answer.status == ItemState.REJECTED]
            raise _Undone(_told(conn, task, nights.get(conn, night["id"]), reading, refused))
    except _Undone as found:
        return found.row


def _told(conn: Connection, task: NightTask, night: Night, reading: Reading, refused: Sequence[RowAnswer]) -> Row:
    counts = overview.outcomes(conn, night["id"])
    waits = [{"key": trouble.ref, "why": trouble.message} for trouble in reading.troubles]
    waits += [{"key": answer.key or answer.ref, "why": answer.message} for answer in refused]
    waits += [{"key": item["key"], "why": item["message"] or "waits"} for item in queue.waiting(conn, task.workflow.name)]
    return {
        "rows": len(reading.rows), "ready": counts["locked"] + night["over_cap"], "locked": counts["inside"],
        "rejected": night["rejected"], "cap": night["cap"], "cap_why": night["cap_why"],
        "minutes": reservations.minutes(conn, night["id"]), "expected_usd": night["estimate_usd"], "waits": waits[:MOST_WAITS],
    }  # fmt: skip


def _stopped(ledger: Ledger, task: NightTask) -> Iterator[str]:
    from overnight import prompts

    version = prompts.version(task.workflow)
    vendors = dict.fromkeys(view.vendor for view in task.workflow.asked() if view.fallback is None)
    found = [killswitch.engaged(ledger, task.workflow.name, vendor=vendor, prompt=version) for vendor in ("", *vendors)]
    yield from dict.fromkeys(killswitch.words(switch) for switch in found if switch is not None)


def _words(troubles: Iterator[str]) -> list[str]:
    try:
        return list(troubles)
    except Exception as error:  # a settings file that cannot be read, a surface that throws: told, like any other trouble
        return [f"The check could not be made: {type(error).__name__}: {error}"[:500]]
