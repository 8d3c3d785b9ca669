"""How long we wait for what. One place; a rehearsal, whose batches end in seconds, shortens them by environment variables."""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done before `until`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds, each with why it is what it is."""

    poll: float = 30.0
    """Between two looks at a batch: the vendors answer within minutes to hours; Anthropic itself asks for ten at least."""

    first_look: float = 10.0
    """Before the first look. No vendor answers sooner, and Airflow fails a task for retry when its trigger fires before the
    scheduler has read that it deferred (seen on 3.3.2: five seconds late on two busy cores)."""

    quiet: float = 15 * 60.0
    """After an ambiguous create. The vendor may still be at work on it (a create may take ten minutes): an empty search before
    this much time has passed since then proves nothing. Counted from the moment of doubt: no create of ours was sent later."""

    settle: float = 20 * 60.0
    """After a cancel, which may take ten minutes to settle; the export waits no longer than this."""

    again: float = 60.0
    """Before a busy vendor is asked again; doubled each time, up to `slowest`."""

    slowest: float = 10 * 60.0
    """The longest pause between two tries."""

    locked_out: float = 5 * 60.0
    """Between two tries with a key that is refused: a person has to mend it."""

    room: float = 2 * 60.0
    """Before we look again whether the vendor has room for more enqueued tokens, or whether the cache is warm."""

    stopped: float = 2 * 60.0
    """Before a batch that a kill switch keeps from being sent looks again whether it was re-armed."""

    switch: float = 10.0
    """Between two looks at the kill switches while a vendor works: a switch has to trip within 30 s."""

    warm_up: float = 30 * 60.0
    """The longest the others wait for the batch that warms the cache; then they go without."""

    breaker: float = 15 * 60.0
    """How long an open breaker keeps new work from a model before one batch tries it again."""

    def delta(self, name: str) -> timedelta:
        """One of them as a timedelta."""
        return timedelta(seconds=float(getattr(self, name)))


def waits() -> Waits:
    """The waits of this process: OVERNIGHT_POLL_SECONDS and so on override the defaults."""
    names = (field.name for field in fields(Waits))
    named = {name: os.environ.get(f"OVERNIGHT_{name.upper()}_SECONDS") for name in names}
    return Waits(**{name: float(value) for name, value in named.items() if value})
