"""Rules that throw a workflow's kill switch by themselves: failed batches in a row, a fail rate, a night over its budget.

Asked after each landing. What is finished stays; what is open at the vendor is cancelled by the wait; a named person re-arms it.
"""

from datetime import datetime

from overnight.alerts import notifier
from overnight.governance import killswitch
from overnight.ledger import answers, batches, money, switches
from overnight.ledger.audit import Actor
from overnight.ledger.batches import Batch
from overnight.ledger.connect import Ledger
from overnight.ledger.states import AnswerState
from overnight.tasks import NightTask

_GOOD = AnswerState.VALID


def after_landing(ledger: Ledger, task: NightTask, batch: Batch, *, now: datetime) -> str | None:
    """Throw the workflow's switch where a rule says so; returns why, or None."""
    name = task.workflow.name  # a lesson's trial stops itself, and not tonight's work
    with ledger.read() as conn:
        night_id = batch["home_night_id"]
        # An item stands without an optional step's answer: nothing is lost when all of them fail.
        optional = [step.name for step in task.workflow.steps if step.optional]
        counts = answers.judged_of_night(conn, night_id, optional)
        failed = batches.failed_in_a_row(conn, night_id)
        spent, budget = money.spent(conn, night_id), batch["budget_usd"]
    if killswitch.engaged(ledger, name) is not None:
        return None
    rules = task.policy.action_scope.trip
    judged = sum(counts.values())
    bad = judged - counts.get(_GOOD, 0)
    why = None
    if failed >= rules.failed_batches:
        why = f"{failed} batches of the night failed as a whole, one after the other"
    elif judged >= rules.least_answers and bad > rules.fail_share * judged:
        why = f"{bad} of {judged} answers of the night are no good ({bad / judged:.0%}; the rule is {rules.fail_share:.0%})"
    elif budget is not None and spent > budget:
        why = f"the night has cost ${spent:.4f}, its budget is ${budget:.4f}"
    if why is None:
        return None
    actor = Actor("system", "rule", run_id=task.run_id, task_id=task.actor.task_id, policy_hash=task.policy_hash)
    with ledger.write() as conn:
        switches.throw(conn, name, engaged=True, by="a rule", reason=why, now=now, actor=actor)
    notifier.raise_alert(
        ledger, f"tripped:{name}:{task.run_id}", "tripped", name,
        f"{name} was stopped by a rule: {why}. What is finished is kept, what is open at the vendor is cancelled, nothing new is "
        f"bought or exported. Look at the night's answers, then `bin/overnight resume {name} --by NAME --reason WHY`.",
        night=batch["night"], run_id=task.run_id, now=now,
    )  # fmt: skip
    return why
