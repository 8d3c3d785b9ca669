"""Batches and their requests: planned whole, submitted once, landed whole.

The intent to submit is committed (`submitting`) before a vendor hears of it (law 2). Nothing here talks to a vendor.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from overnight.ledger import audit, bulk, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.errors import LedgerError
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState, ItemState, NightState, RequestState
from overnight.ledger.tables import batches, items, nights, prompts, request_items, requests, steps

Batch = Row
"""One row of `batches`, with what it needs of the night its answers land in: `workflow`, `night`, `night_state`, `cutoff_at`,
`start_at`, `home_night_id`, and the name of its `step`."""

_home: ColumnElement[Any] = func.coalesce(batches.c.landing_night_id, batches.c.night_id)
_AT_VENDOR = (BatchState.SUBMITTING, BatchState.IN_DOUBT, BatchState.SUBMITTED, BatchState.CANCELLING)
_UNSETTLED = (*_AT_VENDOR, BatchState.ENDED)
NIGHT = "night"
"""The source of the items a night makes itself: its one question about all the others. No queue holds them."""
_INSIDE = (ItemState.LOCKED, ItemState.SUBMITTED, ItemState.ANSWERED)
"""The states of an item that has not left its night."""


def keep_prompt(conn: Connection, prompt: Row) -> None:
    """The shared part of the requests, once per version."""
    make = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(make(prompts).values(**prompt).on_conflict_do_nothing(index_elements=["hash"]))


def plan(
    conn: Connection, batch: Row, lines: Sequence[Row], *, workflow: str, actor: Actor,
    now: datetime,
) -> int:  # fmt: skip
    """A batch that is to be sent, with its requests. Returns the batch's id.

    Args:
        lines: each with its `entries`: per position in the request the `item_ids` it answers (identical inputs share one
            entry) and the `key` under which its answer may be used again.
    """
    values = {**batch, "state": BatchState.PLANNED, "request_count": len(lines)}
    batch_id: int = conn.execute(insert(batches).values(values).returning(batches.c.id)).scalar_one()
    shared = {"step_id": batch["step_id"], "batch_id": batch_id, "vendor": batch["vendor"], "attempt": batch["attempt"]}
    for chunk in transitions.chunks(lines, transitions.CHUNK):
        rows = [{**{k: v for k, v in line.items() if k != "entries"}, **shared, "state": RequestState.PLANNED} for line in chunk]
        bulk.insert(conn, requests, rows)
        made = select(requests.c.custom_id, requests.c.id).where(requests.c.custom_id.in_([row["custom_id"] for row in rows]))
        there = {custom_id: request_id for custom_id, request_id in conn.execute(made)}
        _carry(conn, [there[row["custom_id"]] for row in rows], chunk, shared)
    facts = {"requests": len(lines), "key": batch["key"]}
    common: dict[str, Any] = {"workflow": workflow, "actor": actor, "now": now}
    transitions.created(conn, "batch", [batch_id], BatchState.PLANNED, detail=facts, **common)
    return batch_id


def _carry(conn: Connection, ids: Sequence[int], chunk: Sequence[Row], shared: dict[str, Any]) -> None:
    facts = {k: shared[k] for k in ("step_id", "vendor", "attempt")}
    bulk.insert(
        conn,
        request_items,
        [
            {
                "request_id": request_id,
                "item_id": item_id,
                "position": position,
                "input_key": entry["key"],
                "masks": entry["masks"],
                **facts,
            }
            for request_id, line in zip(ids, chunk, strict=True)
            for position, entry in enumerate(line["entries"])
            for item_id in entry["item_ids"]
        ],
    )


def get(conn: Connection, batch_id: int) -> Batch:
    """One batch with what it needs of the night it lands in."""
    query = (
        select(
            batches, nights.c.workflow, nights.c.night, nights.c.state.label("night_state"), nights.c.cutoff_at,
            nights.c.start_at, nights.c.id.label("home_night_id"), nights.c.prompt_version, nights.c.budget_usd,
            steps.c.name.label("step"),
        )
        .join(nights, nights.c.id == _home)
        .join(steps, steps.c.id == batches.c.step_id)
        .where(batches.c.id == batch_id)
    )  # fmt: skip
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise LedgerError(f"There is no batch {batch_id} in this ledger. Nothing was sent.")
    return row


def failed_in_a_row(conn: Connection, night_id: int) -> int:
    """How many of a night's batches their vendors failed as a whole, one after the other, up to the last that landed."""
    query = select(batches.c.error, batches.c.cancelled_at).where(_home == night_id, batches.c.state == BatchState.LANDED)
    count = 0
    for row in conn.execute(query.order_by(batches.c.landed_at.desc(), batches.c.id.desc())):
        if row.error is None or row.cancelled_at is not None:
            break
        count += 1
    return count


