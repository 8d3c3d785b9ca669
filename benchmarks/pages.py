"""Every page's server time with a hundred nights of ten workflows and half a million items in PostgreSQL, over real HTTP.

One night of each workflow is written by the ledger's own code and waits for its review; the other ninety-nine are copies of it in
SQL, decided, delivered and measured. The largest page on SQLite: a review of five thousand items. Beside each page, in the same
run and turn about with it, Airflow's own /health.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, text

from benchmarks.api_server import HEALTH, serving
from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from overnight.ledger.tables import metadata
from overnight.workflow import workflow, workflow_names
from tests.support.postgresql import fresh_database, serve
from tests.support.reviewed import brief, draft, shown
from tests.workflows.good import GOOD

NIGHTS, A_NIGHT, LARGEST = 100, 500, 5_000
ASKED, WARM = 30, 3
MOST_MS, MOST_BYTES = 300.0, 300_000


def measure() -> dict[str, Any]:
    """Fill, ask, and compare."""
    with tempfile.TemporaryDirectory() as name, serve() as server:
        big = Ledger(fresh_database(server))
        try:
            migrate.upgrade(big)
            began = time.perf_counter()
            rows = fill(big)
            filled_s = round(time.perf_counter() - began)
            pages = ask(Path(name) / "pg", big, places(big))
        finally:
            big.close()  # the server ends when nobody is connected any more
        small = Ledger(f"sqlite:///{Path(name) / 'lite' / 'home' / 'airflow' / 'overnight.db'}")
        migrate.upgrade(small)
        _one_night(small, "blog_drafts", LARGEST)
        largest = ask(Path(name) / "lite", small, review_places(small))
    slowest = max(page["p95_ms"] for page in [*pages.values(), *largest.values()])
    heaviest = max(page["bytes"] for page in [*pages.values(), *largest.values()])
    return {
        "postgresql": {"rows": rows, "filled_s": filled_s, "pages": pages}, "sqlite_review_of_5000": largest,
        "slowest_p95_ms": slowest, "heaviest_bytes": heaviest,
        "goal": f"every page's p95 under {MOST_MS:.0f} ms and under {MOST_BYTES // 1000} KB",
        "met": slowest < MOST_MS and heaviest < MOST_BYTES,
    }  # fmt: skip


def example(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A good row and a good answer of a workflow; a row that its pages can name."""
    if name == "blog_drafts":
        return brief(0), draft(0)
    title = workflow(name).review.title
    for (whose, _), (item, answer) in GOOD.items():
        with contextlib.suppress(KeyError):
            if whose == name and title(item):
                return dict(item), dict(answer)
    raise LookupError(f"no good example of {name} has a title")


def _one_night(ledger: Ledger, name: str, count: int) -> Any:
    item, answer = example(name)
    # One UTC day holds all of the night's audit rows: the copies are moved by whole days.
    now = (datetime.now(UTC) - timedelta(days=1)).replace(hour=20, minute=0, second=0, microsecond=0)
    _, night = shown(
        ledger, "page", [answer] * count, workflow=name, inputs=[item] * count, night=now.date().isoformat(), now=now,
        run_id=f"scheduled__{name}", buckets=["ready"] * count,
    )  # fmt: skip
    return night


def fill(ledger: Ledger) -> dict[str, int]:
    """A hundred nights of each workflow; returns how many rows the large tables have."""
    for name in workflow_names():
        _one_night(ledger, name, A_NIGHT)
    with ledger.read() as conn:
        made = copies(conn)
    # Half of the time goes into the audit log's indexes: it has a connection, and a core, of its own.
    large = [statement for statement in made if statement.startswith("INSERT INTO audit_events")]
    with ThreadPoolExecutor(2) as together:
        list(together.map(partial(_copied, ledger), (large, [statement for statement in made if statement not in large])))
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(
            text("VACUUM ANALYZE")
        )  # as a hundred days of autovacuum would have left it, and not in the middle of asking
        named = ("nights", "items", "night_items", "decisions", "audit_events", "measures")
        return {name: conn.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in named}


def _copied(ledger: Ledger, statements: Sequence[str]) -> None:
    with ledger.write() as conn:
        # Copies of rows that were checked: PostgreSQL need not look up each of their millions of references again.
        conn.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            conn.execute(text(statement))


