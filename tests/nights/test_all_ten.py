"""All ten workflows in one evening on a real Airflow: one scheduler, SQLite, the machine's own cores."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from overnight.ledger import overview, verify
from overnight.ledger.connect import Ledger
from overnight.rehearsal import night as rehearsal
from overnight.rehearsal import processes
from overnight.rehearsal.home import Home
from overnight.workflow import workflow, workflow_names

pytestmark = [pytest.mark.airflow, pytest.mark.long]


def test_all_workflows_close_in_one_evening_and_the_books_balance(tmp_path: Path) -> None:
    """`make night WORKFLOWS=all` as a whole: every night closed, every item accounted for, every step of every chain visible."""
    before, said = dict(os.environ), io.StringIO()
    home = Home(tmp_path / "home")
    try:
        code = rehearsal.run(Console(file=said, width=160), home=home, workflows=workflow_names())
        assert code == 0, said.getvalue()[-4000:]
        ledger = Ledger(f"sqlite:///{home.airflow / 'overnight.db'}")
        with ledger.read() as conn:
            nights = {row["workflow"]: overview.describe(conn, row) for row in overview.list_nights(conn)}
            assert verify.problems(conn) == []
        assert set(nights) == set(workflow_names())
        for name, night in nights.items():
            assert night["state"] == "closed"
            assert night["outcomes"]["inside"] == night["outcomes"]["carried_over"] == 0, (name, night["outcomes"])
            assert night["outcomes"]["staged"] > 0
        # The alerts are those that the samples are meant to raise: returns that could not wait, dangers and injected orders.
        raised = {(name, a["kind"]) for name, night in nights.items() for a in night["alerts"]}
        assert ("returns_triage", "urgent_rows") in raised
        assert {kind for _, kind in raised} == {"urgent_rows", "grave_findings"}
        shown = said.getvalue()
        for name in ("competitor_scan", "ai_visibility", "ad_variants", "inventory_signals"):
            for step in workflow(name).steps:
                assert f"{name:18} {step.name.partition('_')[0]}" in shown
    finally:
        processes.stop_all(home)
        os.environ.clear()
        os.environ.update(before)
