"""The steps of a night and what stands between them: who is in a step, with which input, and what a step in code found.

An item is in a step from the moment it enters it; it leaves with the outcome `passed` when it goes on to another, else with
the night's own outcome.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from overnight.ledger import transitions
from overnight.ledger.audit import Actor
from overnight.ledger.rows import Row
from overnight.ledger.states import AnswerState, BatchState, ItemState
from overnight.ledger.tables import answers, batches, items, nights, request_items, requests, step_items, steps

PASSED = "passed"
"""The outcome of an item at a step that it left for the next one."""
_INSIDE = (ItemState.LOCKED, ItemState.SUBMITTED, ItemState.ANSWERED)
_given: ColumnElement[Any] = func.coalesce(step_items.c.input, items.c.input)


def steps_of(conn: Connection, night_id: int) -> dict[str, int]:
    """The night's steps in order: name → id."""
    query = select(steps.c.name, steps.c.id).where(steps.c.night_id == night_id).order_by(steps.c.position)
    return {row.name: row.id for row in conn.execute(query)}


def enter(conn: Connection, step_id: int, given: Mapping[int, Any]) -> None:
    """Put items into a step, each with its input there (None: the queued row). Who is in it already stays as it is."""
    here = set(member_ids(conn, step_id))
    rows = [{"step_id": step_id, "item_id": i, "input": data} for i, data in given.items() if i not in here]
    if rows:
        conn.execute(insert(step_items), rows)


def member_ids(conn: Connection, step_id: int) -> list[int]:
    """Every item that came to a step, wherever it is now."""
    return list(conn.execute(select(step_items.c.item_id).where(step_items.c.step_id == step_id)).scalars())


def inside(conn: Connection, step_id: int, night_id: int) -> list[Row]:
    """The items of a step that are still in the night: id, key, input here, state, output of a step in code."""
    query = (
        select(items.c.id, items.c.key, items.c.source, items.c.state, _given.label("input"), step_items.c.output)
        .join(step_items, step_items.c.item_id == items.c.id)
        .where(step_items.c.step_id == step_id, items.c.night_id == night_id, items.c.state.in_(_INSIDE))
        .order_by(items.c.id)
    )
    return list(conn.execute(query).mappings())


def asking(conn: Connection, step_id: int, item_ids: Iterable[int]) -> list[Row]:
    """Whole item rows as a step's question is made of them: `input` is what they are given at that step."""
    rows: list[Row] = []
    columns = [column for column in items.c if column.name != "input"]
    for chunk in transitions.chunks(sorted(item_ids), transitions.CHUNK):
        query = (
            select(*columns, _given.label("input"), items.c.input.label("queued"))
            .outerjoin(step_items, (step_items.c.item_id == items.c.id) & (step_items.c.step_id == step_id))
            .where(items.c.id.in_(chunk))
            .order_by(items.c.id)
        )
        rows += conn.execute(query).mappings()
    return rows


def found(conn: Connection, step_id: int, results: Sequence[Row]) -> None:
    """Keep what a step in code found: item_id with output, or error and retryable."""
    for row in results:
        mine = (step_items.c.step_id == step_id) & (step_items.c.item_id == row["item_id"])
        values = {name: row[name] for name in ("output", "error", "retryable")}
        conn.execute(update(step_items).where(mine).values(values))


def passed(conn: Connection, step_ids: Iterable[int], item_ids: Iterable[int]) -> None:
    """The items went on from these steps to the next one."""
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        mine = step_items.c.step_id.in_(list(step_ids)) & step_items.c.item_id.in_(chunk)
        conn.execute(update(step_items).where(mine, step_items.c.outcome.is_(None)).values(outcome=PASSED))


def unasked(conn: Connection, step_id: int, night_id: int) -> list[int]:
    """Items of a later step that are in none of its requests yet and still in the night: a batch could not hold them all."""
    asked = select(request_items.c.item_id).where(request_items.c.step_id == step_id)
    late = select(requests.c.id).join(batches, batches.c.id == requests.c.batch_id).where(batches.c.landing_night_id == night_id)
    came = select(request_items.c.item_id).where(request_items.c.request_id.in_(late))  # asked under its old night's step
    answered = select(answers.c.item_id).where(answers.c.step_id == step_id)
    query = (
        select(items.c.id)
        .join(step_items, step_items.c.item_id == items.c.id)
        .where(step_items.c.step_id == step_id, step_items.c.outcome.is_(None))
        .where(items.c.night_id == night_id, items.c.state.in_(_INSIDE))
        .where(items.c.id.not_in(asked), items.c.id.not_in(answered), items.c.id.not_in(came))
    )
    return list(conn.execute(query.order_by(items.c.id)).scalars())


