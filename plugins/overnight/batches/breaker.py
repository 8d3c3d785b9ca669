"""The breaker of one vendor's model: keeps new work from what has failed again and again, and lets one batch try in time.

Closed: work goes. Open: nothing goes before `open_until`. After that one batch is the probe: its success closes the breaker,
its failure opens it again.
"""

from datetime import datetime

from sqlalchemy import Connection

from overnight.batches.waits import waits
from overnight.ledger import breakers
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger

FAILURES = 5  # in a row


class Breaker:
    """One model's breaker, for one workflow's task."""

    def __init__(self, ledger: Ledger, vendor: str, model: str, *, workflow: str, actor: Actor) -> None:
        self.ledger, self.vendor, self.model = ledger, vendor, model
        self.workflow, self.actor = workflow, actor

    def open_until(self, now: datetime) -> datetime | None:
        """Until when nothing may be sent; None when it may."""
        with self.ledger.read() as conn:
            row = breakers.get(conn, self.vendor, self.model)
        until: datetime | None = row["open_until"] if row is not None else None
        return until if until is not None and now < until else None

    def probe(self, conn: Connection, now: datetime) -> datetime | None:
        """Under the breaker's lock: be the one batch that tries a model in time; else until when another's try is waited for."""
        row = breakers.get(conn, self.vendor, self.model)
        until: datetime | None = row["open_until"] if row is not None else None
        if row is None or until is None or now < until:
            return until
        breakers.write(
            conn, self.vendor, self.model, failures=row["failures"], open_until=now + waits().delta("breaker"),
            reason=row["reason"], workflow=self.workflow, actor=self.actor, now=now,
        )  # fmt: skip
        return None

    def failed(self, reason: str, now: datetime) -> bool:
        """One more failure; returns whether this one opened it."""
        with self.ledger.read() as conn:
            row = breakers.get(conn, self.vendor, self.model)
        failures = (row["failures"] if row is not None else 0) + 1
        probing = row is not None and row["open_until"] is not None
        opens = failures >= FAILURES or probing
        self._write(failures, now + waits().delta("breaker") if opens else None, reason, now)
        return opens and not probing

    def trip(self, reason: str, now: datetime) -> None:
        """Open it at once: a batch is stuck."""
        self._write(FAILURES, now + waits().delta("breaker"), reason, now)

    def worked(self, now: datetime) -> None:
        """Something went well: close it."""
        with self.ledger.read() as conn:
            row = breakers.get(conn, self.vendor, self.model)
        if row is not None and (row["failures"] or row["open_until"] is not None):
            self._write(0, None, None, now)

    def _write(self, failures: int, until: datetime | None, reason: str | None, now: datetime) -> None:
        with self.ledger.write() as conn:
            breakers.write(
                conn, self.vendor, self.model, failures=failures, open_until=until, reason=reason, workflow=self.workflow,
                actor=self.actor, now=now,
            )  # fmt: skip
