"""The validate operator: judges the night as a table, and decides how each item leaves it.

Answers were judged one by one when they landed. Here the whole night is looked at: expectations on columns, rules across
items. Every locked item leaves as staged, failed or carried over, in one transaction; anything else fails loudly.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import Any

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight.alerts import notifier
from overnight.clock import utcnow
from overnight.governance import approval as approvals
from overnight.governance.policy import Approval
from overnight.ledger import batches, findings, measures, nights, postures, reviews, transitions
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.quality.ranges import quality
from overnight.review import placement
from overnight.tasks import NightTask, open_task
from overnight.validation import standing
from overnight.validation.standing import Standing
from overnight.workflow import Finding, NightRow, Severity, Workflow


class ValidateOperator(BaseOperator):
    """Decide staged, failed or carried over for every item of the night; returns the counts."""

    def __init__(self, *, workflow: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow = workflow

    def execute(self, context: Any) -> dict[str, int]:
        """Validate this run's night."""
        return validate(open_ledger(), open_task(self.workflow, context), now=utcnow())


def validate(ledger: Ledger, task: NightTask, *, now: datetime) -> dict[str, int]:
    """The work of the operator, without Airflow."""
    task.policy.allow("validate")
    task.policy.allow("write_staging")
    workflow = task.workflow
    with ledger.read() as conn:
        night = nights.of_run(conn, workflow.name, task.run_id)
        found = findings.of_night(conn, night["id"])
        rows, without = _good_and_without(standing.of_night(conn, workflow, night), found)
        past = nights.past_digests(conn, workflow.name, night["id"], since=now - measures.PAST)
        tight = postures.tightened(conn, workflow.name) is not None
    if night["state"] == NightState.LOCKED:
        if tight:
            more = workflow.review.sample * quality().tightened.sample_times
            workflow = replace(workflow, review=replace(workflow.review, sample=more))
        verdict = _look_at_the_night(workflow, rows, past, seed=night["night"])
        with ledger.write() as conn:
            _settle(conn, task, night, without, verdict, now=now)
    _say_grave(ledger, task, night, now=now)
    with ledger.read() as conn:
        return nights.conservation(conn, night["id"])


def _good_and_without(
    stand: Iterable[Standing], found: Mapping[int, Sequence[Mapping[Any, Any]]]
) -> tuple[list[NightRow], list[Standing]]:
    """The good answers, as the night's rules see them, and what came back without one. What has not come back is in neither."""
    rows, without = [], []
    for one in stand:
        if one.output is not None:
            rows.append(_row(one, found))
        elif one.state is not None:
            without.append(one)
    return rows, without


def _row(one: Standing, found: Mapping[int, Sequence[Mapping[Any, Any]]]) -> NightRow:
    return NightRow(one.item_id, one.given, one.output or {}, tuple(map(_finding, found.get(one.item_id, ()))), one.step)


def _finding(row: Mapping[Any, Any]) -> Finding:
    return Finding(row["rule"], Severity(row["severity"]), row["message"], row["field"], row["evidence"])


class _Verdict:
    """What the look at the whole night found."""

    def __init__(self, rows: Sequence[NightRow], added: Sequence[tuple[int, Finding]], summary: dict[str, Any],
                 buckets: dict[int, str]) -> None:  # fmt: skip
        self.rows, self.added, self.summary, self.buckets = rows, added, summary, buckets

    @property
    def failed(self) -> dict[int, str]:
        return {item_id: f"{f.rule}: {f.message}" for item_id, f in self.added if f.severity is Severity.FAIL}


def _look_at_the_night(workflow: Workflow, rows: Sequence[NightRow], past: Sequence[Any], *, seed: str) -> _Verdict:
    from overnight.validation import suites

    checks, added = suites.judge(workflow, rows)
    added += [pair for rule in workflow.night_rules for pair in rule(rows)]
    failed = {item_id for item_id, finding in added if finding.severity is Severity.FAIL}
    extra: dict[int, list[Finding]] = {}
    for item_id, finding in added:
        extra.setdefault(item_id, []).append(finding)
    good = [
        replace(row, findings=(*row.findings, *extra[row.item_id])) if row.item_id in extra else row
        for row in rows
        if row.item_id not in failed
    ]
    digest, buckets = _digest(workflow, good, past, seed)
    return _Verdict(good, added, {"checks": checks, "digest": digest}, buckets)


def _digest(
    workflow: Workflow, rows: Sequence[NightRow], past: Sequence[Any], seed: str
) -> tuple[dict[str, Any] | None, dict[int, str]]:
    if workflow.review.digest is None:
        return None, {row.item_id: placement.bucket(row) for row in rows}
    module, _, name = workflow.review.digest.partition(":")
    made: tuple[dict[str, Any], dict[int, str]] = getattr(import_module(module), name)(
        rows, sample=workflow.review.sample, seed=f"{workflow.name} {seed}", past=past
    )
    return made


