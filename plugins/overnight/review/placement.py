"""Where the review shows an item, and in which order: risk first, never by time."""

from collections.abc import Iterable

from overnight.workflow import NightRow, Severity

BUCKETS = {
    "by_hand": "Yours to write",
    "failed": "No good answer",
    "safety": "Safety: look first",
    "escalated": "Needs someone who may say yes",
    "warning": "Look twice",
    "sample": "Sample: would you have done the same?",
    "ready": "Ready",
    "covered": "Covered by the digest",
}
"""Every bucket, in the order of the page, with what the page calls it."""

_ORDER = list(BUCKETS)


def bucket(row: NightRow) -> str:
    """The bucket of an item that is reviewed by itself."""
    worst = {finding.severity for finding in row.findings}
    if Severity.ESCALATE in worst:
        return "escalated"
    return "warning" if Severity.WARN in worst else "ready"


def for_tier(found: str, *, named: bool, new: bool) -> str:
    """The bucket of an item that somebody must look at by name, or because its prompt is new: never one that speaks for many."""
    if named and found not in ("safety", "failed", "by_hand"):
        return "escalated"
    return "sample" if new and found == "covered" else found


def in_order(rows: Iterable[NightRow]) -> list[NightRow]:
    """Riskiest first: escalations, then the most warnings, then the oldest item."""

    def risk(row: NightRow) -> tuple[int, int, int]:
        severities = [finding.severity for finding in row.findings]
        return -severities.count(Severity.ESCALATE), -severities.count(Severity.WARN), row.item_id

    return sorted(rows, key=risk)


def in_page_order(counts: dict[str, int]) -> dict[str, int]:
    """Bucket counts in the order of the page."""
    return {name: counts[name] for name in _ORDER if name in counts}
