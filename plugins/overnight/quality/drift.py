"""Drift: what a row of nights says that no single night says. Pure: counted nights go in, signals with their evidence come out.

Two ways of looking, because each misses what the other sees. The rules are the trade's own (approval below 70 % two nights
running, below 65 % once, edits above 25 %, rework above 15 %, cost rising); at eight items a night they would cry wolf every
fourth morning, so each speaks only where chance at the edge of the healthy range is no explanation. The trend is a pair of
cumulative sums of log-likelihoods (E. S. Page, 1954) over every decision: a point a night adds up there long before a rule
sees it. Both forget what was before an alarm. How often they err is measured: `make bench BENCH=drift`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log
from statistics import median
from typing import Any

from overnight import rates
from overnight.quality.ranges import Quality, Rules, Trend

COST_NIGHTS, COST_BEFORE = 3, 14


class Shares:
    """What is counted of decisions, as shares of all of them. A heavy edit is counted under `rework` already."""

    __slots__ = ()
    as_is: int
    edit: int
    rework: int

    @property
    def decided(self) -> int:
        """How many items people decided: the denominator of the three shares."""
        return self.as_is + self.edit + self.rework

    def share(self, name: str) -> float | None:
        """as_is, edit or rework as a share of what was decided; None where nothing was."""
        counted: int = getattr(self, name)
        return counted / self.decided if self.decided else None


@dataclass(frozen=True, slots=True)
class Counted(Shares):
    """One night's decisions."""

    night: str
    as_is: int
    edit: int
    rework: int
    cost_per_output_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is not as it should be: what was seen, and what people do about it."""

    kind: str
    evidence: str
    action: str
    facts: dict[str, Any] = field(default_factory=dict)


class Sums:
    """The sequential test of one workflow: fed night by night, in order."""

    def __init__(self, trend: Trend) -> None:
        self.trend = trend
        healthy = trend.healthy_rate
        self._weights = [(log(rate / healthy), log((1 - rate) / (1 - healthy))) for rate in trend.declines]
        self.forget()

    def forget(self) -> None:
        """Begin anew: after an alarm, or a release by a person."""
        self.sums = [0.0] * len(self._weights)
        self.nights = self.as_is = self.decided = 0

    def add(self, night: Counted) -> bool:
        """Take one night; returns whether the evidence of a decline is over the threshold."""
        missed = night.decided - night.as_is
        self.sums = [
            max(0.0, total + night.as_is * good + missed * bad)
            for total, (good, bad) in zip(self.sums, self._weights, strict=True)
        ]
        if not any(self.sums):
            self.nights = self.as_is = self.decided = 0  # nothing speaks for a decline: the count begins with the next night
            return False
        self.nights, self.as_is, self.decided = self.nights + 1, self.as_is + night.as_is, self.decided + night.decided
        return max(self.sums) >= self.trend.threshold


def signals(nights: Sequence[Counted], quality: Quality) -> list[Signal]:
    """What the newest night says, in the light of those before it (oldest first, all after the last alarm or release)."""
    if not nights:
        return []
    found = [*by_rules(nights, quality), *_cost(nights, quality.rules)]
    sums = Sums(quality.trend)
    over = [sums.add(night) for night in nights]
    if over[-1]:
        low, high = rates.wilson(sums.as_is, sums.decided)
        found.append(Signal(
            "approval_declines",
            f"Over {sums.nights} night{'s' if sums.nights > 1 else ''} {sums.as_is} of {sums.decided} decided items were "
            f"approved as they are ({_percent(sums.as_is / sums.decided)}, 95 % sure between {_percent(low)} and "
            f"{_percent(high)}); healthy is {_percent(quality.trend.healthy_rate)}. Each night by itself may look harmless.",
            "Look at what changed since the decline began (prompt, model, kind of input), then at the reviewers' reasons.",
            {"nights": sums.nights, "as_is": sums.as_is, "decided": sums.decided, "evidence": round(max(sums.sums), 2)},
        ))  # fmt: skip
    return found


def by_rules(nights: Sequence[Counted], quality: Quality) -> Iterable[Signal]:
    """The trade's rules, each with its guard."""
    last, rules, ranges = nights[-1], quality.rules, quality.ranges
    if last.decided >= rules.least_decided:
        yield from _below_once(last, rules, ranges.as_is[0])
        yield from _above(last, "edit", rules.edit_above, ranges.edit[1], rules, "edits_high", "Tune the prompt: read the edits.")
        yield from _above(
            last, "rework", rules.rework_above, ranges.rework[1], rules, "rework_high", "Full quality audit; freeze the prompt."
        )
    if len(nights) > 1:
        yield from _below_twice(nights[-2], last, rules, ranges.as_is[0])


