"""Every kind of alert there is, with how grave it is. A page a kind: docs/runbook/<kind>.md says what it means and what to do."""

from typing import Final

CRITICAL, ERROR, WARNING, INFO = "critical", "error", "warning", "info"

SEVERITY: Final = {
    # The night does not come to its end.
    "check_failed": ERROR,
    "task_failed": ERROR,
    "nothing_ran": CRITICAL,
    "not_drained": ERROR,
    "not_exported": ERROR,
    "export_mismatch": ERROR,
    "surface_broken": ERROR,
    "delivery_refused": ERROR,
    # A vendor.
    "key_refused": ERROR,
    "cannot_ask": ERROR,
    "in_doubt": ERROR,
    "unsettled": ERROR,
    "batch_refused": ERROR,
    "batch_failed": ERROR,
    "model_stuck": ERROR,
    "breaker_open": ERROR,
    # What the items are, and how many.
    "urgent_rows": CRITICAL,
    "grave_findings": CRITICAL,
    "over_capacity": WARNING,
    "over_budget": WARNING,
    # Governance and quality.
    "stopped": ERROR,
    "tripped": CRITICAL,
    "drift": WARNING,
    # Good to know.
    "released": INFO,
    "good_morning": INFO,
    "audit_digest": INFO,
}

NIGHT_DOES_NOT_END: Final = {
    "check_failed", "task_failed", "not_drained", "not_exported", "export_mismatch", "surface_broken", "nothing_ran"
}  # fmt: skip
"""Kinds that say one thing of a night, that it does not come to its end: one alert for all of them."""
