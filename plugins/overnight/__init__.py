"""Overnight's front door: what a Dag file may import. The flow of a night:

    check → drain → batch (one per shard: submit → wait → land) → validate → export        the workflow's Dag
                                                                             ↓
                                                                        reviewers decide    the review page
                                                                             ↓
                                                  collect → approved | edited | rework → deliver → measure   morning_review

A chain has several steps between drain and validate, each a batch task or, in code, a compute task.

Everything here is loaded on first use, so a Dag parse imports what it names and no more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overnight.alerts.good_morning import GoodMorningOperator
    from overnight.alerts.watchdog import WatchOperator
    from overnight.batches.compute import ComputeOperator
    from overnight.batches.run import BatchOperator
    from overnight.delivery.deliver import DeliverOperator
    from overnight.governance.audit_digest import AuditDigestOperator
    from overnight.governance.check import CheckOperator
    from overnight.governance.launch_test import LaunchTestOperator
    from overnight.governance.retention import RetentionOperator
    from overnight.quality.measure import MeasureOperator
    from overnight.queues.drain import DrainOperator
    from overnight.queues.preview import PreviewOperator
    from overnight.review.collect import CollectOperator
    from overnight.review.export import ExportOperator
    from overnight.schedule import by_hand, morning, nightly
    from overnight.validation.validate import ValidateOperator

_FROM = {
    "nightly": "overnight.schedule",
    "morning": "overnight.schedule",
    "CheckOperator": "overnight.governance.check",
    "DrainOperator": "overnight.queues.drain",
    "PreviewOperator": "overnight.queues.preview",
    "BatchOperator": "overnight.batches.run",
    "ComputeOperator": "overnight.batches.compute",
    "ValidateOperator": "overnight.validation.validate",
    "ExportOperator": "overnight.review.export",
    "CollectOperator": "overnight.review.collect",
    "DeliverOperator": "overnight.delivery.deliver",
    "MeasureOperator": "overnight.quality.measure",
    "LaunchTestOperator": "overnight.governance.launch_test",
    "RetentionOperator": "overnight.governance.retention",
    "WatchOperator": "overnight.alerts.watchdog",
    "GoodMorningOperator": "overnight.alerts.good_morning",
    "AuditDigestOperator": "overnight.governance.audit_digest",
    "by_hand": "overnight.schedule",
}

__all__ = [
    "AuditDigestOperator",
    "BatchOperator",
    "CheckOperator",
    "CollectOperator",
    "ComputeOperator",
    "DeliverOperator",
    "DrainOperator",
    "ExportOperator",
    "GoodMorningOperator",
    "LaunchTestOperator",
    "MeasureOperator",
    "PreviewOperator",
    "RetentionOperator",
    "ValidateOperator",
    "WatchOperator",
    "by_hand",
    "morning",
    "nightly",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"overnight has no {name!r}; its front door opens to {', '.join(__all__)}")
    return getattr(import_module(_FROM[name]), name)
