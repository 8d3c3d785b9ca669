"""Alerts: written to the ledger and to the log, whether or not a channel takes them. One trouble, one alert.

A night that failed and is then late is one trouble: the deadline adds its words to the alert that is there.
"""

import logging
from datetime import datetime

from overnight.governance import policy as policies
from overnight.ledger import alerts
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger

log = logging.getLogger("overnight.alerts")


def night_alert(
    ledger: Ledger, kind: str, workflow: str, night: str, run_id: str, message: str, *, now: datetime,
    severity: str = "error",
) -> bool:  # fmt: skip
    """Raise the alert of one night that is not as it should be; returns whether it is new."""
    key = f"night:{workflow}:{run_id}"
    return raise_alert(ledger, key, kind, workflow, message, night=night, run_id=run_id, severity=severity, now=now)


def raise_alert(
    ledger: Ledger, key: str, kind: str, workflow: str, message: str, *, now: datetime, night: str = "", run_id: str = "",
    severity: str = "error",
) -> bool:  # fmt: skip
    """Raise an alert, or count a repetition of the one with the same key; returns whether it is new.

    Args:
        severity: critical, error, warning or info (a recovery, a good morning).
    """
    alert = {
        "dedupe_key": key[:250], "kind": kind, "workflow": workflow, "night": night, "run_id": run_id, "severity": severity,
        "message": message,
    }  # fmt: skip
    with ledger.write() as conn:
        new = alerts.raise_once(conn, alert, actor=policies.under(Actor("system", "alerts", run_id=run_id), workflow), now=now)
    log.log(logging.INFO if severity == "info" else logging.ERROR, "ALERT %s %s %s: %s", kind, workflow, night, message)
    return new
