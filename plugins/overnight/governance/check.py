"""The check operator, first in every night: everything that would fail later fails now, while people are in.

It opens the night in the ledger: the ledger itself, the policy, the kill switches, the key and the model, the price, the
source and the surface. What is wrong is said all at once, not one a day.
"""

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import Connection

from overnight import prompts
from overnight.batches import clients, cost
from overnight.batches.errors import MaybeAccepted, TryLater, VendorError
from overnight.batches.vendor import vendor_class
from overnight.brand import brand
from overnight.clock import NOW, SCHEDULED, clock, utcnow
from overnight.governance import approval, capacity, killswitch, lane, launch
from overnight.governance.launch import State
from overnight.ledger import migrate, nights, postures
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import Night
from overnight.quality.ranges import quality
from overnight.queues.source import source
from overnight.review.surface import surface
from overnight.settings import SettingsError
from overnight.tasks import NightTask, open_task
from overnight.team import team

log = logging.getLogger("overnight.check")


class CheckFailed(RuntimeError):
    """Something this night needs is not there. Nothing was locked and nothing bought."""


class CheckOperator(BaseOperator):
    """Open the night of this run, or say all that stands in its way; returns the night's label."""

    def __init__(self, *, workflow: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workflow = workflow

    def execute(self, context: Any) -> str:
        """Check and open."""
        run = context["dag_run"]
        params = context.get("params") or {}
        start = NOW if params.get("start") == NOW else SCHEDULED
        test_items = int(params.get("launch_test") or 0)
        task = open_task(self.workflow, context)
        base = getattr(run, "logical_date", None) or run.run_after
        night = check(open_ledger(), task, base=base, start=start, now=utcnow(), test_items=test_items)
        self.log.info("night %s of %s is open", night["night"], self.workflow)
        return str(night["night"])


def check(ledger: Ledger, task: NightTask, *, base: datetime, start: str, now: datetime, test_items: int = 0) -> Night:
    """The work of the operator, without Airflow.

    Args:
        test_items: the night is a launch test of so many items.

    Raises:
        CheckFailed: with every trouble found.
    """
    migrate.ensure_current(ledger)
    version = prompts.version(task.workflow)
    killswitch.refuse_if_engaged(ledger, task.workflow.name, "opening the night", prompt=version)
    for view in task.workflow.asked():
        vendors = [vendor for vendor, _ in view.models()]
        if all(killswitch.engaged(ledger, task.workflow.name, vendor=vendor, prompt=version) for vendor in vendors):
            killswitch.refuse_if_engaged(ledger, task.workflow.name, "opening the night", vendor=vendors[0], prompt=version)
    found = list(troubles(task))
    if found:
        listed = "\n- ".join(found)
        raise CheckFailed(
            f"{task.workflow.name} cannot run tonight:\n- {listed}\nNothing was locked and nothing was bought. "
            "Mend it before the night, then clear the check task of this run."
        )
    with ledger.write() as conn:
        return opened(conn, task, base=base, start=start, now=now, test_items=test_items)


def opened(conn: Connection, task: NightTask, *, base: datetime, start: str, now: datetime, test_items: int = 0) -> Night:
    """The night of this run, opened with the cap that its gate and its posture leave it.

    Raises:
        CheckFailed: it is to be a launch test and the workflow is not in test.
        NightTaken: another run holds this date's night.
    """
    gate = launch.enter(conn, task.workflow, actor=task.actor, now=now)
    if test_items and gate.state is not State.TEST:
        raise CheckFailed(
            f"{task.workflow.name} is {gate.state}: a launch test is for a workflow in test. Nothing was locked and nothing "
            f"was bought. `bin/overnight launch {task.workflow.name}` shows what it takes to get there."
        )
    facts = _facts(task, base, start)
    facts |= _size(facts["cap"], gate, test_items, tight=postures.tightened(conn, task.workflow.name) is not None)
    return nights.open_night(conn, facts=facts, actor=task.actor, now=now)


def _size(cap: int, gate: launch.Gate, test_items: int, *, tight: bool) -> dict[str, Any]:
    """How many items the night holds at most, and what set it, in words."""
    if test_items:
        return {"cap": test_items, "cap_why": "it is a launch test", "purpose": launch.TEST}
    why = None
    if gate.most is not None and gate.most < cap:
        cap, why = gate.most, gate.why
    if tight and cap:
        cap, why = max(1, int(cap * quality().tightened.cap_share)), "it is tightened: its quality drifted"
    return {"cap": cap, "cap_why": why}


def _facts(task: NightTask, base: datetime, start: str) -> dict[str, Any]:
    workflow, zone = task.workflow, brand().timezone
    times, main = clock(workflow.times, zone, base, start), workflow.at(workflow.main)
    return {
        "workflow": workflow.name, "run_id": task.run_id, "night": times.night.isoformat(), "timezone": zone,
        "vendor": main.vendor, "model": main.model, "surface": workflow.surface, "source": workflow.source,
        "policy_hash": task.policy_hash, "prompt_version": prompts.version(workflow),
        "cap": min(workflow.cap, task.policy.action_scope.max_items), "budget_usd": task.policy.action_scope.max_usd,
        "start_at": times.start_at, "cutoff_at": times.cutoff_at, "due_at": times.due_at,
    }  # fmt: skip


def troubles(task: NightTask) -> Iterator[str]:
    """All that stands in a night's way, in words; it asks each vendor whether the key and the model are good."""
    workflow = task.workflow
    yield from _denials(task)
    for vendor, model in dict.fromkeys(pair for view in workflow.asked() for pair in view.models()):
        try:
            cost.price(vendor_class(vendor).facts, model)
        except cost.UnknownPrice as error:
            yield str(error)
        spare = all((vendor, model) != (view.vendor, view.model) for view in workflow.asked())
        if trouble := asyncio.run(_ping(vendor, model, spare=spare)):
            yield trouble
    yield from lane.troubles(workflow)
    try:
        quality()
    except SettingsError as error:
        yield str(error)
    try:
        yield from capacity.troubles(workflow)
        yield from approval.troubles(task.policy.approval, team())
    except SettingsError as error:
        yield str(error)
    for thing in (source(workflow.source), surface(workflow.surface)):
        if trouble := thing.check(workflow.name):
            yield trouble


def _denials(task: NightTask) -> Iterator[str]:
    """What the workflow declares and its policy does not allow: deny by default."""
    workflow, policy = task.workflow, task.policy
    for vendor in dict.fromkeys(vendor for view in workflow.asked() for vendor, _ in view.models()):
        if vendor not in policy.data_access.vendors:
            yield f"The policy does not let {vendor!r} see this data; it names {list(policy.data_access.vendors)}."
        elif policy.data_access.internal and "internal" not in policy.data_access.vendors[vendor]:
            listed = ", ".join(policy.data_access.internal)
            yield f"The policy does not let {vendor!r} see internal fields, and these are: {listed}."
    if workflow.source not in policy.data_access.sources:
        yield f"The policy does not allow the source {workflow.source!r}; it names {list(policy.data_access.sources)}."
    fields = {info.alias or name for name, info in workflow.item.model_fields.items()}
    if extra := sorted(fields - set(policy.data_access.fields)):
        yield (
            f"The policy does not allow these fields to be read: {', '.join(extra)}. Name them under data_access.fields in "
            f"include/prompts/{workflow.prompt_folder}/policy.yaml, or take them out of the item model."
        )
    if unknown := sorted(set(policy.action_scope.steps) - {step.name for step in workflow.steps}):
        yield f"The policy gives a budget to steps that {workflow.name} does not have: {', '.join(unknown)}."
    if max(view.max_output_tokens for view in workflow.asked()) > policy.action_scope.max_output_tokens:
        yield f"The policy's ceiling is {policy.action_scope.max_output_tokens} output tokens, the workflow asks for more."
    if workflow.attempts > policy.action_scope.max_attempts:
        most = policy.action_scope.max_attempts
        yield f"The policy lets an item be tried {most} nights, the workflow asks for {workflow.attempts}."
    if policy.action_scope.max_items < 1:
        yield "The policy's ceiling is no items at all."
    if policy.action_scope.max_usd <= 0:
        yield "The policy allows no money: max_usd says what a night may cost."


async def _ping(name: str, model: str, *, spare: bool) -> str | None:
    """What is wrong with a vendor's key or model. A fallback (`spare`) that is busy now may be well when it is needed."""
    try:
        async with clients.open_vendor(name) as vendor:
            await vendor.ping(model)
    except AirflowNotFoundException:
        return f"There is no connection {vendor_class(name).facts.conn_id!r}: make it, with the API key as its password."
    except (TryLater, MaybeAccepted) as error:
        if spare:
            log.warning("%s, a fallback, does not answer now: %s", name, error)
            return None
        return (
            f"{name} does not answer with model {model!r}: {error}. Its key may be good; clear the check when it answers again."
        )
    except VendorError as error:
        conn_id = vendor_class(name).facts.conn_id
        return f"{name} does not let us in with connection {conn_id!r} and model {model!r}: {error}"
    return None