def copies(conn: Connection) -> Sequence[str]:
    """One INSERT a table: each row again for each of the ninety-nine earlier nights, its ids moved, its times a day back each."""
    tables = ("nights", "steps", "items", "night_items", "step_items", "batches", "requests", "answers", "reservations", "audit_heads",
              "audit_events")  # fmt: skip
    most = {
        name: conn.execute(text(f"SELECT max(id) FROM {name}")).scalar() or 0
        for name in tables
        if "id" in metadata.tables[name].c
    }
    references = {"night_id": "nights", "item_id": "items", "step_id": "steps", "batch_id": "batches", "request_id": "requests"}
    changed = {
        ("nights", "night"): "((s.night::date - k)::text)", ("nights", "run_id"): "s.run_id || '-' || k",
        ("nights", "state"): "'closed'", ("items", "content_hash"): "md5(s.content_hash || k)", ("items", "state"): "'delivered'",
        ("batches", "key"): "s.key || '-' || k", ("batches", "vendor_batch_id"): "s.vendor_batch_id || '-' || k",
        ("requests", "custom_id"): "s.custom_id || '-' || k", ("reservations", "morning"): "((s.morning::date - k)::text)",
        ("audit_events", "day"): "((s.day::date - k)::text)", ("audit_heads", "day"): "((s.day::date - k)::text)",
    }  # fmt: skip
    made = []
    for name in tables:
        columns, values = [], []
        for column in metadata.tables[name].columns:
            key = (name, column.name)
            if key in changed:
                value = changed[key]
            elif column.name == "id":
                value = f"s.id + k * {most[name]}"
            elif column.name in references:
                value = f"s.{column.name} + k * {most[references[column.name]]}"
            elif column.name.endswith("_at") or key == ("audit_events", "at"):
                value = f"s.{column.name} - k * interval '1 day'"
            else:
                value = f's."{column.name}"'
            columns.append(f'"{column.name}"')
            values.append(value)
        made.append(
            f"INSERT INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {name} s, "
            f"generate_series(1, {NIGHTS - 1}) k"
        )
    old = f"n.state = 'closed' AND i.id > {most['items']}"
    made.append(
        "INSERT INTO decisions (night_id, item_id, decision, reviewer, reason_code, surface, decided_at, collected_at, heavy) "
        "SELECT i.night_id, i.id, CASE WHEN i.id % 20 < 15 THEN 'approve' WHEN i.id % 20 < 18 THEN 'edit' ELSE 'rework' END, "
        "CASE i.id % 3 WHEN 0 THEN 'Ada Byron' WHEN 1 THEN 'Ben Okafor' ELSE 'Chidi Lang' END, "
        "CASE WHEN i.id % 20 >= 18 THEN 'weak_hook' END, 'page', n.exported_at + i.position * interval '20 seconds', "
        f"n.exported_at + interval '4 hours', false FROM items i JOIN nights n ON n.id = i.night_id WHERE {old}"
    )
    made.append(
        "INSERT INTO measures (night_id, workflow, as_is, edit, rework, pending, failed, blocked, locked, staged, carried_over, "
        "cost_usd, realtime_cost_usd, cache_saved_usd, packing_saved_usd, reused_saved_usd, median_seconds, measured_at) "
        "SELECT n.id, n.workflow, 375 - n.id % 40, 75, 50 + n.id % 40, 0, 0, 0, 500, 500, 0, 500000000 + n.id % 7 * 9000000, "
        "1000000000, 20000000, 30000000, 0, 20, n.exported_at + interval '4 hours' FROM nights n "
        f"WHERE n.id > {most['nights']}"
    )
    return made


def places(ledger: Ledger) -> dict[str, str]:
    """Every page, with the newest night of a workflow where it wants one."""
    with ledger.read() as conn:
        night = conn.execute(
            text("SELECT id FROM nights WHERE workflow = 'shopify_pages' ORDER BY opened_at DESC LIMIT 1")
        ).scalar_one()
        item = conn.execute(text(f"SELECT min(id) FROM items WHERE night_id = {night}")).scalar_one()
    review = f"/review/{night}"
    return {
        "tonight": "/", "nights": "/nights", "night": f"/night/{night}", "waiting": "/review", "review list": review,
        "review grid": f"{review}?view=grid", "review item": f"{review}/item/{item}?ahead=true", "quality": "/quality",
        "quality of a workflow": "/quality/shopify_pages", "control chart": "/quality/shopify_pages/as_is.svg", "money": "/money?days=90",
        "cost chart": "/money/cost.svg?days=90", "audit log": "/audit", "audit log, moves": "/audit?notable=false",
        "audit of an item": f"/audit?object_type=item&object_id={item}", "audit of a person": "/audit?actor=page&verb=decide",
        "audit week": "/audit/week", "api tonight": "/api/tonight", "api review": f"/api/reviews/{night}", "api quality": "/api/quality",
    }  # fmt: skip


def review_places(ledger: Ledger) -> dict[str, str]:
    """The pages of one large review."""
    every = newest_review(ledger)
    return {"review list": every, "review grid": f"{every}?view=grid", "last page of the list": f"{every}?page=9999",
            "only what is open": f"{every}?waits=true&page=100"}  # fmt: skip


def newest_review(ledger: Ledger) -> str:
    with ledger.read() as conn:
        return f"/review/{conn.execute(text('SELECT max(id) FROM nights')).scalar_one()}"


def ask(folder: Path, ledger: Ledger, asked: dict[str, str]) -> dict[str, Any]:
    """Each page thirty times, turn about with Airflow's /health."""
    found = {}
    url = str(ledger.url.render_as_string(hide_password=False))
    with serving(folder, url) as client:
        for name, path in asked.items():
            for _ in range(WARM):
                _timed(client, f"/overnight{path}")
            pairs = [(_timed(client, f"/overnight{path}"), _timed(client, HEALTH)) for _ in range(ASKED)]
            ours, theirs = [one[0] for one, _ in pairs], [one[0] for _, one in pairs]
            found[name] = {
                "p50_ms": round(statistics.median(ours), 1), "p95_ms": round(statistics.quantiles(ours, n=20)[18], 1),
                "times_health": round(statistics.median(ours) / statistics.median(theirs), 2), "bytes": pairs[0][0][1],
            }  # fmt: skip
    return found


def _timed(client: httpx.Client, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    answer = client.get(path)
    took = (time.perf_counter() - began) * 1000
    assert answer.is_success, (path, answer.status_code, answer.text[:300])
    return took, len(answer.content)
