"""What the digests share: buckets, samples, and the past nights a number is held against."""

import random
from collections.abc import Mapping, Sequence
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


def added_up(past: Past, key: str) -> dict[str, int]:
    """The counts kept under a key, over all past nights."""
    total: dict[str, int] = {}
    for night in past:
        for name, count in (night.get(key) or {}).items():
            total[name] = total.get(name, 0) + int(count)
    return total
