"""Nights that need no vendor: items staged straight into a ledger, as validate leaves them, and reviewers who decide at once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from overnight import prompts
from overnight.ledger import nights, queue, reviews, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.bulk import insert as bulk_insert
from overnight.ledger.connect import Ledger
from overnight.ledger.nights import Night as LedgerNight
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.ledger.tables import answers
from overnight.review.collect import collect
from overnight.review.export import export
from overnight.tasks import NightTask, make_task

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # 08:00 in Berlin: the review block begins
SYSTEM = Actor("system", "morning_review")


def draft(n: int, words: str = "") -> dict[str, Any]:
    """A blog draft that its model accepts."""
    body = f"## What should I look at first?\n\nDraft {n} says a thing. {words} " + "It is worth trying at home. " * 12
    return {
        "title": f"Draft number {n}", "slug": f"draft-{n}", "meta_title": f"Draft {n} title",
        "meta_description": f"What to look for in draft {n} and what to leave.", "quick_answer": "Short answer that says it all.",
        "body_markdown": body.strip(), "faqs": [{"question": "Does it last?", "answer": "It lasts as long as it is cared for."}],
        "internal_links": [], "citations": [], "image_brief": "A photo.",
    }  # fmt: skip


def brief(n: int) -> dict[str, Any]:
    return {
        "brief_id": f"b{n}", "title": f"Draft number {n}", "primary_query": "rain jackets", "facts": ["It is blue."],
        "author": "Ada Byron", "min_words": 150, "max_words": 400,
    }  # fmt: skip


def task_of(workflow: str, surface: str, run_id: str = "manual__1") -> NightTask:
    task = make_task(workflow, run_id=run_id, task_id="test")
    return replace(task, workflow=replace(task.workflow, surface=surface, source="csv"))


def stage(
    ledger: Ledger, surface: str, outputs: Sequence[Mapping[str, Any]], *, workflow: str = "blog_drafts", run_id: str = "manual__1",
    inputs: Sequence[Mapping[str, Any]] | None = None, buckets: Sequence[str] | None = None, night: str = "2026-11-23",
    tiers: Sequence[str] | None = None,
    summary: Mapping[str, Any] | None = None, now: datetime = NOW, usd: Decimal = Decimal(0),
) -> tuple[NightTask, LedgerNight]:  # fmt: skip
    """A night whose items are validated and wait for their export.

    Args:
        usd: what each answer cost at the batch price.
    """
    task = task_of(workflow, surface, run_id)
    common: dict[str, Any] = {"workflow": workflow, "actor": task.actor, "now": now - timedelta(hours=2)}
    facts = {
        "workflow": workflow, "run_id": run_id, "night": night, "timezone": "Europe/Berlin", "vendor": task.workflow.vendor,
        "model": task.workflow.model, "surface": surface, "source": "csv", "policy_hash": task.policy_hash,
        "prompt_version": prompts.version(task.workflow), "cap": len(outputs), "start_at": now, "cutoff_at": now, "due_at": now,
        "budget_usd": Decimal(1),
    }  # fmt: skip
    with ledger.write() as conn:
        opened = nights.open_night(conn, facts=facts, actor=task.actor, now=common["now"])
        given = inputs or [brief(n) for n in range(len(outputs))]
        rows = [
            {"source": "csv", "source_ref": f"a.csv:{n}", "key": f"{run_id}-{n}", "content_hash": hashlib.sha256(f"{run_id}{n}".encode())
             .hexdigest(), "input": dict(one)} for n, one in enumerate(given)
        ]  # fmt: skip
        ids = queue.add(conn, rows, ItemState.WAITING, **common)
        for state in (ItemState.LOCKED, ItemState.ANSWERED):
            transitions.move(conn, "item", ids, state, night_id=opened["id"], **common)
        (step_id,) = nights.add_steps(conn, opened, ("draft",), actor=task.actor, now=common["now"])
        nights.add_members(conn, opened["id"], step_id, ids)
        transitions.move(conn, "night", [opened["id"]], NightState.LOCKED, locked_at=common["now"], **common)
        nights.leave(conn, opened, ids, Outcome.STAGED, actor=task.actor, now=common["now"])
        reviews.stage(conn, [
            {"item_id": i, "bucket": buckets[n] if buckets else "ready", "position": n + 1, "tier": tiers[n] if tiers else None, "output": dict(outputs[n]), "output_hash":
             hashlib.sha256(json.dumps(outputs[n], sort_keys=True).encode()).hexdigest()} for n, i in enumerate(ids)
        ])  # fmt: skip
        _remember(conn, opened, step_id, ids, outputs, task, common["now"], usd)
        moved = {"summary": dict(summary) if summary else None}
        transitions.move(conn, "night", [opened["id"]], NightState.VALIDATED, **common, **moved)
    return task, opened


def _remember(
    conn: Any,
    night: LedgerNight,
    step_id: int,
    ids: Sequence[int],
    outputs: Any,
    task: NightTask,
    now: datetime,
    usd: Decimal,
) -> None:
    """The answers, as landing keeps them: what the model wrote before anybody edited it."""
    from overnight.ledger.tables import batches, requests

    batch_id = conn.execute(batches.insert().values(
        night_id=night["id"], step_id=step_id, shard=0, attempt=1, vendor=task.workflow.vendor, model=task.workflow.model,
        key=f"test-{night['id']}", state="landed", request_count=1, request_bytes=1, cost_usd=usd * len(ids), submitted_at=now,
        ended_at=now + timedelta(minutes=40), landed_at=now + timedelta(minutes=41), vendor_batch_id=f"batch-of-{night['id']}",
    ).returning(batches.c.id)).scalar_one()  # fmt: skip
    prompt = prompts.load(task.workflow)
    from overnight.ledger.tables import prompts as prompt_table

    if conn.execute(prompt_table.select().where(prompt_table.c.hash == prompt.hash)).first() is None:
        conn.execute(prompt_table.insert().values(
            hash=prompt.hash, workflow=task.workflow.name, system=prompt.system, schema=prompt.schema, schema_name=prompt.schema_name
        ))  # fmt: skip
    request_id = conn.execute(requests.insert().values(
        step_id=step_id, batch_id=batch_id, custom_id=f"test-{night['id']}", vendor=task.workflow.vendor, attempt=1,
        prompt_hash=prompt.hash, content="", max_output_tokens=1, state="planned",
    ).returning(requests.c.id)).scalar_one()  # fmt: skip
    common: dict[str, Any] = {"workflow": night["workflow"], "actor": task.actor, "now": now}
    transitions.created(conn, "batch", [batch_id], "landed", **common)
    zero: dict[str, Any] = dict.fromkeys(
        ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"), 0
    )  # fmt: skip
    bulk_insert(conn, answers, [
        {"item_id": i, "step_id": step_id, "request_id": request_id, "vendor": task.workflow.vendor, "attempt": 1, "state": "valid",
         "output": dict(output), "error": None, "retryable": False, "model": task.workflow.model, **zero, "cost_usd": usd,
         "realtime_cost_usd": usd * 2, "landed_at": now, "night_id": night["id"], "reused_from": None}
        for i, output in zip(ids, outputs, strict=True)
    ])  # fmt: skip


def shown(ledger: Ledger, surface: str, outputs: Sequence[Mapping[str, Any]], **more: Any) -> tuple[NightTask, LedgerNight]:
    """A staged night that is exported."""
    task, night = stage(ledger, surface, outputs, **more)
    export(ledger, task, now=more.get("now", NOW))
    return task, night


def bring_home(ledger: Ledger, now: datetime = NOW) -> dict[str, int]:
    """Collect once."""
    return collect(ledger, actor=SYSTEM, now=now)


def entries(ledger: Ledger, night: LedgerNight) -> list[Any]:
    with ledger.read() as conn:
        return reviews.entries(conn, night["id"], limit=10_000)
