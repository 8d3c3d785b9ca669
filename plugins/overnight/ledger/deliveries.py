"""What was handed out: a delivery's items are fixed before its files are written, and moved when they are in place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, tuple_, update

from overnight.ledger import transitions
from overnight.ledger.audit import Actor
from overnight.ledger.review_tables import deliveries, delivery_items
from overnight.ledger.rows import Row
from overnight.ledger.states import DeliveryState, ItemState
from overnight.ledger.tables import decisions, items, nights

_GOOD = (ItemState.APPROVED, ItemState.EDITED)


def workflows_with_approved(conn: Connection) -> list[str]:
    """The workflows that have something to hand out, or began to and were interrupted."""
    fixed = select(delivery_items.c.item_id)
    fresh = select(items.c.workflow).where(items.c.state.in_(_GOOD), items.c.id.not_in(fixed)).distinct()
    begun = select(deliveries.c.workflow).where(deliveries.c.state == DeliveryState.PLANNED).distinct()
    return sorted({*conn.execute(fresh).scalars(), *conn.execute(begun).scalars()})


def planned(conn: Connection, workflow: str) -> list[Row]:
    """Deliveries that were begun and are not in place."""
    query = select(deliveries).where(deliveries.c.workflow == workflow, deliveries.c.state == DeliveryState.PLANNED)
    return list(conn.execute(query.order_by(deliveries.c.id)).mappings())


def plan(
    conn: Connection, workflow: str, targets: Sequence[str], folder: str, *, actor: Actor, now: datetime,
    stopped: Sequence[str] = (),
) -> int | None:  # fmt: skip
    """Fix which approved items go out together; None when there are none. From here on no other delivery takes them.

    Args:
        stopped: prompt versions (their beginnings) that a kill switch stops: what was written under one of them stays.
    """
    taken = select(delivery_items.c.item_id)
    query = select(items.c.id).where(items.c.workflow == workflow, items.c.state.in_(_GOOD), items.c.id.not_in(taken))
    for version in stopped:
        query = query.where(items.c.night_id.not_in(select(nights.c.id).where(nights.c.prompt_version.startswith(version))))
    ids = list(conn.execute(query.order_by(items.c.id).with_for_update()).scalars())
    if not ids:
        return None
    values = {
        "workflow": workflow, "targets": ",".join(targets), "folder": "", "state": DeliveryState.PLANNED, "planned_at": now,
    }  # fmt: skip
    delivery_id: int = conn.execute(insert(deliveries).values(values).returning(deliveries.c.id)).scalar_one()
    named = f"{folder}-{delivery_id:04d}"
    conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(folder=named))
    conn.execute(insert(delivery_items), [{"delivery_id": delivery_id, "item_id": item_id} for item_id in ids])
    detail = {"items": len(ids), "targets": list(targets)}
    transitions.created(
        conn, "delivery", [delivery_id], DeliveryState.PLANNED, workflow=workflow, actor=actor, now=now, detail=detail
    )
    return delivery_id


def contents(conn: Connection, delivery_id: int) -> list[dict[str, Any]]:
    """Everything a delivery hands out, with who approved it, when, and on what: one row an item, in the order of their ids."""
    query = (
        select(items, nights.c.night, nights.c.prompt_version)
        .join(delivery_items, delivery_items.c.item_id == items.c.id)
        .join(nights, nights.c.id == items.c.night_id)
        .where(delivery_items.c.delivery_id == delivery_id)
        .order_by(items.c.id)
    )
    rows = list(conn.execute(query).mappings())
    newest = _newest(conn, delivery_id)
    decided = _decided(conn, sorted({row["night_id"] for row in rows}))
    return [
        {**row, "decision": decided.get((row["night_id"], row["id"]), decided.get((row["night_id"], None))),
         "overtaken": row["id"] != newest[row["source"], row["key"]]}
        for row in rows
    ]  # fmt: skip


def _newest(conn: Connection, delivery_id: int) -> dict[tuple[str, str], int]:
    """Of each queue row the item of the latest night that went out with a delivery or before it."""
    mine = select(items.c.source, items.c.key).join(delivery_items, delivery_items.c.item_id == items.c.id)
    mine = mine.where(delivery_items.c.delivery_id == delivery_id)
    query = (
        select(items.c.source, items.c.key, items.c.id)
        .join(delivery_items, delivery_items.c.item_id == items.c.id)
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(delivery_items.c.delivery_id <= delivery_id, tuple_(items.c.source, items.c.key).in_(mine))
        .where(deliveries.c.workflow == select(deliveries.c.workflow).where(deliveries.c.id == delivery_id).scalar_subquery())
        .order_by(items.c.night_id, items.c.id)
    )
    return {(source, key): item_id for source, key, item_id in conn.execute(query)}


def _decided(conn: Connection, night_ids: Sequence[int]) -> dict[tuple[int, int | None], Row]:
    query = select(decisions).where(decisions.c.night_id.in_(night_ids), decisions.c.superseded_at.is_(None))
    return {(row["night_id"], row["item_id"]): row for row in conn.execute(query).mappings()}


def written(conn: Connection, delivery: Row, sha256: str, *, actor: Actor, now: datetime) -> int:
    """The files are in place: the delivery and its items move together; returns how many items."""
    common: dict[str, Any] = {"workflow": delivery["workflow"], "actor": actor, "now": now}
    query = select(delivery_items.c.item_id).where(delivery_items.c.delivery_id == delivery["id"])
    ids = list(conn.execute(query.order_by(delivery_items.c.item_id)).scalars())
    transitions.move(
        conn, "delivery", [delivery["id"]], DeliveryState.WRITTEN, written_at=now, sha256=sha256,
        detail={"sha256": sha256}, **common,
    )  # fmt: skip
    return transitions.move(conn, "item", ids, ItemState.DELIVERED, detail={"delivery": delivery["id"]}, **common)


def get(conn: Connection, delivery_id: int) -> Row:
    """One delivery."""
    return conn.execute(select(deliveries).where(deliveries.c.id == delivery_id)).mappings().one()


def newest(conn: Connection, limit: int = 50) -> list[Row]:
    """The last deliveries, newest first."""
    return list(conn.execute(select(deliveries).order_by(deliveries.c.id.desc()).limit(limit)).mappings())
