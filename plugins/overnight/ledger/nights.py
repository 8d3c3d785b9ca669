"""Nights and their steps: opened once per Dag run, closed only when the conservation law holds."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from overnight.ledger import chains, transitions
from overnight.ledger.answers import NO_FAULT
from overnight.ledger.audit import Actor
from overnight.ledger.batches import NIGHT
from overnight.ledger.errors import ConservationBroken, LedgerError, NightTaken
from overnight.ledger.governance_tables import launches
from overnight.ledger.rows import Row
from overnight.ledger.states import AnswerState, ItemState, NightState, Outcome, StepState
from overnight.ledger.tables import answers, batches, items, night_items, nights, requests, step_items, steps

Night = Row
"""One row of `nights`, by column name."""


def open_night(conn: Connection, *, facts: Row, actor: Actor, now: datetime) -> Night:
    """The night of a Dag run: the one it opened before (a retry, a clear), or a new one.

    Raises:
        NightTaken: another run holds a night of the same date that is not closed.
    """
    workflow, run_id = facts["workflow"], facts["run_id"]
    mine = find_by_run(conn, workflow, run_id)
    if mine is not None:
        return mine
    label = _free_label(conn, workflow, str(facts["night"]))
    values = {**facts, "night": label, "state": NightState.OPEN, "opened_at": now}
    night_id = conn.execute(insert(nights).values(values).returning(nights.c.id)).scalar_one()
    transitions.created(conn, "night", [night_id], NightState.OPEN, workflow=workflow, actor=actor, now=now)
    return get(conn, night_id)


def of_date(date: str) -> ColumnElement[bool]:
    """The nights of one date: a second night of a workflow is called `DATE-2`."""
    return (nights.c.night == date) | nights.c.night.like(f"{date}-%")


def _free_label(conn: Connection, workflow: str, date: str) -> str:
    query = select(nights.c.night, nights.c.run_id, nights.c.state).where(nights.c.workflow == workflow, of_date(date))
    same_date = list(conn.execute(query))
    for other in same_date:
        if other.state != NightState.CLOSED:
            raise NightTaken(
                f"The night {other.night} of {workflow} belongs to run {other.run_id!r} and is {other.state!r}, not "
                "closed. Two runs never share a night, so this run locked nothing and bought nothing. Clear the "
                "failed task of that run to finish it (what it paid for is kept), then trigger again."
            )
    return date if not same_date else f"{date}-{len(same_date) + 1}"


def find(conn: Connection, night_id: int) -> Night | None:
    """One night by its ledger id, or None."""
    return conn.execute(select(nights).where(nights.c.id == night_id)).mappings().one_or_none()


def get(conn: Connection, night_id: int) -> Night:
    """One night by its ledger id."""
    row = find(conn, night_id)
    if row is None:
        raise LedgerError(f"There is no night {night_id} in this ledger. Nothing was changed.")
    return row


def find_by_run(conn: Connection, workflow: str, run_id: str) -> Night | None:
    """The night a Dag run opened, or None."""
    query = select(nights).where(nights.c.workflow == workflow, nights.c.run_id == run_id)
    return conn.execute(query).mappings().one_or_none()


def of_run(conn: Connection, workflow: str, run_id: str) -> Night:
    """The night a Dag run opened.

    Raises:
        LedgerError: the run has none (its check did not succeed).
    """
    night = find_by_run(conn, workflow, run_id)
    if night is None:
        raise LedgerError(
            f"Run {run_id!r} of {workflow} has no night in the ledger: its check task opens it. "
            "Nothing was bought; clear the check task of this run."
        )
    return night


def add_steps(conn: Connection, night: Night, names: Iterable[str], *, actor: Actor, now: datetime) -> list[int]:
    """The night's steps in order; returns their ids."""
    ids = [
        conn.execute(
            insert(steps).values(night_id=night["id"], position=position, name=name, state=StepState.OPEN).returning(steps.c.id)
        ).scalar_one()
        for position, name in enumerate(names)
    ]
    transitions.created(conn, "step", ids, StepState.OPEN, workflow=night["workflow"], actor=actor, now=now)
    return ids


def add_members(conn: Connection, night_id: int, step_id: int, item_ids: list[int]) -> None:
    """Put locked items on the night's list and into a step: from now on they are conserved."""
    list_members(conn, night_id, item_ids)
    chains.enter(conn, step_id, dict.fromkeys(item_ids))


def list_members(conn: Connection, night_id: int, item_ids: Iterable[int]) -> None:
    """Put items on the night's list."""
    if rows := [{"night_id": night_id, "item_id": i} for i in item_ids]:
        conn.execute(insert(night_items), rows)


REPLAY = "replay"
"""The source of a lesson's trial nights: no review follows them, and nothing of theirs goes anywhere."""


