"""The morning digest of competitor_scan: counts of changes by kind, and who was looked at without any."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from overnight.workflow import NightRow, Severity
from overnight.workflows._digests._tables import Past


def digest(rows: Sequence[NightRow], *, sample: int, seed: str, past: Past = ()) -> tuple[dict[str, Any], dict[int, str]]:
    """One page for a night of competitors; those with changes are looked at one by one, the leadership digest first."""
    looked = [row for row in rows if "changes" in row.answer]
    kinds = Counter(change["type"] for row in looked for change in row.answer["changes"])
    matches = Counter[str]()
    for row in looked:
        matches.update(row.answer["matches"])
    summary = {
        "competitors": len(looked),
        "pages": sum(row.answer["pages"] for row in looked),
        "offers": sum(row.answer["offers"] for row in looked),
        "matches_with_our_catalogue": dict(matches),
        "changes": dict(kinds.most_common()),
        "first_look": [row.item["name"] for row in looked if row.answer["baseline"]],
        "unchanged": [row.item["name"] for row in looked if not row.answer["changes"]],
        "unreadable_pages": [row.answer["unreadable"] for row in looked if row.answer["unreadable"]],
    }
    return summary, {row.item_id: _bucket(row) for row in rows}


def _bucket(row: NightRow) -> str:
    severities = {finding.severity for finding in row.findings}
    if Severity.ESCALATE in severities:
        return "escalated"
    if Severity.WARN in severities:
        return "warning"
    return "ready" if row.answer.get("changes") or "lines" in row.answer else "covered"
