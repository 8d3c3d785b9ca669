"""Planning: what a night buys, in which batches, within its budget. Nothing is sent here.

The order of the items is the order of their importance: what the budget does not cover is the end of the list.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from overnight import prompts
from overnight.batches import cost, judge, naming, packing, shards
from overnight.batches.packing import Packed, Question
from overnight.batches.shards import Sized
from overnight.batches.vendor import Line, vendor_class
from overnight.brand import brand
from overnight.ledger import answers, batches, chains, money, nights
from overnight.ledger.batches import Batch
from overnight.ledger.nights import Night
from overnight.ledger.rows import Row
from overnight.ledger.states import AnswerState, Purpose
from overnight.tasks import NightTask
from overnight.workflow import Workflow

OVER_BUDGET = "over tonight's budget; goes to the next night"
WARM_UP_PAYS_FROM = 4
"""Requests: one write at twice the price, every other read at a tenth, against all of them at the plain price."""


@dataclass(slots=True)
class Planned:
    """What became of the items."""

    batch_ids: list[int] = field(default_factory=list)
    reused: int = 0
    over_budget: list[int] = field(default_factory=list)  # items that stay unsent
    ceiling_usd: Decimal = Decimal(0)
    estimate_usd: Decimal = Decimal(0)

    def add(self, other: "Planned") -> None:
        """Both together."""
        self.batch_ids += other.batch_ids
        self.reused += other.reused
        self.over_budget += other.over_budget
        self.ceiling_usd += other.ceiling_usd
        self.estimate_usd += other.estimate_usd


def question(task_workflow: Workflow, vendor: str, model: str) -> Question:
    """Who is asked what, and whether the stable part is long enough for the vendor's cache."""
    facts, prompt = vendor_class(vendor).facts, prompts.load(task_workflow)
    # Our own upper bound is twice the truth for English: half of it must reach the vendor's minimum.
    long_enough = cost.tokens_at_most(prompt.system) // 2 >= facts.cached_from(model)
    return Question(vendor, facts, model, prompt, task_workflow.cache and facts.marks_cache and long_enough)


def first(conn: Connection, task: NightTask, night: Night, step_id: int, items: Sequence[Mapping[Any, Any]],
          *, only_one: bool = False, now: datetime) -> Planned:  # fmt: skip
    """Plan a step's items: answered from the ledger where they can be, bought within the budget, cut into shards.

    Args:
        task: its workflow is a view of the step.
        only_one: one batch at most; who does not fit is asked when that one has landed.
    """
    made = Planned()
    if not items:
        return made
    asked = question(task.workflow, task.workflow.vendor, task.workflow.model)
    wanted = packing.entries(task.workflow, asked, items, access=task.policy.data_access)
    if task.workflow.reuse or _leads_on(task.workflow):
        wanted = _reuse(conn, task, night, step_id, wanted, items, made, now=now)
    packed = list(packing.apart(task.workflow, asked, wanted))
    bought = _within(conn, task, night, step_id, packed, made)
    where = _Place(night["id"], step_id, batches.next_shard(conn, step_id), Purpose.FIRST, only_one=only_one)
    _write(conn, task, asked, where, bought, made, now=now)
    share = money.experience(conn, task.workflow.name, task.workflow.model)
    made.estimate_usd = made.ceiling_usd * (share if share is not None else 1)
    return made


def again(
    conn: Connection, task: NightTask, batch: Batch, problems: Mapping[int, str | None], *, vendor: str, model: str,
    purpose: Purpose, limits: Mapping[int, int] | None = None, not_before_at: datetime | None = None, now: datetime,
) -> Planned:  # fmt: skip
    """Plan the next batch of a shard: these items and no others, each with what was wrong with its last answer.

    An item with a problem of its own is asked alone; those the vendor never got to are packed as before.
    """
    made, asked = Planned(), question(task.workflow, vendor, model)
    items = chains.asking(conn, batch["step_id"], problems)
    told = {item_id: problem for item_id, problem in problems.items() if problem}
    packed: list[Packed] = []
    for alone in (False, True):
        part = [item for item in items if (item["id"] in told) == alone]
        wanted = packing.entries(task.workflow, asked, part, told, task.policy.data_access)
        packed += packing.apart(task.workflow, asked, wanted, alone=alone, limits=limits)
    bought = _within(conn, task, nights.get(conn, batch["home_night_id"]), batch["step_id"], packed, made)
    attempt = max(row["attempt"] for row in batches.of_shard(conn, batch)) + 1
    where = _Place(batch["home_night_id"], batch["step_id"], batch["shard"], purpose, attempt, not_before_at, only_one=True)
    _write(conn, task, asked, where, bought, made, now=now)
    return made


