"""The morning digest of returns_triage: counted in pandas. Totals reconcile to the input; movers are held against 28 days."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from overnight.rates import apart
from overnight.workflow import NightRow
from overnight.workflows._digests._tables import Past, added_up, buckets

TOP = 10


def digest(rows: Sequence[NightRow], *, sample: int, seed: str, past: Past = ()) -> tuple[dict[str, Any], dict[int, str]]:
    """One page that stands for a night of returns (arguments as for every digest)."""
    placed = buckets(rows, sample=sample, seed=seed)
    table = pd.DataFrame(
        [
            {
                "sku": r.item["sku"],
                "value": r.item["value_usd"],
                **{k: r.answer[k] for k in ("reason", "owner", "fixable_by", "urgency")},
            }
            for r in rows
        ],
        columns=["sku", "value", "reason", "owner", "fixable_by", "urgency"],
    )
    pairs = (table["sku"].astype(str) + " · " + table["reason"].astype(str)).value_counts()
    counts = {str(name): int(count) for name, count in pairs.items()}
    summary = {
        "returns": len(rows),
        "value_usd": round(float(table["value"].sum()), 2),
        "reasons": _counts(table["reason"]),
        "owners": _counts(table["owner"]),
        "fixable_by": _counts(table["fixable_by"]),
        "movers": movers(counts, len(rows), past),
        "top_sku_and_reason": [{"what": name, "returns": count} for name, count in list(counts.items())[:TOP]],
        "immediate": int((table["urgency"] == "immediate").sum()),
        "_pairs": counts,
        "_returns": {"all": len(rows)},
    }
    return summary, placed


def _counts(column: "pd.Series[Any]") -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().items()}


def movers(counts: dict[str, int], total: int, past: Past) -> list[dict[str, Any]]:
    """SKU and reason pairs whose share of the returns differs from the last 28 days' by more than chance."""
    before, of = added_up(past, "_pairs"), added_up(past, "_returns").get("all", 0)
    found: list[dict[str, Any]] = []
    names = sorted(counts.keys() | before.keys())
    for name in names:
        now, then = (counts.get(name, 0), total), (before.get(name, 0), of)
        # One return of something that is rarely sent back is no move, however rare: three are wanted, or would have been due.
        enough = max(now[0], then[0] / max(1, of) * total) >= 3
        if enough and apart(now, then, among=len(names)):
            share, was = now[0] / max(1, now[1]), then[0] / max(1, then[1])
            found.append({"what": name, "returns": now[0], "share": round(share, 3), "share_in_28_days": round(was, 3)})
    return sorted(found, key=lambda row: -abs(row["share"] - row["share_in_28_days"]))[:TOP]
