"""Batches and their requests: planned whole, submitted once, landed whole.

The intent to submit is committed (`submitting`) before a vendor hears of it (law 2). Nothing here talks to a vendor.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import transitions
from overnight.ledger.audit import Actor
from overnight.ledger.errors import LedgerError
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState, ItemState, NightState, RequestState
from overnight.ledger.tables import batches, items, nights, prompts, request_items, requests

Batch = Row
"""One row of `batches`, with the night's `workflow`, `night`, `cutoff_at` and `start_at` beside it."""


def keep_prompt(conn: Connection, prompt: Row) -> None:
    """The shared part of the requests, once per version."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(make(prompts).values(**prompt).on_conflict_do_nothing(index_elements=["hash"]))


def plan(
    conn: Connection, batch: Row, lines: Sequence[Row], *, workflow: str, actor: Actor,
    now: datetime,
) -> int:  # fmt: skip
    """A batch that is to be sent, with its requests; each line names its `item_ids`. Returns the batch's id."""
    values = {**batch, "state": BatchState.PLANNED, "request_count": len(lines)}
    batch_id: int = conn.execute(insert(batches).values(values).returning(batches.c.id)).scalar_one()
    shared = {"step_id": batch["step_id"], "batch_id": batch_id, "vendor": batch["vendor"], "attempt": batch["attempt"]}
    for start in range(0, len(lines), transitions.CHUNK):
        chunk = lines[start : start + transitions.CHUNK]
        rows = [{**{k: v for k, v in line.items() if k != "item_ids"}, **shared, "state": RequestState.PLANNED} for line in chunk]
        statement = insert(requests).returning(requests.c.id, sort_by_parameter_order=True)
        ids = conn.execute(statement, rows).scalars().all()
        _carry(conn, ids, chunk, shared)
    facts = {"requests": len(lines), "key": batch["key"]}
    common: dict[str, Any] = {"workflow": workflow, "actor": actor, "now": now}
    transitions.created(conn, "batch", [batch_id], BatchState.PLANNED, detail=facts, **common)
    return batch_id


def _carry(conn: Connection, ids: Sequence[int], chunk: Sequence[Row], shared: dict[str, Any]) -> None:
    facts = {k: shared[k] for k in ("step_id", "vendor", "attempt")}
    conn.execute(
        insert(request_items),
        [
            {"request_id": request_id, "item_id": item_id, "position": position, **facts}
            for request_id, line in zip(ids, chunk, strict=True)
            for position, item_id in enumerate(line["item_ids"])
        ],
    )


def get(conn: Connection, batch_id: int) -> Batch:
    """One batch with what it needs of its night."""
    query = (
        select(batches, nights.c.workflow, nights.c.night, nights.c.cutoff_at, nights.c.start_at)
        .join(nights, nights.c.id == batches.c.night_id)
        .where(batches.c.id == batch_id)
    )
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise LedgerError(f"There is no batch {batch_id} in this ledger. Nothing was sent.")
    return row


def ids_of_night(conn: Connection, night_id: int) -> list[int]:
    """The night's batches in the order of their shards."""
    query = select(batches.c.id).where(batches.c.night_id == night_id).order_by(batches.c.step_id, batches.c.shard)
    return list(conn.execute(query).scalars())


def lines(conn: Connection, batch_id: int) -> Iterator[Row]:
    """The batch's requests with their prompt, one by one: custom_id, content, max_output_tokens, system, schema."""
    query = (
        select(
            requests.c.custom_id, requests.c.content, requests.c.max_output_tokens,
            prompts.c.system, prompts.c.schema, prompts.c.schema_name,
        )
        .join(prompts, prompts.c.hash == requests.c.prompt_hash)
        .where(requests.c.batch_id == batch_id)
        .order_by(requests.c.id)
    )  # fmt: skip
    yield from conn.execution_options(yield_per=500).execute(query).mappings()


def custom_ids(conn: Connection, batch_id: int, among: Iterable[str]) -> list[str]:
    """Those of the given custom_ids that are the batch's own, landed or not."""
    query = select(requests.c.custom_id).where(requests.c.batch_id == batch_id, requests.c.custom_id.in_(list(among)))
    return list(conn.execute(query).scalars())


def request_ids(conn: Connection, batch_id: int, state: RequestState) -> list[int]:
    """The batch's requests in one state."""
    query = select(requests.c.id).where(requests.c.batch_id == batch_id, requests.c.state == state)
    return list(conn.execute(query.order_by(requests.c.id)).scalars())


def item_ids(conn: Connection, batch_id: int) -> list[int]:
    """The items that travel in a batch."""
    query = (
        select(request_items.c.item_id)
        .join(requests, requests.c.id == request_items.c.request_id)
        .where(requests.c.batch_id == batch_id)
        .order_by(request_items.c.item_id)
    )
    return list(conn.execute(query).scalars())


def strayed_items(conn: Connection, batch_id: int) -> list[int]:
    """Items of a batch that are no longer locked in the batch's own, open night: sending them could buy them twice."""
    query = (
        select(items.c.id)
        .join(request_items, request_items.c.item_id == items.c.id)
        .join(requests, requests.c.id == request_items.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(nights, nights.c.id == batches.c.night_id)
        .where(
            batches.c.id == batch_id,
            (items.c.state != ItemState.LOCKED) | (items.c.night_id != nights.c.id) | (nights.c.state != NightState.LOCKED),
        )
    )
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def unsettled_items(conn: Connection, night_id: int) -> set[int]:
    """Items of a night whose batch may be, or is, at the vendor and has not landed: nobody may send them again."""
    open_states = (BatchState.SUBMITTING, BatchState.IN_DOUBT, BatchState.SUBMITTED, BatchState.CANCELLING, BatchState.ENDED)
    query = (
        select(request_items.c.item_id)
        .join(requests, requests.c.id == request_items.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(batches.c.night_id == night_id, batches.c.state.in_(open_states))
    )
    return set(conn.execute(query).scalars())


def known_vendor_ids(conn: Connection, vendor: str) -> set[str]:
    """Every batch id of a vendor that the ledger knows: a look for a lost one leaves these out."""
    query = select(batches.c.vendor_batch_id).where(batches.c.vendor == vendor, batches.c.vendor_batch_id.is_not(None))
    return set(conn.execute(query).scalars())


def move(conn: Connection, batch: Batch, to: BatchState, *, actor: Actor, now: datetime, **columns: Any) -> None:
    """Move a batch, with the columns that change in the same breath."""
    facts = {k: v for k, v in columns.items() if k in {"vendor_batch_id", "counts"}}
    transitions.move(conn, "batch", [batch["id"]], to, workflow=batch["workflow"], actor=actor, now=now, detail=facts, **columns)


def note(conn: Connection, batch_id: int, **columns: Any) -> None:
    """Write down facts about a batch that are no change of its state."""
    conn.execute(update(batches).where(batches.c.id == batch_id).values(columns))
