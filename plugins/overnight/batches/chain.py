"""What follows a step: who goes on, with which input. Decides who is asked next; sends nothing.

An item goes on as soon as its own step has brought a good answer; one that failed holds nobody up. All of it is decided from
the ledger, so deciding again after a kill changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib import import_module
from typing import Any

from sqlalchemy import Connection

from overnight.batches import plan
from overnight.batches.plan import Planned
from overnight.ledger import batches, chains, money, nights, queue, transitions
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.tasks import NightTask
from overnight.workflow import NightFacts, Step, StepRow, Workflow


def start(conn: Connection, task: NightTask, night: Night, items: Sequence[Mapping[Any, Any]], *, now: datetime) -> Planned:
    """Plan the steps that wait for no other, for all locked items. Steps in code are run by their own task."""
    ids, made = chains.steps_of(conn, night["id"]), Planned()
    asked = [step for step in task.workflow.first_steps if not step.compute]
    over: list[set[int]] = []
    for step in asked:
        given = [
            {**item, "queued": item["input"], "input": step.take(item["input"], {})} if step.take else item for item in items
        ]
        planned = plan.first(conn, _viewed(task, step.name), night, ids[step.name], given, now=now)
        over.append(set(planned.over_budget))
        made.add(planned)
    made.over_budget = sorted(set.intersection(*over)) if over else []
    for step in asked:
        for following in filter(_goes_on_by_shard, task.workflow.following(step.name)):
            # What an earlier night paid for is not asked again: those items go on at once.
            rows = _ready(conn, task.workflow, night, following, ids, {item["id"] for item in items})
            _go_on(conn, task, night, following, ids, rows, now=now)
    return made


def entrances(conn: Connection, task: NightTask, night: Night) -> list[int]:
    """The batches a night begins with: those of its first steps, adopted ones, and those of items that go on at once."""
    first = [step.name for step in task.workflow.first_steps]
    begun = batches.ids_of_night(conn, night["id"], first)
    there = chains.steps_of(conn, night["id"])
    asked = {i for batch_id in begun for i in batches.item_ids(conn, batch_id)}
    seconds = {step.name for name in first for step in task.workflow.following(name) if _goes_on_by_shard(step)}
    for batch_id in (b for name in seconds if name in there for b in batches.ids_of_step(conn, there[name])):
        if not asked & set(batches.item_ids(conn, batch_id)):
            begun.append(batch_id)
    return begun


def after_shard(conn: Connection, task: NightTask, batch: Mapping[Any, Any], *, now: datetime) -> int | None:
    """A shard of a step has come to its end: its items with a good answer go on to the next step, in one batch.

    Returns:
        The batch of the next step, or None where nobody goes on. Asked only of a step that leads on.
    """
    declared = _declared(task)
    (step,) = (step for step in declared.following(batch["step"]) if _goes_on_by_shard(step))
    money.hold(conn)  # first, as every writer that asks for money
    chains.hold(conn, batch["home_night_id"])
    night = nights.get(conn, batch["home_night_id"])
    if night["state"] != NightState.LOCKED:
        return None
    mine = {i for one in batches.of_shard(conn, batch) for i in batches.item_ids(conn, one["id"])}
    there = chains.steps_of(conn, night["id"])
    rows = _ready(conn, declared, night, step, there, mine)
    return _go_on(conn, task, night, step, there, rows, now=now)


def leads_on(task: NightTask, batch: Mapping[Any, Any]) -> bool:
    """Whether a shard of this batch's step goes on by itself."""
    declared = _declared(task)
    return declared.has(batch["step"]) and any(_goes_on_by_shard(step) for step in declared.following(batch["step"]))


def after_all(conn: Connection, task: NightTask, night: Night, done: str, *, now: datetime) -> list[int]:
    """A step in code is done for the whole night: plan all that follows it; returns the batches to run."""
    declared, there = _declared(task), chains.steps_of(conn, night["id"])
    money.hold(conn)
    chains.hold(conn, night["id"])
    made: list[int] = []
    for step in declared.following(done):
        if step.compute:
            continue  # its own task takes its rows
        if not chains.member_ids(conn, there[step.name]):
            rows = _ready(conn, declared, night, step, there, None)
            if step.whole_night:
                _ask_of_all(conn, task, night, step, there, rows, now=now)
            else:
                _plan_all(conn, task, night, step, there, rows, now=now)
        made += batches.ids_of_step(conn, there[step.name])
    return made


def rows_for(conn: Connection, task: NightTask, night: Night, name: str, now: datetime) -> list[StepRow]:
    """The rows a step in code works on: all locked items of a first step, else what passed the steps before it."""
    declared, there = _declared(task), chains.steps_of(conn, night["id"])
    step = declared.step_named(name)
    if not step.after:
        return [StepRow(row["id"], row["key"], row["input"]) for row in chains.inside(conn, there[name], night["id"])]
    rows = _ready(conn, declared, night, step, there, None)
    _enter(conn, night, step, there, {row.item_id: None for row, _ in rows})
    return [row for row, _ in rows]


