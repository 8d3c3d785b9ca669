"""What is asked again in the same night, of whom, and what is not. Only items without a good answer, never the shard.

Invalid answers and transient failures are asked again while time and money remain, at most the workflow's number of times;
the check's own words go with the request. Requests the vendor called bad, and refusals, are not: they would end the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from overnight.batches import plan, stops
from overnight.batches.breaker import Breaker
from overnight.batches.job import BatchJob
from overnight.batches.waits import Now, waits
from overnight.governance import killswitch
from overnight.ledger import answers, batches, chains, money, nights, switches
from overnight.ledger.states import AnswerState, BatchState, ItemState, Outcome, Purpose

WORTH = timedelta(minutes=10)
"""Before the cutoff: a batch sent later than this would mostly be bought to be cancelled."""

INVALID = {AnswerState.OFF_SCHEMA, AnswerState.RULE_FAILED, AnswerState.TRUNCATED, AnswerState.EMPTY}
WHOLE_FAILURES = 3  # times a batch that its vendor failed as a whole is sent anew


def follow_up(job: BatchJob, *, now: Now) -> bool:
    """Plan what comes after a landed batch of a shard; returns whether there is anything."""
    if job.batch["state"] != BatchState.LANDED or now() + WORTH * _scale() >= job.batch["cutoff_at"]:
        return False
    with job.ledger.write() as conn:
        money.hold(conn)
        chains.hold(conn, job.batch["home_night_id"])
        bad = [row for row in answers.newest_of_shard(conn, job.batch) if _worth_asking(row) and not _cut_again(job, row)]
        tried = answers.repairs_of(conn, job.batch["home_night_id"], [row["item_id"] for row in bad])
        free = _costs_no_try(conn, job)
        again = {row["item_id"]: row for row in bad if free or tried.get(row["item_id"], 0) < job.task.workflow.repairs}
        left = set(batches.unsent_items(conn, job.batch)) | set(_unasked(conn, job))
        problems = {i: _problem(row) for i, row in again.items()} | dict.fromkeys(sorted(left))
        if not problems:
            return False
        vendor, model = _whom(job, now())
        purpose = Purpose.FALLBACK if free or not again else Purpose.REPAIR
        planned = plan.again(
            conn, job.task, job.batch, problems, vendor=vendor, model=model, purpose=purpose, limits=_limits(job, again),
            not_before_at=_pause(job, now()), now=now(),
        )  # fmt: skip
        unpaid = _not_covered(conn, job, planned.over_budget, now())
    _say(job, unpaid, now())
    return bool(planned.batch_ids)


def _unasked(conn: Connection, job: BatchJob) -> list[int]:
    """A later step's items that its one batch could not hold."""
    step = next((s for s in job.task.workflow.steps if s.name == job.batch["step"]), None)
    mine = step is not None and step.after and job.batch["night_id"] == job.batch["home_night_id"]
    return chains.unasked(conn, job.batch["step_id"], job.batch["night_id"]) if mine else []


def _not_covered(conn: Connection, job: BatchJob, over_budget: Sequence[int], now: datetime) -> int:
    """Items that were never asked and that the budget does not cover wait for the next night; repairs are simply not bought."""
    waiting = {*batches.unsent_items(conn, job.batch), *_unasked(conn, job)} - batches.held_elsewhere(conn, job.batch)
    unsent = sorted(set(over_budget) & waiting)
    night = nights.get(conn, job.batch["home_night_id"])
    return nights.leave(conn, night, unsent, Outcome.CARRIED_OVER, actor=job.task.actor, now=now, reason=plan.OVER_BUDGET)


def _say(job: BatchJob, unpaid: int, now: datetime) -> None:
    if unpaid:
        job.alert("over_budget", f"{unpaid} items wait for the next night: the budget does not cover the fallback's price.", now)


