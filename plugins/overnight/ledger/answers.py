"""Landing: answers, findings and their requests' ends, written in bounded chunks that each commit as a whole.

Answers stay unseen until their batch is `landed`; a second landing of the same batch skips what is there.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select, update

from overnight.ledger import bulk, transitions
from overnight.ledger.audit import Actor
from overnight.ledger.rows import Row
from overnight.ledger.states import AnswerState, BatchState, ItemState, Purpose, RequestState
from overnight.ledger.tables import answers, batches, findings, items, request_items, requests, step_items, steps


def open_requests(
    conn: Connection, batch_id: int, custom_ids: Iterable[str] | None = None, most: int | None = None
) -> dict[str, list[Any]]:  # fmt: skip
    """The batch's requests that have not landed, by custom_id, each with its items in the order of their entries.

    Args:
        custom_ids: of these requests only.
        most: at most so many requests.
    """
    waiting = select(requests.c.id).where(requests.c.batch_id == batch_id, requests.c.state == RequestState.SUBMITTED)
    if custom_ids is not None:
        waiting = waiting.where(requests.c.custom_id.in_(list(custom_ids)))
    if most is not None:
        waiting = waiting.order_by(requests.c.id).limit(most)
    query = (
        select(
            requests.c.id.label("request_id"), requests.c.custom_id, requests.c.attempt, requests.c.step_id,
            request_items.c.position, items.c.id.label("item_id"), items.c.state.label("item_state"),
            func.coalesce(step_items.c.input, items.c.input).label("input"), items.c.night_id, request_items.c.masks,
        )
        .join(request_items, request_items.c.request_id == requests.c.id)
        .join(items, items.c.id == request_items.c.item_id)
        .outerjoin(step_items, (step_items.c.item_id == items.c.id) & (step_items.c.step_id == requests.c.step_id))
        .where(requests.c.id.in_(waiting))
        .order_by(requests.c.id, request_items.c.position, items.c.id)
    )  # fmt: skip
    found: dict[str, list[Any]] = {}
    for row in conn.execute(query).all():
        found.setdefault(row.custom_id, []).append(row)
    return found


def land(
    conn: Connection,
    rows: Sequence[Row],
    notes: Sequence[Row],
    ends: Mapping[RequestState, Sequence[int]],
    movable: Container[int],
    *,
    workflow: str,
    actor: Actor,
    now: datetime,
) -> None:
    """One chunk of a batch: its answers, the findings on them, and the end of each request. All or nothing.

    Args:
        movable: the items that wait for this batch in its night. An answer for any other is kept and paid for, but moves
            nothing: the row was changed meanwhile, or left the night.
    """
    common: dict[str, Any] = {"workflow": workflow, "actor": actor, "now": now}
    bulk.insert(conn, answers, [{**row, "landed_at": now} for row in rows])
    bulk.insert(conn, findings, list(notes))
    for end, ids in ends.items():
        transitions.move(conn, "request", ids, end, **common)
    by_state: dict[str, list[int]] = {}
    for row in rows:
        if row["item_id"] in movable:
            by_state.setdefault(row["state"], []).append(row["item_id"])
    for state, item_ids in by_state.items():
        transitions.move(conn, "item", item_ids, ItemState.ANSWERED, detail={"answer": state}, **common)


def landed_of_night(conn: Connection, night_id: int, batch_id: int | None = None) -> list[Row]:
    """The newest answer of each item at each `step` of the night whose batch landed (or that was answered from the ledger).

    Args:
        batch_id: answers of this batch only, landed or not.
    """
    query = (
        select(
            answers.c.id.label("answer_id"), answers.c.item_id, answers.c.state, answers.c.output, answers.c.error,
            answers.c.retryable, answers.c.attempt, answers.c.reused_from, steps.c.name.label("step"),
        )
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(items, items.c.id == answers.c.item_id)
        .join(steps, steps.c.id == answers.c.step_id)
        .where(answers.c.night_id == night_id, items.c.night_id == night_id)
        .order_by(answers.c.item_id, answers.c.id)
    )  # fmt: skip
    if batch_id is None:
        query = query.where((batches.c.state == BatchState.LANDED) | answers.c.reused_from.is_not(None))
    else:
        query = query.where(batches.c.id == batch_id, answers.c.reused_from.is_(None))
    newest: dict[tuple[int, str], Row] = {}
    for row in conn.execute(query).mappings():
        newest[row["item_id"], row["step"]] = row
    return list(newest.values())


def cost_of_batch(conn: Connection, batch_id: int) -> Decimal:
    """What a batch's answers cost, in USD."""
    query = select(func.sum(answers.c.cost_usd)).join(requests, requests.c.id == answers.c.request_id)
    total: Decimal | None = conn.execute(query.where(requests.c.batch_id == batch_id, answers.c.reused_from.is_(None))).scalar()
    return total or Decimal(0)


