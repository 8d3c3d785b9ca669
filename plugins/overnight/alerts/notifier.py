"""Alerts: written to the ledger and to the log, whether or not a channel takes them. One trouble, one alert.

A night that failed and is then late is one trouble: the deadline adds its words to the alert that is there.
"""

import logging
from datetime import datetime
from zoneinfo import ZoneInfo

from overnight.alerts import channels
from overnight.alerts.kinds import INFO, NIGHT_DOES_NOT_END, SEVERITY
from overnight.brand import brand
from overnight.governance import policy as policies
from overnight.ledger import alerts
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger

log = logging.getLogger("overnight.alerts")


def night_key(kind: str, workflow: str, run_id: str) -> str:
    """What makes two alerts of a night the same."""
    return f"{'night' if kind in NIGHT_DOES_NOT_END else kind}:{workflow}:{run_id}"


def night_alert(
    ledger: Ledger, kind: str, workflow: str, night: str, run_id: str, message: str, *, now: datetime
) -> bool:  # fmt: skip
    """Raise the alert of one night that is not as it should be; returns whether it is new."""
    key = night_key(kind, workflow, run_id)
    return raise_alert(ledger, key, kind, workflow, message, night=night, run_id=run_id, now=now)


def raise_alert(
    ledger: Ledger, key: str, kind: str, workflow: str, message: str, *, now: datetime, night: str = "", run_id: str = "",
    severity: str | None = None,
) -> bool:  # fmt: skip
    """Raise an alert, or count a repetition of the one with the same key; returns whether it is new.

    Args:
        kind: one of `kinds.SEVERITY`.
        severity: critical, error, warning or info, where this one is graver than its kind.
    """
    severity = severity or SEVERITY[kind]
    alert = {
        "dedupe_key": key[:250], "kind": kind, "workflow": workflow, "night": night, "run_id": run_id, "severity": severity,
        "message": message,
    }  # fmt: skip
    with ledger.write() as conn:
        new = alerts.raise_once(conn, alert, actor=policies.under(Actor("system", "alerts", run_id=run_id), workflow), now=now)
    log.log(logging.INFO if severity == INFO else logging.ERROR, "ALERT %s %s %s: %s", kind, workflow, night, message)
    if new:
        channels.send_waiting(ledger, now=now)
    return new


def not_exported(ledger: Ledger, workflow: str, night: str, run_id: str, *, due: datetime, state: str, now: datetime) -> bool:
    """Say that a night did not come to its review in time: by Airflow's deadline, or by the watchdog where that was silent."""
    at = f"{due.astimezone(ZoneInfo(brand().timezone)):%H:%M on %Y-%m-%d}"
    return night_alert(
        ledger, "not_exported", workflow, night, run_id,
        f"Not exported by {at}: the night is {state}. Reviewers will find nothing new. Look at the run's tasks; clearing "
        "a failed one goes on from where it stopped and buys nothing twice.", now=now,
    )  # fmt: skip


def recovered(ledger: Ledger, key: str, words: str, *, now: datetime) -> bool:
    """Say that a trouble is over, to whoever was told of it; returns whether there was one."""
    with ledger.write() as conn:
        actor = Actor("system", "alerts")
        was = alerts.recover(conn, key, words, actor_in=lambda workflow: policies.under(actor, workflow), now=now)
    if was is not None:
        log.info("RECOVERED %s %s %s: %s", was["kind"], was["workflow"], was["night"], words)
        channels.send_waiting(ledger, now=now)
    return was is not None
