"""Whether labels or inputs are spread otherwise than in the last 28 days. Pure: two tables of counts go in.

Two measures have to agree: the population stability index says that the shift is large, a chi-squared test that it is no chance.
The index alone cries at small counts, the test alone at trifles in large ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

from overnight.quality.ranges import Shift

_FLOOR = 1e-4  # a share that was never seen: the index would be endless


@dataclass(frozen=True, slots=True)
class Shifted:
    """How one field's values are spread otherwise."""

    field: str
    psi: float
    chance: float
    most: str  # the value whose share moved most, and how: "rating: 1 from 5 % to 31 %"


def psi(now: Mapping[str, int], past: Mapping[str, int]) -> float:
    """The population stability index: 0 the same, above 0.25 a large shift."""
    a, b = sum(now.values()), sum(past.values())
    total = 0.0
    for name in now.keys() | past.keys():
        p, q = max(now.get(name, 0) / a, _FLOOR), max(past.get(name, 0) / b, _FLOOR)
        total += (p - q) * log(p / q)
    return total


def shifts(now: Mapping[str, int], past: Mapping[str, int], settings: Shift) -> list[Shifted]:
    """The fields whose values are spread otherwise. Keys are "field: value"."""
    found = []
    for field in sorted({name.partition(": ")[0] for name in now}):
        mine, theirs = _of(now, field), _of(past, field)
        if min(sum(mine.values()), sum(theirs.values())) < settings.least:
            continue
        index = psi(mine, theirs)
        if index > settings.psi_above and (chance := _chance(mine, theirs)) < settings.certainty:
            found.append(Shifted(field, round(index, 3), chance, _most(mine, theirs, field)))
    return found


def _of(counts: Mapping[str, int], field: str) -> dict[str, int]:
    start = f"{field}: "
    return {name.removeprefix(start): count for name, count in counts.items() if name.startswith(start)}


def _chance(now: Mapping[str, int], past: Mapping[str, int]) -> float:
    from scipy.stats import chi2_contingency

    names = sorted(name for name in now.keys() | past.keys() if now.get(name, 0) + past.get(name, 0))
    if len(names) < 2:
        return 1.0
    table = [[counts.get(name, 0) for name in names] for counts in (now, past)]
    return float(chi2_contingency(table).pvalue)


def _most(now: Mapping[str, int], past: Mapping[str, int], field: str) -> str:
    a, b = sum(now.values()), sum(past.values())
    moved = {name: now.get(name, 0) / a - past.get(name, 0) / b for name in now.keys() | past.keys()}
    name = max(sorted(moved), key=lambda one: abs(moved[one]))
    return f"{field} “{name}” from {past.get(name, 0) / b * 100:.0f} % to {now.get(name, 0) / a * 100:.0f} %"
