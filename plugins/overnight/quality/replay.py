"""Replay: would a proposed rule have helped? Past drafts that a person edited are asked for again, with the rule and without.

Both arms are bought at batch price through the same machinery as a night (paid once, found again after a kill), under a name
of their own that no queue and no review knows. How near each new draft comes to what the person made of the old one is the
measure; the two arms are compared item by item.
"""

import asyncio
import hashlib
import json
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from sqlalchemy import Connection

from overnight import prompts
from overnight.batches import clients, plan, stops
from overnight.batches.errors import MaybeAccepted, TryLater
from overnight.batches.shard import Shard, Watch
from overnight.batches.vendor import Phase, Vendor
from overnight.batches.waits import Wait, waits
from overnight.brand import brand
from overnight.clock import NOW, clock, utcnow
from overnight.governance import killswitch
from overnight.ledger import answers, batches, chains, findings, lessons, nights, overview, queue, switches, transitions
from overnight.ledger.connect import Ledger
from overnight.ledger.states import AnswerState, BatchState, ItemState, NightState
from overnight.tasks import NightTask, make_task
from overnight.validation.validate import validate

log = logging.getLogger("overnight.replay")
FEWEST, MOST = 5, 30
"""Edited items a replay needs, and asks for at most."""
ARMS = ("without", "with")
_RESAMPLES = 2_000


