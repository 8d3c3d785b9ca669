"""When to look at a batch again, and when to stop looking. Pure: what was seen and the time go in, a decision comes out."""

import os
import random
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from overnight.batches.errors import AuthFailed, BadRequest, Gone, TryLater, VendorError
from overnight.batches.vendor import Phase, Progress

SLOWEST_S = 300.0
JITTER = 0.2


class Next(StrEnum):
    """What the wait does now."""

    WAIT = "wait"
    LAND = "land"
    CUT = "cut"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, after how many seconds (for WAIT), and why (for FAIL)."""

    next: Next
    after_s: float = 0.0
    reason: str = ""


def after_look(progress: Progress, *, now: datetime, until: datetime, interval_s: float, dice: random.Random) -> Decision:
    """After a look that worked: land what ended, cut what is late, else look again."""
    if progress.phase is Phase.ENDED:
        return Decision(Next.LAND)
    if now >= until:
        return Decision(Next.CUT)
    return Decision(Next.WAIT, _no_later_than(until, now, jittered(interval_s, dice)))


def after_error(
    error: VendorError, misses: int, *, now: datetime, until: datetime, interval_s: float, dice: random.Random
) -> Decision:
    """After a look that did not: a refused key or a batch that is gone ends the wait, anything else backs off.

    Args:
        misses: how many looks in a row went wrong, this one included.
    """
    if isinstance(error, AuthFailed | BadRequest | Gone):
        return Decision(Next.FAIL, reason=str(error))
    if now >= until:
        return Decision(Next.CUT, reason=str(error))
    pause = min(interval_s * 2 ** min(misses, 16), SLOWEST_S)
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        # Never earlier than the vendor asks for, even past the end of the wait.
        return Decision(Next.WAIT, max(error.retry_after_s, jittered(pause, dice)), str(error))
    return Decision(Next.WAIT, _no_later_than(until, now, jittered(pause, dice)), str(error))


def default_interval_s(fallback: float) -> float:
    """Seconds between two looks: OVERNIGHT_POLL_SECONDS (a rehearsal's batches end in seconds), else `fallback`."""
    return float(os.environ.get("OVERNIGHT_POLL_SECONDS", fallback))


def jittered(seconds: float, dice: random.Random) -> float:
    """A pause that differs a little each time, so that a hundred batches do not ask in step."""
    return seconds * dice.uniform(1 - JITTER, 1 + JITTER)


def _no_later_than(until: datetime, now: datetime, pause: float) -> float:
    return max(0.05, min(pause, (until - now).total_seconds()))