def plain_rules(nights: Sequence[Counted], rules: Rules) -> list[str]:
    """The approval rules as the trade writes them, without a guard: what ours are measured against."""
    shares = [night.share("as_is") for night in nights[-2:]]
    fired = []
    if (once := shares[-1]) is not None and once < rules.as_is_once_below:
        fired.append("approval_very_low")
    if len(shares) > 1 and all(share is not None and share < rules.as_is_twice_below for share in shares):
        fired.append("approval_low_twice")
    return fired


def _below_once(night: Counted, rules: Rules, edge: float) -> Iterable[Signal]:
    share = night.as_is / night.decided
    chance = rates.at_most(night.as_is, night.decided, edge) if share < rules.as_is_once_below else 1.0
    if chance < rules.certainty:
        yield Signal(
            "approval_very_low",
            f"On {night.night} {night.as_is} of {night.decided} decided items were approved as they are ({_percent(share)}; the "
            f"alarm is below {_percent(rules.as_is_once_below)}). With {_percent(edge)} true, so few would come by chance in one "
            f"of {1 / max(chance, 1e-9):,.0f} nights.",
            "Review the prompt before the next night.",
            {"as_is": night.as_is, "decided": night.decided},
        )


def _below_twice(before: Counted, last: Counted, rules: Rules, edge: float) -> Iterable[Signal]:
    shares = [night.share("as_is") for night in (before, last)]
    if any(share is None or share >= rules.as_is_twice_below for share in shares):
        return
    as_is, decided = before.as_is + last.as_is, before.decided + last.decided
    if decided >= rules.least_decided and rates.at_most(as_is, decided, edge) < rules.certainty:
        yield Signal(
            "approval_low_twice",
            f"Below {_percent(rules.as_is_twice_below)} two nights running: {before.as_is} of {before.decided} on "
            f"{before.night}, {last.as_is} of {last.decided} on {last.night}.",
            "The workflow's owner looks this morning.",
            {"as_is": as_is, "decided": decided},
        )


def _above(
    night: Counted, name: str, limit: float, edge: float, rules: Rules, kind: str, action: str
) -> Iterable[Signal]:  # fmt: skip
    counted: int = getattr(night, name)
    share = counted / night.decided
    if share > limit and rates.at_least(counted, night.decided, edge) < rules.certainty:
        words = {"edit": "approved with edits", "rework": "sent back or edited by more than 30 %"}[name]
        yield Signal(
            kind,
            f"On {night.night} {counted} of {night.decided} decided items were {words} ({_percent(share)}; the alarm is above "
            f"{_percent(limit)}, healthy is up to {_percent(edge)}).",
            action,
            {name: counted, "decided": night.decided},
        )


def _cost(nights: Sequence[Counted], rules: Rules) -> Iterable[Signal]:
    """Cost per output: the last three nights all above what was usual, and by how much."""
    known = [night.cost_per_output_usd for night in nights if night.cost_per_output_usd is not None]
    recent, before = known[-COST_NIGHTS:], known[-COST_NIGHTS - COST_BEFORE : -COST_NIGHTS]
    if len(recent) < COST_NIGHTS or len(before) < COST_NIGHTS or not (usual := median(before)):
        return
    if min(recent) > usual * (1 + rules.cost_rises_by):
        yield Signal(
            "cost_rising",
            f"An output cost ${median(recent):.4f} on the last {COST_NIGHTS} nights; the {len(before)} nights before it was "
            f"${usual:.4f} ({median(recent) / usual - 1:+.0%}).",
            "Look at the bill: longer inputs, more repairs, a fallback model?",
            {"recent_usd": round(median(recent), 6), "usual_usd": round(usual, 6)},
        )


def too_good(night: Counted, median_seconds: float | None, quality: Quality) -> list[Signal]:
    """Approval that is no review: nearly everything, in seconds (observed elsewhere: 99.4 % at 8 seconds an item)."""
    limits, share = quality.rubber_stamp, night.share("as_is")
    if share is None or median_seconds is None or night.decided < limits.least_decided:
        return []
    if share <= limits.as_is_above or median_seconds >= limits.seconds_below:
        return []
    return [Signal(
        "approval_too_good",
        f"On {night.night} {night.as_is} of {night.decided} items were approved as they are, in {median_seconds:.0f} seconds "
        f"each (the middle one): {_percent(share)} in less than {limits.seconds_below:.0f} seconds is no review.",
        "Have a second person decide ten of them again; split the block.",
        {"as_is": night.as_is, "decided": night.decided, "median_seconds": median_seconds},
    )]  # fmt: skip


def in_range(night: Counted, quality: Quality) -> bool | None:
    """Whether a night was within the healthy range; None where too little was decided to say."""
    if night.decided < quality.rules.least_decided:
        return None
    return (
        night.as_is / night.decided >= quality.ranges.as_is[0]
        and night.edit / night.decided <= quality.rules.edit_above
        and night.rework / night.decided <= quality.rules.rework_above
    )


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