def ids_of_night(conn: Connection, night_id: int, steps_named: Iterable[str] | None = None) -> list[int]:
    """The first batch of each of the night's shards, adopted ones included: one task each.

    Args:
        steps_named: shards of these steps only, and adopted ones whatever their step.
    """
    first = select(func.min(batches.c.id)).where(_home == night_id).group_by(batches.c.step_id, batches.c.shard)
    if steps_named is not None:
        mine = select(steps.c.id).where(steps.c.name.in_(list(steps_named)))
        first = first.where(batches.c.step_id.in_(mine) | batches.c.landing_night_id.is_not(None))
    return sorted(conn.execute(first).scalars())


def ids_of_step(conn: Connection, step_id: int) -> list[int]:
    """The first batch of each shard of one step."""
    first = select(func.min(batches.c.id)).where(batches.c.step_id == step_id).group_by(batches.c.shard)
    return sorted(conn.execute(first).scalars())


def next_shard(conn: Connection, step_id: int) -> int:
    """The number of a step's next shard."""
    last = conn.execute(select(func.max(batches.c.shard)).where(batches.c.step_id == step_id)).scalar()
    return 0 if last is None else int(last) + 1


def newest_of_shard(conn: Connection, batch_id: int) -> int:
    """The batch that a shard has come to: its repairs and fallbacks follow its first."""
    mine = select(batches.c.step_id, batches.c.shard).where(batches.c.id == batch_id).subquery()
    query = select(batches.c.id).where(batches.c.step_id == mine.c.step_id, batches.c.shard == mine.c.shard)
    newest: int = conn.execute(query.order_by(batches.c.attempt.desc()).limit(1)).scalar_one()
    return newest


def of_shard(conn: Connection, batch: Batch) -> list[Row]:
    """Every batch of a shard, oldest first."""
    query = select(batches).where(batches.c.step_id == batch["step_id"], batches.c.shard == batch["shard"])
    return list(conn.execute(query.order_by(batches.c.attempt)).mappings())


def unsent_items(conn: Connection, batch: Batch) -> list[int]:
    """Items of a shard that are still in the batch's night and in no batch of it that was sent: what a fallback left over."""
    mine = select(batches.c.id).where(batches.c.step_id == batch["step_id"], batches.c.shard == batch["shard"])
    sent = mine.where(batches.c.state != BatchState.REFUSED)

    def carried(by: Any) -> Any:
        asked = select(requests.c.id).where(requests.c.batch_id.in_(by))
        return select(request_items.c.item_id).where(request_items.c.request_id.in_(asked))

    query = select(items.c.id).where(
        items.c.id.in_(carried(mine)), items.c.id.not_in(carried(sent)), items.c.night_id == batch["home_night_id"],
        items.c.state.in_(_INSIDE),
    )  # fmt: skip
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def state_of(conn: Connection, batch_id: int) -> str:
    """Where one batch is."""
    state: str = conn.execute(select(batches.c.state).where(batches.c.id == batch_id)).scalar_one()
    return state


def hold(conn: Connection, batch_id: int) -> str:
    """The same, and nobody else changes it until the caller commits."""
    state: str = conn.execute(select(batches.c.state).where(batches.c.id == batch_id).with_for_update()).scalar_one()
    return state


