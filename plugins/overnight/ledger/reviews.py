"""The morning: what is staged for review, and what people decided. A decision is a row; nothing undecided is approved."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, update

from overnight.ledger import audit, transitions
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.errors import LedgerError
from overnight.ledger.governance_tables import assents
from overnight.ledger.rows import Row
from overnight.ledger.states import MOVES, ItemState, NightState
from overnight.ledger.tables import decisions, items, nights

DECISIONS = ("approve", "edit", "rework")
BY_HAND = "by_hand"
"""The bucket of items that were sent back as often as may be: a person's own version ends them, nothing else does."""
COVERED = "covered"
"""The bucket of items that the digest speaks for: a decision on the digest is a decision on each of them."""


class DecisionRefused(LedgerError):
    """A decision that cannot be taken; the words say why and what to do."""


def stage(conn: Connection, placements: Iterable[Row]) -> None:
    """Where the review shows each staged item: bucket, position, output and its hash (id in `item_id`)."""
    for chunk in transitions.chunks(placements, transitions.CHUNK):
        conn.execute(update(items).where(items.c.id == bindparam("item_id")), chunk)


def entries(
    conn: Connection, night_id: int, buckets: Iterable[str] | None = None, limit: int = 200, offset: int = 0
) -> list[Row]:
    """A part of the night's items as the review shows them, riskiest first."""
    query = _shown(night_id)
    if buckets is not None:
        query = query.where(items.c.bucket.in_(list(buckets)))
    return list(conn.execute(query.limit(limit).offset(offset)).mappings())


def every_entry(conn: Connection, night_id: int) -> Iterator[Row]:
    """All of them, one at a time: a large night is not held as a whole."""
    yield from conn.execute(_shown(night_id).execution_options(yield_per=500)).mappings()


def _shown(night_id: int) -> Select[Any]:
    """What a review shows of a night; failed items, too, never dropped."""
    shown = (ItemState.STAGED, ItemState.IN_REVIEW, ItemState.APPROVED, ItemState.EDITED, ItemState.REWORK,
             ItemState.DELIVERED, ItemState.FAILED)  # fmt: skip
    query = select(items).where(items.c.night_id == night_id, items.c.state.in_(shown), items.c.bucket.is_not(None))
    return query.order_by(items.c.position, items.c.id)


def bucket_counts(conn: Connection, night_id: int) -> dict[str, int]:
    """How many items each bucket of the night holds."""
    query = (
        select(items.c.bucket, func.count())
        .where(items.c.night_id == night_id, items.c.bucket.is_not(None))
        .group_by(items.c.bucket)
    )
    return {name: count for name, count in conn.execute(query)}


def effective(conn: Connection, night_id: int) -> dict[int | None, Row]:
    """The decisions that count, by item; the digest's own under None."""
    query = select(decisions).where(decisions.c.night_id == night_id, decisions.c.superseded_at.is_(None))
    return {row["item_id"]: row for row in conn.execute(query).mappings()}


def decide(
    conn: Connection, night_id: int, item_id: int | None, decision: Row, *, actor: Actor, now: datetime, night: Row | None = None
) -> int:
    """Write one decision: decision, reviewer, surface and, as they apply, reason_code, note, edited and output_hash.

    Whose yes is due is asked before, by `review.deciding`: every surface comes through there.

    Raises:
        DecisionRefused: not in review, decided by someone else, already collected, or made on another version.
    """
    if night is None:
        night = conn.execute(select(nights).where(nights.c.id == night_id)).mappings().one_or_none()
    if night is None:
        raise DecisionRefused("This night is not in review. Nothing was decided; open the list of nights.")
    if item_id is None:
        _refuse_night(night, decision)
    else:
        open_to(conn, night, item_id, decision)
    _supersede(conn, night_id, item_id, decision["reviewer"], now)
    values = {**decision, "night_id": night_id, "item_id": item_id, "decided_at": now}
    decision_id: int = conn.execute(insert(decisions).values(values).returning(decisions.c.id)).scalar_one()
    target = Entry(
        "decide", "item" if item_id else "digest", str(item_id or night_id),
        detail={"decision": decision["decision"], "reason": decision.get("reason_code") or "", "surface": decision["surface"]},
    )  # fmt: skip
    audit.append(conn, night["workflow"], [target], actor=actor, now=now)
    return decision_id


