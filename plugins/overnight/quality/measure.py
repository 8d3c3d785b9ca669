"""The measure operator: after each look at the reviews, what the nights' figures are and whether they drift.

A night is measured when all of it is decided or its review block is over; a decision that comes later brings its figures up to
date. Drift is judged once a night, when it is first measured. It decides about the next night only: a tightened workflow has a
smaller cap, a larger sample and no bulk approval.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from overnight.alerts import notifier
from overnight.brand import brand
from overnight.clock import first, utcnow
from overnight.governance import launch
from overnight.governance import policy as policies
from overnight.ledger import measures, migrate, postures
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.quality import drift, metrics, savings, shift
from overnight.quality.drift import Signal
from overnight.quality.ranges import Quality, quality
from overnight.workflow import workflow_if_known

RECENT = timedelta(days=14)


class NotTightened(LookupError):
    """There is nothing to release."""


class MeasureOperator(BaseOperator):
    """Measure every night whose review is over; returns how many were measured, and how many signals of drift they raised."""

    def execute(self, context: Any) -> dict[str, int]:
        """Measure now."""
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        actor = Actor("system", "morning_review", run_id=context["dag_run"].run_id, task_id=self.task_id)
        return measure(ledger, actor=actor, now=utcnow())


def measure(ledger: Ledger, *, actor: Actor, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow."""
    counts: Counter[str] = Counter()
    with ledger.read() as conn:
        nights = measures.open_nights(conn, now - RECENT)
    for night in nights:
        declared = workflow_if_known(night["workflow"])
        with ledger.write() as conn:
            row = measures.take(conn, night)
            if row["locked"] == 0 or (row["pending"] and now < review_over_at(night)):
                continue
            names = (declared.labels, declared.kinds) if declared else ((), ())
            labels, inputs = measures.counted(conn, night, *names)
            saved = savings.of_night(conn, night["id"])
            kept = measures.keep(conn, {**row, **saved, "labels": labels, "inputs": inputs}, now)
        counts["measured"] += kept == "new"
        counts["corrected"] += kept == "changed"
        if kept == "new":
            mine = policies.under(actor, night["workflow"])
            counts["signals"] += _judge(ledger, night, actor=mine, now=now)
    return {name: count for name, count in counts.items() if count}


def review_over_at(night: Night) -> datetime:
    """When the review block of a night's morning ends: what is undecided then counts as pending."""
    return first(brand().review_ends, ZoneInfo(night["timezone"]), night["due_at"])


def _judge(ledger: Ledger, night: Night, *, actor: Actor, now: datetime) -> int:
    """Drift, completion and the way out of being tightened, once a night."""
    name, settings = night["workflow"], quality()
    with ledger.read() as conn:
        posture = postures.get(conn, name)
        rows = measures.of_workflow(conn, name, after_night_id=posture["after_night_id"] if posture else 0)
        rows = [row for row in rows if row["night_id"] <= night["id"]]
        past = [row for row in measures.of_workflow(conn, name) if row["night_id"] < night["id"]]
    found = _signals(rows, past, night, settings)
    _complete(ledger, night, rows, actor=actor, now=now)
    if found:
        _tighten(ledger, night, found, actor=actor, now=now)
    elif posture is not None and posture["tightened"]:
        _loosen(ledger, night, rows, settings, actor=actor, now=now)
    return len(found)


def _signals(
    rows: Sequence[Mapping[str, Any]], past: Sequence[Mapping[str, Any]], night: Night, settings: Quality
) -> list[Signal]:
    series = [metrics.counted(row) for row in rows if row["as_is"] + row["edit"] + row["rework"]]
    # A night that nobody decided says nothing about approval.
    found = drift.signals(series, settings) if series and series[-1].night == night["night"] else []
    if not rows:
        return found
    newest = rows[-1]
    found += drift.too_good(metrics.counted(newest), newest["median_seconds"], settings)
    recent = [row for row in past if row["locked_at"] >= night["locked_at"] - measures.PAST]
    for column, kind, words in (("labels", "labels_shift", "label"), ("inputs", "inputs_shift", "kind of input")):
        usual = sum((Counter(row[column] or {}) for row in recent), Counter[str]())
        for one in shift.shifts(newest[column] or {}, usual, settings.shift):
            found.append(Signal(
                kind, f"{one.most} against the last 28 days (stability index {one.psi}).",
                f"Look whether the world changed, the queue, or the model: open ten of tonight's items with that {words}.",
                {"field": one.field, "psi": one.psi},
            ))  # fmt: skip
    return found