class TooFew(ValueError):
    """There is not enough to replay on; nothing was bought."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a replay showed.

    `difference` is the mean gain in likeness to the reviewer's own version, -1..1, with its 95 % interval (bootstrap over
    items); `findings` counts warnings and failures of the checks in each arm.
    """

    says: str
    items: int
    difference: float
    low: float
    high: float
    likeness: dict[str, float]
    findings: dict[str, int]
    cost_usd: str

    def as_row(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {"v": 1, **{name: getattr(self, name) for name in self.__slots__}}


def replay(ledger: Ledger, lesson_id: int) -> Verdict:
    """Run both arms to their end and judge; killed and started again, it goes on where it was.

    Raises:
        TooFew, NoSuchLesson: nothing was bought.
    """
    with ledger.read() as conn:
        lesson = lessons.get(conn, lesson_id)
        past = [d for d in lessons.taught(conn, lesson["workflow"]) if d["decision"] == "edit" and d["draft"]][-MOST:]
    if len(past) < FEWEST:
        raise TooFew(
            f"A replay needs at least {FEWEST} items that reviewers edited; {lesson['workflow']} has {len(past)}. "
            "Nothing was bought."
        )
    killswitch.refuse_if_engaged(ledger, lesson["workflow"], "the replay")
    arms = {arm: _arm(ledger, lesson, past, arm) for arm in ARMS}
    verdict = _judge(past, arms)
    with ledger.write() as conn:
        lessons.keep_replay(conn, lesson_id, verdict.as_row())
    return verdict


@dataclass(slots=True)
class _Arm:
    drafts: dict[str, Mapping[str, Any]]
    findings: int
    cost_usd: Any


def _arm(ledger: Ledger, lesson: Mapping[Any, Any], past: Sequence[Mapping[str, Any]], arm: str) -> _Arm:
    task = _task(lesson, arm)
    with ledger.write() as conn:
        night = nights.open_night(conn, facts=_facts(task, lesson, arm), actor=task.actor, now=utcnow())
        if night["state"] == NightState.OPEN:
            _lock(conn, task, night, past)
        planned = batches.ids_of_night(conn, night["id"])
    for batch_id in planned:
        _run(Shard(ledger, task, batch_id))
    validate(ledger, task, now=utcnow())
    with ledger.read() as conn:
        landed = answers.landed_of_night(conn, night["id"])
        keys = {row["id"]: row["key"] for row in queue.by_ids(conn, [a["item_id"] for a in landed])}
        found = findings.of_night(conn, night["id"])
        spent = overview.describe(conn, nights.get(conn, night["id"]))["cost_usd"]
    good = {keys[a["item_id"]]: a["output"] for a in landed if a["state"] == AnswerState.VALID}
    worst = sum(f["severity"] in ("warn", "escalate", "fail") for listed in found.values() for f in listed)
    return _Arm(good, worst + sum(a["state"] != AnswerState.VALID for a in landed), spent)


def _task(lesson: Mapping[Any, Any], arm: str) -> NightTask:
    """The workflow as it stands, under a name of its own, with the rule in its prompt or without."""
    task = make_task(lesson["workflow"], run_id=f"replay__{lesson['id']}__{arm}", task_id="replay")
    main = task.workflow.at(task.workflow.main)
    declared = replace(
        main, name=f"{task.workflow.name}{switches.TRIAL}", prompt=task.workflow.prompt_folder, reuse=False, repairs=0,
        fallback=None, lesson=lesson["rule"] if arm == "with" else None,
    )  # fmt: skip
    task.policy.allow("submit_batch")
    return replace(task, workflow=declared)


def _facts(task: NightTask, lesson: Mapping[Any, Any], arm: str) -> dict[str, Any]:
    declared, zone = task.workflow, brand().timezone
    times = clock(declared.times, zone, utcnow(), NOW)
    return {
        "workflow": declared.name, "run_id": task.run_id, "night": f"replay {lesson['id']} {arm}", "timezone": zone,
        "vendor": declared.vendor, "model": declared.model, "surface": "replay", "source": nights.REPLAY,
        "policy_hash": task.policy_hash, "prompt_version": prompts.load(declared).hash, "cap": MOST,
        "budget_usd": task.policy.action_scope.max_usd, "start_at": times.start_at, "cutoff_at": times.cutoff_at,
        "due_at": times.due_at,
    }  # fmt: skip


def _lock(conn: Connection, task: NightTask, night: Mapping[Any, Any], past: Sequence[Mapping[str, Any]]) -> None:
    """The past items as items of this arm, locked and planned in one breath: no queue ever sees them."""
    common: dict[str, Any] = {"workflow": task.workflow.name, "actor": task.actor, "now": utcnow()}
    rows = [
        {"source": nights.REPLAY, "source_ref": f"decision {d['id']}", "key": _key(d),
         "input": _given(conn, task, d), "context": d["context"],
         "content_hash": hashlib.sha256(f"{task.run_id} {d['id']}".encode()).hexdigest(), "priority": 0}
        for d in past
    ]  # fmt: skip
    ids = queue.add(conn, rows, ItemState.WAITING, **common)
    transitions.move(conn, "item", ids, ItemState.LOCKED, night_id=night["id"], **common)
    (step_id,) = nights.add_steps(conn, night, (task.workflow.step,), actor=task.actor, now=common["now"])
    nights.add_members(conn, night["id"], step_id, ids)
    waiting = chains.asking(conn, step_id, ids)
    plan.first(conn, task, night, step_id, waiting, now=common["now"])
    transitions.move(conn, "night", [night["id"]], NightState.LOCKED, locked_at=common["now"], **common)


def _given(conn: Connection, task: NightTask, decision: Mapping[str, Any]) -> Any:
    """What the step was given when the draft was written: in a chain, more than the queued row."""
    return chains.last_input(conn, decision["item_id"], task.workflow.step) or decision["input"]


def _key(decision: Mapping[str, Any]) -> str:
    return f"{decision['key']} (decision {decision['id']})"[:250]


def _run(shard: Shard) -> None:
    """Bring a shard to its end here and now; what it waits for is slept through."""
    while not isinstance(following := shard.advance(now=utcnow), dict):
        if isinstance(following, Wait):
            time.sleep(max(0.0, min((following.until - utcnow()).total_seconds(), 60.0)))
        else:
            asyncio.run(_look(following))


async def _look(watch: Watch) -> None:
    batch = watch.job.batch
    async with clients.open_vendor(batch["vendor"]) as vendor:
        while not await _has_ended(vendor, batch["vendor_batch_id"]):
            if utcnow() >= watch.until:
                await asyncio.to_thread(watch.job.cut, now=utcnow)
                return
            # What is cancelled already is only waited for.
            if batch["state"] == BatchState.SUBMITTED and await asyncio.to_thread(stops.engaged, watch.job.ledger, batch):
                await asyncio.to_thread(stops.stop, watch.job, now=utcnow)
                return
            await asyncio.sleep(waits().poll)
    await asyncio.to_thread(watch.job.ended, now=utcnow)


async def _has_ended(vendor: Vendor, vendor_batch_id: str) -> bool:
    try:
        return (await vendor.poll(vendor_batch_id)).phase is Phase.ENDED
    except (TryLater, MaybeAccepted) as busy:
        log.info("a look at %s failed, another follows: %s", vendor_batch_id, busy)
        return False


def _judge(past: Sequence[Mapping[str, Any]], arms: Mapping[str, _Arm]) -> Verdict:
    pairs = []
    for decision in past:
        drafts = [arms[arm].drafts.get(_key(decision)) for arm in ARMS]
        if None not in drafts:
            pairs.append([likeness(draft or {}, decision["edited"]) for draft in drafts])
    if len(pairs) < FEWEST:
        raise TooFew(f"Only {len(pairs)} items got a good answer in both arms; {FEWEST} are needed to say anything.")
    gains = [with_rule - without for without, with_rule in pairs]
    low, high = interval(gains)
    says = "helps" if low > 0 else "harms" if high < 0 else "no difference shown"
    worse = {arm: arms[arm].findings for arm in ARMS}
    if says == "helps" and worse["with"] > worse["without"]:
        says = "helps, but more drafts fail a check"
    cost = sum(arms[arm].cost_usd for arm in ARMS)
    mean = {arm: round(fmean(pair[n] for pair in pairs), 4) for n, arm in enumerate(ARMS)}
    return Verdict(says, len(pairs), round(fmean(gains), 4), round(low, 4), round(high, 4), mean, worse, f"{cost:.6f}")


def likeness(draft: Mapping[str, Any], edited: Mapping[str, Any]) -> float:
    """How near a draft is to the reviewer's version: 1 minus the share of characters that differ, over all its texts."""
    from rapidfuzz.distance import Levenshtein

    names = [name for name, value in edited.items() if isinstance(value, str)]
    a, b = (json.dumps([str(version.get(name, "")) for name in names], ensure_ascii=False) for version in (draft, edited))
    return Levenshtein.normalized_similarity(a, b)


def interval(gains: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean."""
    dice = random.Random(seed)  # noqa: S311 - resampling, not a secret
    means = sorted(fmean(dice.choices(gains, k=len(gains))) for _ in range(_RESAMPLES))
    return means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1]
