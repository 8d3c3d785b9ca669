"""The drain operator: read, validate, dedupe, order, cap, lock, cut into batches; every row gets its answer back.

Everything the lock decides is committed in one transaction. Answering the rows comes after it and can be repeated: a
drain that is killed in between finds its night locked, and says the same again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight.alerts import notifier
from overnight.clock import utcnow
from overnight.governance import capacity, launch
from overnight.ledger import answers, batches, chains, findings, money, nights, queue, transitions
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.ledger.states import ItemState, NightState, Outcome
from overnight.queues import cells, intake
from overnight.queues.source import Reading, RowAnswer, source
from overnight.tasks import NightTask, open_task
from overnight.workflow import Workflow

_SAID = {
    ItemState.LOCKED: "locked for the night of {night}",
    ItemState.SUBMITTED: "in the night of {night}",
    ItemState.ANSWERED: "in the night of {night}",
    ItemState.STAGED: "ready for review since the night of {night}",
    ItemState.IN_REVIEW: "in review since the night of {night}",
    ItemState.APPROVED: "approved (night of {night})",
    ItemState.EDITED: "approved with edits (night of {night})",
    ItemState.DELIVERED: "delivered (night of {night})",
    ItemState.REWORK: "sent back by a reviewer; first in the next night",
    ItemState.FAILED: "failed in the night of {night}; see the review",
}


class DrainOperator(BaseOperator):
    """Lock tonight's items and plan their batches; returns the ids of the batches."""

    def __init__(self, *, workflow: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow = workflow

    def execute(self, context: Any) -> list[int]:
        """Drain the queue of this run's night."""
        task = open_task(self.workflow, context)
        ids = drain(open_ledger(), task, now=utcnow())
        self.log.info("%s %s: %d batches planned", task.workflow.name, task.run_id, len(ids))
        return ids


def drain(ledger: Ledger, task: NightTask, *, now: datetime) -> list[int]:
    """The work of the operator, without Airflow."""
    from overnight.batches import chain

    task.policy.allow("read_queue")
    workflow = task.workflow
    place = source(workflow.source)
    reading = place.read(workflow.name, intake.columns_of(workflow))
    judged, troubles = look_at(task, reading), reading.troubles
    del reading  # with the rows as they were read: a large night is planned beside what is kept here
    with ledger.write() as conn:
        night = nights.of_run(conn, workflow.name, task.run_id)
        if night["state"] == NightState.OPEN:
            lock(conn, task, night, judged, troubles=len(troubles), now=now)
        night = nights.get(conn, night["id"])
        planned = chain.entrances(conn, task, night)
        told = answers_of(conn, task, judged)
    _say_urgent(ledger, task, night, now=now)  # first: a sheet that cannot be written to must not keep it from being said
    place.answer(workflow.name, night["night"], told, troubles)
    _say_over_budget(ledger, task, night, now=now)
    _say_over_capacity(ledger, task, night, now=now)
    return planned


def _say_urgent(ledger: Ledger, task: NightTask, night: Night, *, now: datetime) -> None:
    """Rows that may not wait are a person's at once: the alert names them, and nothing of their text. Each is told of once; what
    stands in the queue since an earlier night was told then.
    """
    with ledger.read() as conn:
        keys = queue.refused(conn, night["id"], intake.URGENT)
    if keys:
        listed = ", ".join(keys[:20]) + (f" and {len(keys) - 20} more" if len(keys) > 20 else "")
        notifier.night_alert(
            ledger, "urgent_rows", task.workflow.name, night["night"], task.run_id,
            f"{len(keys)} rows cannot wait for the night and were taken out before the lock: {listed}. Look at them now; why is "
            "said beside each row.", now=now,
        )  # fmt: skip


def _say_over_capacity(ledger: Ledger, task: NightTask, night: Night, *, now: datetime) -> None:
    """What the reviewers' morning has no minutes for is told at the lock, not found out at nine."""
    if night["over_cap"] and (night["cap_why"] or "").startswith(capacity.MORNING):
        notifier.raise_alert(
            ledger, f"capacity:{task.workflow.name}:{task.run_id}", "over_capacity", task.workflow.name,
            f"{night['over_cap']} items wait for a later night: {night['cap_why']}. {night['cap']} were locked. Each row says "
            "its place in line; old ones rise. More minutes or people in team.yaml, or less backlog, make room.",
            night=night["night"], run_id=task.run_id, now=now,
        )  # fmt: skip


def _say_over_budget(ledger: Ledger, task: NightTask, night: Night, *, now: datetime) -> None:
    from overnight.batches.plan import OVER_BUDGET

    with ledger.read() as conn:
        over = nights.leaving_because(conn, night["id"], OVER_BUDGET)
    if over:
        notifier.night_alert(
            ledger, "over_budget", task.workflow.name, night["night"], task.run_id,
            f"{over} items of the lowest priority wait for the next night: tonight's budget of ${night['budget_usd']} does not "
            "cover what they could cost at most (or its max_tokens what they could take). Nothing was overspent. Raise max_usd "
            "or max_tokens in the workflow's policy.yaml, or budget_usd in brand.yaml, if they should run.",
            now=now,
        )  # fmt: skip


def look_at(task: NightTask, reading: Reading) -> list[intake.Judged]:
    """Each row of a look by itself, before anybody holds the ledger."""
    return intake.judge(task.workflow, reading.rows, task.policy.data_access.keeps_back)


def lock(
    conn: Connection, task: NightTask, night: Night, judged: list[intake.Judged], *, troubles: int, now: datetime
) -> None:  # fmt: skip
    """Decide who is locked tonight, and plan what is asked, inside the caller's transaction.

    Args:
        judged: lets its texts go as soon as the ledger has them; what tells one row from another stays.
        troubles: how many whole files or sheets could not be read; they count as refused.
    """
    workflow, actor = task.workflow, task.actor
    common: dict[str, Any] = {"workflow": workflow.name, "actor": actor, "now": now}
    money.hold(conn)  # first, as every writer that asks for money: two that hold one another's locks would wait for ever
    known = _known(conn, task, judged)
    found = intake.sort(workflow, judged, known)
    _take(conn, task, found, known, night, **common)
    withdrawn = _withdraw(conn, task, judged, **common) if troubles == 0 else 0  # what could not be read is not gone
    refused = len(found.rejected) + len(found.repeated)
    del found, known
    intake.let_texts_go(workflow, judged)
    # A test holds what it asked, under the prompt it is about: what is late lands in the next ordinary night.
    late, answered, tired = ({}, [], 0) if night["purpose"] == launch.TEST else _adopt(conn, task, night)
    ranked = _ranked(conn, workflow, night)
    wanted = min(night["cap"], len(late) - tired + len(ranked))
    room = capacity.room(conn, workflow, night, wanted, now=now)
    cap, why = (room.items, room.why) if room.why else (night["cap"], night["cap_why"] or "")
    free = max(0, cap - (len(late) - tired))
    locked, over = ranked[:free], ranked[free:]
    _carry_over_the_cap(conn, over, cap, why, **common)
    ids = [*late, *(item["id"] for item in locked)]
    transitions.move(
        conn, "item", ids, ItemState.LOCKED, night_id=night["id"], message=f"locked for the night of {night['night']}",
        bucket=None, position=None, in_doubt=False, **common,
    )  # fmt: skip
    transitions.move(conn, "item", answered, ItemState.ANSWERED, detail={"answer": "late"}, **common)
    nights.add_steps(conn, night, [step.name for step in workflow.steps], actor=actor, now=now)
    _enter_steps(conn, task, night, late, locked)
    planned = _plan(conn, task, night, locked, now=now)
    capacity.reserve(conn, night, len(ids) - len(planned.over_budget), room.seconds, now=now)
    counts = {"locked": len(ids), "over_cap": len(over), "rejected": refused, "withdrawn": withdrawn}
    transitions.move(
        conn, "night", [night["id"]], NightState.LOCKED, detail=counts, locked_at=now, over_cap=len(over),
        rejected=refused + troubles, cap=cap, cap_why=why or None,
        estimate_usd=planned.estimate_usd, **common,
    )  # fmt: skip


def _adopt(conn: Connection, task: NightTask, night: Night) -> tuple[dict[int, dict[str, Any]], list[int], int]:
    """Batches of earlier nights that were not settled by their export: what they bring lands in this night, unbought.

    Returns:
        Their items with the steps that are out (and what was given there), those of them that have their answer already
        (the batch was half landed), and how many came in an earlier night, too, and brought nothing: they take nobody's place.
    """
    late: dict[int, dict[str, Any]] = {}
    answered, tired = set[int](), set[int]()
    for batch_id in batches.unsettled_before(conn, task.workflow.name, night["id"]):
        batch = batches.get(conn, batch_id)
        given = chains.old_inputs(conn, batch)
        doubtful = batches.doubtful_items(conn, batch_id)
        for item_id in doubtful:
            late.setdefault(item_id, {})[batch["step"]] = given.get(item_id)
        if batch["landing_night_id"] is not None:
            tired |= set(doubtful)
        findings.carry(conn, doubtful, batch["home_night_id"], night["id"])
        answered |= set(answers.follow(conn, batch, night["id"]))
        batches.note(conn, batch_id, landing_night_id=night["id"])
    return late, sorted(answered & set(late)), len(tired - answered)


def _enter_steps(
    conn: Connection, task: NightTask, night: Night, late: Mapping[int, Mapping[str, Any]], locked: Sequence[Mapping[Any, Any]]
) -> None:
    """New items enter the steps that wait for no other; late ones the step whose answer is still out."""
    there = chains.steps_of(conn, night["id"])
    first = [step.name for step in task.workflow.first_steps]
    for step in task.workflow.first_steps:
        given = {item["id"]: step.take(item["input"], {}) if step.take else None for item in locked}
        chains.enter(conn, there[step.name], given)
    nights.list_members(conn, night["id"], [item["id"] for item in locked])
    for item_id, steps in late.items():
        named = {name: given for name, given in steps.items() if name in there} or {first[0]: None}
        for name, given in named.items():
            chains.enter(conn, there[name], {item_id: given})
    nights.list_members(conn, night["id"], late)


def _known(conn: Connection, task: NightTask, judged: Sequence[intake.Judged]) -> dict[str, list[Any]]:
    workflow = task.workflow
    return queue.known_rows(conn, workflow.name, workflow.source, {one.candidate.key for one in judged})


def _take(
    conn: Connection, task: NightTask, found: intake.Intake, known: Mapping[str, Sequence[Any]], night: Night, **common: Any
) -> None:
    """New rows enter the ledger; bad ones as rejected, so that the refusal is on record, too.

    What waits of a row that was changed is replaced by what stands there now, even where that is refused or was there before:
    an older version is bought for nobody.
    """
    older = [
        version["id"]
        for key, versions in known.items()
        for version in versions
        if version["state"] in queue.WAITING_STATES and version["content_hash"] != found.current.get(key, version["content_hash"])
    ]
    transitions.move(conn, "item", older, ItemState.REJECTED, message=queue.REPLACED, **common)
    revived = [item["id"] for _, item in found.revived]
    queue.write_again(conn, {item["id"]: (c.input, c.context) for c, item in found.revived})
    held = batches.at_a_vendor(conn, revived)  # what may be at a vendor waits for it in doubt, as before, and is not sent again
    for state, ids in ((ItemState.WAITING, set(revived) - held), (ItemState.CARRIED_OVER, held)):
        doubt = state is ItemState.CARRIED_OVER
        transitions.move(
            conn, "item", sorted(ids), state, message=None, in_doubt=doubt, detail={"changed": "back"}, **common
        )  # fmt: skip
    queue.urge(conn, found.urged)
    queue.add(conn, (_row(task.workflow, c) for c in found.new), ItemState.WAITING, **common)
    rows = ({**_row(task.workflow, c), "message": message, "night_id": night["id"]} for c, message in found.rejected)
    queue.add(conn, rows, ItemState.REJECTED, **common)


def _withdraw(conn: Connection, task: NightTask, judged: Sequence[intake.Judged], **common: Any) -> int:
    """Rows that people took out while they waited are bought for nobody; one that is put back is taken up again."""
    workflow = task.workflow
    if not source(workflow.source).gone_is_withdrawn:
        return 0
    gone = queue.gone(conn, workflow.name, workflow.source, {one.candidate.key for one in judged})
    transitions.move(conn, "item", gone, ItemState.REJECTED, message=queue.WITHDRAWN, **common)
    return len(gone)


def _row(workflow: Workflow, candidate: intake.Candidate) -> dict[str, Any]:
    return {
        "source": workflow.source, "source_ref": candidate.ref, "key": candidate.key, "input": candidate.input,
        "content_hash": candidate.content_hash, "priority": candidate.priority, "context": candidate.context,
    }  # fmt: skip


def _ranked(conn: Connection, workflow: Workflow, night: Night) -> list[Mapping[Any, Any]]:
    """Who waits, in the order in which it is their turn; a launch test takes a fair sample instead of the most urgent."""
    ranked = intake.order(queue.waiting(conn, workflow.name))
    return intake.representative(ranked, night["cap"], workflow.kinds) if night["purpose"] == launch.TEST else ranked


def _carry_over_the_cap(conn: Connection, over: Sequence[Any], cap: int, why: str, **common: Any) -> None:
    because = f" ({why})" if why else ""
    fresh = [item["id"] for item in over if item["state"] != ItemState.CARRIED_OVER]
    reason = {"reason": "over the cap", "cap": cap}
    transitions.move(conn, "item", fresh, ItemState.CARRIED_OVER, detail=reason, **common)
    queue.age(conn, [item["id"] for item in over])
    queue.say(
        conn,
        {
            item["id"]: f"over tonight's cap of {cap}{because}; place {place} in line for the next night"
            for place, item in enumerate(over, start=1)
        },
    )


def _plan(conn: Connection, task: NightTask, night: Night, items: Sequence[Any], *, now: datetime) -> Any:
    from overnight.batches import chain
    from overnight.batches.plan import OVER_BUDGET

    planned = chain.start(conn, task, night, items, now=now)
    nights.leave(
        conn, night, planned.over_budget, Outcome.CARRIED_OVER, actor=task.actor, now=now, reason=OVER_BUDGET
    )  # fmt: skip
    return planned


def answers_of(conn: Connection, task: NightTask, judged: Sequence[intake.Judged]) -> list[RowAnswer]:
    """What each row is told, from what the ledger holds now: the same words whenever it is asked."""
    found = intake.sort(task.workflow, judged, _known(conn, task, judged))
    told = {row.ref: RowAnswer(row.ref, _key(item), *_words(item)) for row, item in found.known}
    told |= {answer.ref: answer for answer in found.repeated}
    told |= {c.ref: RowAnswer(c.ref, c.key, "waiting", cells.CHANGED) for c in found.new}
    told |= {c.ref: RowAnswer(c.ref, c.key, "rejected", message) for c, message in found.rejected}
    return [replace(told[one.row.ref], mark=one.row.mark) for one in judged if one.row.ref in told]


def _key(item: Any) -> str:
    return "" if item["key"].startswith(intake.NO_ID) else str(item["key"])


def _words(item: Any) -> tuple[str, str]:
    state = ItemState(item["state"])
    if state in (ItemState.REJECTED, ItemState.CARRIED_OVER, ItemState.WAITING):
        return state.value, item["message"] or "waits for the next night"
    return state.value, _SAID[state].format(night=item["night"])
