"""Items at the queue's end of their life: what is known of a row, what waits, what is new."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from overnight.ledger import bulk, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.batches import NIGHT
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState
from overnight.ledger.tables import items, nights

REPLACED = "replaced: the row was changed before it was locked"
"""What is said of a version that another took the place of: no text of the row's, and a row may be changed back to it."""
WITHDRAWN = "withdrawn: the row was taken out of the queue while it waited"
WAITING_STATES = (ItemState.WAITING, ItemState.CARRIED_OVER, ItemState.REWORK)


def known_rows(conn: Connection, workflow: str, source: str, keys: Iterable[str]) -> dict[str, list[Row]]:
    """What the ledger holds for these row ids, newest last: id, content_hash, state, message, priority and the night's label."""
    found: dict[str, list[Row]] = defaultdict(list)
    columns = (items.c.id, items.c.key, items.c.content_hash, items.c.state, items.c.message, items.c.priority, nights.c.night)
    for chunk in transitions.chunks(keys, transitions.CHUNK):
        query = (
            select(*columns)
            .outerjoin(nights, nights.c.id == items.c.night_id)
            .where(items.c.workflow == workflow, items.c.source == source, items.c.key.in_(chunk))
            .order_by(items.c.id)
        )
        for row in conn.execute(query).mappings():
            found[row["key"]].append(row)
    return found


def add(conn: Connection, rows: Iterable[Row], state: ItemState, *, workflow: str, actor: Actor, now: datetime) -> list[int]:
    """New rows of the queue, in `state`; returns their ids in the order given."""
    ids: list[int] = []
    for chunk in transitions.chunks(rows, transitions.CHUNK):
        bulk.insert(conn, items, [{**row, "workflow": workflow, "state": state, "created_at": now} for row in chunk])
        ids += _ids_of(conn, workflow, chunk)
    transitions.created(conn, "item", ids, state, workflow=workflow, actor=actor, now=now)
    return ids


def _ids_of(conn: Connection, workflow: str, rows: Sequence[Row]) -> list[int]:
    """The ids of rows that are in the ledger, in the order given: found by what no two items share."""
    unique = (items.c.source, items.c.key, items.c.content_hash)
    query = select(items.c.id, *unique).where(items.c.workflow == workflow, items.c.key.in_({row["key"] for row in rows}))
    there = {(source, key, content_hash): item_id for item_id, source, key, content_hash in conn.execute(query)}
    return [there[row["source"], row["key"], row["content_hash"]] for row in rows]


def waiting(conn: Connection, workflow: str) -> list[Row]:
    """Items that may be locked tonight: waiting, carried over or sent back, and not in doubt at a vendor.

    What a night made itself (its question about all others) is no other night's to ask.
    """
    columns = (
        items.c.id, items.c.source, items.c.source_ref, items.c.key, items.c.content_hash, items.c.state,
        items.c.priority, items.c.nights_waited, items.c.input, items.c.context, items.c.note, items.c.output,
        items.c.message,
    )  # fmt: skip
    query = select(*columns).where(items.c.workflow == workflow, items.c.state.in_(WAITING_STATES), items.c.in_doubt.is_(False))
    return list(conn.execute(query.where(items.c.source != NIGHT).order_by(items.c.id)).mappings())


def gone(conn: Connection, workflow: str, source: str, there: Set[str]) -> list[int]:
    """What waits of this source and whose row is not among those that are `there`.

    What a reviewer sent back is asked for by the review, not by the row; what may be at a vendor is paid for.
    """
    query = select(items.c.id, items.c.key).where(
        items.c.workflow == workflow, items.c.source == source, items.c.in_doubt.is_(False), items.c.note.is_(None),
        items.c.state.in_((ItemState.WAITING, ItemState.CARRIED_OVER)),
    )  # fmt: skip
    return [item_id for item_id, key in conn.execute(query.order_by(items.c.id)) if key not in there]


def say(conn: Connection, messages: Mapping[int, str]) -> None:
    """Keep the words each row's person is told, so that a second run of the drain says the same."""
    said = ({"item_id": item_id, "message": message} for item_id, message in messages.items())
    for chunk in transitions.chunks(said, transitions.CHUNK):
        conn.execute(update(items).where(items.c.id == bindparam("item_id")), chunk)


def write_again(conn: Connection, texts: Mapping[int, tuple[Row, str | None]]) -> None:
    """The texts of rows that come back: by age they may have been removed meanwhile."""
    for item_id, (given, context) in texts.items():
        conn.execute(update(items).where(items.c.id == item_id).values(input=given, context=context, texts_removed_at=None))


def urge(conn: Connection, priorities: Mapping[int, int]) -> None:
    """Somebody changed the priority of rows: it holds for what still waits."""
    for priority in set(priorities.values()):
        ids = [item_id for item_id, wanted in priorities.items() if wanted == priority]
        for chunk in transitions.chunks(ids, transitions.CHUNK):
            waits = items.c.id.in_(chunk) & items.c.state.in_(WAITING_STATES)
            conn.execute(update(items).where(waits).values(priority=priority))


def refused(conn: Connection, night_id: int, beginning: str) -> list[str]:
    """The ids of the rows that a night refused in words that begin so."""
    mine = (items.c.night_id == night_id) & (items.c.state == ItemState.REJECTED)
    query = select(items.c.key).where(mine, items.c.message.startswith(beginning, autoescape=True))
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def age(conn: Connection, ids: Iterable[int]) -> None:
    """One more night waited: the order lets these rise."""
    for chunk in transitions.chunks(ids, transitions.CHUNK):
        conn.execute(update(items).where(items.c.id.in_(chunk)).values(nights_waited=items.c.nights_waited + 1))


def by_ids(conn: Connection, ids: Iterable[int]) -> list[Row]:
    """Whole item rows, in the order of their ids."""
    rows: list[Row] = []
    for chunk in transitions.chunks(sorted(ids), transitions.CHUNK):
        rows += conn.execute(select(items).where(items.c.id.in_(chunk)).order_by(items.c.id)).mappings()
    return rows
