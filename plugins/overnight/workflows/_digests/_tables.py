"""What the digests share: buckets, samples, and the past nights a number is held against."""

import random
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from overnight.workflow import NightRow, Severity

Past = Sequence[Mapping[str, Any]]
"""The digests of the last 28 days' nights, oldest first, each with its `night`. Keys that begin with _ are shown to nobody."""


def buckets(rows: Sequence[NightRow], *, sample: int, seed: str, worst: str = "safety") -> dict[int, str]:
    """Each item's bucket: what escalates first, what warns, a sample, and the rest covered by the digest."""
    made = {row.item_id: _bucket(row, worst) for row in rows}
    plain = sorted(item_id for item_id, bucket in made.items() if bucket == "covered")
    for item_id in random.Random(seed).sample(plain, min(sample, len(plain))):  # noqa: S311 - a review sample, not a secret
        made[item_id] = "sample"
    return made


def _bucket(row: NightRow, worst: str) -> str:
    severities = {finding.severity for finding in row.findings}
    if Severity.ESCALATE in severities:
        return worst
    return "warning" if Severity.WARN in severities else "covered"


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; (0, 1) when nothing was counted."""
    if not of:
        return 0.0, 1.0
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, centre - half), min(1.0, centre + half)


def apart(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two shares, each (hits, of), differ by more than chance: their difference's 95 % interval leaves out nought.

    Newcombe's interval from two Wilson intervals.
    """
    if not a[1] or not b[1]:
        return False
    p, q = a[0] / a[1], b[0] / b[1]
    (pl, pu), (ql, qu) = wilson(*a), wilson(*b)
    low = p - q - sqrt((p - pl) ** 2 + (qu - q) ** 2)
    high = p - q + sqrt((pu - p) ** 2 + (q - ql) ** 2)
    return low > 0 or high < 0


def added_up(past: Past, key: str) -> dict[str, int]:
    """The counts kept under a key, over all past nights."""
    total: dict[str, int] = {}
    for night in past:
        for name, count in (night.get(key) or {}).items():
            total[name] = total.get(name, 0) + int(count)
    return total
