"""The weekly audit digest: what ran, what was denied, who approved what and how fast, what repeats; the chains verified.

A file a week (Markdown for people, JSON for machines) beside the raw answers' folder, a message, and the same on the page
/overnight/audit/week. The file names where every chain ends: kept outside the database, it shows later whether the database was
written anew, which the chains alone cannot (who owns the database could write them anew, too).
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator
from sqlalchemy import Connection

from overnight.brand import brand
from overnight.clock import utcnow
from overnight.ledger import audit_week, migrate, verify
from overnight.ledger.connect import Ledger, open_ledger
from overnight.quality.ranges import quality
from overnight.rates import wilson
from overnight.workflow import SHARED_DAGS, workflow_names

WEEK = timedelta(days=7)
EVERYTHING = "*"
_OUTCOMES = ("staged", "failed", "carried_over")


@dataclass(frozen=True, slots=True)
class Digest:
    """One week, as counts and names."""

    since: datetime
    until: datetime
    nights: Sequence[dict[str, Any]]
    denied: Sequence[dict[str, Any]]
    turned: Sequence[dict[str, Any]]
    reviewers: Sequence[dict[str, Any]]
    reasons: Sequence[tuple[str, str, int]]
    tiers: dict[str, dict[str, int]]
    alerts: Sequence[tuple[str, str, int]]
    edge_cases: Sequence[str]
    problems: Sequence[str]
    heads: Sequence[tuple[str, str, int, str]]


class AuditDigestOperator(BaseOperator):
    """Write the digest of the last seven days; returns how many problems the chains have."""

    def execute(self, context: Any) -> int:
        """Write it now.

        Raises:
            ChainBroken: the audit log was tampered with; the digest is written first.
        """
        ledger = open_ledger()
        migrate.ensure_current(ledger)
        path, made = write(ledger, folder(), now=utcnow())
        self.log.info("the audit digest is %s", path)
        if made.problems:
            raise ChainBroken(f"The ledger does not verify: {'; '.join(made.problems[:5])}. The digest names all of it: {path}")
        return 0


class ChainBroken(RuntimeError):
    """The audit log was changed after it was written."""


def folder() -> Path:
    """Where the digests are kept: OVERNIGHT_AUDIT_DIR, or AIRFLOW_HOME/audit."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return Path(os.environ.get("OVERNIGHT_AUDIT_DIR", home / "audit"))


def write(ledger: Ledger, place: Path, *, now: datetime) -> tuple[Path, Digest]:
    """The work of the operator, without Airflow: both files, whole or not at all, and the message; returns the first."""
    from overnight.alerts import notifier

    with ledger.read() as conn:
        made = digest(conn, now=now)
    local = now.astimezone(ZoneInfo(brand().timezone)).date()
    year, week, _ = (local - timedelta(days=1)).isocalendar()
    name = f"{year}-W{week:02d}"
    place.mkdir(parents=True, exist_ok=True)
    as_json = json.dumps(asdict(made), default=str, indent=1, sort_keys=True) + "\n"
    for suffix, text in ((".json", as_json), (".md", markdown(made))):
        partial = place / f".{name}{suffix}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(place / f"{name}{suffix}")
    whole = "the log is whole" if not made.problems else f"{len(made.problems)} PROBLEMS IN THE LOG"
    ran = sum(row["nights"] for row in made.nights)
    notifier.raise_alert(
        # The day, too: one that somebody ran on Wednesday must not keep Monday's from being told.
        ledger, f"audit_digest:{name}:{now.astimezone(ZoneInfo(brand().timezone)).date()}", "audit_digest", EVERYTHING,
        f"{name}: {ran} nights, {len(made.denied)} denials, {sum(n for _, _, n in made.alerts)} alerts; {whole}. "
        f"{place / name}.md, or the page /overnight/audit/week.", severity="critical" if made.problems else None, now=now,
    )  # fmt: skip
    return place / f"{name}.md", made


def digest(conn: Connection, *, now: datetime, workflows: Sequence[str] | None = None, verified: bool = True) -> Digest:
    """The last seven days.

    Args:
        verified: look at every row of the log, which takes its time; without, `problems` is empty.
        workflows: these only (what somebody may see); None: all, and what belongs to no single one.
    """
    since = now - WEEK
    names = [*workflows] if workflows is not None else [*workflow_names(), *SHARED_DAGS, EVERYTHING]
    span = (conn, since, now)
    reviewers, reasons = audit_week.decided(*span, names)
    tiers = {name: dict(counted) for name, counted in audit_week.tiers(*span, names).items()}
    return Digest(
        since, now, audit_week.nights_run(*span, names),
        [_event(row) for row in audit_week.events(*span, audit_week.DENIED, names)],
        [_event(row) for row in audit_week.events(*span, audit_week.TURNED, names)], reviewers,
        reasons, tiers, audit_week.alerts_raised(*span, names), tuple(_edges(reviewers, tiers)),
        verify.problems(conn) if verified else (),
        [head for head in audit_week.heads(conn, since.date().isoformat()) if head[0] in names],
    )  # fmt: skip


