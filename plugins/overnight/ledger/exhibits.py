"""What stands on a surface: each row, page or record that shows an item of a night, and what was said beside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from overnight.ledger.nights import Night
from overnight.ledger.review_tables import exhibits
from overnight.ledger.reviews import BY_HAND
from overnight.ledger.rows import Row
from overnight.ledger.states import ItemState, NightState
from overnight.ledger.tables import IN_REVIEW, items, nights

OPEN_DAYS = 7
"""How long a night is looked at after its export when nothing of it waits any more (a failed item may still be sent back)."""


def in_review(conn: Connection, surface: str, now: datetime) -> list[Night]:
    """The nights whose decisions are looked for on this surface: those with an undecided item, and the last days' nights."""
    undecided = select(items.c.night_id).where(IN_REVIEW | ((items.c.state == ItemState.FAILED) & (items.c.bucket == BY_HAND)))
    recent = nights.c.exported_at >= now - timedelta(days=OPEN_DAYS)
    query = select(nights).where(
        nights.c.surface == surface, nights.c.state.in_([NightState.EXPORTED, NightState.CLOSED]),
        recent | nights.c.id.in_(undecided),
    )  # fmt: skip
    return list(conn.execute(query.order_by(nights.c.id)).mappings())


def of_night(conn: Connection, night_id: int) -> dict[str, Row]:
    """The night's exhibits by their ref."""
    query = select(exhibits).where(exhibits.c.night_id == night_id)
    return {row["ref"]: row for row in conn.execute(query).mappings()}


def keep(conn: Connection, night_id: int, surface: str, shown: Sequence[Row], now: datetime) -> None:
    """Write down what stands there now: ref, item_id, place, shown_hash and link; known refs are brought up to date."""
    known = of_night(conn, night_id)
    for row in {row["ref"]: row for row in shown}.values():  # a person may have copied one already
        values = {k: row.get(k) for k in ("item_id", "place", "shown_hash", "link")}
        if row["ref"] in known:
            conn.execute(update(exhibits).where(exhibits.c.id == known[row["ref"]]["id"]).values(values))
        else:
            fresh = {**values, "night_id": night_id, "ref": row["ref"], "surface": surface, "shown_at": now}
            conn.execute(insert(exhibits).values(fresh))


def said(conn: Connection, words: Mapping[int, str]) -> None:
    """What stands beside exhibits now, by their id."""
    for exhibit_id, text in words.items():
        conn.execute(update(exhibits).where(exhibits.c.id == exhibit_id).values(said=text))


def count(conn: Connection, night_id: int) -> int:
    """How many of the night's items are shown by themselves."""
    query = select(func.count()).where(exhibits.c.night_id == night_id, exhibits.c.item_id.is_not(None))
    return int(conn.execute(query).scalar_one())
