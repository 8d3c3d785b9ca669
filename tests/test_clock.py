"""The night's clock, with the time passed in."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overnight.clock import MIN_RUNWAY, NOW, NightTimes, clock, first

BERLIN = "Europe/Berlin"


def local(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_an_ordinary_night_is_cut_off_and_due_the_next_morning() -> None:
    """Locked at 17:00, cut off at 07:30, due at 08:30, named after the evening."""
    night = clock(NightTimes(), BERLIN, local("2026-11-23T17:00"))
    assert str(night.night) == "2026-11-23"
    assert night.cutoff_at == local("2026-11-24T07:30")
    assert night.due_at == local("2026-11-24T08:30")


@pytest.mark.parametrize(
    ("evening", "hours"),
    [("2026-03-28T17:00", 14.5), ("2026-10-24T17:00", 16.5), ("2026-11-23T17:00", 15.5)],
)
def test_half_past_eight_is_half_past_eight_on_both_nights_of_a_clock_change(evening: str, hours: float) -> None:
    """The spring night is an hour shorter, the autumn night an hour longer; the wall clock does not care."""
    base = local(evening)
    due = clock(NightTimes(), BERLIN, base).due_at
    assert due.astimezone(ZoneInfo(BERLIN)).strftime("%H:%M") == "08:30"
    assert (due - base).total_seconds() / 3600 == hours


def test_a_time_that_the_spring_change_skips_is_taken_when_the_clocks_jump() -> None:
    """02:30 does not exist that night: 03:30 summer time is the same instant."""
    found = first(time(2, 30), ZoneInfo(BERLIN), local("2026-03-28T17:00"))
    assert found == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_time_that_the_autumn_change_repeats_is_its_first_occurrence() -> None:
    """02:30 comes twice that night; the night uses the first."""
    found = first(time(2, 30), ZoneInfo(BERLIN), local("2026-10-24T17:00"))
    assert found == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_start_time_is_waited_for_unless_the_run_says_now() -> None:
    """A workflow that starts at one in the morning does so, but a manual run may send at once."""
    times, base = NightTimes(start=time(1, 0)), local("2026-11-23T17:00")
    assert clock(times, BERLIN, base).start_at == local("2026-11-24T01:00")
    assert clock(times, BERLIN, base, NOW).start_at == base


def test_a_manual_night_just_before_the_cutoff_gets_the_next_days() -> None:
    """A batch needs room to run: ten minutes are none."""
    night = clock(NightTimes(), BERLIN, local("2026-11-23T07:20"), NOW)
    assert night.cutoff_at == local("2026-11-24T07:30")


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_every_night_has_room_and_an_order(base: datetime, zone: str) -> None:
    """Whenever a night begins: start, at least an hour, cutoff, due, all within three days."""
    night = clock(NightTimes(), zone, base)
    assert base <= night.start_at
    assert night.start_at + MIN_RUNWAY <= night.cutoff_at < night.due_at
    assert (night.due_at - base).days < 3