def _refuse_night(night: Row, decision: Row) -> None:
    if night["state"] not in (NightState.EXPORTED, NightState.CLOSED):
        raise DecisionRefused("This night is not in review. Nothing was decided; open the list of nights.")
    if decision["decision"] not in DECISIONS:
        raise DecisionRefused(
            f"{decision['decision']!r} is no decision. Allowed are {', '.join(DECISIONS)}. Nothing was decided."
        )


def open_to(conn: Connection, night: Row, item_id: int, decision: Row) -> Row:
    """The item as it is now, held until the caller commits, where this decision may be taken on it.

    Raises:
        DecisionRefused: it is not of this night's review, is past it, or is another version than the decision was made on.
    """
    _refuse_night(night, decision)
    item = conn.execute(select(items).where(items.c.id == item_id).with_for_update()).mappings().one_or_none()
    if item is None or item["night_id"] != night["id"]:
        raise DecisionRefused("This item is not in this night's review. Nothing was decided; reload the page.")
    if item["bucket"] == BY_HAND and decision["decision"] != "edit":
        raise DecisionRefused("It was sent back as often as may be: write it yourself, and choose edit. Nothing was decided.")
    if item["state"] == ItemState.FAILED and item["bucket"] != BY_HAND and decision["decision"] != "rework":
        raise DecisionRefused("This item failed: there is nothing to approve. It can be sent back for rework.")
    if item["state"] not in (ItemState.IN_REVIEW, ItemState.FAILED):
        raise DecisionRefused(f"This item is already {item['state']}. Nothing was changed; reload the page.")
    if decision.get("output_hash") not in (None, item["output_hash"]):
        raise DecisionRefused("The draft changed after you opened it. Nothing was decided; reload and look again.")
    return item


def _supersede(conn: Connection, night_id: int, item_id: int | None, reviewer: str, now: datetime) -> bool:
    """A reviewer may change their mind until it is collected; nobody's decision is overwritten by someone else (law 5).

    Returns:
        Whether there was a decision of theirs.
    """
    earlier = _standing(conn, night_id, item_id)
    if earlier is None:
        return False
    if earlier["collected_at"] is not None:
        raise DecisionRefused("This decision was collected already and went on its way. Nothing was changed.")
    if earlier["reviewer"] != reviewer:
        raise DecisionRefused(
            f"{earlier['reviewer']} decided this: {earlier['decision']}. Nothing was changed; talk to them first."
        )
    conn.execute(update(decisions).where(decisions.c.id == earlier["id"]).values(superseded_at=now))
    return True


def _standing(conn: Connection, night_id: int, item_id: int | None) -> Row | None:
    same = decisions.c.item_id == item_id if item_id is not None else decisions.c.item_id.is_(None)
    query = select(decisions).where(decisions.c.night_id == night_id, same, decisions.c.superseded_at.is_(None))
    return conn.execute(query.with_for_update()).mappings().one_or_none()


def undo(conn: Connection, night_id: int, item_id: int | None, person: str, *, actor: Actor, now: datetime) -> str:
    """Take back a person's own decision, or their first yes, that has not gone on its way; returns what was taken back.

    Raises:
        DecisionRefused: there is none of theirs, or it was collected.
    """
    night = conn.execute(select(nights).where(nights.c.id == night_id)).mappings().one_or_none()
    held = (
        conn.execute(select(items).where(items.c.id == item_id).with_for_update()).mappings().one_or_none() if item_id else None
    )
    if night is None or (item_id is not None and (held is None or held["night_id"] != night_id)):
        raise DecisionRefused("This item is not in this night's review. Nothing was changed.")
    there = _standing(conn, night_id, item_id)
    if there is not None:
        _supersede(conn, night_id, item_id, person, now)
        said: str = there["decision"]
    else:
        mine = (assents.c.item_id == item_id) & (assents.c.person == person)
        if held is None or not conn.execute(delete(assents).where(mine, assents.c.output_hash == held["output_hash"])).rowcount:
            raise DecisionRefused("There is no decision of yours to take back here. Nothing was changed.")
        said = "assent"
    entry = Entry("undo", "item" if item_id else "digest", str(item_id or night_id), detail={"decision": said})
    audit.append(conn, night["workflow"], [entry], actor=actor, now=now)
    return said