def unfinished(conn: Connection) -> list[Night]:
    """Nights that are not closed, oldest first."""
    return list(conn.execute(select(nights).where(nights.c.state != NightState.CLOSED).order_by(nights.c.id)).mappings())


def ran_since(conn: Connection, since: datetime) -> dict[str, datetime]:
    """Workflows whose schedule opened nights since then, and that nobody paused: name → when their newest night was opened."""
    paused = select(launches.c.workflow).where(launches.c.state == "paused")
    query = select(nights.c.workflow, nights.c.opened_at, nights.c.run_id).order_by(nights.c.opened_at)
    query = query.where(nights.c.opened_at >= since, nights.c.workflow.not_in(paused))
    newest: dict[str, datetime] = {}
    usual = set()
    for name, opened_at, run_id in conn.execute(query):
        newest[name] = opened_at
        if run_id.startswith("scheduled__"):
            usual.add(name)
    return {name: opened_at for name, opened_at in newest.items() if name in usual}


def staged_under(conn: Connection, workflow: str, prompt_version: str) -> int:
    """How many items a prompt version brought to review so far."""
    query = (
        select(func.count())
        .select_from(night_items.join(nights, nights.c.id == night_items.c.night_id))
        .where(nights.c.workflow == workflow, nights.c.prompt_version == prompt_version, night_items.c.outcome == Outcome.STAGED)
    )
    return int(conn.execute(query).scalar_one())


def leave(
    conn: Connection, night: Night, item_ids: Iterable[int], outcome: Outcome, *, actor: Actor, now: datetime,
    reason: str = "", **columns: Any,
) -> int:  # fmt: skip
    """Items leave the night by one outcome: their own state, the night's list and the steps' lists change together."""
    ids = list(item_ids)
    if outcome is Outcome.CARRIED_OVER and not columns.get("in_doubt"):
        # The night's own question is no other night's to ask: unanswered, it has failed.
        own = [i for i in ids if i in _made_by(conn, night["id"])]
        ids = [i for i in ids if i not in own]
        if own:
            leave(conn, night, own, Outcome.FAILED, actor=actor, now=now, reason=reason, bucket="failed", position=0)
    if outcome is Outcome.CARRIED_OVER:
        columns["nights_waited"] = items.c.nights_waited + 1  # what was carried over rises in the order
    mine = select(steps.c.id).where(steps.c.night_id == night["id"])
    detail = {"reason": reason} if reason else None
    moved = transitions.move(
        conn, "item", ids, ItemState(outcome.value), workflow=night["workflow"], actor=actor, now=now,
        detail=detail, message=reason or None, **columns,
    )  # fmt: skip
    for chunk in transitions.chunks(ids, transitions.CHUNK):
        on_night = (night_items.c.night_id == night["id"]) & night_items.c.item_id.in_(chunk)
        conn.execute(update(night_items).where(on_night).values(outcome=outcome, reason=reason or None))
        on_step = step_items.c.step_id.in_(mine) & step_items.c.item_id.in_(chunk) & step_items.c.outcome.is_(None)
        conn.execute(update(step_items).where(on_step).values(outcome=outcome))
    return moved


def _made_by(conn: Connection, night_id: int) -> set[int]:
    query = select(items.c.id).where(items.c.night_id == night_id, items.c.source == NIGHT)
    return set(conn.execute(query).scalars())


def still_inside(conn: Connection, night_id: int) -> dict[str, list[int]]:
    """Items of a night without an outcome, by their present state."""
    query = (
        select(items.c.id, items.c.state)
        .join(night_items, night_items.c.item_id == items.c.id)
        .where(night_items.c.night_id == night_id, night_items.c.outcome.is_(None))
        .order_by(items.c.id)
    )
    inside: dict[str, list[int]] = {}
    for row in conn.execute(query):
        inside.setdefault(row.state, []).append(row.id)
    return inside


def with_outcome(conn: Connection, night_id: int, outcome: str) -> list[int]:
    """The items that left the night by one outcome."""
    query = select(night_items.c.item_id).where(night_items.c.night_id == night_id, night_items.c.outcome == outcome)
    return list(conn.execute(query.order_by(night_items.c.item_id)).scalars())


def leaving_because(conn: Connection, night_id: int, reason: str) -> int:
    """How many items left the night for one reason."""
    query = select(func.count()).where(night_items.c.night_id == night_id, night_items.c.reason == reason)
    return int(conn.execute(query).scalar_one())


def past_digests(conn: Connection, workflow: str, night_id: int, *, since: datetime) -> list[Row]:
    """The digests of a workflow's earlier nights, oldest first, each with its `night`."""
    query = select(nights.c.night, nights.c.summary).where(
        nights.c.workflow == workflow, nights.c.id != night_id, nights.c.locked_at >= since, nights.c.summary.is_not(None)
    )
    rows = conn.execute(query.order_by(nights.c.id)).all()
    return [{"night": row.night, **row.summary["digest"]} for row in rows if row.summary and row.summary.get("digest")]


