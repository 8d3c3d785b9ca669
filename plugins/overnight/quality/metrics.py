"""The five metrics, from counts: as-is, edit and rework rate over decided items, completion, cost per output. Reads only.

Pending, failed and blocked stand beside them: a rate over decided items alone can look healthy while nobody decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from overnight import rates
from overnight.ledger import measures, postures
from overnight.quality.drift import Counted, Shares
from overnight.quality.ranges import Quality, quality


@dataclass(frozen=True, slots=True)
class Metrics(Shares):
    """One line of figures: a night, a prompt version, a reviewer, or all of a workflow."""

    name: str
    as_is: int
    edit: int
    rework: int
    pending: int = 0
    failed: int = 0
    blocked: int = 0
    locked: int = 0
    staged: int = 0
    cost_usd: Decimal = Decimal(0)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sure(self) -> tuple[float, float]:
        """The 95 % interval of the as-is rate."""
        return rates.wilson(self.as_is, self.decided)

    @property
    def completion(self) -> float | None:
        """Valid outputs exported over items drained."""
        return self.staged / self.locked if self.locked else None

    @property
    def cost_per_output_usd(self) -> Decimal | None:
        """What one exported output cost, repairs and failures included."""
        return self.cost_usd / self.staged if self.staged else None

    @property
    def cost_per_approved_usd(self) -> Decimal | None:
        """What one output cost that was approved, as it is or with edits."""
        approved = self.as_is + self.edit
        return self.cost_usd / approved if approved else None

    def verdicts(self, settings: Quality) -> dict[str, str]:
        """healthy, below or above for each metric that has a band and a value."""
        said = {name: self.share(name) for name in ("as_is", "edit", "rework")} | {"completion": self.completion}
        found = {}
        for name, value in said.items():
            low, high = getattr(settings.ranges, name)
            if value is not None:
                found[name] = "below" if value < low else "above" if value > high else "healthy"
        return found


def of_row(row: Mapping[str, Any], name: str = "") -> Metrics:
    """The metrics of one row of the ledger's `measures`."""
    names = ("as_is", "edit", "rework", "pending", "failed", "blocked", "locked", "staged", "cost_usd")
    facts = {key: row[key] for key in ("night", "prompt_version", "model", "median_seconds") if key in row}
    return Metrics(name or row["night"], **{key: row[key] for key in names}, facts=facts)


def added(rows: Sequence[Mapping[str, Any]], name: str) -> Metrics:
    """Many nights as one line."""
    numbers = ("as_is", "edit", "rework", "pending", "failed", "blocked", "locked", "staged")
    totals = {key: sum(row[key] for row in rows) for key in numbers}
    return Metrics(name, **totals, cost_usd=sum((row["cost_usd"] for row in rows), Decimal(0)))


def counted(row: Mapping[str, Any]) -> Counted:
    """A night as the drift rules see it."""
    cost = float(row["cost_usd"] / row["staged"]) if row["staged"] else None
    return Counted(row["night"], row["as_is"], row["edit"], row["rework"], cost)


@dataclass(frozen=True, slots=True)
class Report:
    """A workflow's quality: its nights, its versions, its reviewers, and what is held against it."""

    workflow: str
    nights: tuple[Metrics, ...]
    versions: tuple[Metrics, ...]
    reviewers: tuple[Metrics, ...]
    posture: Mapping[str, Any] | None
    cases: tuple[Mapping[str, Any], ...]
    settings: Quality


def report(conn: Connection, workflow: str, *, now: datetime, last: int = 28) -> Report:
    """The last nights of a workflow, broken down by prompt version and model, and by reviewer."""
    rows = measures.of_workflow(conn, workflow, last=last)
    by_version: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_version.setdefault((row["prompt_version"], row["model"]), []).append(row)
    people: dict[str, Metrics] = {}
    for row in measures.by_reviewer(conn, workflow, now - measures.PAST):
        label = f"{row['reviewer']} · {row['prompt_version'][:8]} · {row['model']}"
        people[label] = Metrics(label, row["as_is"], row["edit"], row["rework"])
    return Report(
        workflow, tuple(of_row(row) for row in rows),
        tuple(added(group, f"{version[:8]} · {model}") for (version, model), group in by_version.items()),
        tuple(people.values()), postures.tightened(conn, workflow), tuple(postures.open_cases(conn, workflow)), quality(),
    )  # fmt: skip