def newest_of(conn: Connection, night_id: int, person: str) -> Row | None:
    """The last decision of a person in a night that stands and has not gone on its way."""
    query = select(decisions).where(
        decisions.c.night_id == night_id, decisions.c.reviewer == person, decisions.c.superseded_at.is_(None),
        decisions.c.collected_at.is_(None),
    )  # fmt: skip
    return conn.execute(query.order_by(decisions.c.id.desc()).limit(1)).mappings().one_or_none()


def uncollected(conn: Connection, surface: str) -> list[Row]:
    """Decisions on a surface that have not gone on their way, oldest first."""
    query = (
        select(decisions, nights.c.workflow)
        .join(nights, nights.c.id == decisions.c.night_id)
        .where(decisions.c.surface == surface, decisions.c.superseded_at.is_(None), decisions.c.collected_at.is_(None))
        .order_by(decisions.c.item_id.is_(None), decisions.c.id)  # a decision of an item's own comes before its digest's
    )
    return list(conn.execute(query).mappings())


def claim(conn: Connection, decision_id: int) -> Row | None:
    """A decision to be collected now, locked; None when it was changed or collected meanwhile."""
    # The item first, as whoever decides does it: each would otherwise wait for what the other holds.
    of_item = select(decisions.c.item_id).where(decisions.c.id == decision_id)
    conn.execute(select(items.c.id).where(items.c.id == of_item.scalar_subquery()).with_for_update())
    query = (
        select(decisions, nights.c.workflow)
        .join(nights, nights.c.id == decisions.c.night_id)
        .where(decisions.c.id == decision_id, decisions.c.superseded_at.is_(None), decisions.c.collected_at.is_(None))
    )
    return conn.execute(query.with_for_update(of=decisions)).mappings().one_or_none()


def movable(conn: Connection, item_ids: Iterable[int], to: ItemState) -> list[int]:
    """Those of the items that may go to `to` from where they are."""
    from_states = [state for state, targets in MOVES["item"].items() if to in targets]
    ids: list[int] = []
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        query = select(items.c.id).where(items.c.id.in_(chunk), items.c.state.in_(from_states)).order_by(items.c.id)
        ids += conn.execute(query).scalars()
    return ids


def covered_ids(conn: Connection, night_id: int) -> list[int]:
    """The items the night's digest speaks for that are still in review."""
    query = select(items.c.id).where(
        items.c.night_id == night_id, items.c.bucket == COVERED, items.c.state == ItemState.IN_REVIEW
    )
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def assent(conn: Connection, night: Row, item: Row, person: str, *, surface: str, actor: Actor, now: datetime) -> None:
    """Keep one person's yes to a draft that needs two; the same person's again changes nothing.

    Args:
        item: as `open_to` gave it. What the person had decided about it before is taken back; somebody else's decision stands.

    Raises:
        DecisionRefused: it is decided.
    """
    changed, there = _supersede(conn, night["id"], item["id"], person, now), person in assents_to(conn, item)
    if there and not changed:
        return
    if not there:
        values = {"night_id": night["id"], "item_id": item["id"], "output_hash": item["output_hash"], "person": person}
        conn.execute(insert(assents).values(**values, surface=surface, said_at=now))
    entry = Entry("assent", "item", str(item["id"]), detail={"tier": item["tier"] or "", "surface": surface})
    audit.append(conn, night["workflow"], [entry], actor=actor, now=now)


def assents_to(conn: Connection, item: Row) -> list[str]:
    """Who said yes to an item's draft as it is now, in that order."""
    query = select(assents.c.person).where(assents.c.item_id == item["id"], assents.c.output_hash == item["output_hash"])
    return list(conn.execute(query.order_by(assents.c.id)).scalars())


def speak_for_all(conn: Connection, night: Row, *, surface: str, actor: Actor, now: datetime) -> None:
    """All that was ready is decided by one row: it has spoken, and does not speak for what is left."""
    audit.append(
        conn, night["workflow"], [Entry("decide", "ready", str(night["id"]), detail={"surface": surface})], actor=actor, now=now
    )


def has_spoken(conn: Connection, night_id: int) -> bool:
    """Whether the night's row for all that is ready was taken."""
    return bool(audit.of_object(conn, "ready", str(night_id)))


