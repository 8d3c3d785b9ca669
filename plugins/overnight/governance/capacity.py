"""The reviewers' morning, divided before it is filled: what a night locks must fit into the minutes that people have.

The pool is the team's (`team.yaml`). What is undecided from earlier mornings is charged first; then every workflow's guaranteed
minimum; then the higher priority takes what it could need before the lower. Ten Dags drain at once, so each keeps what it took
as a reservation in the ledger, under one lock. Who can judge what decides whose minutes may be spent on what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from overnight.ledger import reservations
from overnight.ledger.nights import Night
from overnight.team import Person, Team, team
from overnight.workflow import Mode, Workflow, workflow_if_known

MORNING = "the reviewers' morning"
LEAST_NIGHTS = 3
"""Measured nights before the measured seconds replace the declared ones."""
WITHIN = (0.25, 4.0)
"""How far the measured seconds may be from the declared ones: a morning of clicking through, or a long telephone call, is no
measure of the work."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many items fit, of how many minutes each, and what set the limit, in words ("" where it is not the minutes)."""

    items: int
    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One workflow's part of a morning, in minutes."""

    workflow: str
    items: int
    minutes: float
    backlog_items: int
    backlog_minutes: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """A morning before its night runs: the pool, and what is charged to it."""

    morning: str
    pool: int
    lines: tuple[Line, ...]

    @property
    def minutes(self) -> float:
        """All that is charged."""
        return sum(line.minutes + line.backlog_minutes for line in self.lines)


def room(conn: Connection, declared: Workflow, night: Night, wanted: int, *, now: datetime) -> Room:
    """How many of `wanted` items the morning still has minutes for. Call it under the lock that reservations are made under."""
    people, each = team(), seconds_per_item(conn, declared)
    if not _counts(people):
        return Room(wanted, each)
    free = _mine(conn, people, declared, night, now=now)
    fits = floor(free * 60 / each + 1e-6)
    if fits >= wanted:
        return Room(wanted, each)
    pool = sum(person.minutes for person in people.people if person.can_judge(declared.name))
    return Room(max(0, fits), each, f"{MORNING}: {free:.0f} of {pool} minutes are left for it")


def reserve(conn: Connection, night: Night, items: int, each: float, *, now: datetime) -> None:
    """Keep what a night took."""
    reservations.reserve(conn, night, {
        "morning": morning_of(night), "minutes": items * each / 60, "seconds_per_item": each, "items": items, "reserved_at": now,
    })  # fmt: skip


def morning_of(night: Night) -> str:
    """The local date of the review block a night is for."""
    local: datetime = night["due_at"].astimezone(ZoneInfo(night["timezone"]))
    return local.date().isoformat()


def seconds_per_item(conn: Connection, declared: Workflow) -> float:
    """What one item takes a reviewer: measured on our page where there are nights to measure, else as the workflow says.

    A digest is read as a whole, and what is measured there is the sample only: its declared minutes over its cap stay.
    """
    said = declared.review.minutes * 60 / declared.cap
    measured = reservations.seconds(conn, declared.name) if declared.review.mode is not Mode.DIGEST else []
    if len(measured) < LEAST_NIGHTS:
        return said
    low, high = WITHIN
    return min(max(median(measured), low * said), high * said)


def forecast(conn: Connection, morning: str) -> Forecast:
    """What a morning will ask of the reviewers, as far as its nights are locked, with what waits already."""
    taken = {row["workflow"]: row for row in reservations.of_morning(conn, morning)}
    waiting = reservations.undecided(conn, morning)
    lines = []
    for name in sorted({*taken, *waiting}):
        declared = workflow_if_known(name)
        backlog = waiting.get(name, 0) * seconds_per_item(conn, declared) / 60 if declared else 0.0
        mine = taken.get(name)
        lines.append(Line(name, mine["items"] if mine else 0, mine["minutes"] if mine else 0.0, waiting.get(name, 0), backlog))
    return Forecast(morning, sum(person.minutes for person in team().people), tuple(lines))


def troubles(declared: Workflow) -> Iterator[str]:
    """Said at 17:00: items that nobody could judge would only wait."""
    people = team()
    if _counts(people) and not any(person.minutes and person.can_judge(declared.name) for person in people.people):
        yield f"Nobody in team.yaml has minutes and the skill to judge {declared.name}: its items would only wait."


def _counts(people: Team) -> bool:
    """Whether the team says its minutes at all; without, the workflow's own cap is the limit."""
    return any(person.minutes for person in people.people)


def _mine(conn: Connection, people: Team, declared: Workflow, night: Night, *, now: datetime) -> float:
    """The minutes that are this workflow's now."""
    morning, name = morning_of(night), declared.name
    held: dict[str, float] = {}
    for row in reservations.of_morning(conn, morning):
        held[row["workflow"]] = held.get(row["workflow"], 0) + row["minutes"]
    for other, count in reservations.undecided(conn, morning).items():
        known = workflow_if_known(other)
        held[other] = held.get(other, 0) + (count * seconds_per_item(conn, known) / 60 if known else 0)
    demand: dict[str, float] = {}
    for other, cap in reservations.to_come(conn, night["night"][:10], now).items():
        known = workflow_if_known(other)
        if other != name and known is not None:
            demand[other] = (known.cap if cap is None else cap) * seconds_per_item(conn, known) / 60
    demand[name] = float("inf")
    shares = {other: people.share(other) for other in demand}
    ranked = sorted(demand, key=lambda other: (-shares[other].priority, other))
    mine = 0.0
    for other in ranked:  # every guaranteed minimum, the more important first
        part = min(shares[other].minimum, demand[other], free_for(people.people, held, other))
        held[other] = held.get(other, 0) + part
        demand[other] -= part
        mine += part if other == name else 0
    for other in ranked:  # then what those before us could need
        if shares[other].priority > shares[name].priority:
            held[other] += min(demand[other], free_for(people.people, held, other))
    return mine + free_for(people.people, held, name)


_UNSERVED = 1_000.0
"""Weighs more than any minute that could be given away instead."""


def free_for(people: Sequence[Person], held: Mapping[str, float], name: str) -> float:
    """The most minutes that can still go to one workflow while what is held goes to the others (and to it).

    Each person's minutes go to workflows they can judge: a linear programme, for one who can judge both is lent to whichever
    has nobody else. What is held and fits nobody any more (somebody left at noon) takes what there is for it, and no other's.
    """
    from scipy.optimize import linprog

    names = [*dict.fromkeys([*(other for other, minutes in held.items() if minutes > 0), name])]
    pairs = [(who, what) for who, person in enumerate(people) for what in names if person.minutes and person.can_judge(what)]
    if not any(what == name for _, what in pairs):
        return 0.0
    # Behind the pairs: what of each workflow's held minutes nobody can serve, which is to be as little as may be.
    rows: list[list[float]] = [[float(who == p) for p, _ in pairs] + [0.0] * len(names) for who in range(len(people))]
    limits: list[float] = [float(person.minutes) for person in people]
    needs = [[-float(what == other) for _, what in pairs] + [-float(other == one) for one in names] for other in names]
    least = [-max(0.0, held.get(other, 0.0)) for other in names]
    gain = [-float(what == name) for _, what in pairs] + [_UNSERVED] * len(names)
    found: Any = linprog(gain, A_ub=rows + needs, b_ub=limits + least, method="highs")
    if not found.success:
        return 0.0
    mine = sum(float(minutes) for minutes, (_, what) in zip(found.x, pairs, strict=False) if what == name)
    return max(0.0, mine - held.get(name, 0.0))