def _ready(
    conn: Connection, declared: Workflow, night: Night, step: Step, there: Mapping[str, int], among: set[int] | None
) -> list[tuple[StepRow, dict[str, Any]]]:  # fmt: skip
    """Items with a good answer from a step before this one, each with its input here; `among`: of these only."""
    queued: dict[int, Any] = {}
    for earlier in step.after:
        for row in chains.inside(conn, there[earlier], night["id"]):
            if (among is None or row["id"] in among) and row["source"] != batches.NIGHT:
                queued[row["id"]] = row
    inputs = {row["id"]: row for row in queue.by_ids(conn, queued)}
    found = chains.outputs(conn, night["id"], queued)
    ready = []
    for item_id, row in sorted(inputs.items()):
        outputs = found.get(item_id, {})
        if not any(earlier in outputs for earlier in step.after):
            continue
        given = step.take(row["input"], outputs) if step.take else row["input"]
        if given is not None:
            ready.append((StepRow(item_id, row["key"], row["input"], outputs), given))
    return ready


def _go_on(
    conn: Connection, task: NightTask, night: Night, step: Step, there: Mapping[str, int],
    rows: Sequence[tuple[StepRow, dict[str, Any]]], *, now: datetime,
) -> int | None:  # fmt: skip
    """One batch for a shard's items; started again it finds the one it planned."""
    new = _enter(conn, night, step, there, {row.item_id: given for row, given in rows})
    if new:
        planned = plan.first(
            conn, _viewed(task, step.name), night, there[step.name], chains.asking(conn, there[step.name], new), only_one=True,
            now=now,
        )  # fmt: skip
        _leave_unpaid(conn, task, night, planned, now=now)
    ids = {row.item_id for row, _ in rows}
    for batch_id in batches.ids_of_step(conn, there[step.name]):
        if ids & set(batches.item_ids(conn, batch_id)):
            return batch_id
    return None


def _plan_all(
    conn: Connection, task: NightTask, night: Night, step: Step, there: Mapping[str, int],
    rows: Sequence[tuple[StepRow, dict[str, Any]]], *, now: datetime,
) -> None:  # fmt: skip
    new = _enter(conn, night, step, there, {row.item_id: given for row, given in rows})
    items = chains.asking(conn, there[step.name], new)
    planned = plan.first(conn, _viewed(task, step.name), night, there[step.name], items, now=now)
    _leave_unpaid(conn, task, night, planned, now=now)


def _ask_of_all(
    conn: Connection, task: NightTask, night: Night, step: Step, there: Mapping[str, int],
    rows: Sequence[tuple[StepRow, dict[str, Any]]], *, now: datetime,
) -> None:  # fmt: skip
    """The night's one question about all others becomes an item of its own: conserved, reviewed and delivered like any."""
    facts = NightFacts(task.workflow.name, night["night"], now)
    given = call(step.whole_night)([row for row, _ in rows], facts)
    if given is None:
        return
    common: dict[str, Any] = {"workflow": task.workflow.name, "actor": task.actor, "now": now}
    key = f"{step.name} {night['night']}"
    row = {"source": batches.NIGHT, "source_ref": key, "key": key, "content_hash": key, "input": given, "priority": 0}
    ids = queue.add(conn, [row], ItemState.WAITING, **common)
    transitions.move(conn, "item", ids, ItemState.LOCKED, night_id=night["id"], **common)
    nights.add_members(conn, night["id"], there[step.name], ids)
    # It speaks of all rows: whatever a row declares personal is masked in it, too.
    personal = {name: [row.item.get(name) for row, _ in rows] for name in task.policy.data_access.personal}
    items = [{**item, "queued": personal} for item in chains.asking(conn, there[step.name], ids)]
    planned = plan.first(conn, _viewed(task, step.name), night, there[step.name], items, now=now)
    _leave_unpaid(conn, task, night, planned, now=now)


def _enter(conn: Connection, night: Night, step: Step, there: Mapping[str, int], given: Mapping[int, Any]) -> list[int]:
    """Items come into a step and leave those before it; returns the ones that are new there."""
    here = set(chains.member_ids(conn, there[step.name]))
    chains.enter(conn, there[step.name], given)
    chains.passed(conn, [there[earlier] for earlier in step.after], given)
    return sorted(given.keys() - here)


def _leave_unpaid(conn: Connection, task: NightTask, night: Night, planned: Planned, *, now: datetime) -> None:
    nights.leave(
        conn, night, planned.over_budget, Outcome.CARRIED_OVER, actor=task.actor, now=now, reason=plan.OVER_BUDGET
    )  # fmt: skip


def call(path: str) -> Any:
    """The function a step names as "module:function", imported only when its step runs (it may need pandas)."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _goes_on_by_shard(step: Step) -> bool:
    return not step.compute and not step.whole_night


def _declared(task: NightTask) -> Workflow:
    return replace(task.workflow, step="")


def _viewed(task: NightTask, name: str) -> NightTask:
    return replace(task, workflow=_declared(task).at(name))
