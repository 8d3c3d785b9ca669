"""Removing what is older than the brand keeps it: raw answers, texts, days of the audit log (archived first).

What is still somebody's work is never touched, and no figure is: bills, metrics and `bin/overnight verify` say afterwards what
they said before. Each part commits in pieces, so that a run that dies goes on where it was.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator

from overnight.batches import raw
from overnight.brand import Retention, brand
from overnight.clock import utcnow
from overnight.governance import audit_digest
from overnight.governance import policy as policies
from overnight.ledger import audit, migrate, retention, switches
from overnight.ledger.audit import Actor
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.errors import LedgerError
from overnight.ledger.rows import Row
from overnight.workflow import workflow_if_known

PIECE = 500
"""Items cleared in one transaction: a night that begins meanwhile waits for none of them long."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How much of each was (or would be) removed."""

    raw_files: int = 0
    items: int = 0
    nights: int = 0
    audit_days: int = 0
    audit_rows: int = 0


class RetentionOperator(BaseOperator):
    """Remove what the brand's retention says; returns the counts."""

    def execute(self, context: Any) -> dict[str, int]:
        """Remove it now."""
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        done = apply(ledger, brand().retention, actor=Actor("system", "retention", context["dag_run"].run_id), now=utcnow())
        self.log.info("removed: %s", done)
        return asdict(done)


def folder() -> Path:
    """Where archived days of the log stand: beside the weekly digests."""
    return audit_digest.folder() / "archive"


def due(ledger: Ledger, wanted: Retention, *, now: datetime) -> Removed:
    """What would be removed now. Nights without texts left are counted once their items are cleared."""
    with ledger.read() as conn:
        files = _raw_files(conn, now)
        ids = retention.items_to_clear(conn, before, 10**9) if (before := _before(wanted.texts_days, now)) else []
        days = _chains(conn, wanted, now)
        rows = sum(1 for workflow, day in days for _ in retention.chain_rows(conn, workflow, day))
    return Removed(raw_files=len(files), items=len(ids), audit_days=len(days), audit_rows=rows)


def apply(ledger: Ledger, wanted: Retention, *, actor: Actor, now: datetime) -> Removed:
    """Remove what is due; safe to call again, and after a kill."""
    items, nights = _texts(ledger, _before(wanted.texts_days, now), actor=actor, now=now)
    with ledger.read() as conn:
        days = _chains(conn, wanted, now)
    rows = sum(_archive_day(ledger, workflow, day, actor=actor, now=now) for workflow, day in days)
    files = _raw(ledger, now=now)  # last: where their folder is not there, all else is done
    return Removed(files, items, nights, len(days), rows)


def _before(days: int | None, now: datetime) -> datetime | None:
    return None if days is None else now - timedelta(days=days)


def _chains(conn: Any, wanted: Retention, now: datetime) -> list[tuple[str, str]]:
    before = _before(wanted.audit_days, now)
    return retention.chains(conn, before.date().isoformat()) if before else []


def _raw_files(conn: Any, now: datetime) -> list[Row]:
    """Of every workflow what its policy keeps no longer; a workflow that is gone keeps what it has."""
    found: list[Row] = []
    for name in retention.raw_workflows(conn):
        own = switches.owner(name)  # a lesson's trial is kept as long as its workflow's nights
        if workflow_if_known(own) is not None:
            policy, _ = policies.load(own)
            if (before := _before(policy.audit.keep_raw_days, now)) is not None:
                found += retention.raw_files(conn, name, before)
    return found


def _raw(ledger: Ledger, *, now: datetime) -> int:
    with ledger.read() as conn:
        found = _raw_files(conn, now)
    if found and not raw.folder().is_dir():
        # Elsewhere they may well be: noted as removed, they would stay there for good.
        raise LedgerError(f"The raw answers' folder {raw.folder()} is not there. Set OVERNIGHT_RAW_DIR as the workers have it.")
    for row in found:
        (raw.folder() / row["raw_path"]).unlink(missing_ok=True)
    with ledger.write() as conn:
        retention.raw_removed(conn, [row["id"] for row in found], now=now)
    return len(found)


def _texts(ledger: Ledger, before: datetime | None, *, actor: Actor, now: datetime) -> tuple[int, int]:
    if before is None:
        return 0, 0
    count = 0
    while True:
        with ledger.write() as conn:
            ids = retention.items_to_clear(conn, before, PIECE)
            if not ids:
                return count, retention.clear_nights(conn, before, actor=actor, now=now)
            retention.clear_items(conn, ids, actor=actor, now=now)
        count += len(ids)


def _archive_day(ledger: Ledger, workflow: str, day: str, *, actor: Actor, now: datetime) -> int:
    """Write a chain into its archive, read it back, and only then delete it."""
    path = folder() / f"{'all' if workflow == audit.SYSTEM else workflow}-{day}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with ledger.read() as conn, gzip.open(partial, "wt", encoding="utf-8", compresslevel=6) as file:
        for row in retention.chain_rows(conn, workflow, day):
            file.write(json.dumps({**row, "at": row["at"].isoformat()}, sort_keys=True) + "\n")
    problems, _, _ = check(partial)
    if problems:
        partial.unlink()
        raise audit_digest.ChainBroken(f"The audit chain {workflow} {day} is broken and was kept as it is: {problems[0]}")
    partial.replace(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with ledger.write() as conn:
        return retention.purge_chain(conn, workflow, day, path.name, sha256, actor=actor, now=now)


def check(path: Path) -> tuple[list[str], int, str]:
    """Whether an archived chain holds: its problems, how many rows it has, and its last hash, as heads and digests have it."""
    return audit.broken_archive(_lines(path))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