def states_of_batch(conn: Connection, batch_id: int) -> dict[str, int]:
    """How many answers of each state a batch brought."""
    query = select(answers.c.state, func.count()).join(requests, requests.c.id == answers.c.request_id)
    mine = query.where(requests.c.batch_id == batch_id, answers.c.reused_from.is_(None)).group_by(answers.c.state)
    return {state: count for state, count in conn.execute(mine)}


NO_FAULT = answers.c.state.in_((AnswerState.CANCELLED, AnswerState.EXPIRED)) | (
    (answers.c.state == AnswerState.MISSING) & (batches.c.error.is_not(None) | batches.c.cancelled_at.is_not(None))
)
"""No answer because the vendor never got to it, failed its whole batch, or we cut it: it says nothing of the model."""


def judged_of_night(conn: Connection, night_id: int, without: Iterable[str] = ()) -> dict[str, int]:
    """How many answers of each state a night has brought, by the newest of each item and step; some steps left out, and what is
    nobody's fault.
    """
    kept_out = select(steps.c.id).where(steps.c.night_id == night_id, steps.c.name.in_(list(without)))
    newest = (
        select(func.max(answers.c.id).label("id"))
        .where(answers.c.night_id == night_id, answers.c.reused_from.is_(None), answers.c.step_id.not_in(kept_out))
        .group_by(answers.c.item_id, answers.c.step_id)
        .subquery()
    )
    query = (
        select(answers.c.state, func.count())
        .join(newest, newest.c.id == answers.c.id)
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(~NO_FAULT)
        .group_by(answers.c.state)
    )
    return {state: count for state, count in conn.execute(query)}


def repairs_of(conn: Connection, night_id: int, item_ids: Iterable[int]) -> dict[int, int]:
    """How often each item was asked again in this night because its answer was no good."""
    tried: dict[int, int] = {}
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        query = (
            select(answers.c.item_id, func.count())
            .join(requests, requests.c.id == answers.c.request_id)
            .join(batches, batches.c.id == requests.c.batch_id)
            .where(answers.c.night_id == night_id, answers.c.item_id.in_(chunk), batches.c.purpose == Purpose.REPAIR)
            .group_by(answers.c.item_id)
        )
        tried |= {item_id: count for item_id, count in conn.execute(query)}
    return tried


def newest_of_shard(conn: Connection, batch: Row) -> list[Row]:
    """The newest answer of each item that a shard has asked for and that is still in the batch's night."""
    mine = (batches.c.step_id == batch["step_id"]) & (batches.c.shard == batch["shard"])
    query = (
        select(
            answers.c.item_id, answers.c.state, answers.c.error, answers.c.retryable, requests.c.max_output_tokens,
            items.c.state.label("item_state"),
        )
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .join(items, items.c.id == answers.c.item_id)
        .where(mine, answers.c.night_id == batch["home_night_id"], items.c.night_id == batch["home_night_id"])
        .where(answers.c.reused_from.is_(None))
        .order_by(answers.c.item_id, answers.c.id)
    )  # fmt: skip
    newest = {row["item_id"]: row for row in conn.execute(query).mappings()}
    return list(newest.values())