def times_tried(conn: Connection, item_ids: Iterable[int]) -> dict[int, int]:
    """In how many nights each item was asked about, or worked out, in vain; the present one included.

    A night that never came to it, whose vendor never got to it or failed its whole batch, or whose answer people looked at, is
    no try.
    """
    tried: set[tuple[int, int]] = set()
    left = night_items.c.outcome.is_(None) | (night_items.c.outcome == Outcome.CARRIED_OVER)
    no_fault = (answers.c.state == AnswerState.VALID) | NO_FAULT
    asked = (
        select(answers.c.item_id, answers.c.night_id)
        .join(night_items, (night_items.c.item_id == answers.c.item_id) & (night_items.c.night_id == answers.c.night_id))
        .join(requests, requests.c.id == answers.c.request_id)
        .join(batches, batches.c.id == requests.c.batch_id)
        .where(left, ~no_fault)
    )
    worked_out = (
        select(step_items.c.item_id, steps.c.night_id)
        .join(steps, steps.c.id == step_items.c.step_id)
        .join(night_items, (night_items.c.item_id == step_items.c.item_id) & (night_items.c.night_id == steps.c.night_id))
        .where(left, step_items.c.error.is_not(None))
    )
    for chunk in transitions.chunks(item_ids, transitions.CHUNK):
        for query, column in ((asked, answers.c.item_id), (worked_out, step_items.c.item_id)):
            tried |= {(item_id, night_id) for item_id, night_id in conn.execute(query.where(column.in_(chunk)))}
    return Counter(item_id for item_id, _ in tried)


def conservation(conn: Connection, night_id: int) -> dict[str, int]:
    """Law 1, item by item: locked = staged + failed + carried_over, for the night and for each step.

    Returns:
        The counts, with `locked` the sum.

    Raises:
        ConservationBroken: an item has no outcome, an unknown one, or the lists of night and steps disagree.
    """
    query = select(night_items.c.item_id, night_items.c.outcome).where(night_items.c.night_id == night_id)
    outcomes = {row.item_id: row.outcome for row in conn.execute(query)}
    lost = sorted(i for i, outcome in outcomes.items() if outcome not in set(Outcome))
    if lost:
        raise ConservationBroken(
            f"Night {night_id} locked {len(outcomes)} items, but {len(lost)} of them left it neither staged nor failed "
            f"nor carried over: items {lost[:20]}. The night stays open and nothing is shown to reviewers; "
            "`bin/overnight verify` names each, then clear the validate task."
        )
    _steps_agree(conn, night_id, outcomes)
    counts = Counter(outcomes.values())
    return {"locked": len(outcomes), **{outcome.value: counts[outcome] for outcome in Outcome}}


def _steps_agree(conn: Connection, night_id: int, outcomes: dict[int, str]) -> None:
    """Each step lets go of each of its items: to a later step, or out of the night by the night's own outcome."""
    query = (
        select(steps.c.name, step_items.c.item_id, step_items.c.outcome)
        .join(steps, steps.c.id == step_items.c.step_id)
        .where(steps.c.night_id == night_id)
    )
    went_on: set[int] = set()
    ended: set[int] = set()
    for row in conn.execute(query.order_by(steps.c.position)):
        if row.outcome == chains.PASSED:
            went_on.add(row.item_id)
            continue
        ended.add(row.item_id)
        if row.outcome is None or row.outcome != outcomes.get(row.item_id):
            raise ConservationBroken(
                f"Step {row.name!r} of night {night_id} holds item {row.item_id} with outcome {row.outcome!r}, the night "
                f"holds {outcomes.get(row.item_id)!r}. The night stays open; `bin/overnight verify` names each."
            )
    if lost := sorted((outcomes.keys() | went_on) - ended):
        raise ConservationBroken(
            f"Night {night_id} holds items that came to the end of no step: {lost[:20]}. The night stays open; "
            "`bin/overnight verify` names each."
        )


def close(conn: Connection, night: Night, *, actor: Actor, now: datetime) -> dict[str, int]:
    """Close an exported night and its steps, when the law holds; returns the counts."""
    counts = conservation(conn, night["id"])
    step_ids = conn.execute(select(steps.c.id).where(steps.c.night_id == night["id"])).scalars().all()
    common: dict[str, Any] = {"workflow": night["workflow"], "actor": actor, "now": now}
    transitions.move(conn, "step", step_ids, StepState.CLOSED, **common)
    transitions.move(conn, "night", [night["id"]], NightState.CLOSED, detail=counts, closed_at=now, **common)
    return counts