def _tighten(ledger: Ledger, night: Night, found: Sequence[Signal], *, actor: Actor, now: datetime) -> None:
    kinds = ", ".join(signal.kind for signal in found)
    by = Actor("system", f"drift: {kinds}"[:128], run_id=actor.run_id, task_id=actor.task_id, policy_hash=actor.policy_hash)
    with ledger.write() as conn:
        postures.change(
            conn, night["workflow"], tight=True, reason=" ".join(signal.evidence for signal in found)[:2000],
            after_night_id=night["id"], actor=by, now=now,
        )  # fmt: skip
        paused = quality().tightened.hold and launch.hold(conn, night["workflow"], reason=f"drift: {kinds}", by=by, now=now)
    held = (
        "From tonight the workflow is tightened: a smaller cap, a larger sample, no approval of all at once, until three nights "
        f"are in range or `bin/overnight quality loosen {night['workflow']} --by NAME --reason WHY`."
    )
    if paused:
        held += f" Its next night is held: it locks nothing until `bin/overnight launch {night['workflow']} --to {paused}`."
    told = " ".join(f"{signal.evidence} What to do: {signal.action}" for signal in found)
    notifier.raise_alert(  # one trouble, one alert, whatever the number of its signs
        ledger, f"drift:{night['workflow']}:{night['night']}", "drift", night["workflow"], f"{told} {held}", night=night["night"],
        run_id=night["run_id"], now=now,
    )  # fmt: skip


def _loosen(
    ledger: Ledger, night: Night, rows: Sequence[Mapping[str, Any]], settings: Quality, *, actor: Actor, now: datetime
) -> None:
    """Three nights in range, one after the other, and the workflow is as free as before."""
    said = [drift.in_range(metrics.counted(row), settings) for row in rows]
    told = [one for one in said if one is not None][-settings.tightened.nights_in_range :]
    if len(told) < settings.tightened.nights_in_range or not all(told):
        return
    reason = f"{len(told)} nights in range, the last of them {night['night']}"
    with ledger.write() as conn:
        postures.change(
            conn, night["workflow"], tight=False, reason=reason, after_night_id=rows[0]["night_id"] - 1, actor=actor, now=now
        )
    notifier.raise_alert(
        ledger, f"released:{night['workflow']}:{night['night']}", "released", night["workflow"],
        f"{night['workflow']} is no longer tightened: {reason}.", night=night["night"], run_id=night["run_id"], now=now,
    )  # fmt: skip


def release(ledger: Ledger, name: str, *, by: str, reason: str, now: datetime) -> None:
    """A named person sets a tightened workflow free. What was seen up to now is not held against it again.

    Raises:
        NotTightened: it is not tightened.
    """
    if not by.strip() or not reason.strip():
        raise NotTightened("A release needs the name of a person and a reason. Nothing was changed.")
    with ledger.write() as conn:
        if postures.tightened(conn, name) is None:
            raise NotTightened(f"{name} is not tightened. Nothing was changed.")
        rows = measures.of_workflow(conn, name, last=1)
        newest = rows[-1]["night_id"] if rows else 0
        actor = policies.under(Actor("human", by), name)
        postures.change(conn, name, tight=False, reason=reason, after_night_id=newest, actor=actor, now=now)


def _complete(ledger: Ledger, night: Night, rows: Sequence[Mapping[str, Any]], *, actor: Actor, now: datetime) -> None:
    """Completion below 100 % is looked into by a person: failed and cut-off items, not what was rejected at the lock."""
    row = next((row for row in rows if row["night_id"] == night["id"]), None)
    if row is None or row["staged"] == row["locked"]:
        return
    what = (
        f"{row['staged']} of {row['locked']} items were exported: {row['failed']} failed, {row['blocked']} were kept back by a "
        f"rule, {row['carried_over']} were carried over."
    )
    with ledger.write() as conn:
        postures.investigate(conn, night["workflow"], night["id"], "incomplete", what, actor=actor, now=now)
