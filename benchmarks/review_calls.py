"""How many calls a review costs at the three services, and whether any of them is one too many for the service.

The local services keep the real ones' limits here; a 429 is counted against us.
"""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from overnight.ledger import migrate
from overnight.ledger.connect import Ledger
from overnight.rehearsal.desk import BASE, FOLDER, SHEET, SOURCE, connections, decide
from overnight.review.export import export
from tests.conftest import Sandbox
from tests.support.reviewed import bring_home, draft, entries, stage

GOALS = {
    "sheets: calls to export 5,000 rows": 10, "sheets: reads to collect 500 decisions": 3, "calls refused with 429": 0,
}  # fmt: skip


def measure() -> dict[str, Any]:
    """Export 5,000 rows to Sheets, 200 items to Notion and Airtable, and collect 500 decisions from Sheets."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sandbox = Sandbox(folder)
        try:
            return _measured(sandbox, folder)
        finally:
            sandbox.kill()


def _measured(sandbox: Sandbox, folder: Path) -> dict[str, Any]:
    for conn_id, conn in connections(sandbox.url).items():
        conn["extra"].pop("documents_folder", None)
        os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(conn)
    desk = httpx.Client(base_url=f"{sandbox.url}/control/desk", timeout=120)
    orders: list[dict[str, Any]] = [
        {"kind": "folder", "id": FOLDER}, {"kind": "spreadsheet", "id": SHEET, "tabs": {"notes": [["ours"]]}},
        {"kind": "notion", "id": SOURCE, "properties": {"Item": {"title": {}}}}, {"kind": "airtable", "id": BASE},
    ]  # fmt: skip
    for order in orders:
        desk.post("/make", json=order).raise_for_status()
    told: dict[str, Any] = {}
    big = _ledger(folder, "big")
    task, night = stage(big, "sheets", [draft(n) for n in range(5_000)])
    told["sheets: calls to export 5,000 rows"] = _count(sandbox, "/google/v4", lambda: export(big, task, now=night["opened_at"]))
    decide(sandbox.url, "sheets", "blog_drafts", {"approve": 450, "edit": 30, "rework": 20}, editable="title")
    reads = _count(sandbox, "/google/v4", lambda: bring_home(big), only_reads=True)
    told["sheets: reads to collect 500 decisions"] = reads
    states = [item["state"] for item in entries(big, night)]
    told["sheets: decisions brought home"] = len(states) - states.count("in_review")
    for surface, prefix in (("notion", "/notion"), ("airtable", "/airtable")):
        small = _ledger(folder, surface)
        task, night = stage(small, surface, [draft(n) for n in range(200)])
        began = time.monotonic()
        calls = _count(sandbox, prefix, lambda small=small, task=task, night=night: export(small, task, now=night["opened_at"]))
        seconds = time.monotonic() - began
        told[f"{surface}: calls to export 200 items"] = calls
        told[f"{surface}: calls a second"] = round(calls / seconds, 2)
    told["calls refused with 429"] = sum(status == 429 for _, _, status in sandbox.calls())
    goal = "; ".join(f"{name} at most {most}" for name, most in GOALS.items())
    return {"ours": told, "unit": "calls to the local services, with the real ones' quotas", "goal": goal,
            "met": all(told[name] <= most for name, most in GOALS.items())}  # fmt: skip


def _ledger(folder: Path, name: str) -> Ledger:
    made = Ledger(f"sqlite:///{folder / f'{name}.db'}")
    migrate.upgrade(made)
    return made


def _count(sandbox: Sandbox, prefix: str, work: Any, *, only_reads: bool = False) -> int:
    before = len(sandbox.calls())
    work()
    reads = (":batchGetByDataFilter",)
    return sum(
        path.startswith(prefix) and (not only_reads or method == "GET" or path.endswith(reads))
        for method, path, _ in sandbox.calls()[before:]
    )