def _reuse(
    conn: Connection, task: NightTask, night: Night, step_id: int, wanted: Sequence[packing.Entry],
    items: Sequence[Mapping[Any, Any]], made: Planned, *, now: datetime,
) -> list[packing.Entry]:  # fmt: skip
    """Answer from the ledger what it can answer; returns what is left to buy. Today's rules judge the old answer anew.

    A step that leads on to another is never bought twice for the same item: a night that was cut after it goes on from there.
    """
    own = None if task.workflow.reuse else {item["id"] for item in items}
    known = answers.reusable(conn, task.workflow.name, [entry.key for entry in wanted], own)

    def earlier(entry: packing.Entry) -> Row | None:
        return known.get((entry.key, entry.item_ids[0] if own is not None else None))

    inputs = {item["id"]: item["input"] for item in items}
    left, rows, notes = [], list[dict[str, Any]](), list[dict[str, Any]]()
    for entry in wanted:
        old = earlier(entry)
        judged = [judge.again(task.workflow, inputs[i], old["output"]) for i in entry.item_ids] if old is not None else []
        if old is None or any(one.state is not AnswerState.VALID for one in judged):
            left.append(entry)
            continue
        for item_id, one in zip(entry.item_ids, judged, strict=True):
            rows.append(_reused_row(old, item_id, step_id, night["id"], one))
            notes += judge.finding_rows(one, item_id, night["id"], step_id=step_id, attempt=0)
    answers.reuse(conn, rows, notes, workflow=task.workflow.name, actor=task.actor, now=now)
    made.reused = len(rows)
    return left


def _reused_row(old: Row, item_id: int, step_id: int, night_id: int, one: judge.Judgement) -> dict[str, Any]:
    nothing = dict.fromkeys(
        ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"), 0
    )  # fmt: skip
    return {
        "item_id": item_id, "step_id": step_id, "request_id": old["request_id"], "vendor": old["vendor"], "attempt": 0,
        "state": one.state, "output": one.output, "error": None, "retryable": False, "model": old["model"], **nothing,
        "cost_usd": Decimal(0), "realtime_cost_usd": Decimal(0), "night_id": night_id, "reused_from": old["answer_id"],
    }  # fmt: skip


def _leads_on(view: Workflow) -> bool:
    return view.has(view.step) and bool(view.following(view.step))


def _within(
    conn: Connection, task: NightTask, night: Night, step_id: int, packed: Iterable[Packed], made: Planned
) -> list[Packed]:  # fmt: skip
    """The requests that the budgets of step, night and brand cover at most, in their order; the others stay unsent."""
    money.hold(conn)
    left = _money_left(conn, task, night, step_id)
    most = task.policy.action_scope.max_tokens
    tokens = money.tokens_committed(conn, night["id"]) if most is not None else 0
    bought: list[Packed] = []
    for request in packed:
        too_dear = left is not None and made.ceiling_usd + request.ceiling_usd > left
        too_long = most is not None and tokens + request.tokens_at_most > most
        if made.over_budget or too_dear or too_long:
            made.over_budget += request.item_ids
            continue
        tokens += request.tokens_at_most
        made.ceiling_usd += request.ceiling_usd
        bought.append(request)
    return bought


