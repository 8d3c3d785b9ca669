"""What the tests of chains ask a ledger, and how they make a vendor misbehave."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
from sqlalchemy import select

from overnight.ledger.connect import Ledger
from overnight.ledger.tables import items, requests, step_items, steps
from tests.conftest import Sandbox
from tests.support.night import Night


def misbehave(sandbox: Sandbox, match: str, outcome: str) -> None:
    httpx.post(f"{sandbox.url}/control/misbehave", json={"vendor": "*", "match": match, "outcome": outcome}).raise_for_status()


def behave(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/control/behave").raise_for_status()


def outcomes(ledger: Ledger, workflow_name: str) -> dict[str, dict[str, str]]:
    """step → item key → how the item left it."""
    made: dict[str, dict[str, str]] = {}
    with ledger.read() as conn:
        query = (
            select(steps.c.name, items.c.key, step_items.c.outcome)
            .join(step_items, step_items.c.step_id == steps.c.id)
            .join(items, items.c.id == step_items.c.item_id)
            .where(items.c.workflow == workflow_name)
        )
        for row in conn.execute(query):
            made.setdefault(row.name, {})[row.key] = row.outcome
    return made


def asked(ledger: Ledger) -> dict[str, int]:
    """step → how many requests were planned for it."""
    made: dict[str, int] = {}
    with ledger.read() as conn:
        for row in conn.execute(select(steps.c.name).join(requests, requests.c.step_id == steps.c.id)):
            made[row.name] = made.get(row.name, 0) + 1
    return made


def poorer(night: Night, **usd: str) -> None:
    """Steps of this night may cost so much and no more."""
    real = night.task

    def task(name: str) -> Any:
        made = real(name)
        scope = made.policy.action_scope.model_copy(update={"steps": {step: Decimal(most) for step, most in usd.items()}})
        return replace(made, policy=made.policy.model_copy(update={"action_scope": scope}))

    night.task = task  # type: ignore[method-assign]
