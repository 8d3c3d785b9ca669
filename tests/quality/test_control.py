"""Control charts: the limits by the textbook, chance left alone, what no chance explains named."""

from math import sqrt

import pytest

from overnight.quality import control
from overnight.quality.drift import Counted


def night(number: int, as_is: int, of: int) -> tuple[str, Counted]:
    label = f"2026-10-{number:02d}"
    return label, Counted(label, as_is, 0, of - as_is)


def test_the_limits_of_a_share_are_three_sigma_with_each_nights_own_size() -> None:
    """p ± 3·√(p(1−p)/n): wide on a small night, narrow on a large one, never outside 0 to 1."""
    nights = [night(n, 8, 10) for n in range(1, 9)] + [night(9, 80, 100)]
    chart = control.shares(nights, "as_is")
    assert chart.centre == pytest.approx(0.8)
    small, large = chart.points[0], chart.points[-1]
    assert (small.low, small.high) == (pytest.approx(0.8 - 3 * sqrt(0.16 / 10)), 1.0)
    assert (large.low, large.high) == (pytest.approx(0.8 - 3 * sqrt(0.16 / 100)), pytest.approx(0.8 + 3 * sqrt(0.16 / 100)))
    assert chart.out == ()


def test_a_night_that_no_chance_explains_stands_outside() -> None:
    """Two of twenty after nights of sixteen."""
    chart = control.shares([*(night(n, 16, 20) for n in range(1, 11)), night(11, 2, 20)], "as_is")
    assert [point.night for point in chart.out] == ["2026-10-11"]


def test_too_few_nights_have_no_limits_and_an_undecided_night_no_point() -> None:
    """Seven nights say nothing of what is usual; a night that nobody decided is no zero."""
    chart = control.shares([*(night(n, 8, 10) for n in range(1, 8)), night(8, 0, 0)], "as_is")
    assert len(chart.points) == 7
    assert all(point.low is None and not point.out for point in chart.points)
    assert control.shares([night(1, 0, 0)], "as_is").centre is None


def test_a_cost_is_held_to_its_moving_range() -> None:
    """mean ± 2.66 × the mean step from night to night."""
    values = [1.0, 1.2, 1.0, 1.2, 1.0, 1.2, 1.0, 1.2, 3.0]
    chart = control.individuals("cost_per_output", [(f"n{i}", value, 10) for i, value in enumerate(values)])
    steps = (0.2 * 7 + 1.8) / 8
    assert chart.points[0].high == pytest.approx(sum(values) / 9 + 2.66 * steps)
    assert [point.night for point in chart.out] == ["n8"]


def test_the_slope_is_of_the_last_seven_nights_that_are_known() -> None:
    """A point a night is a point a night; two nights are no trend."""
    assert control.slope([0.1] * 20 + [0.80, 0.79, None, 0.77, 0.76, 0.75, 0.74]) == pytest.approx(-0.01)
    assert control.slope([0.8, None, 0.7]) is None


def test_nights_that_all_cost_the_same_are_all_within() -> None:
    """A rounding error is nothing that chance has to explain."""
    assert control.individuals("cost_per_output", [(f"n{n}", 0.1 + 0.2 - 0.289 + n * 1e-18, 20) for n in range(12)]).out == ()