def _money_left(conn: Connection, task: NightTask, night: Night, step_id: int) -> Decimal | None:
    limits: list[Decimal] = []
    of_step = task.policy.action_scope.steps.get(task.workflow.step)
    if of_step is not None:
        limits.append(of_step - money.committed_at(conn, step_id))
    if night["budget_usd"] is not None:
        limits.append(night["budget_usd"] - money.committed(conn, night["id"]))
    shared = brand().budget_usd
    if shared is not None:
        limits.append(shared - money.committed_on(conn, night["night"][:10]))
    return min(limits) if limits else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the night a batch stands."""

    night_id: int
    step_id: int
    shard: int
    purpose: Purpose
    attempt: int = 1
    not_before_at: datetime | None = None
    only_one: bool = False  # what does not fit into one batch is planned when that one has landed


def _write(
    conn: Connection, task: NightTask, asked: Question, where: _Place, packed: Sequence[Packed], made: Planned, *, now: datetime
) -> None:  # fmt: skip
    row = {"hash": asked.prompt.hash, "workflow": task.workflow.name, "system": asked.prompt.system}
    batches.keep_prompt(conn, {**row, "schema": asked.prompt.schema, "schema_name": asked.prompt.schema_name})
    cuts = list(shards.cut(_sized(asked, packed), asked.facts, task.workflow.shard_requests, enqueued_tokens(asked)))
    # Where one batch is all that goes out now, one of a single request would keep the others waiting for it.
    warm = where.purpose is Purpose.FIRST and asked.cached and len(packed) >= WARM_UP_PAYS_FROM and not where.only_one
    if warm:
        cuts = [[cuts[0][0]], *([cuts[0][1:]] if len(cuts[0]) > 1 else []), *cuts[1:]]
    first_id = None
    for number, shard in enumerate(cuts[:1] if where.only_one else cuts):
        purpose = Purpose.WARM_UP if warm and number == 0 else where.purpose
        batch_id = _plan_one(conn, task, asked, where, where.shard + number, shard, purpose, first_id if warm else None, now=now)
        first_id = first_id or batch_id
        made.batch_ids.append(batch_id)


def _plan_one(
    conn: Connection, task: NightTask, asked: Question, where: _Place, shard: int, cut: Sequence[Sized[Packed]],
    purpose: Purpose, after_id: int | None, *, now: datetime,
) -> int:  # fmt: skip
    night = nights.get(conn, where.night_id)
    key = naming.batch_key(task.workflow.name, night["night"], night["run_id"], where.step_id, shard, where.attempt)
    batch = {
        "night_id": where.night_id, "step_id": where.step_id, "shard": shard, "attempt": where.attempt, "key": key,
        "vendor": asked.vendor, "model": asked.model, "request_bytes": sum(one.size for one in cut),
        "input_tokens": sum(one.tokens for one in cut), "purpose": purpose, "cache_prefix": asked.cached,
        "ceiling_usd": sum((one.thing.ceiling_usd for one in cut), Decimal(0)), "not_before_at": where.not_before_at,
        "after_id": after_id,
    }  # fmt: skip
    lines = [one.thing.line(asked.prompt.hash) for one in cut]
    named = [{**line, "custom_id": naming.custom_id(key, line["entries"][0]["item_ids"][0])} for line in lines]
    return batches.plan(conn, batch, named, workflow=task.workflow.name, actor=task.actor, now=now)


def _sized(asked: Question, packed: Iterable[Packed]) -> Iterator[Sized[Packed]]:
    """Each request with its bytes on the wire (measured once for the shared part)."""
    prompt = asked.prompt
    empty = Line("x" * naming.MAX_CUSTOM_ID, asked.model, prompt.system, "", prompt.schema, prompt.schema_name, 1, asked.cached)
    shared = len(vendor_class(asked.vendor)(None).line(empty))
    for request in packed:
        yield Sized(request, shared + len(json.dumps(request.content, ensure_ascii=False).encode()), request.input_tokens)


def enqueued_tokens(asked: Question) -> int | None:
    """How many input tokens may wait at the vendor for this model: the brand's tier, or the lowest."""
    named = brand().enqueued_tokens.get(asked.vendor, {}).get(asked.model)
    return named if named is not None else asked.facts.enqueued_tokens
