"""Charts are drawn whatever the numbers are: all the same, none, one, tiny, huge."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overnight.quality.control import Chart, Point, individuals
from overnight.ui import charts


def test_nights_that_all_cost_the_same_are_drawn_at_all() -> None:
    """pygal looks for a scale of its own without end where values differ by a rounding error: the scale is ours."""
    chart = individuals("cost_per_output", [(f"2026-10-{n:02d}", 0.011 + n * 1e-18, 20) for n in range(1, 13)])
    assert b"<svg" in charts.control(chart, None, "cost an output", "light")


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [0.0, 0.0], [1e-9, 1e9], [0.7] * 100])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_row_of_numbers_is_a_picture(values: list[float], theme: str) -> None:
    """Nothing measured, one night, a hundred."""
    points = tuple(Point(f"2026-10-{n:02d}", value, None, None, 1) for n, value in enumerate(values))
    for band in (None, (0.7, 0.85)):
        assert b"<svg" in charts.control(Chart("as_is", None, points), band, "approved as it is", theme)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.dates().map(str), st.dictionaries(st.sampled_from(["a", "b"]), st.decimals(0, 10**6, places=6)), max_size=12
    )
)
def test_any_row_of_costs_is_a_picture(days: dict[str, dict[str, Decimal]]) -> None:
    """Zero, a millionth of a dollar, a million."""
    assert b"<svg" in charts.stacked(days, {}, "light")


def test_a_workflows_name_stays_text() -> None:
    """Titles come from code, but nothing rests on that."""
    drawn = charts.stacked({"2026-10-01": {"a": Decimal(1)}}, {"a": "<script>alert(1)</script>"}, "light")
    assert b"<script" not in drawn
