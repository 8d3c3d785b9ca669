"""Control charts: what a row of nights does by chance, and the nights that no chance explains. Pure.

For shares a p-chart: p ± 3·√(p(1−p)/n) with each night's own n (W. A. Shewhart, 1931; domain section 5). For cost an individuals
chart: mean ± 2.66 × the mean moving range, 2.66 being 3/d2 with d2 = 1.128 for ranges of two.
They show; the alerts come from `drift`, whose error rates are measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, linear_regression

from overnight.quality.drift import Shares

INDIVIDUALS = 2.66
LEAST = 8
"""Nights before limits say anything."""
SLOPE_NIGHTS = 7


@dataclass(frozen=True, slots=True)
class Point:
    """One night on a chart; without `low` and `high` there are too few nights for limits."""

    night: str
    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def out(self) -> bool:
        """Outside the limits: something other than chance."""
        if self.low is None or self.high is None:
            return False
        rounding = 1e-9 * max(abs(self.value), abs(self.high))  # nights that all cost the same differ by no more
        return not self.low - rounding <= self.value <= self.high + rounding


@dataclass(frozen=True, slots=True)
class Chart:
    """A row of nights, oldest first, around its centre."""

    name: str
    centre: float | None
    points: tuple[Point, ...]

    @property
    def out(self) -> tuple[Point, ...]:
        """The nights outside the limits."""
        return tuple(point for point in self.points if point.out)


def shares(nights: Sequence[tuple[str, Shares]], name: str) -> Chart:
    """The p-chart of `as_is`, `edit` or `rework`; nights on which nothing was decided have no point."""
    counted = [(night, shares.share(name), shares.decided) for night, shares in nights]
    rows = [(night, share, n) for night, share, n in counted if share is not None]
    if not rows:
        return Chart(name, None, ())
    centre = sum(share * n for _, share, n in rows) / sum(n for _, _, n in rows)
    enough = len(rows) >= LEAST

    def limits(n: int) -> tuple[float | None, float | None]:
        spread = 3 * sqrt(centre * (1 - centre) / n)
        return (max(0.0, centre - spread), min(1.0, centre + spread)) if enough else (None, None)

    return Chart(name, centre, tuple(Point(night, share, *limits(n), n) for night, share, n in rows))


def individuals(name: str, rows: Sequence[tuple[str, float, int]]) -> Chart:
    """The individuals chart of a number a night: (night, value, of how many)."""
    if not rows:
        return Chart(name, None, ())
    centre = fmean(value for _, value, _ in rows)
    low: float | None = None
    high: float | None = None
    if len(rows) >= LEAST:
        spread = INDIVIDUALS * fmean(abs(b - a) for (_, a, _), (_, b, _) in pairwise(rows))
        low, high = max(0.0, centre - spread), centre + spread
    return Chart(name, centre, tuple(Point(night, value, low, high, n) for night, value, n in rows))


def slope(values: Sequence[float | None]) -> float | None:
    """How much the last seven nights rise or fall a night; None for fewer than three known values."""
    known = [(place, value) for place, value in enumerate(values[-SLOPE_NIGHTS:]) if value is not None]
    if len(known) < 3:
        return None
    return linear_regression([place for place, _ in known], [value for _, value in known]).slope