def moved_to_fallback(job: BatchJob, *, now: Now) -> bool:
    """A batch that was not sent and whose model's breaker is open, or whose vendor was stopped, goes to the fallback, where the
    workflow names one.
    """
    batch = job.batch
    due: datetime = max(batch["start_at"], batch["not_before_at"] or batch["start_at"])
    if batch["state"] != BatchState.PLANNED or not due <= now() < batch["cutoff_at"]:
        return False  # before its time a breaker may close again
    switch = stops.engaged(job.ledger, batch)
    held = switch["scope"] == switches.of_vendor(batch["vendor"]) if switch else job.breaker.open_until(now()) is not None
    if not held:
        return False
    other = _fallback(job, now())
    if other is None:
        return False
    with job.ledger.write() as conn:
        money.hold(conn)
        chains.hold(conn, batch["home_night_id"])
        if batches.hold(conn, job.batch_id) != BatchState.PLANNED:
            job.reload()  # another run of this task has sent it meanwhile
            return False
        items, (vendor, model) = batches.open_items(conn, batch), other
        known = {row["item_id"]: row for row in answers.newest_of_shard(conn, batch)}
        again = {i: known[i] for i in items if i in known and known[i]["item_state"] == ItemState.ANSWERED}
        reason = f"{batch['model']} is held back; asked of {model} instead"
        batches.move(
            conn, batch, BatchState.REFUSED, actor=job.task.actor, now=now(), error=reason, counts={"moved": len(items)}
        )  # fmt: skip
        planned = plan.again(
            conn, job.task, batch, {i: _problem(again[i]) if i in again else None for i in items}, vendor=vendor, model=model,
            purpose=Purpose.REPAIR if again else Purpose.FALLBACK, limits=_limits(job, again), now=now(),
        )  # fmt: skip
        unpaid = _not_covered(conn, job, planned.over_budget, now())
    _say(job, unpaid, now())
    job.reload()
    return True


def _worth_asking(row: Any) -> bool:
    """An item that waits for a better answer than the one it has."""
    waits = (ItemState.ANSWERED, ItemState.SUBMITTED)  # submitted: by another step, that asks something else
    if row["item_state"] not in waits or row["state"] in (AnswerState.VALID, AnswerState.REFUSED):
        return False
    return row["state"] in INVALID or bool(row["retryable"])


def _cut_again(job: BatchJob, row: Any) -> bool:
    """An answer that was cut off, where the policy gives no more room: the same again would be paid for and cut off again."""
    workflow, most = job.task.workflow, job.task.policy.action_scope.max_output_tokens
    return row["state"] == AnswerState.TRUNCATED and workflow.pack == 1 and most <= workflow.max_output_tokens


def _problem(row: Any) -> str | None:
    """The check's words for an invalid answer; None for what the vendor never answered."""
    return str(row["error"])[:500] if row["state"] in INVALID else None


def _costs_no_try(conn: Connection, job: BatchJob) -> bool:
    """A batch that was cut, and one that its vendor failed as a whole, are not the items' fault."""
    if job.batch["cancelled_at"] is not None:
        return True
    failures = sum(1 for b in batches.of_shard(conn, job.batch) if b["error"] and b["state"] == BatchState.LANDED)
    return bool(job.batch["error"]) and failures <= WHOLE_FAILURES


def _was_stuck(job: BatchJob) -> bool:
    """Cut for making no progress: neither by a kill switch, nor at the cutoff, this night's or an earlier one's."""
    cut_at, adopted = job.batch["cancelled_at"], job.batch["landing_night_id"] is not None
    said_stuck = bool(job.batch["waits"])  # since it was sent
    return said_stuck and cut_at is not None and not adopted and bool(cut_at < job.batch["cutoff_at"])


def _whom(job: BatchJob, now: datetime) -> tuple[str, str]:
    troubled = _was_stuck(job) or job.breaker.open_until(now) is not None
    other = _fallback(job, now) if troubled else None
    return other or (job.batch["vendor"], job.batch["model"])


def _fallback(job: BatchJob, now: datetime) -> tuple[str, str] | None:
    """Another of the workflow's models whose breaker is closed and whose vendor the policy names."""
    workflow, own = job.task.workflow, (job.batch["vendor"], job.batch["model"])
    for vendor, model in workflow.models():
        allowed = vendor in job.task.policy.data_access.vendors
        breaker = Breaker(job.ledger, vendor, model, workflow=workflow.name, actor=job.task.actor)
        if (vendor, model) == own or not allowed or breaker.open_until(now) is not None:
            continue
        # Stopped like the first: moved on, it would come back from there, and so on.
        if killswitch.engaged(job.ledger, workflow.name, vendor=vendor, prompt=job.batch["prompt_version"]) is None:
            return vendor, model
    return None


def _limits(job: BatchJob, again: Mapping[int, Any]) -> dict[int, int]:
    """More room for an answer that was cut off, as far as the policy's ceiling goes."""
    one, most = job.task.workflow.max_output_tokens, job.task.policy.action_scope.max_output_tokens
    return {i: min(2 * one, most) for i, row in again.items() if row["state"] == AnswerState.TRUNCATED}


def _pause(job: BatchJob, now: datetime) -> datetime | None:
    """A whole batch that failed is not sent again at once: its vendor may have no room for it yet."""
    return now + timedelta(seconds=waits().slowest) if job.batch["error"] else None


def _scale() -> float:
    """A rehearsal's batches end in seconds: what is worth its while shrinks with its waits."""
    return min(1.0, waits().poll / 30.0)
