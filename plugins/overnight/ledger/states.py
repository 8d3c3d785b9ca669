"""The states of everything the ledger keeps, and which state may follow which.

Pure data: no database, no clock. `transitions.py` is the only module that acts on it, and refuses what is not here.
"""

from enum import StrEnum
from typing import Final


class ItemState(StrEnum):
    """The life of an item, from the queue to delivery (design: "The life of an item")."""

    WAITING = "waiting"
    LOCKED = "locked"
    SUBMITTED = "submitted"
    ANSWERED = "answered"
    STAGED = "staged"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    EDITED = "edited"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    CARRIED_OVER = "carried_over"
    FAILED = "failed"
    REWORK = "rework"


class NightState(StrEnum):
    """One workflow's night: one Dag run."""

    OPEN = "open"
    LOCKED = "locked"
    VALIDATED = "validated"
    EXPORTED = "exported"
    CLOSED = "closed"


class StepState(StrEnum):
    """One step of a night (a workflow may need several batches in a row)."""

    OPEN = "open"
    CLOSED = "closed"


class RequestState(StrEnum):
    """One line of a vendor's batch."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    ANSWERED = "answered"
    ERRORED = "errored"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MISSING = "missing"


class BatchState(StrEnum):
    """One batch at one vendor. SUBMITTING is the committed intent: from there on the vendor may hold it."""

    PLANNED = "planned"
    SUBMITTING = "submitting"
    IN_DOUBT = "in_doubt"
    SUBMITTED = "submitted"
    CANCELLING = "cancelling"
    ENDED = "ended"
    LANDED = "landed"
    REFUSED = "refused"  # never sent
    RELEASED = "released"  # a person gave it up: its vendor never settled it


class Purpose(StrEnum):
    """What a batch is for."""

    FIRST = "first"
    WARM_UP = "warm_up"  # one request that fills the vendor's prompt cache for the others
    REPAIR = "repair"  # what failed in an earlier batch of the same shard, and nothing else
    FALLBACK = "fallback"  # what a stuck or broken model was to answer, asked of another one


class AnswerState(StrEnum):
    """What one answer turned out to be. Written once, never changed: only VALID is a good one (law 4)."""

    VALID = "valid"
    OFF_SCHEMA = "off_schema"
    RULE_FAILED = "rule_failed"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    EMPTY = "empty"
    ERRORED = "errored"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MISSING = "missing"


class DeliveryState(StrEnum):
    """One hand-out of approved items. PLANNED is the committed intent: its items are fixed from there on."""

    PLANNED = "planned"
    WRITTEN = "written"


class LessonState(StrEnum):
    """One rule that reviewers' reasons and edits suggest; only a person adopts it."""

    PROPOSED = "proposed"
    ADOPTED = "adopted"
    DISMISSED = "dismissed"


class Outcome(StrEnum):
    """How an item left a night: the right-hand side of the conservation law."""

    STAGED = "staged"
    FAILED = "failed"
    CARRIED_OVER = "carried_over"


_I, _N, _R, _B = ItemState, NightState, RequestState, BatchState

MOVES: Final[dict[str, dict[str, frozenset[str]]]] = {
    "item": {
        _I.WAITING: frozenset({_I.LOCKED, _I.CARRIED_OVER, _I.REJECTED}),
        _I.CARRIED_OVER: frozenset({_I.LOCKED, _I.REJECTED}),
        _I.REWORK: frozenset({_I.LOCKED, _I.CARRIED_OVER, _I.REJECTED}),
        # locked → answered: from the ledger, or by a late result; nothing is bought then
        _I.LOCKED: frozenset({_I.SUBMITTED, _I.ANSWERED, _I.CARRIED_OVER, _I.FAILED}),
        _I.SUBMITTED: frozenset({_I.ANSWERED, _I.CARRIED_OVER, _I.FAILED}),
        _I.ANSWERED: frozenset({_I.STAGED, _I.FAILED, _I.SUBMITTED, _I.CARRIED_OVER}),
        _I.STAGED: frozenset({_I.IN_REVIEW, _I.FAILED}),
        # in_review → failed: sent back as often as may be; now a person writes it (failed → edited)
        _I.IN_REVIEW: frozenset({_I.APPROVED, _I.EDITED, _I.REWORK, _I.FAILED}),
        _I.APPROVED: frozenset({_I.DELIVERED}),
        _I.EDITED: frozenset({_I.DELIVERED}),
        _I.FAILED: frozenset({_I.REWORK, _I.EDITED}),
        # only a row that was changed before it was locked, and is changed back now
        _I.REJECTED: frozenset({_I.WAITING, _I.CARRIED_OVER}),
        _I.DELIVERED: frozenset(),
    },
    "night": {
        _N.OPEN: frozenset({_N.LOCKED}),
        _N.LOCKED: frozenset({_N.VALIDATED}),
        _N.VALIDATED: frozenset({_N.EXPORTED}),
        _N.EXPORTED: frozenset({_N.CLOSED}),
        _N.CLOSED: frozenset(),
    },
    "delivery": {DeliveryState.PLANNED: frozenset({DeliveryState.WRITTEN}), DeliveryState.WRITTEN: frozenset()},
    "lesson": {
        LessonState.PROPOSED: frozenset({LessonState.ADOPTED, LessonState.DISMISSED}),
        LessonState.ADOPTED: frozenset(),
        LessonState.DISMISSED: frozenset({LessonState.ADOPTED}),
    },
    "step": {StepState.OPEN: frozenset({StepState.CLOSED}), StepState.CLOSED: frozenset()},
    "request": {
        _R.PLANNED: frozenset({_R.SUBMITTED, _R.CANCELLED, _R.ERRORED}),
        _R.SUBMITTED: frozenset({_R.ANSWERED, _R.ERRORED, _R.EXPIRED, _R.CANCELLED, _R.MISSING}),
        **{end: frozenset() for end in (_R.ANSWERED, _R.ERRORED, _R.EXPIRED, _R.CANCELLED, _R.MISSING)},
    },
    "batch": {
        _B.PLANNED: frozenset({_B.SUBMITTING, _B.REFUSED}),
        _B.SUBMITTING: frozenset({_B.SUBMITTED, _B.IN_DOUBT, _B.PLANNED, _B.RELEASED}),
        # What may be at a vendor is never `refused` (and never given back): only a person may release it.
        _B.IN_DOUBT: frozenset({_B.SUBMITTED, _B.PLANNED, _B.RELEASED}),
        _B.SUBMITTED: frozenset({_B.ENDED, _B.CANCELLING, _B.RELEASED}),
        _B.CANCELLING: frozenset({_B.ENDED, _B.RELEASED}),
        _B.ENDED: frozenset({_B.LANDED, _B.RELEASED}),
        _B.LANDED: frozenset(),
        _B.REFUSED: frozenset(),
        _B.RELEASED: frozenset(),
    },
}
"""kind → state → the states that may follow. `in_doubt → planned` is legal only after the vendor was searched."""
