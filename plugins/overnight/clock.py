"""The night's clock: wall-clock times in the brand's zone, turned into instants; the time is always passed in.

A night starts from a base: the run's logical date or, where a run has none (a manual trigger in Airflow 3), its
`run_after`. Intervals are never added across a clock change: 07:30 is 07:30 on both nights of the year that are 23 or 25
hours long.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

NOW = "now"
SCHEDULED = "scheduled"
MIN_RUNWAY = timedelta(hours=1)
"""A night started by hand shortly before its cutoff gets the next day's: a batch needs room to run."""
GRACE = timedelta(minutes=15)
"""After the lock, before a night that is not there is missed: Airflow starts ten Dags one after the other."""


@dataclass(frozen=True, slots=True)
class NightTimes:
    """A workflow's times, wall clock in the brand's zone."""

    lock: time = time(17, 0)
    start: time = time(17, 0)
    cutoff: time = time(7, 30)
    due: time = time(8, 30)


@dataclass(frozen=True, slots=True)
class NightClock:
    """One night's instants, aware and UTC, and the local date it is named after."""

    night: date
    start_at: datetime
    cutoff_at: datetime
    due_at: datetime


def utcnow() -> datetime:
    """Now, aware, in UTC: the one place that asks. Everything else is told."""
    return datetime.now(UTC)


def clock(times: NightTimes, zone: str, base: datetime, start: str = SCHEDULED) -> NightClock:
    """The instants of the night that is locked at `base`.

    Args:
        base: the run's logical date or run_after; aware.
        start: `scheduled` waits for the workflow's start time, `now` submits at once.
    """
    tz = ZoneInfo(zone)
    start_at = base if start == NOW or times.start == times.lock else first(times.start, tz, base)
    cutoff_at = first(times.cutoff, tz, start_at + MIN_RUNWAY)
    return NightClock(
        night=base.astimezone(tz).date(),
        start_at=start_at.astimezone(UTC),
        cutoff_at=cutoff_at,
        due_at=first(times.due, tz, cutoff_at),
    )


def first(wall: time, tz: ZoneInfo, after: datetime) -> datetime:
    """The first instant at or after `after` whose local wall clock says `wall`, in UTC.

    A wall time that the spring change skips is taken at the moment the clocks jump (02:30 becomes 03:30 summer time);
    one that the autumn change repeats is its first occurrence.
    """
    day = after.astimezone(tz).date() - timedelta(days=1)
    while True:
        candidate = datetime.combine(day, wall, tzinfo=tz).astimezone(UTC)
        if candidate >= after:
            return candidate
        day += timedelta(days=1)
