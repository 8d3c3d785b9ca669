"""The watchdog: what no night's own task can say, for it never ran. Every few minutes, and a heartbeat for whoever watches us.

Airflow's own deadline needs a run, a scheduler and a triggerer. This looks at the ledger and the clock: was a night opened at
all, was its queue drained, was it exported. And because a dead Airflow runs no watchdog either, each look leaves a heartbeat:
a file (OVERNIGHT_HEARTBEAT_FILE, or AIRFLOW_HOME/overnight-heartbeat), and a GET of the address in the Airflow connection
`overnight_heartbeat`, for a service outside that raises its own alarm when it hears nothing.
"""

import logging
import os
from collections.abc import Iterator, Set
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from overnight.alerts import channels, notifier
from overnight.alerts.kinds import NIGHT_DOES_NOT_END
from overnight.brand import brand
from overnight.clock import GRACE, first, utcnow
from overnight.ledger import alerts, migrate, nights
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import REPLAY
from overnight.ledger.states import NightState
from overnight.workflow import workflow_if_known

log = logging.getLogger("overnight.watchdog")
HEARTBEAT_CONN_ID = "overnight_heartbeat"
DRAIN_WITHIN = timedelta(minutes=30)
LATE_BY = timedelta(minutes=5)
"""After the due time, before the watchdog says what the deadline should have said."""
USUAL_FOR = timedelta(days=8)
"""A workflow that ran in the last days is expected tonight."""


class WatchOperator(BaseOperator):
    """Look once; returns how many troubles there are."""

    def execute(self, context: Any) -> int:
        """Look now, send what no channel took yet, and leave a heartbeat."""
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        now = utcnow()
        found = watch(ledger, now=now)
        channels.send_waiting(ledger, now=now)
        beat(now)
        tell_metrics(ledger, now=now)
        return found


def watch(ledger: Ledger, *, now: datetime) -> int:
    """The work of the operator, without Airflow: raises what it finds, and says what is over."""
    with ledger.read() as conn:
        unfinished = nights.unfinished(conn)
        usual = nights.ran_since(conn, now - USUAL_FOR)
    at_work = {night["workflow"] for night in unfinished if night["source"] != REPLAY and now <= night["due_at"]}
    return sum([*_late(ledger, unfinished, now), *_missing(ledger, usual, at_work, now)])


def _late(ledger: Ledger, unfinished: list[Any], now: datetime) -> Iterator[bool]:
    for night in unfinished:
        if night["source"] == REPLAY:
            continue  # a lesson's trial: nobody waits for it
        where = (night["workflow"], night["night"], night["run_id"])
        if night["state"] == NightState.OPEN and now > night["opened_at"] + DRAIN_WITHIN:
            at = night["opened_at"].astimezone(ZoneInfo(brand().timezone))
            notifier.night_alert(
                ledger, "not_drained", *where,
                f"Opened at {at:%H:%M}, and its queue is not drained: nothing is locked and nothing is bought. Look "
                "at the run's drain task; clearing it locks the queue as it is then.", now=now,
            )  # fmt: skip
            yield True
        elif now > night["due_at"] + LATE_BY:
            notifier.not_exported(ledger, *where, due=night["due_at"], state=night["state"], now=now)
            yield True


def _missing(ledger: Ledger, usual: dict[str, datetime], at_work: Set[str], now: datetime) -> Iterator[bool]:
    """Workflows that have run these days and were not even opened at their last lock.

    Args:
        at_work: those with a run that is not over: the next one stands behind it.
    """
    zone = ZoneInfo(brand().timezone)
    with ledger.read() as conn:
        said = alerts.open_of_kind(conn, "nothing_ran")
    for row in said:
        opened_at = usual.get(row["workflow"])
        if opened_at is None:
            notifier.recovered(ledger, row["dedupe_key"], "The workflow rests: nothing is expected of it now.", now=now)
        elif opened_at > row["raised_at"]:  # that evening's, by hand, or a later one's
            notifier.recovered(ledger, row["dedupe_key"], "A night was opened since.", now=now)
    for name, opened_at in sorted(usual.items()):
        declared = workflow_if_known(name)
        if declared is None:
            continue
        locked_at = first(declared.times.lock, zone, now - timedelta(days=1))
        date = locked_at.astimezone(zone).date().isoformat()
        key = f"nothing_ran:{name}:{date}"
        if opened_at >= locked_at:  # by hand after midnight, too: that night has another date
            notifier.recovered(ledger, key, f"The night of {date} was opened after all.", now=now)
            continue
        with ledger.read() as conn:
            # What an older night still says, at every look, is no word of this one.
            told = [row for row in alerts.raised_since(conn, name, locked_at) if row["kind"] in NIGHT_DOES_NOT_END]
        if now < locked_at + GRACE or name in at_work or any(row["dedupe_key"] != key for row in told):
            continue  # not yet; or its run said itself what is wrong
        notifier.raise_alert(
            ledger, key, "nothing_ran", name,
            f"Nothing ran at {locked_at.astimezone(zone):%H:%M}: no night of {date} was opened, and no task said why. Is the "
            "scheduler alive, and is the Dag still there and unpaused? Trigger it by hand with start=now to catch up; the queue "
            f"is as people left it. If it is meant to rest, `bin/overnight launch {name} --to paused --by NAME --reason WHY` "
            "says so.",
            night=date, now=now,
        )  # fmt: skip
        yield True


def tell_metrics(ledger: Ledger, *, now: datetime) -> None:
    """The pages' numbers for those who watch them elsewhere. That they could not be told is no trouble of a night."""
    from overnight.ui import gauges

    try:
        with ledger.read() as conn:
            gauges.send(conn, now=now)
    except Exception as error:
        log.warning("the metrics were not told: %s", type(error).__name__)


def beat(now: datetime) -> None:
    """Leave the heartbeat. That it could not be left is no trouble of a night: whoever listens will hear the silence."""
    path = heartbeat_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(now.isoformat() + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        log.warning("the heartbeat file could not be written: %s", type(error).__name__)
    try:
        _call()
    except Exception as error:  # its words hold the address, which is a secret
        log.warning("the heartbeat address did not answer: %s", type(error).__name__)


def heartbeat_file() -> Path:
    """Where the heartbeat's file is: it holds the instant of the last look."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_HEARTBEAT_FILE", home / "overnight-heartbeat"))


def _call() -> None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = BaseHook.get_connection(HEARTBEAT_CONN_ID)
    except AirflowNotFoundException:
        return
    import httpx

    address = connection.password or connection.host or ""  # the address is a secret: as the password it is masked in logs
    httpx.get(address, timeout=10).raise_for_status()
