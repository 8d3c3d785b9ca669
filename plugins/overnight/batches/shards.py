"""Cutting a step's items into requests and batches: by count and by bytes, well under the vendor's limits."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from overnight import prompts
from overnight.batches import naming
from overnight.batches.vendor import Line, Vendor, VendorFacts, vendor_class
from overnight.ledger import batches
from overnight.ledger.audit import Actor
from overnight.ledger.nights import Night
from overnight.workflow import Workflow

HEADROOM = 0.8  # of the vendor's limit in bytes: the wire adds a little, and a limit that is just met is met no more


def plan(
    conn: Connection, workflow: Workflow, night: Night, step_id: int, items: Sequence[Mapping[Any, Any]], *,
    actor: Actor, now: datetime, step: int = 0, attempt: int = 1,
) -> list[int]:  # fmt: skip
    """Write the requests and batches of one step into the ledger; returns the batches' ids."""
    if not items:
        return []
    vendor = vendor_class(night["vendor"])
    prompt = prompts.load(workflow)
    row = {"hash": prompt.hash, "workflow": workflow.name, "system": prompt.system}
    batches.keep_prompt(conn, {**row, "schema": prompt.schema, "schema_name": prompt.schema_name})
    sized = _sized(vendor, workflow, night, prompt, items)
    ids = []
    for shard, lines in enumerate(cut(sized, vendor.facts, workflow.shard_requests)):
        key = naming.batch_key(workflow.name, night["night"], night["run_id"], step, shard, attempt)
        batch = {
            "night_id": night["id"], "step_id": step_id, "shard": shard, "attempt": attempt, "key": key,
            "vendor": night["vendor"], "model": night["model"], "request_bytes": sum(size for _, size in lines),
        }  # fmt: skip
        named = [{**line, "custom_id": naming.custom_id(key, line["item_ids"][0])} for line, _ in lines]
        ids.append(batches.plan(conn, batch, named, workflow=workflow.name, actor=actor, now=now))
    return ids


def cut(sized: Iterable[tuple[dict[str, Any], int]], facts: VendorFacts, most: int) -> Iterator[list[tuple[dict[str, Any], int]]]:
    """Cut lines with their sizes into shards of at most `most` requests (never over the vendor's) and its bytes."""
    most, room = min(most, facts.max_requests), int(facts.max_bytes * HEADROOM)
    shard: list[tuple[dict[str, Any], int]] = []
    used = 0
    for line, size in sized:
        if shard and (len(shard) >= most or used + size > room):
            yield shard
            shard, used = [], 0
        shard.append((line, size))
        used += size
    if shard:
        yield shard


def _sized(
    vendor: type[Vendor], workflow: Workflow, night: Night, prompt: prompts.Prompt, items: Sequence[Mapping[Any, Any]]
) -> Iterator[tuple[dict[str, Any], int]]:
    """Each item's request, and how many bytes it is on the wire (measured once for the shared part)."""
    empty = Line("x" * naming.MAX_CUSTOM_ID, night["model"], prompt.system, "", prompt.schema, prompt.schema_name, 1)
    shared = len(vendor(None).line(empty))
    for item in items:
        content = prompts.content(item["input"], context=item["context"], note=item["note"], previous=item["output"])
        line = {
            "item_ids": [item["id"]], "content": content, "prompt_hash": prompt.hash,
            "max_output_tokens": workflow.max_output_tokens,
        }  # fmt: skip
        yield line, shared + len(json.dumps(content, ensure_ascii=False).encode())
