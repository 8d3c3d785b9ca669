"""What every task of a night needs at its start: its workflow, its policy, its run, and who it acts as."""

from dataclasses import dataclass, replace
from typing import Any

from overnight.brand import brand
from overnight.governance import policy as policies
from overnight.governance.policy import Policy
from overnight.ledger.audit import Actor
from overnight.workflow import Workflow, workflow


@dataclass(frozen=True, slots=True)
class NightTask:
    """One task of one night."""

    workflow: Workflow
    policy: Policy
    policy_hash: str
    run_id: str
    actor: Actor


def make_task(name: str, *, run_id: str, task_id: str) -> NightTask:
    """The task of a workflow's run; reads the policy anew, so a change of it holds from the next task on."""
    policy, policy_hash = policies.load(name)
    actor = Actor("agent", name, run_id=run_id, task_id=task_id, policy_hash=policy_hash)
    return NightTask(placed(workflow(name)), policy, policy_hash, run_id, actor)


def placed(declared: Workflow) -> Workflow:
    """A workflow with the places of its queue and its review filled in from the brand's."""
    here = brand()
    return replace(declared, source=declared.source or here.source, surface=declared.surface or here.surface)


def open_task(name: str, context: Any) -> NightTask:
    """The same, from Airflow's context; a mapped task's index is part of its id."""
    instance = context["ti"]
    index = instance.map_index
    task_id = instance.task_id if index is None or index < 0 else f"{instance.task_id}[{index}]"
    return make_task(name, run_id=context["dag_run"].run_id, task_id=task_id)
