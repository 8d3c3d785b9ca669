"""A night's items as a line of people walks along it: riskiest first, what is open, who stands before what."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, func, or_, select, tuple_

from overnight.ledger.review_tables import holds
from overnight.ledger.reviews import BY_HAND, COVERED
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState
from overnight.ledger.tables import decisions, items

_SHOWN = (ItemState.STAGED, ItemState.IN_REVIEW, ItemState.APPROVED, ItemState.EDITED, ItemState.REWORK, ItemState.DELIVERED,
          ItemState.FAILED)  # fmt: skip
_PLACE = tuple_(items.c.position, items.c.id)
_DECIDED = exists().where(
    decisions.c.item_id == items.c.id, decisions.c.night_id == items.c.night_id, decisions.c.superseded_at.is_(None)
)
_OPEN = (
    or_(items.c.state == ItemState.IN_REVIEW, (items.c.state == ItemState.FAILED) & (items.c.bucket == BY_HAND))
    & (items.c.bucket != COVERED)
    & ~_DECIDED
)
"""Waits for a decision of its own: in review or left to a person, not spoken for by the digest, not decided."""


def page(
    conn: Connection, night_id: int, buckets: Iterable[str], *, only_open: bool = False, limit: int, offset: int = 0
) -> list[Row]:
    """The items of some buckets, whole, in the order of the line; failed ones too, never dropped."""
    query = _in(select(items), night_id, buckets).order_by(items.c.position, items.c.id).limit(limit).offset(offset)
    return list(conn.execute(query.where(_OPEN) if only_open else query).mappings())


def counts(conn: Connection, night_id: int) -> dict[str, tuple[int, int]]:
    """How many items each bucket holds, and how many of them are open."""
    total = (
        select(items.c.bucket, func.count())
        .where(items.c.night_id == night_id, items.c.bucket.is_not(None), items.c.state.in_(_SHOWN))
        .group_by(items.c.bucket)
    )
    waiting = select(items.c.bucket, func.count()).where(items.c.night_id == night_id, _OPEN).group_by(items.c.bucket)
    left = {name: count for name, count in conn.execute(waiting)}
    return {name: (count, left.get(name, 0)) for name, count in conn.execute(total)}


def left(conn: Connection, night_ids: Sequence[int]) -> dict[int, int]:
    """How many items of each night are open."""
    query = select(items.c.night_id, func.count()).where(items.c.night_id.in_(night_ids), _OPEN).group_by(items.c.night_id)
    return {night_id: count for night_id, count in conn.execute(query)}


def covered(conn: Connection, night_ids: Sequence[int]) -> dict[int, int]:
    """How many items of each night wait for the digest's decision."""
    digest = exists().where(
        decisions.c.night_id == items.c.night_id, decisions.c.item_id.is_(None), decisions.c.superseded_at.is_(None)
    )
    waits = (items.c.bucket == COVERED) & (items.c.state == ItemState.IN_REVIEW) & ~_DECIDED & ~digest
    query = select(items.c.night_id, func.count()).where(items.c.night_id.in_(night_ids), waits).group_by(items.c.night_id)
    return {night_id: count for night_id, count in conn.execute(query)}


def next_open(conn: Connection, night_id: int, person: str, *, now: datetime, after: int | None = None) -> int | None:
    """The next open item of the line that nobody else has before them: behind `after`, else from the front."""
    taken = exists().where(holds.c.item_id == items.c.id, holds.c.until > now, holds.c.person != person)
    query = select(items.c.id).where(items.c.night_id == night_id, _OPEN, ~taken).order_by(items.c.position, items.c.id).limit(1)
    place = _place(conn, after)
    behind = conn.execute(query.where(place < _PLACE)).scalar() if place is not None else None
    return behind if behind is not None else conn.execute(query.where(items.c.id != (after or 0))).scalar()


def neighbours(conn: Connection, night_id: int, item_id: int) -> tuple[int | None, int | None, int]:
    """The items before and behind one in the line, decided or not, and its number in it (the first is 1)."""
    place = _place(conn, item_id)
    base = _in(select(items.c.id), night_id, None).where(items.c.bucket != COVERED)
    before = base.where(place > _PLACE).order_by(items.c.position.desc(), items.c.id.desc()).limit(1)
    behind = base.where(place < _PLACE).order_by(items.c.position, items.c.id).limit(1)
    number = conn.execute(select(func.count()).select_from(base.where(place > _PLACE).subquery())).scalar_one()
    return conn.execute(before).scalar(), conn.execute(behind).scalar(), number + 1


def decided_at(conn: Connection, person: str, since: datetime) -> list[datetime]:
    """When a person decided on the page since then, in any night."""
    query = select(decisions.c.decided_at).where(
        decisions.c.reviewer == person, decisions.c.decided_at >= since, decisions.c.surface == "page"
    )
    return list(conn.execute(query.order_by(decisions.c.decided_at)).scalars())


def of_items(conn: Connection, night_id: int, item_ids: Sequence[int]) -> dict[int, Row]:
    """The decisions that count, of these items."""
    query = select(decisions).where(
        decisions.c.night_id == night_id, decisions.c.item_id.in_(item_ids), decisions.c.superseded_at.is_(None)
    )
    return {row["item_id"]: row for row in conn.execute(query).mappings()}


def of_digest(conn: Connection, night_id: int) -> Row | None:
    """The decision on the digest that counts."""
    query = select(decisions).where(
        decisions.c.night_id == night_id, decisions.c.item_id.is_(None), decisions.c.superseded_at.is_(None)
    )
    return conn.execute(query).mappings().one_or_none()


def _in(query: Select[Any], night_id: int, buckets: Iterable[str] | None) -> Select[Any]:
    query = query.where(items.c.night_id == night_id, items.c.state.in_(_SHOWN), items.c.bucket.is_not(None))
    return query if buckets is None else query.where(items.c.bucket.in_(list(buckets)))


def _place(conn: Connection, item_id: int | None) -> Any:
    row = conn.execute(select(items.c.position, items.c.id).where(items.c.id == item_id)).one_or_none() if item_id else None
    return None if row is None else tuple_(row.position, row.id)
