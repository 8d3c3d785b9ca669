"""Where alerts go: Slack, mail, a webhook, whatever Apprise can reach, through one Airflow connection.

The connection `overnight_alerts` (type Apprise) lists the services. A service without a tag is told everything; tags narrow it:
`alerts`, `morning` (the good-morning message), `digest` (the weekly audit), or a severity. The ledger is the outbox: each notice
is claimed, sent and settled there, so that two processes send it once, one that dies is followed by another, and an alert that
no channel took is still on record. Sending never fails the work it speaks of.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from overnight.ledger import alerts
from overnight.ledger.connect import Ledger
from overnight.ledger.rows import Row

log = logging.getLogger("overnight.alerts")
CONN_ID = "overnight_alerts"
SINCE = timedelta(hours=24)
"""How old a notice may be and still be sent: a channel that is mended tells of today, not of last month."""
STALE = timedelta(minutes=5)
"""After so long, what somebody began to send is sent again: it died on the way."""
ENOUGH = 2
"""Notices a dead channel may refuse before the others wait for the next look."""
_NOT_BY_ALL = "a service did not take it, its own words are in Airflow's log; taken by "
_TAGS = {"good_morning": "morning", "audit_digest": "digest"}
_TYPES = {"critical": "failure", "error": "failure", "warning": "warning", "info": "info"}


def send_waiting(ledger: Ledger, *, now: datetime) -> int:
    """Send every notice that waits; returns how many were taken. Without the connection nothing is sent, and nothing is lost."""
    try:
        box = _box()
    except Exception as error:
        log.warning("alerts stay in the ledger: the connection %s cannot be used (%s)", CONN_ID, type(error).__name__)
        return 0
    if box is None:
        return 0
    with ledger.read() as conn:
        waiting = alerts.to_send(conn, since=now - SINCE, stale=now - STALE)
    taken = refused = 0
    for alert, notice in waiting:
        sent = _send(ledger, box, alert, notice, now=now)
        taken, refused = taken + (sent is True), refused + (sent is False)
        if refused >= ENOUGH:
            break  # a dead channel must not hold up the task that speaks; the watchdog tries again
    return taken


def _box() -> Any:
    """The services of the connection; None when there is no such connection."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = BaseHook.get_connection(CONN_ID)
    except AirflowNotFoundException:
        return None
    import apprise
    from airflow.providers.apprise.hooks.apprise import AppriseHook

    hook, box = AppriseHook(CONN_ID), apprise.Apprise()
    config = hook.get_config_from_conn(connection)
    for service in config if isinstance(config, list) else [config]:
        if not box.add(service["path"], tag=service.get("tag") or "always"):
            raise ValueError("a service of the connection is written in a way that Apprise does not know")
    return box


def _send(ledger: Ledger, box: Any, alert: Row, notice: str, *, now: datetime) -> bool | None:
    """Whether anybody took it; None: somebody else is at it."""
    with ledger.write() as conn:
        before = alerts.sends(conn, alert["id"]).get(notice)
        claimed = alerts.claim(conn, alert["id"], notice, stale=now - STALE, now=now)
    if claimed is None:
        return None
    title, body, kind = _words(alert, notice)
    tags = [_TAGS.get(alert["kind"], "alerts"), alert["severity"]]
    earlier, taken, error = _taken(before["error"] if before else None), set[str](), None
    try:
        told = _others(box, earlier).notify(
            body=body, title=title, notify_type=kind, tag=tags, body_format="text"
        )  # fmt: skip
        taken = {str(one.url_id) for one in told if one}
        # No result: no service wants this tag, which is how the team set it up, or all that do have taken it.
        if not all(told):
            error = f"{_NOT_BY_ALL}{', '.join(sorted(earlier | taken))}"
    except Exception as trouble:
        error = type(trouble).__name__  # its words may hold the service's address, which is a secret
    with ledger.write() as conn:
        alerts.settle(conn, claimed, error=error, now=now)
    return error is None or bool(taken)


def _taken(error: str | None) -> set[str]:
    """The services that took a notice which others refused."""
    return set(error.removeprefix(_NOT_BY_ALL).split(", ")) - {""} if error and error.startswith(_NOT_BY_ALL) else set()


def _others(box: Any, taken: set[str]) -> Any:
    """The services that are still to be told: nobody reads it twice because another one is down, or has a new address."""
    import apprise

    left = apprise.Apprise()
    for service in box:
        if str(service.url_id()) not in taken:
            left.add(service)
    return left


def _words(alert: Mapping[str, Any], notice: str) -> tuple[str, str, str]:
    """Title, body and Apprise's kind of one notice. Alerts carry ids, counts and errors, never an item's text."""
    what = " · ".join(part for part in (alert["workflow"].strip("*"), alert["night"] or "") if part)
    kind = alert["kind"].replace("_", " ")
    if notice == alerts.RECOVERED:
        return f"Over: {kind} {what}".strip(), alert["recovery"] or "", "success"
    first = "" if alert["severity"] == "info" else f"{alert['severity'].upper()}: "
    return f"{first}{kind} {what}".strip(), alert["message"], _TYPES[alert["severity"]]