def lines(conn: Connection, batch_id: int) -> Iterator[Row]:
    """The batch's requests with their prompt, one by one: custom_id, content, max_output_tokens, system, schema, model."""
    query = (
        select(
            requests.c.custom_id, requests.c.content, requests.c.max_output_tokens,
            prompts.c.system, prompts.c.schema, prompts.c.schema_name, batches.c.model, batches.c.cache_prefix,
        )
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(prompts, prompts.c.hash == requests.c.prompt_hash)
        .where(requests.c.batch_id == batch_id)
        .order_by(requests.c.id)
    )  # fmt: skip
    yield from conn.execute(query.execution_options(yield_per=500)).mappings()


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
    """Items of a batch that do not wait for it in its own, open night: sending them could buy them twice.

    An item waits when it is locked, when its earlier answer was no good and this batch repairs it, or when another step's
    batch, which asks something else, has it at a vendor.
    """
    batch = get(conn, batch_id)
    if batch["night_state"] != NightState.LOCKED:
        return list(conn.execute(_items_of(batch_id).order_by(items.c.id)).scalars())
    others = select(batches.c.id).where(batches.c.step_id == batch["step_id"], batches.c.id != batch_id)
    asked = select(requests.c.id).where(requests.c.batch_id.in_(others.where(batches.c.state.in_(_AT_VENDOR))))
    same_step = items.c.id.in_(select(request_items.c.item_id).where(request_items.c.request_id.in_(asked)))
    twice = (items.c.state == ItemState.SUBMITTED) & same_step
    elsewhere = items.c.state.not_in(_INSIDE) | (items.c.night_id != batch["home_night_id"]) | twice
    return list(conn.execute(_items_of(batch_id).where(elsewhere).order_by(items.c.id)).scalars())


def open_items(conn: Connection, batch: Batch) -> list[int]:
    """The batch's items that still wait for it in the night it lands in (the states of an item that has not left its night)."""
    query = _items_of(batch["id"]).where(items.c.night_id == batch["home_night_id"], items.c.state.in_(_INSIDE))
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def held_elsewhere(conn: Connection, batch: Batch) -> set[int]:
    """Items that another step's batch of the same night still asks about, or may be asking."""
    others = select(batches.c.id).where(
        _home == batch["home_night_id"], batches.c.step_id != batch["step_id"],
        batches.c.state.in_((BatchState.PLANNED, *_UNSETTLED)),
    )  # fmt: skip
    return _items_in(conn, others)


def _items_in(conn: Connection, which: Any) -> set[int]:
    asked = select(requests.c.id).where(requests.c.batch_id.in_(which))
    return set(conn.execute(select(request_items.c.item_id).where(request_items.c.request_id.in_(asked))).scalars())


def to_submit(conn: Connection, batch: Batch) -> list[int]:
    """Those of them that are not at a vendor yet: another step may have sent its own question about the same item."""
    query = _items_of(batch["id"]).where(items.c.night_id == batch["home_night_id"])
    query = query.where(items.c.state.in_((ItemState.LOCKED, ItemState.ANSWERED)))
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def doubtful_items(conn: Connection, batch_id: int) -> list[int]:
    """The batch's items that left their night in doubt and wait for it to settle."""
    query = _items_of(batch_id).where(items.c.state == ItemState.CARRIED_OVER, items.c.in_doubt)
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def unsettled_items(conn: Connection, night_id: int) -> set[int]:
    """Items of a night whose batch may be, or is, at the vendor and has not landed: nobody may send them again."""
    return set(conn.execute(_of_unsettled().where(_home == night_id)).scalars())


def at_a_vendor(conn: Connection, item_ids: Iterable[int]) -> set[int]:
    """Those of the items that a batch holds which has not settled, whatever its night."""
    held: set[int] = set()
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        held |= set(conn.execute(_of_unsettled().where(request_items.c.item_id.in_(chunk))).scalars())
    return held


