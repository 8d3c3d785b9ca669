"""When to look at a batch again, and when to stop looking. Pure: what was seen and the time go in, a decision comes out."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
    STUCK = "stuck"
    FAIL = "fail"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, after how many seconds (for WAIT), and why (for FAIL)."""

    next: Next
    after_s: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Seen:
    """When a batch last made progress, as far as we saw."""

    moved_at: datetime
    patience_s: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    def stuck(self, progress: Progress, now: datetime) -> bool:
        """Take note of a look; says whether the batch made no progress for too long."""
        moved = progress.counts != self.counts and (self.counts or any(_done(progress.counts)))
        self.counts = dict(progress.counts)
        if moved:
            self.moved_at = now
        return self.patience_s is not None and now - self.moved_at >= timedelta(seconds=self.patience_s)


def _done(counts: Mapping[str, int]) -> list[int]:
    waiting = ("total", "processing", "pending", "request_count")
    return [count for name, count in counts.items() if not name.startswith(waiting)]


def after_look(
    progress: Progress, *, now: datetime, until: datetime, interval_s: float, dice: random.Random, seen: Seen | None = None
) -> Decision:  # fmt: skip
    """After a look that worked: land what ended, cut what is late, say what is stuck, else look again."""
    if progress.phase is Phase.ENDED:
        return Decision(Next.LAND)
    if now >= until:
        return Decision(Next.CUT)
    if seen is not None and seen.stuck(progress, now):
        return Decision(Next.STUCK, reason=f"no progress since {seen.moved_at.isoformat()}")
    return Decision(Next.WAIT, _no_later_than(until, now, jittered(interval_s, dice)))


def after_error(
    error: VendorError, misses: int, *, now: datetime, until: datetime, interval_s: float, dice: random.Random,
    said: bool = False,
) -> Decision:  # fmt: skip
    """After a look that did not: a refused key or a batch that is gone is said once, anything else backs off.

    Args:
        misses: how many looks in a row went wrong, this one included.
        said: people know already; they may mend it while we go on looking.
    """
    if now >= until:
        return Decision(Next.CUT, reason=str(error))
    if isinstance(error, AuthFailed | BadRequest | Gone) and not said:
        return Decision(Next.FAIL, reason=str(error))
    pause = min(interval_s * 2 ** min(misses, 16), SLOWEST_S)
    if isinstance(error, TryLater) and error.retry_after_s is not None:
        # Never earlier than the vendor asks for; but the wait ends at its end (the watch lets no look through till then).
        return Decision(Next.WAIT, _no_later_than(until, now, max(error.retry_after_s, jittered(pause, dice))), str(error))
    return Decision(Next.WAIT, _no_later_than(until, now, jittered(pause, dice)), str(error))


def jittered(seconds: float, dice: random.Random, early: float = JITTER) -> float:
    """A pause that differs a little each time, so that a hundred batches do not ask in step."""
    return seconds * dice.uniform(1 - early, 1 + JITTER)


def _no_later_than(until: datetime, now: datetime, pause: float) -> float:
    return max(0.05, min(pause, (until - now).total_seconds()))
