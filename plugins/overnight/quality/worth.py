"""What the nights were worth beside the work by hand, from a baseline that people measured. Without one, nothing is said."""

from dataclasses import dataclass
from decimal import Decimal

from overnight.baseline import Baseline

DAYS_A_WEEK = 7


@dataclass(frozen=True, slots=True)
class Worth:
    """A workflow against its own past.

    multiplier: approved outputs a week over the baseline's. hours_freed: what the approved outputs would have taken by hand, less
    what reviewing all decided ones took. approved_a_dollar: model cost only; people's time and Airflow's machines are not in it.
    """

    approved: int
    weeks: float
    a_week: float
    baseline_a_week: float
    multiplier: float
    hours_by_hand: float
    hours_reviewing: float
    method: str

    @property
    def hours_freed(self) -> float:
        """Negative where reviewing takes longer than the work did: said as it is."""
        return self.hours_by_hand - self.hours_reviewing


def worth(baseline: Baseline, *, approved: int, decided: int, days: float, seconds_each: float, measured: bool) -> Worth:
    """The worth of some weeks.

    Args:
        days: how long the nights cover, at least a day.
        seconds_each: what a reviewer takes for one item; `measured`: on our page, else as the workflow declares it.
    """
    weeks = max(days, 1.0) / DAYS_A_WEEK
    a_week = approved / weeks
    how = "as measured on the review page" if measured else "as the workflow declares it; not measured yet"
    method = (
        f"{approved} approved outputs × {baseline.minutes_each:g} minutes by hand ({baseline.measured}), less {decided} decided "
        f"items × {seconds_each:.0f} seconds of reviewing ({how}). Setting up and queueing are not counted."
    )
    return Worth(
        approved, weeks, a_week, baseline.outputs_per_week, a_week / baseline.outputs_per_week,
        approved * baseline.minutes_each / 60, decided * seconds_each / 3600, method,
    )  # fmt: skip


def a_dollar(approved: int, cost_usd: Decimal) -> float | None:
    """Approved outputs for a dollar; None where nothing was spent."""
    return approved / float(cost_usd) if cost_usd else None
