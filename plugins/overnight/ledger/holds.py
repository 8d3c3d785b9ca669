"""Who has which item of a review before them. A hold is a lease: whoever walks away lets go of it in minutes."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from overnight.ledger.review_tables import holds
from overnight.ledger.rows import Row
from overnight.ledger.tables import items

FOR = timedelta(minutes=5)
"""A page that is open renews its hold every minute; a closed one is free after this."""


def hold(conn: Connection, night_id: int, item_id: int, person: str, *, now: datetime, take: bool = False) -> Row | None:
    """Hold an item for a person, or renew their hold; returns whoever holds it instead (person, since), or None.

    Args:
        take: also where somebody else holds it.
    """
    # The item's row is the lock: a decision takes it, too.
    mine = conn.execute(select(items.c.id).where(items.c.id == item_id, items.c.night_id == night_id).with_for_update()).scalar()
    if mine is None:
        return None
    there = conn.execute(select(holds).where(holds.c.item_id == item_id)).mappings().one_or_none()
    values = {"night_id": night_id, "person": person, "since": now, "until": now + FOR}
    if there is None:
        conn.execute(insert(holds).values(item_id=item_id, **values))
        return None
    if there["person"] != person and there["until"] > now and not take:
        return dict(there)
    same = there["person"] == person and there["until"] > now
    conn.execute(update(holds).where(holds.c.item_id == item_id).values({**values, "since": there["since"] if same else now}))
    return None


def held(conn: Connection, night_id: int, *, now: datetime) -> dict[int, Row]:
    """What is held in a night, by item."""
    query = select(holds).where(holds.c.night_id == night_id, holds.c.until > now)
    return {row["item_id"]: dict(row) for row in conn.execute(query).mappings()}


def let_go(conn: Connection, item_id: int, person: str) -> None:
    """Give up one's own hold of an item."""
    conn.execute(delete(holds).where(holds.c.item_id == item_id, holds.c.person == person))
