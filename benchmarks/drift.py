"""How soon a decline is found, and how often nothing is: our drift rules beside the trade's plain ones, by simulation.

Two thousand seeded runs each, at 8, 15, 50 and 500 decided items a night. Healthy is 78 % approved as it is. One decline is
at once (to 60 %), the other a point a night. The code that decides is the product's own, with its shipped settings.
"""

from statistics import mean
from typing import Any

import numpy as np

from overnight.quality import drift
from overnight.quality.drift import Counted, Sums
from overnight.quality.ranges import Quality

RUNS, YEAR, HEALTHY, STEP = 2_000, 250, 0.78, 0.60
SIZES = (8, 15, 50, 500)
GOALS = {
    "slow": dict(zip(SIZES, (16.0, 13.5, 9.5, 4.7), strict=True)), "step": dict(zip(SIZES, (7.5, 5.0, 2.5, 1.1), strict=True)),
}  # fmt: skip
MOST_FALSE = 1.0
LONGEST = 78


def measure() -> dict[str, Any]:
    """False alarms in 250 nights, and nights to find each decline, for both."""
    quality = Quality()
    found: dict[str, Any] = {}
    for size in SIZES:
        found[str(size)] = {
            "false alarms in 250 nights": {
                "ours": round(false_alarms(size, quality), 3), "plain rules": round(false_alarms(size, quality, plain=True), 1),
            },
            "nights to find 1 point a night": both(size, [HEALTHY - 0.01 * n for n in range(1, LONGEST)], quality),
            "nights to find 78 to 60 at once": both(size, [STEP] * LONGEST, quality),
        }  # fmt: skip
    met = all(
        row["false alarms in 250 nights"]["ours"] <= MOST_FALSE
        and row["nights to find 1 point a night"]["ours"] <= GOALS["slow"][int(size)]
        and row["nights to find 78 to 60 at once"]["ours"] <= GOALS["step"][int(size)]
        for size, row in found.items()
    )
    return {
        "runs": RUNS, "items a night": found, "met": met,
        "goal": "at most 1 false alarm in 250 nights; slow decline in 16/13.5/9.5/4.7 and step in 7.5/5/2.5/1.1 nights",
    }  # fmt: skip


def both(size: int, truth: list[float], quality: Quality) -> dict[str, float]:
    """Mean nights until the first alarm."""
    return {"ours": round(to_first(size, truth, quality), 2), "plain rules": round(to_first(size, truth, quality, plain=True), 2)}


def nights(size: int, truth: list[float], run: int) -> list[Counted]:
    """One seeded run."""
    dice = np.random.default_rng([size, run, int(truth[0] * 1000), len(truth)])
    return [Counted(str(n), int(x), size - int(x), 0) for n, x in enumerate(dice.binomial(size, truth))]


def alarms(row: list[Counted], quality: Quality, *, plain: bool, once: bool = False) -> list[int]:
    """The nights (from 1) that raise an alarm; each alarm forgets what was before it."""
    found, since, sums = [], 0, Sums(quality.trend)
    for place in range(len(row)):
        if plain:
            fired = bool(drift.plain_rules(row[: place + 1], quality.rules))
        else:
            approval = ("approval_very_low", "approval_low_twice")
            fired = sums.add(row[place])
            known = row[max(since, place - 1) : place + 1]
            # The cheap look first: the guard asks for a tail probability only where the plain rule speaks.
            if not fired and drift.plain_rules(known, quality.rules):
                fired = any(signal.kind in approval for signal in drift.by_rules(known, quality))
            if fired:
                since = place + 1
                sums.forget()
        if fired:
            found.append(place + 1)
            if once:
                break
    return found


def false_alarms(size: int, quality: Quality, *, plain: bool = False) -> float:
    """Alarms in 250 healthy nights, on average."""
    return mean(len(alarms(nights(size, [HEALTHY] * YEAR, run), quality, plain=plain)) for run in range(RUNS))


def to_first(size: int, truth: list[float], quality: Quality, *, plain: bool = False) -> float:
    """Nights to the first alarm, on average; a run that never finds it counts with all its nights and one."""
    firsts = []
    for run in range(RUNS):
        found = alarms(nights(size, truth, run), quality, plain=plain, once=True)
        firsts.append(found[0] if found else len(truth) + 1)
    return mean(firsts)
