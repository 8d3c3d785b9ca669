"""The launch gate: pilot, test, early, live. A workflow comes to its full size by showing what it can do, and falls back when
its prompt, its models or its policy change.

Sizes and shares: domain section 1.5. The test asks for at least 75 % approved as they are and a Wilson 95 % lower bound above
0.65: 40 of 50 or 75 of 100. How sure that is, `pass_probability` says.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from sqlalchemy import Connection

from overnight import prompts
from overnight.brand import LaunchSettings, brand
from overnight.governance import policy as policies
from overnight.ledger import launches, postures
from overnight.ledger.audit import Actor
from overnight.ledger.errors import LedgerError
from overnight.ledger.rows import Row
from overnight.rates import at_least, wilson
from overnight.workflow import Workflow, workflow


class State(StrEnum):
    """How far a workflow is."""

    PILOT = "pilot"
    TEST = "test"
    EARLY = "early"
    LIVE = "live"
    PAUSED = "paused"


ORDER = (State.PILOT, State.TEST, State.EARLY, State.LIVE)
NIGHT, TEST = "night", "test"
"""What a night is for: the queue's work, or a launch test."""


class NotReady(LedgerError):
    """The workflow has not shown enough; the words say what is missing."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate lets through tonight."""

    state: State
    most: int | None  # items; None: the workflow's own cap
    why: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What a workflow showed in its state, and what is missing to leave it."""

    workflow: str
    state: State
    since: datetime | None
    nights: int
    decided: int
    as_is: int
    missing: tuple[str, ...]
    chance: float | None = None  # that a true-70 % agent would pass a test of this size

    @property
    def share(self) -> float | None:
        """Approved as they are, of what was decided."""
        return self.as_is / self.decided if self.decided else None


def versions(declared: Workflow) -> dict[str, str]:
    """What a launch state holds for: the prompts, the models, the policy."""
    models = sorted({f"{vendor}/{model}" for view in declared.asked() for vendor, model in view.models()})
    return {
        "prompt_version": prompts.version(declared), "models": " ".join(models), "policy_hash": policies.hash_of(declared.name)
    }  # fmt: skip


def enter(conn: Connection, declared: Workflow, *, actor: Actor, now: datetime) -> Gate:
    """The gate as a night opens: a new workflow starts in its pilot, a changed one falls back."""
    settings, current = brand().launch, versions(declared)
    row = launches.get(conn, declared.name)
    if row is None:
        launches.put(conn, declared.name, settings.start, reason="its first night", versions=current, actor=actor, now=now)
        return gate(State(settings.start), settings)
    if not row["prompt_version"]:
        launches.fill_in(conn, declared.name, current)
        return gate(State(row["state"]), settings)
    state, why = _after_change(row, current, settings)
    if why:
        launches.put(conn, declared.name, state, reason=why, versions=current, actor=actor, now=now)
    return gate(state, settings)


def _after_change(row: Row, current: Row, settings: LaunchSettings) -> tuple[State, str]:
    """Where a change sends a workflow back to, and why; never forward."""
    state, words = State(row["state"]), []
    for column, what, back in (
        ("prompt_version", "prompt", settings.on_new_prompt), ("models", "model", settings.on_new_model),
        ("policy_hash", "policy", settings.on_new_policy),
    ):  # fmt: skip
        if row[column] == current[column] or back == "ignore" or state not in ORDER:
            continue
        words.append(f"a new {what}")
        state = min(state, State(back), key=ORDER.index)
    return state, f"{' and '.join(words)}: it shows again what it can do" if words else ""


def gate(state: State, settings: LaunchSettings) -> Gate:
    """What a state lets through in a scheduled night."""
    if state is State.PAUSED:
        return Gate(state, 0, "it is paused; `bin/overnight launch` lets it go on")
    if state is State.LIVE:
        return Gate(state, None, "")
    most = settings.early_items if state is State.EARLY else settings.pilot_items
    return Gate(state, most, f"it is not live yet ({state})")


def progress(conn: Connection, name: str) -> Progress:
    """How far a workflow is, and what is missing."""
    settings, row = brand().launch, launches.get(conn, name)
    if row is None:
        return Progress(name, State(settings.start), None, 0, 0, 0, ("its first night",))
    state, since = State(row["state"]), row["changed_at"]
    rows = launches.measured_since(conn, name, row["after_night_id"], TEST if state is State.TEST else NIGHT)
    decided = sum(one["as_is"] + one["edit"] + one["rework"] for one in rows)
    as_is, pending = sum(one["as_is"] for one in rows), sum(one["pending"] for one in rows)
    missing: list[str] = []
    chance = None
    if state is State.PILOT:
        missing = _of_pilot(decided, settings)
    elif state is State.TEST:
        missing = _of_test(decided, as_is, pending, settings)
        chance = pass_probability(max(decided, settings.test_items), 0.70)
    elif state is State.EARLY:
        missing = _of_early(conn, workflow(name), rows, decided, as_is, settings)
    return Progress(name, state, since, len(rows), decided, as_is, tuple(missing), chance)


def _of_pilot(decided: int, settings: LaunchSettings) -> list[str]:
    short = settings.pilot_least - decided
    return [f"{short} more decided items of a pilot night (it takes {settings.pilot_least})"] if short > 0 else []


def _of_test(decided: int, as_is: int, pending: int, settings: LaunchSettings) -> list[str]:
    missing = []
    if decided < settings.test_items:
        missing.append(f"{settings.test_items - decided} more decided items of a launch test (it takes {settings.test_items})")
    if pending:
        missing.append(f"{pending} items of the test are undecided: the hard ones may be among them")
    if decided and not passes(decided, as_is):
        low = wilson(as_is, decided)[0]
        missing.append(
            f"approved as they are: {as_is} of {decided} ({as_is / decided:.0%}, surely above {low:.0%}); it takes "
            f"{NEEDED:.0%} and to be sure of more than {SURE_ABOVE:.0%}, which is {needed(max(decided, settings.test_items))} of "
            f"{max(decided, settings.test_items)}"
        )
    return missing


def _of_early(
    conn: Connection, declared: Workflow, rows: list[Row], decided: int, as_is: int, settings: LaunchSettings
) -> list[str]:
    least = min(settings.early_least, declared.cap)
    full = sum(one["locked"] >= least for one in rows)
    missing = []
    if full < settings.early_nights:
        missing.append(f"{settings.early_nights - full} more nights of {least} items or more (it takes {settings.early_nights})")
    if decided and wilson(as_is, decided)[1] < NEEDED_EARLY:
        missing.append(f"approved as they are: {as_is} of {decided}, which is surely below {NEEDED_EARLY:.0%}")
    if postures.tightened(conn, declared.name) is not None:
        missing.append("it is tightened (its quality drifted); see `bin/overnight quality`")
    return missing


NEEDED, SURE_ABOVE, NEEDED_EARLY = 0.75, 0.65, 0.70
"""Shares approved as they are: the seed's 75 %, domain section 5's bound, and the lower end of the healthy range."""


def passes(decided: int, as_is: int) -> bool:
    """Whether a test is good enough."""
    return as_is >= NEEDED * decided and wilson(as_is, decided)[0] > SURE_ABOVE


@lru_cache(maxsize=64)
def needed(decided: int) -> int:
    """The least number approved as they are with which a test of this size passes."""
    return next(hits for hits in range(decided + 1) if passes(decided, hits))


def pass_probability(decided: int, true_rate: float, *, share_alone: bool = False) -> float:
    """How probable it is that an agent of this true rate passes a test of this size.

    Args:
        share_alone: by the 75 % alone, without the bound (the figures of domain section 5).
    """
    least = -(-decided * 3 // 4) if share_alone else needed(decided)
    return at_least(least, decided, true_rate)


def move(conn: Connection, name: str, to: State, *, reason: str, by: Actor, now: datetime) -> None:
    """Bring a workflow to another state, as a named person's decision.

    Raises:
        NotReady: what is missing to go on.
    """
    row, settings = launches.get(conn, name), brand().launch
    state = State(row["state"]) if row is not None else State(settings.start)
    current = versions(workflow(name))
    # What it showed, it showed under these: a change since then is found, and held against it, when its next night opens.
    shown = {column: row[column] for column in current} if row is not None and row["prompt_version"] else current
    if to is state:
        raise NotReady(f"{name} is {state} already. Nothing was changed.")
    if to is State.PAUSED:
        launches.put(conn, name, to, reason=reason, versions=shown, actor=by, now=now, before=state)
        return
    if state is State.PAUSED:
        before = State(row["before"] or State.PILOT) if row is not None else State.PILOT
        if ORDER.index(to) > ORDER.index(before):
            raise NotReady(f"{name} was {before} when it was paused: it goes on there, not at {to}. Nothing was changed.")
    elif ORDER.index(to) > ORDER.index(state):
        if row is not None and (changed := _after_change({**row, **shown}, current, settings)[1]):
            raise NotReady(
                f"{name} stays {state}: {changed}. What it showed so far was before that change; its next night begins to count "
                "anew. Nothing was changed."
            )
        _refuse_unless_ready(conn, name, state, to)
    launches.put(conn, name, to, reason=reason, versions=shown, actor=by, now=now)


def hold(conn: Connection, name: str, *, reason: str, by: Actor, now: datetime) -> State | None:
    """Pause a workflow by a rule; returns the state it goes on in, or None when it is paused already."""
    row = launches.get(conn, name)
    state = State(row["state"]) if row is not None else State(brand().launch.start)
    if state is State.PAUSED:
        return None
    move(conn, name, State.PAUSED, reason=reason, by=by, now=now)
    return state


def _refuse_unless_ready(conn: Connection, name: str, state: State, to: State) -> None:
    following = ORDER[ORDER.index(state) + 1]
    if to is not following:
        raise NotReady(f"{name} is {state}: {following} comes next, not {to}. Nothing was changed.")
    if missing := progress(conn, name).missing:
        raise NotReady(f"{name} stays {state}. Missing: {'; '.join(missing)}. Nothing was changed.")