def _of_unsettled() -> Select[Any]:
    """The items of batches that have not settled."""
    return (
        select(request_items.c.item_id)
        .join(requests, requests.c.id == request_items.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(batches.c.state.in_(_UNSETTLED))
    )


def unsettled_before(conn: Connection, workflow: str, night_id: int) -> list[int]:
    """Batches of a workflow's earlier, finished nights that a vendor may still answer for.

    Also one whose every row was changed meanwhile: it was paid for, and belongs on its night's bill.
    """
    query = (
        select(batches.c.id)
        .join(nights, nights.c.id == _home)
        .where(nights.c.workflow == workflow, nights.c.id != night_id, batches.c.state.in_(_UNSETTLED))
        .where(nights.c.state.not_in((NightState.OPEN, NightState.LOCKED)))
    )
    return sorted(conn.execute(query).scalars())


def tokens_waiting(conn: Connection, vendor: str, model: str) -> int:
    """Input tokens of ours that wait at a vendor for one model, as estimated when they were sent."""
    query = select(func.sum(batches.c.input_tokens)).where(
        batches.c.vendor == vendor, batches.c.model == model, batches.c.state.in_(_AT_VENDOR)
    )
    return int(conn.execute(query).scalar() or 0)


def _items_of(batch_id: int) -> Any:
    """Items of a batch, by membership and not by joins: SQLite would walk every item of the night for each request."""
    mine = select(requests.c.id).where(requests.c.batch_id == batch_id)
    return select(items.c.id).where(
        items.c.id.in_(select(request_items.c.item_id).where(request_items.c.request_id.in_(mine)))
    )  # fmt: skip


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


def release(conn: Connection, key: str, *, by: str, reason: str, now: datetime) -> int:
    """A person gives up a batch that its vendor never settled; its items may be bought again. Returns how many items.

    Raises:
        LedgerError: no such batch, or nobody doubts it, or its night is still at work on it.
    """
    batch_id = conn.execute(select(batches.c.id).where(batches.c.key == key)).scalar()
    batch = get(conn, batch_id) if batch_id is not None else None
    if batch is None or batch["state"] not in _UNSETTLED or batch["night_state"] in (NightState.OPEN, NightState.LOCKED):
        found = "there is none" if batch is None else f"it is {batch['state']!r}, its night {batch['night_state']!r}"
        raise LedgerError(
            f"Batch {key!r} cannot be released: {found}. Only a batch that left its night unsettled can be given up "
            "(`bin/overnight doubts` lists them). Nothing was changed."
        )
    ids = doubtful_items(conn, batch["id"])
    actor = Actor("human", by)
    move(conn, batch, BatchState.RELEASED, actor=actor, now=now, error=f"given up by {by}: {reason}"[:500])
    # What another unsettled batch holds, too, stays in doubt.
    held = _items_in(conn, select(batches.c.id).where(batches.c.state.in_(_UNSETTLED), batches.c.id != batch["id"]))
    ids = [item_id for item_id in ids if item_id not in held]
    conn.execute(update(items).where(items.c.id.in_(ids)).values(in_doubt=False))
    own = sorted(conn.execute(select(items.c.id).where(items.c.id.in_(ids), items.c.source == NIGHT)).scalars())
    message = "the night's own question was given up; no other night asks it"
    transitions.move(conn, "item", own, ItemState.REJECTED, workflow=batch["workflow"], actor=actor, now=now, message=message)
    detail = {"batch": key, "reason": reason[:200]}
    entries = (audit.Entry("release", "item", str(item_id), detail=detail) for item_id in ids)
    audit.append(conn, batch["workflow"], entries, actor=actor, now=now)
    return len(ids)


def doubts(conn: Connection) -> list[Row]:
    """Batches that left their night unsettled: the vendor may still answer for them."""
    query = (
        select(
            batches.c.key, batches.c.vendor, batches.c.model, batches.c.state, batches.c.vendor_batch_id, batches.c.intent_at,
            nights.c.workflow, nights.c.night, batches.c.id, batches.c.ceiling_usd,
        )
        .join(nights, nights.c.id == _home)
        .where(batches.c.state.in_(_UNSETTLED), nights.c.state.not_in((NightState.OPEN, NightState.LOCKED)))
        .order_by(batches.c.id)
    )  # fmt: skip
    return list(conn.execute(query).mappings())