def assents_on(conn: Connection, night_ids: Sequence[int], surface: str) -> list[tuple[int, int]]:
    """(night, item) of the first yeses of these nights that were said on a surface."""
    query = select(assents.c.night_id, assents.c.item_id).where(assents.c.night_id.in_(night_ids), assents.c.surface == surface)
    return [(row.night_id, row.item_id) for row in conn.execute(query.distinct().order_by(assents.c.item_id))]


def withdraw(conn: Connection, night: Row, item_id: int, surface: str, *, actor: Actor, now: datetime) -> None:
    """Take back the yeses to an item that were said on a surface and stand there no more."""
    mine = (assents.c.item_id == item_id) & (assents.c.night_id == night["id"]) & (assents.c.surface == surface)
    if conn.execute(delete(assents).where(mine)).rowcount:
        entry = Entry("undo", "item", str(item_id), detail={"decision": "assent", "surface": surface})
        audit.append(conn, night["workflow"], [entry], actor=actor, now=now)


def waiting_for_a_second(conn: Connection, night_id: int) -> dict[int, list[str]]:
    """Items of a night that have a yes and no decision yet, with who said it."""
    query = (
        select(assents.c.item_id, assents.c.person)
        .join(items, (items.c.id == assents.c.item_id) & (items.c.output_hash == assents.c.output_hash))
        .where(assents.c.night_id == night_id, items.c.state == ItemState.IN_REVIEW)
        .order_by(assents.c.id)
    )
    found: dict[int, list[str]] = {}
    for item_id, person in conn.execute(query):
        found.setdefault(item_id, []).append(person)
    return found


def refuse(
    conn: Connection, workflow: str, object_id: str, words: str, *, reviewer: str, surface: str, policy_hash: str, now: datetime
) -> None:  # fmt: skip
    """Put a refused decision on record (law 6); its words carry nothing of the item's text."""
    entry = Entry("refuse", "item", object_id, detail={"surface": surface, "why": words[:300]})
    audit.append(conn, workflow, [entry], actor=Actor("human", reviewer or "unknown", policy_hash=policy_hash), now=now)


def leave_to_a_person(
    conn: Connection, workflow: str, item_ids: Iterable[int], *, note: str | None, message: str, actor: Actor, now: datetime
) -> int:  # fmt: skip
    """Items that failed and may not be asked again are somebody's to write; returns how many."""
    ids = list(item_ids)
    for chunk in transitions.chunks(ids, transitions.CHUNK):
        conn.execute(update(items).where(items.c.id.in_(chunk)).values(bucket=BY_HAND, note=note, message=message))
        audit.append(
            conn, workflow, [Entry("leave", "item", str(i), detail={"to": "a person"}) for i in chunk], actor=actor, now=now
        )
    return len(ids)


def reopen(conn: Connection, decision_id: int, now: datetime) -> None:
    """A decision that leaves its item to a person: it stays on record, and another one may follow."""
    conn.execute(update(decisions).where(decisions.c.id == decision_id).values(superseded_at=now))


def collected(conn: Connection, decision_ids: Iterable[int], now: datetime) -> None:
    """Mark decisions as gone on their way."""
    for chunk in transitions.chunks(decision_ids, transitions.CHUNK):
        conn.execute(update(decisions).where(decisions.c.id.in_(chunk)).values(collected_at=now))


def another_round(conn: Connection, item_ids: Iterable[int]) -> None:
    """Count how often reviewers sent these back."""
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        conn.execute(update(items).where(items.c.id.in_(chunk)).values(rounds=items.c.rounds + 1))


def in_review(conn: Connection, night_id: int) -> list[Row]:
    """The night's items that wait for a decision of their own (id and bucket)."""
    query = select(items.c.id, items.c.bucket).where(
        items.c.night_id == night_id, items.c.state == ItemState.IN_REVIEW, items.c.bucket != COVERED
    )
    return list(conn.execute(query).mappings())


def item(conn: Connection, item_id: int) -> Row | None:
    """One item, whole."""
    return conn.execute(select(items).where(items.c.id == item_id)).mappings().one_or_none()


def went_round(conn: Connection, item_ids: Iterable[int], most: int) -> list[int]:
    """Those of the items that were sent back as often as may be."""
    spent: list[int] = []
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        query = select(items.c.id).where(items.c.id.in_(chunk), items.c.rounds >= most)
        spent += conn.execute(query.order_by(items.c.id)).scalars()
    return spent
