"""The multiplier and the hours: from a measured baseline, with the method beside them."""

from decimal import Decimal

import pytest

from overnight.baseline import Baseline
from overnight.quality import worth

BASELINE = Baseline(outputs_per_week=3, minutes_each=180, measured="March 2026, four weeks, the content team's calendar")


def test_two_weeks_against_the_baseline() -> None:
    """84 approved in 14 days are 42 a week, 14 times the three of before; reviewing is taken off the hours."""
    found = worth.worth(BASELINE, approved=84, decided=100, days=14, seconds_each=360, measured=True)
    assert (found.a_week, found.multiplier) == (42, 14)
    assert (found.hours_by_hand, found.hours_reviewing, found.hours_freed) == (252, 10, 242)
    assert "84 approved outputs × 180 minutes by hand (March 2026" in found.method
    assert "100 decided items × 360 seconds of reviewing (as measured on the review page)" in found.method


def test_reviewing_that_takes_longer_than_the_work_did_is_said_as_it_is() -> None:
    """Hours freed may be negative."""
    quick = Baseline(outputs_per_week=100, minutes_each=1, measured="a stopwatch")
    assert worth.worth(quick, approved=10, decided=60, days=7, seconds_each=60, measured=False).hours_freed == pytest.approx(
        -5 / 6
    )


def test_approved_a_dollar_of_nothing_spent_is_not_said() -> None:
    """No division by a night that was free."""
    assert worth.a_dollar(50, Decimal("2.5")) == 20
    assert worth.a_dollar(50, Decimal(0)) is None
