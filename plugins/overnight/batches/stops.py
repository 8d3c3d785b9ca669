"""What ends a batch before its time: a kill switch, or a model that makes no progress. What is finished is always kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from overnight.batches.errors import BadRequest, Gone, VendorError
from overnight.batches.vendor import vendor_class
from overnight.governance import killswitch
from overnight.ledger import batches, switches
from overnight.ledger.states import BatchState

if TYPE_CHECKING:
    from overnight.batches.job import BatchJob
    from overnight.batches.waits import Now
    from overnight.ledger.batches import Batch
    from overnight.ledger.connect import Ledger
    from overnight.ledger.rows import Row


NOT_CANCELLED = "the cancel did not get through"


def scopes(batch: Batch) -> tuple[str, ...]:
    """The kill switches that stop a batch."""
    return switches.scopes(batch["workflow"], vendor=batch["vendor"], prompt=batch["prompt_version"])


def engaged(ledger: Ledger, batch: Batch) -> Row | None:
    """The one that stops it now."""
    with ledger.read() as conn:
        return switches.engaged(conn, scopes(batch))


def stop(job: BatchJob, *, now: Now) -> None:
    """A kill switch was thrown while the vendor works: the batch is cancelled, what is finished is landed and kept."""
    switch = engaged(job.ledger, job.batch)
    if switch is None or job.batch["state"] != BatchState.SUBMITTED:
        return  # re-armed meanwhile, or it has ended
    job.cut(now=now)
    failed = f" The cancel did not get through yet: {job.batch['error']}." if job.batch["error"] else ""
    job.alert(
        "stopped",
        f"{killswitch.words(switch)} Batch {job.batch['key']} ({job.batch['request_count']} requests at {job.batch['vendor']}) "
        f"was cancelled.{failed} What it had finished is paid for, landed and kept; the rest waits until it is re-armed or, "
        "after the cutoff, for the next night.",
        now(),
    )


def unasked(batch: Batch, reason: str) -> str:
    """What is said of a batch that was accepted and cannot be asked for."""
    return (
        f"Batch {batch['key']} ({batch['vendor_batch_id']}) cannot be asked for: {reason}. It was accepted and is billed once. "
        "Where the key or the address is wrong, its answers stay at the vendor: mend the cause, it is asked again by itself. "
        "Where the vendor keeps them no more (Gemini two days, Anthropic and OpenAI about a month), they are paid for and lost: "
        f"`bin/overnight release {batch['key']} --by NAME --reason WHY` lets its items be bought again."
    )


def heard(job: BatchJob) -> bool:
    """Whether the vendor has heard that a batch is to stop; one that did not is told again, for it works on and bills."""
    if not (job.batch["error"] or "").startswith(NOT_CANCELLED):
        return True
    try:
        asyncio.run(job.cancel())
    except (BadRequest, Gone):
        pass  # there is nothing left to stop: the next look says what became of it
    except VendorError:
        return False
    job.note(error=None)
    return True


def stuck(job: BatchJob, *, now: Now) -> None:
    """No progress for longer than the workflow is patient: said once; where there is a fallback, the batch is cut.

    Each of the workflow's models gets one chance a shard: the last one is waited for, whatever it does.
    """
    batch = job.batch
    if batch["state"] != BatchState.SUBMITTED or batch["waits"]:
        return
    reason = f"batch {batch['key']} makes no progress since {batch['submitted_at'].isoformat()}"
    job.breaker.trip(reason, now())
    with job.ledger.read() as conn:
        earlier = [row for row in batches.of_shard(conn, job.batch) if row["landing_night_id"] is None]
    cut_before = sum(row["cancelled_at"] is not None for row in earlier)
    # A vendor that tells nothing of a running batch may be at work on it: said, but not cut.
    silent = not vendor_class(batch["vendor"]).facts.reports_progress
    another = not silent and cut_before < len(job.task.workflow.models()) - 1
    following = "It is cancelled and the rest goes to the fallback." if another else "It is waited for."
    job.alert("model_stuck", f"{batch['model']} at {batch['vendor']} is stuck: {reason}. {following}", now())
    # Noted last: who dies before it says it again (as the same alert) and cuts it then.
    if another:
        job.cut(now=now, waits=1)
    else:
        job.note(waits=1)
