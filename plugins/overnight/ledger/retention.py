"""Removing what is older than it may be: texts, the vendors' raw answers, whole days of the audit log.

Figures stay: states, counts, costs and hashes, so that the conservation law, the bills and the chains can be verified for ever.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, exists, func, insert, null, select, update

from overnight.ledger import audit, transitions
from overnight.ledger.audit import Actor, Entry
from overnight.ledger.nights import REPLAY
from overnight.ledger.queue import REPLACED, WITHDRAWN
from overnight.ledger.retention_tables import audit_purges
from overnight.ledger.review_tables import exhibits
from overnight.ledger.reviews import BY_HAND
from overnight.ledger.rows import Row
from overnight.ledger.states import BatchState, ItemState, NightState
from overnight.ledger.tables import (
    answers,
    audit_events,
    audit_heads,
    batches,
    decisions,
    findings,
    items,
    night_items,
    nights,
    request_items,
    requests,
    step_items,
)

OVER = (ItemState.DELIVERED, ItemState.REJECTED, ItemState.FAILED)
"""States that nothing follows by itself: an item in any other is still somebody's work, however old."""
REMOVED = "(removed)"


def items_to_clear(conn: Connection, before: datetime, limit: int) -> list[int]:
    """Items that are over, and whose last night was opened (or that were rejected) before a time; the oldest first."""
    query = (
        select(items.c.id)
        .outerjoin(nights, nights.c.id == items.c.night_id)
        # A failed one that a person is to write is still theirs.
        .where((items.c.state != ItemState.FAILED) | items.c.bucket.is_distinct_from(BY_HAND))
        .where(
            items.c.state.in_(OVER) | (items.c.source == REPLAY), items.c.texts_removed_at.is_(None), items.c.in_doubt.is_(False)
        )
        .where(func.coalesce(nights.c.opened_at, items.c.created_at) < before)
        .where(nights.c.state.is_(None) | (nights.c.state == NightState.CLOSED) | (items.c.source == REPLAY))
        .order_by(items.c.id)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def clear_items(conn: Connection, ids: Sequence[int], *, actor: Actor, now: datetime) -> None:
    """Remove what these items said, was asked of them, was answered, and what people wrote about them; ids and figures stay."""
    for chunk in transitions.chunks(list(ids), transitions.CHUNK):
        mine = items.c.id.in_(chunk)
        asked = select(request_items.c.request_id).where(request_items.c.item_id.in_(chunk))
        others = request_items.alias()
        kept = exists().where(
            others.c.request_id == requests.c.id, others.c.item_id == items.c.id, items.c.texts_removed_at.is_(None)
        )
        conn.execute(update(items).where(mine).values(
            input={}, output=null(), context=null(), note=null(), texts_removed_at=now,
            message=case((items.c.message.in_((REPLACED, WITHDRAWN)), items.c.message), else_=null()),
        ))  # fmt: skip
        conn.execute(update(step_items).where(step_items.c.item_id.in_(chunk)).values(input=null(), output=null(), error=null()))
        conn.execute(update(night_items).where(night_items.c.item_id.in_(chunk)).values(reason=null()))
        conn.execute(update(request_items).where(request_items.c.item_id.in_(chunk)).values(masks=null()))
        # A request that other items share is cleared with the last of them.
        conn.execute(update(requests).where(requests.c.id.in_(asked), ~kept).values(content=REMOVED))
        conn.execute(update(answers).where(answers.c.item_id.in_(chunk)).values(output=null(), error=null()))
        conn.execute(update(findings).where(findings.c.item_id.in_(chunk)).values(message=REMOVED, evidence=null()))
        written = {"note": null(), "edited": null(), "edit_diff": null()}
        conn.execute(update(decisions).where(decisions.c.item_id.in_(chunk)).values(written))
        conn.execute(update(exhibits).where(exhibits.c.item_id.in_(chunk)).values(said=null()))
        whose = dict(conn.execute(select(items.c.id, items.c.workflow).where(mine)).tuples().all())
        for workflow in sorted(set(whose.values())):
            entries = [Entry("forget", "item", str(item_id)) for item_id, name in whose.items() if name == workflow]
            audit.append(conn, workflow, entries, actor=actor, now=now)


def clear_nights(conn: Connection, before: datetime, *, actor: Actor, now: datetime) -> int:
    """Remove what closed nights say as a whole (the digest, its decision's note) once all of their items are cleared."""
    open_items = exists().where(night_items.c.night_id == nights.c.id, night_items.c.item_id == items.c.id,
                                items.c.texts_removed_at.is_(None))  # fmt: skip
    query = select(nights.c.id, nights.c.workflow).where(
        nights.c.state == NightState.CLOSED, nights.c.opened_at < before, nights.c.texts_removed_at.is_(None), ~open_items
    )
    found = conn.execute(query).tuples().all()
    for chunk in transitions.chunks([night_id for night_id, _ in found], transitions.CHUNK):
        conn.execute(update(nights).where(nights.c.id.in_(chunk)).values(summary=null(), texts_removed_at=now))
        of_the_night = (decisions.c.night_id.in_(chunk), decisions.c.item_id.is_(None))
        conn.execute(update(decisions).where(*of_the_night).values(note=null(), edited=null()))
        conn.execute(update(exhibits).where(exhibits.c.night_id.in_(chunk)).values(said=null()))
    for night_id, workflow in found:
        audit.append(conn, workflow, [Entry("forget", "night", str(night_id))], actor=actor, now=now)
    return len(found)


def raw_workflows(conn: Connection) -> list[str]:
    """The workflows that have raw files."""
    query = select(nights.c.workflow).join(batches, batches.c.night_id == nights.c.id)
    return sorted(
        conn.execute(query.where(batches.c.raw_path.is_not(None), batches.c.raw_removed_at.is_(None)).distinct()).scalars()
    )


def raw_files(conn: Connection, workflow: str, before: datetime) -> list[Row]:
    """A workflow's batches whose raw file may go: of nights that were closed before a time (a lesson's trial: opened)."""
    query = (
        select(batches.c.id, batches.c.raw_path)
        .join(nights, nights.c.id == batches.c.night_id)
        .where(nights.c.workflow == workflow)
        .where(
            (nights.c.state == NightState.CLOSED) & (nights.c.closed_at < before)
            | (nights.c.source == REPLAY) & (nights.c.opened_at < before)
        )
        .where(batches.c.state == BatchState.LANDED, batches.c.raw_path.is_not(None), batches.c.raw_removed_at.is_(None))
    )
    return [dict(row) for row in conn.execute(query.order_by(batches.c.id)).mappings()]


def raw_removed(conn: Connection, ids: Sequence[int], *, now: datetime) -> None:
    """Note that the raw files of these batches are gone; their hashes stay."""
    for chunk in transitions.chunks(list(ids), transitions.CHUNK):
        conn.execute(update(batches).where(batches.c.id.in_(chunk)).values(raw_removed_at=now))


def chains(conn: Connection, before_day: str) -> list[tuple[str, str]]:
    """The chains (workflow, day) of the log that end before a day and are still here."""
    gone = exists().where(audit_purges.c.workflow == audit_heads.c.workflow, audit_purges.c.day == audit_heads.c.day)
    query = select(audit_heads.c.workflow, audit_heads.c.day).where(
        audit_heads.c.day < before_day, audit_heads.c.position > 0, ~gone
    )
    return list(conn.execute(query.order_by(audit_heads.c.day, audit_heads.c.workflow)).tuples())


def chain_rows(conn: Connection, workflow: str, day: str) -> Iterator[Row]:
    """A chain's rows in their order."""
    query = select(audit_events).where(audit_events.c.workflow == workflow, audit_events.c.day == day)
    rows = conn.execute(query.order_by(audit_events.c.position).execution_options(yield_per=2000)).mappings()
    return map(dict, rows)


def purges(conn: Connection) -> dict[str, Row]:
    """The days that stand in an archive, by its file's name."""
    return {row["archive"]: dict(row) for row in conn.execute(select(audit_purges)).mappings()}


def purge_chain(
    conn: Connection, workflow: str, day: str, archive: str, sha256: str, *, actor: Actor, now: datetime
) -> int:  # fmt: skip
    """Delete a chain that stands in an archive; its end, its length and the archive's hash stay, in the log, too.

    Raises:
        ValueError: the chain is not whole: what is broken is evidence and is not deleted.
    """
    if problems := audit.broken_links(conn, [workflow], day, day):
        raise ValueError(f"The audit chain {workflow} {day} is broken and was kept: {problems[0]}")
    head = conn.execute(
        select(audit_heads).where(audit_heads.c.workflow == workflow, audit_heads.c.day == day).with_for_update()
    ).one()
    fact = {"rows": head.position, "hash": head.hash, "archive": archive, "archive_sha256": sha256}
    conn.execute(insert(audit_purges).values(workflow=workflow, day=day, purged_at=now, **fact))
    conn.execute(delete(audit_events).where(audit_events.c.workflow == workflow, audit_events.c.day == day))
    audit.append(conn, workflow, [Entry("purge", "audit", f"{workflow} {day}"[:64], detail=fact)], actor=actor, now=now)
    return int(head.position)