def reusable(
    conn: Connection, workflow: str, keys: Iterable[str], own: Container[int] | None = None
) -> dict[tuple[str, int | None], Row]:
    """Valid answers to the same questions (same prompt, model and input), the newest of each, by (key, None).

    One that a reviewer sent back, for whichever of the items that shared it, is not given again.

    Args:
        own: answers that one of these items was given itself, and no others, by (key, item). What a reviewer sent back is
            asked with a note, and so is another question.
    """
    found: dict[tuple[str, int | None], Row] = {}
    asked, copy = request_items.alias(), answers.alias()
    back = items.alias()
    sent_back = select(asked.c.input_key).join(back, back.c.id == asked.c.item_id)
    sent_back = sent_back.where(back.c.rounds > 0, asked.c.input_key.is_not(None))
    copies_sent_back = select(copy.c.reused_from).join(back, back.c.id == copy.c.item_id)
    copies_sent_back = copies_sent_back.where(back.c.rounds > 0, copy.c.reused_from.is_not(None))
    for chunk in transitions.chunks(keys, transitions.CHUNK):
        query = (
            select(
                request_items.c.input_key, answers.c.id.label("answer_id"), answers.c.request_id, answers.c.vendor,
                answers.c.model, answers.c.output, answers.c.item_id,
            )
            .join(
                answers,
                (answers.c.request_id == request_items.c.request_id) & (answers.c.item_id == request_items.c.item_id),
            )
            .join(items, items.c.id == answers.c.item_id)
            .join(requests, requests.c.id == answers.c.request_id)
            .join(batches, batches.c.id == requests.c.batch_id)
            .where(request_items.c.input_key.in_(chunk), answers.c.state == AnswerState.VALID, items.c.workflow == workflow)
            .where(batches.c.state == BatchState.LANDED, answers.c.reused_from.is_(None))
            .where(items.c.texts_removed_at.is_(None))  # what it said is gone
            .order_by(answers.c.id)
        )  # fmt: skip
        if own is None:
            query = query.where(request_items.c.input_key.not_in(sent_back), answers.c.id.not_in(copies_sent_back))
        for row in conn.execute(query).mappings():
            if own is None or row["item_id"] in own:
                found[row["input_key"], None if own is None else row["item_id"]] = row
    return found


def reuse(
    conn: Connection, rows: Sequence[Row], notes: Sequence[Row], *, workflow: str, actor: Actor, now: datetime
) -> None:  # fmt: skip
    """Locked items answered from earlier answers (`reused_from`): nothing is bought, and the log says so."""
    bulk.insert(conn, answers, [{**row, "landed_at": now} for row in rows])
    bulk.insert(conn, findings, list(notes))
    common: dict[str, Any] = {"workflow": workflow, "actor": actor, "now": now, "detail": {"answer": "reused"}}
    for chunk in transitions.chunks([row["item_id"] for row in rows], transitions.CHUNK):
        locked = select(items.c.id).where(items.c.id.in_(chunk), items.c.state == ItemState.LOCKED).order_by(items.c.id)
        transitions.move(conn, "item", list(conn.execute(locked).scalars()), ItemState.ANSWERED, **common)


def follow(conn: Connection, batch: Row, night_id: int) -> list[int]:
    """A batch that was half landed when its night went on lands the rest in another: what is there goes with it.

    Returns:
        The items that have their answer already.
    """
    mine = select(requests.c.id).where(requests.c.batch_id == batch["id"])
    landed = answers.c.request_id.in_(mine) & answers.c.reused_from.is_(None)
    ids = list(conn.execute(select(answers.c.item_id).where(landed)).scalars())
    conn.execute(update(answers).where(landed).values(night_id=night_id))
    for chunk in transitions.chunks(ids, transitions.CHUNK):
        its = (findings.c.night_id == batch["home_night_id"]) & (findings.c.attempt == batch["attempt"])
        its &= (findings.c.step_id == batch["step_id"]) | findings.c.step_id.is_(None)
        conn.execute(update(findings).where(findings.c.item_id.in_(chunk), its).values(night_id=night_id))
    return ids
