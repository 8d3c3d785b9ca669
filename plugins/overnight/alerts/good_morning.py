"""The good-morning message: what the night brought, what waits for whom, what it cost, with links. Once a morning."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import BaseOperator

from overnight.alerts import notifier
from overnight.brand import brand
from overnight.clock import utcnow
from overnight.governance import capacity
from overnight.ledger import alerts, migrate, overview
from overnight.ledger.connect import Ledger, open_ledger
from overnight.ledger.nights import REPLAY

LAST_NIGHT = timedelta(hours=20)


class GoodMorningOperator(BaseOperator):
    """Say good morning; returns whether it was said (a second time a day it is not)."""

    def execute(self, context: Any) -> bool:
        """Say it now."""
        from airflow.sdk.configuration import conf

        ledger = open_ledger()
        migrate.ensure_current(ledger)
        return good_morning(ledger, str(conf.get("api", "base_url", fallback="")), now=utcnow())


def good_morning(ledger: Ledger, base_url: str, *, now: datetime) -> bool:
    """The work of the operator, without Airflow."""
    date = now.astimezone(ZoneInfo(brand().timezone)).date().isoformat()
    return notifier.raise_alert(
        ledger, f"good_morning:{date}", "good_morning", "*", message(ledger, base_url, now=now), night=date,
        now=now,
    )  # fmt: skip


def message(ledger: Ledger, base_url: str, *, now: datetime) -> str:
    """The words: one line a night, then what is wrong, then how long the review will take."""
    date = now.astimezone(ZoneInfo(brand().timezone)).date().isoformat()
    with ledger.read() as conn:
        rows = [night for night in overview.list_nights(conn) if night["due_at"] > now - LAST_NIGHT and night["source"] != REPLAY]
        described = [(night, overview.describe(conn, night)) for night in rows]
        raised = alerts.listed(conn, since=now - LAST_NIGHT)
        open_alerts = [row for row in raised if row["recovered_at"] is None and row["severity"] != "info"]
        morning = capacity.forecast(conn, date)
    lines = ["No night ran."] if not described else []
    for night, told in described:
        link = f" {base_url.rstrip('/')}/overnight/review/{night['id']}" if base_url else ""
        lines.append(f"{night['workflow']} {night['night']}: {_counts(told)}; ${told['cost_usd']:.2f}.{link}")
    for row in open_alerts:
        lines.append(f"{row['severity'].upper()} {row['kind'].replace('_', ' ')}: {row['workflow']} {row['night'] or ''}")
    lines.append(f"The review should take {morning.minutes:.0f} of the team's {morning.pool} minutes.")
    return "\n".join(lines)


def _counts(told: Any) -> str:
    ended = told["outcomes"]
    parts = [f"{ended['staged']} to review"]
    parts += [f"{ended[name]} {words}" for name, words in (("failed", "failed"), ("carried_over", "carried over")) if ended[name]]
    if told["state"] not in ("closed", "exported"):
        parts.append(f"NOT FINISHED ({told['state']})")
    return ", ".join(parts)