def _counts(night_id: int, night: ColumnElement[Any], item: ColumnElement[Any]) -> ColumnElement[bool]:
    """What was found in this night; and in an earlier one, for those items alone that came here with its late batches."""
    late = batches.alias()
    mine = select(requests.c.id).join(late, late.c.id == requests.c.batch_id).where(late.c.landing_night_id == night_id)
    came = select(request_items.c.item_id).where(request_items.c.request_id.in_(mine))
    before = select(late.c.night_id).where(late.c.landing_night_id == night_id)
    return (night == night_id) | (night.in_(before) & item.in_(came))


def outputs(conn: Connection, night_id: int, item_ids: Iterable[int] | None = None) -> dict[int, dict[str, Any]]:
    """What each step's newest answer brought for each item, good ones only: item → step → output."""
    made = dict[int, dict[str, Any]]()
    wanted = list(transitions.chunks(item_ids, transitions.CHUNK)) if item_ids is not None else [None]
    for chunk in wanted:
        for row in [*_answered(conn, night_id, chunk), *_computed(conn, night_id, chunk)]:
            if row["good"]:
                made.setdefault(row["item_id"], {})[row["name"]] = row["output"]
            else:
                made.get(row["item_id"], {}).pop(row["name"], None)
    return made


def _answered(conn: Connection, night_id: int, chunk: list[int] | None) -> Iterable[Row]:
    query = (
        select(answers.c.item_id, steps.c.name, answers.c.output, (answers.c.state == AnswerState.VALID).label("good"))
        .join(steps, steps.c.id == answers.c.step_id)
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(_counts(night_id, answers.c.night_id, answers.c.item_id))
        .where((batches.c.state == BatchState.LANDED) | answers.c.reused_from.is_not(None))
        .order_by(answers.c.id)
    )
    return conn.execute(query if chunk is None else query.where(answers.c.item_id.in_(chunk))).mappings()


def _computed(conn: Connection, night_id: int, chunk: list[int] | None) -> Iterable[Row]:
    query = (
        select(step_items.c.item_id, steps.c.name, step_items.c.output, (step_items.c.error.is_(None)).label("good"))
        .join(steps, steps.c.id == step_items.c.step_id)
        .where(_counts(night_id, steps.c.night_id, step_items.c.item_id))
        .where(step_items.c.output.is_not(None) | step_items.c.error.is_not(None))
        .order_by(steps.c.night_id)
    )
    return conn.execute(query if chunk is None else query.where(step_items.c.item_id.in_(chunk))).mappings()


def standing(conn: Connection, night_id: int) -> Iterator[Row]:
    """For each item still in the night, the last step it came to: name, what it was given there, and a code step's result.

    `queued` is the row as it was queued where the step was given something else, and null where `input` is that row.
    """
    query = (
        select(
            items.c.id.label("item_id"), case((step_items.c.input.is_not(None), items.c.input)).label("queued"),
            steps.c.name.label("step"), _given.label("input"), step_items.c.output, step_items.c.error, step_items.c.retryable,
        )
        .join(step_items, step_items.c.item_id == items.c.id)
        .join(steps, steps.c.id == step_items.c.step_id)
        .where(steps.c.night_id == night_id, items.c.night_id == night_id, items.c.state.in_(_INSIDE))
        .order_by(items.c.id, steps.c.position)
    )  # fmt: skip
    rows = conn.execute(query.execution_options(yield_per=500)).mappings()
    for _, steps_of_one in groupby(rows, key=itemgetter("item_id")):
        yield deque(steps_of_one, maxlen=1).pop()


def last_input(conn: Connection, item_id: int, step: str) -> Any:
    """What an item was given the last time it came to a step; None: the queued row, or it never came there."""
    query = (
        select(step_items.c.input)
        .join(steps, steps.c.id == step_items.c.step_id)
        .where(step_items.c.item_id == item_id, steps.c.name == step, step_items.c.input.is_not(None))
    )
    return conn.execute(query.order_by(steps.c.id.desc()).limit(1)).scalar()


def old_inputs(conn: Connection, batch: Row) -> dict[int, Any]:
    """What the items of an earlier night's batch were given at its step."""
    query = select(step_items.c.item_id, step_items.c.input).where(step_items.c.step_id == batch["step_id"])
    return {row.item_id: row.input for row in conn.execute(query)}


def computed(conn: Connection, item_ids: Sequence[int], *, workflow: str, actor: Actor, now: datetime) -> None:
    """A step in code answered these items."""
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        locked = select(items.c.id).where(items.c.id.in_(chunk), items.c.state == ItemState.LOCKED)
        ids = sorted(conn.execute(locked).scalars())
        transitions.move(
            conn, "item", ids, ItemState.ANSWERED, workflow=workflow, actor=actor, now=now, detail={"answer": "code"}
        )


def hold(conn: Connection, night_id: int) -> None:
    """One task at a time moves a night's items, until it commits: parallel steps have the same ones. Taken after the money's."""
    conn.execute(select(nights.c.id).where(nights.c.id == night_id).with_for_update(key_share=True)).all()
