"""The morning digest of inventory_signals: how many SKUs carry which signal, and what they are worth."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from overnight.workflow import NightRow, Severity
from overnight.workflows._digests._tables import Past


def digest(rows: Sequence[NightRow], *, sample: int, seed: str, past: Past = ()) -> tuple[dict[str, Any], dict[int, str]]:
    """One page for the whole catalogue; the exceptions that were explained are looked at one by one, critical ones first."""
    signals = Counter(row.answer["signal"] for row in rows)
    before = past[-1].get("_signals", {}) if past else {}
    summary = {
        "skus": len(rows),
        "signals": dict(signals.most_common()),
        "since_the_last_night": {name: signals[name] - before.get(name, 0) for name in sorted({*signals, *before})}
        if before
        else {},
        "critical": sum(row.answer["severity"] == "critical" for row in rows),
        "explained": sum("narrative" in row.answer for row in rows),
        "exceptions_not_explained": sum(row.answer["signal"] != "healthy" and "narrative" not in row.answer for row in rows),
        "classes": dict(sorted(Counter(row.answer["abc"] for row in rows).items())),
        "suggested_orders_usd": round(sum((row.answer["suggested_order"] or 0) * row.item["unit_cost"] for row in rows), 2),
        "_signals": dict(signals),
    }
    return summary, {row.item_id: _bucket(row) for row in rows}


def _bucket(row: NightRow) -> str:
    severities = {finding.severity for finding in row.findings}
    if Severity.ESCALATE in severities:
        return "escalated"
    return "warning" if Severity.WARN in severities else "covered"