def _settle(
    conn: Connection, task: NightTask, night: Night, without: Sequence[Standing], verdict: _Verdict, *,
    now: datetime,
) -> None:  # fmt: skip
    common: dict[str, Any] = {"actor": task.actor, "now": now}
    findings.add(conn, list(_finding_rows(night, verdict)))
    nights.leave(conn, night, [row.item_id for row in verdict.rows], Outcome.STAGED, **common)
    approval = task.policy.approval
    new = max(0, approval.first_outputs - nights.staged_under(conn, task.workflow.name, night["prompt_version"]))
    ranked = placement.in_order(verdict.rows)
    reviews.stage(conn, (_place(row, position, verdict, approval, new=position < new) for position, row in enumerate(ranked)))
    reasons = _failures(conn, task.workflow, without, verdict)
    for reason in sorted(set(reasons.values())):
        ids = [item_id for item_id, why in reasons.items() if why == reason]
        nights.leave(conn, night, ids, Outcome.FAILED, reason=reason, bucket="failed", position=0, tier="T4", **common)
    for state, ids in sorted(nights.still_inside(conn, night["id"]).items()):
        reason = "the vendor could not answer it tonight" if state == ItemState.ANSWERED else f"not finished ({state})"
        doubtful = batches.unsettled_items(conn, night["id"])
        sure = [i for i in ids if i not in doubtful]
        nights.leave(conn, night, sure, Outcome.CARRIED_OVER, reason=f"{reason}; goes to the next night", **common)
        unsure = [i for i in ids if i in doubtful]
        why = "its batch is at the vendor and has not landed; not sent again before it has"
        nights.leave(conn, night, unsure, Outcome.CARRIED_OVER, reason=why, in_doubt=True, **common)
    transitions.move(
        conn, "night", [night["id"]], NightState.VALIDATED, workflow=task.workflow.name, summary=verdict.summary,
        detail=nights.conservation(conn, night["id"]), **common,
    )  # fmt: skip


GRAVE = {
    "orders_to_a_machine": "text that gives orders to a machine", "no_prompt": "a piece of the instructions in an answer",
    "no_markup": "markup that could act", "no_formula": "a formula a spreadsheet would run",
}  # fmt: skip
"""Rules whose findings somebody hears of at once, whatever their tier."""


def _say_grave(ledger: Ledger, task: NightTask, night: Night, *, now: datetime) -> None:
    """Injection, safety, and whatever else needs two people: said when it is found, by item id and rule, never by its text.

    It reads what was settled, items that failed with it too, so a kill after the settling loses nothing.
    """
    approval = task.policy.approval
    with ledger.read() as conn:
        found = findings.of_night(conn, night["id"])
    said: dict[str, set[int]] = {}
    for item_id, rows in found.items():
        for finding in map(_finding, rows):
            if finding.rule in GRAVE or approvals.tier_of(approval, [finding]) == "T3":
                said.setdefault(GRAVE.get(finding.rule, finding.rule.replace("_", " ")), set()).add(item_id)
    if said:
        listed = "; ".join(f"{what}: {len(ids)} item{'s' * (len(ids) > 1)} ({_ids(ids)})" for what, ids in sorted(said.items()))
        notifier.night_alert(
            ledger, "grave_findings", task.workflow.name, night["night"], task.run_id,
            f"{listed}. What is in the review stands ahead of all others, and nobody approves it alone or in bulk; the others "
            "failed and go nowhere. Look at them now if a customer may be in danger.", now=now,
        )  # fmt: skip


def _ids(ids: set[int]) -> str:
    first = sorted(ids)[:10]
    return ", ".join(map(str, first)) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")


def _finding_rows(night: Night, verdict: _Verdict) -> Iterator[dict[str, Any]]:
    for item_id, f in verdict.added:
        yield {"item_id": item_id, "night_id": night["id"], "rule": f.rule, "severity": f.severity, "field": f.field,
               "message": f.message, "evidence": f.evidence}  # fmt: skip


def _place(row: NightRow, position: int, verdict: _Verdict, approval: Approval, *, new: bool) -> dict[str, Any]:
    """Where the review shows a row: by itself where a named approver is due, or where its prompt is new."""
    tier = approvals.tier_of(approval, row.findings)
    bucket = placement.for_tier(verdict.buckets[row.item_id], named=tier in approvals.NAMED, new=new)
    text = json.dumps(row.answer, sort_keys=True, ensure_ascii=False)
    return {
        "item_id": row.item_id, "bucket": bucket, "tier": tier, "position": position + 1, "output": row.answer,
        "output_hash": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip


def _failures(conn: Connection, workflow: Workflow, without: Sequence[Standing], verdict: _Verdict) -> dict[int, str]:
    """Items with no good answer that another night would not help: shown to people, never dropped."""
    reasons = dict(verdict.failed)
    tries = nights.times_tried(conn, [one.item_id for one in without])
    for one in without:
        used_up = tries.get(one.item_id, 0) >= workflow.attempts
        # The night's own question is no other night's to ask: without an answer it has failed.
        if not one.retryable or used_up or (one.step in workflow.of_the_night):
            suffix = f" (tried {workflow.attempts} nights)" if one.retryable and used_up else ""
            where = f"{one.step}: " if len(workflow.steps) > 1 else ""
            reasons[one.item_id] = f"{where}{one.error or one.state}{suffix}"
    return reasons