def _event(row: Any) -> dict[str, Any]:
    names = ("at", "workflow", "actor", "verb", "object_type", "object_id", "from_state", "to_state", "detail")
    return {name: row[name] for name in names}


def _edges(reviewers: Sequence[dict[str, Any]], tiers: dict[str, dict[str, int]]) -> list[str]:
    """What a person should look at: very fast approval, a reviewer far from the others, what needed two people."""
    said = []
    for row in reviewers:
        mine = (row["approve"], sum(row[kind] for kind in ("approve", "edit", "rework")))
        others = [r for r in reviewers if r["workflow"] == row["workflow"] and r["reviewer"] != row["reviewer"]]
        rest = (sum(r["approve"] for r in others), sum(r[k] for r in others for k in ("approve", "edit", "rework")))
        if row["median_seconds"] is not None and row["median_seconds"] < quality().rubber_stamp.seconds_below and mine[1] >= 20:
            said.append(
                f"{row['reviewer']} decided {mine[1]} items of {row['workflow']} in {row['median_seconds']:g} s each (median): "
                "is anybody reading?"
            )
        if rest[1] >= 10 and mine[1] >= 10 and wilson(*mine)[0] > wilson(*rest)[1]:
            said.append(
                f"{row['reviewer']} approves {mine[0]} of {mine[1]} of {row['workflow']} as they are, the others {rest[0]} of "
                f"{rest[1]}: more than chance; look at some together"
            )
    for name, counted in tiers.items():
        if counted.get("T3"):
            said.append(f"{name}: {counted['T3']} items that needed the owner or two people")
        if counted.get("T4"):
            said.append(f"{name}: {counted['T4']} items that a rule kept from approval")
    return said


def markdown(made: Digest) -> str:
    """The digest as a page of text."""
    zone = ZoneInfo(brand().timezone)

    def local(at: Any) -> str:
        return f"{at.astimezone(zone):%a %d %b %H:%M}"

    parts = [f"# Audit digest, {local(made.since)} to {local(made.until)}", "", "## What ran", ""]
    parts += _table(
        ("workflow", "nights", "staged", "failed", "carried over", "cost"),
        [(r["workflow"], r["nights"], *(r["outcomes"].get(o, 0) for o in _OUTCOMES), f"${r['cost_usd']:.4f}")
         for r in made.nights],
    )  # fmt: skip
    parts += ["## Who decided what, and how fast", ""]
    parts += _table(
        ("reviewer", "workflow", "approved", "edited", "sent back", "seconds each (median, on our page)"),
        [(r["reviewer"], r["workflow"], r["approve"], r["edit"], r["rework"], r["median_seconds"] or "") for r in made.reviewers],
    )  # fmt: skip
    parts += ["## What was denied", ""]
    parts += _table(("when", "workflow", "who", "what", "why"), [_row(e, local) for e in made.denied])
    parts += ["## Switches, launches, tightenings, first yeses", ""]
    parts += _table(("when", "workflow", "who", "what", "why"), [_row(e, local) for e in made.turned])
    parts += ["## What repeats", "", *_table(("workflow", "reason", "times"), made.reasons)]
    parts += ["## Alerts", "", *_table(("workflow", "kind", "times"), made.alerts)]
    parts += ["## Edge cases", "", *([f"- {line}" for line in made.edge_cases] or ["none"]), ""]
    parts += ["## The log", "", *([f"- PROBLEM: {line}" for line in made.problems] or ["Every chain holds."]), ""]
    parts += _table(("workflow", "day", "rows", "ends in"), made.heads)
    return "\n".join(parts)


def _row(event: dict[str, Any], local: Any) -> tuple[Any, ...]:
    what = f"{event['verb']} {event['object_type']} {event['object_id']}"
    if event["to_state"]:
        what += f": {event['from_state'] or 'nothing'} → {event['to_state']}"
    try:
        detail = json.loads(event["detail"] or "{}")
    except ValueError:  # somebody was at the log: its problems are what this digest is for
        detail = {}
    detail = detail if isinstance(detail, dict) else {}
    return local(event["at"]), event["workflow"], event["actor"], what, detail.get("why") or detail.get("reason") or ""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    if not rows:
        return ["none", ""]
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines), ""]


def _cell(value: Any) -> str:
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
